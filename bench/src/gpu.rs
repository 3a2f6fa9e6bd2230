//! Frames in a GPU's memory.
//!
//! A copy of 40 bytes to a GPU, or from it, takes longer than such a frame should. So what is said of a frame is on the page that
//! both sides map, where its timestamp finds it; and only some frames carry their stamp themselves, which shows that the pixels
//! are the right ones, too.

use anyhow::{Context as _, ensure};
use cuda::{Context, Writing};
use gst::prelude::*;

use crate::stamp::{self, Stamp};

/// As fast as they go, one frame of so many carries its stamp: to write or read one waits for all copies that the GPU was given
/// before. Paced, all do.
const STAMPED: u64 = 512;

/// Whether the frame of this number carries its stamp.
pub(crate) fn is_stamped(sequence: u64, paced: bool) -> bool {
    paced || sequence.is_multiple_of(STAMPED)
}

/// A pool of frames on the GPU `device`, active.
pub(crate) fn pool(
    element: &gst::Element,
    device: u32,
    caps: &gst::Caps,
    buffers: u32,
) -> anyhow::Result<gst::BufferPool> {
    cuda::available()?;
    let context = Context::for_element(element, device)?;
    let pool = context.pool(caps, 0, buffers, buffers)?;
    pool.set_active(true).context("the pool of GPU memory does not start")?;
    Ok(pool)
}

/// Writes a stamp into the frame.
pub(crate) fn write(buffer: &mut gst::BufferRef, stamp: &Stamp) -> anyhow::Result<()> {
    let memory = buffer.peek_memory_mut(0).ok().context("the frame's memory is not writable")?;
    let mut bytes = [0; stamp::LENGTH];
    stamp.write(&mut bytes);
    Ok(Writing::new(memory)?.upload_head(&bytes)?)
}

/// The stamp in the frame.
pub(crate) fn read(buffer: &gst::BufferRef) -> anyhow::Result<Stamp> {
    let memory = buffer.memory(0).context("the frame has no memory")?;
    let mut bytes = [0; stamp::LENGTH];
    cuda::download_head(&cuda::export(&buffer.to_owned(), memory)?, &mut bytes)?;
    Stamp::read(&bytes).with_context(|| format!("the frame begins with {bytes:02x?}"))
}

/// That it is in a GPU's memory, on this one, and has as many bytes.
pub(crate) fn check(buffer: &gst::BufferRef, device: u32, bytes: u64) -> anyhow::Result<()> {
    ensure!(buffer.n_memory() == 1, "the frame has {} memories", buffer.n_memory());
    let context = Context::of(buffer.peek_memory(0)).context("the frame is not in a GPU's memory")?;
    ensure!(context.device() == device, "the frame is on GPU {}", context.device());
    // Rows have gaps between them.
    ensure!(buffer.size() as u64 >= bytes, "the frame has only {} bytes", buffer.size());
    Ok(())
}

/// For `look`: how many there are, and what the first is called; or why there is none. Blanks in a value are `␣`.
pub(crate) fn look() -> String {
    match cuda::available().and_then(|()| cuda::devices()) {
        Ok(count) => {
            let name = Context::new(0).and_then(|context| context.name()).unwrap_or_default();
            format!("gpus count={count} name={}", name.replace(' ', "␣"))
        }
        Err(error) => format!("gpus count=0 reason={}", error.to_string().replace(' ', "␣")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_in_the_cpus_memory_is_none_of_a_gpu() {
        gst::init().unwrap();
        let buffer = gst::Buffer::with_size(100).unwrap();
        let error = check(&buffer, 0, 100).unwrap_err().to_string();
        assert_eq!(error, "the frame is not in a GPU's memory");
    }

    #[test]
    fn what_is_paced_is_stamped() {
        assert!((0..100).all(|sequence| is_stamped(sequence, true)));
        assert_eq!((0..1025).filter(|sequence| is_stamped(*sequence, false)).count(), 3);
    }
}
