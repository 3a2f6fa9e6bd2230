//! Writing and reading every byte, as a decoder and a display would.

use anyhow::{Context as _, ensure};

use crate::stamp;

const WORD: usize = size_of::<u64>();

/// Fills a frame; its stamp is written afterwards.
pub(crate) fn write(bytes: &mut [u8], sequence: u64) {
    bytes.fill(value(sequence));
}

/// Reads all of a frame, memory by memory: mapped as a whole, several memories would be copied into one.
pub(crate) fn read(buffer: &gst::BufferRef, sequence: u64) -> anyhow::Result<()> {
    let mut stamp = stamp::LENGTH;
    for memory in buffer.iter_memories() {
        let map = memory.map_readable().ok().context("it cannot be mapped")?;
        let skipped = stamp.min(map.len());
        stamp -= skipped;
        ensure!(is_filled(&map[skipped..], value(sequence)), "its bytes are not those that were written");
    }
    Ok(())
}

/// Another one for each of many frames, so that a frame with bytes of the one before is noticed.
fn value(sequence: u64) -> u8 {
    sequence as u8
}

/// Whether the sum of the bytes is that of as many bytes of `value`: sums are made as fast as memory is read.
fn is_filled(bytes: &[u8], value: u8) -> bool {
    let (words, rest) = bytes.as_chunks::<WORD>();
    let sum = |words: &[[u8; WORD]]| {
        words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
    };
    let word = u64::from_ne_bytes([value; WORD]);
    sum(words) == word.wrapping_mul(words.len() as u64) && rest.iter().all(|byte| *byte == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_byte_that_is_wrong_is_noticed() {
        let mut bytes = [0; 43];
        write(&mut bytes, 300);
        assert!(is_filled(&bytes, 44));
        for position in 0..bytes.len() {
            bytes[position] ^= 1;
            assert!(!is_filled(&bytes, 44), "byte {position}");
            bytes[position] ^= 1;
        }
    }

    #[test]
    fn a_frame_in_several_memories_is_read_past_its_stamp() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        for length in [16, 30, 100] {
            let memory = gst::Memory::from_mut_slice(vec![9; length]);
            buffer.get_mut().unwrap().append_memory(memory);
        }
        read(&buffer, 9).unwrap();
        assert!(read(&buffer, 10).is_err());
    }
}
