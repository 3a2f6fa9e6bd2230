//! Memory of the CPU.

use std::sync::Arc;

use gst::memory::{MappedMemory, Readable};
use nvdsucx_session::{Landed, Mapped, MemoryKind, Payload, Region, Release};

use crate::event::Malformed;

/// Keeps an exported memory in place.
struct Exported {
    /// Unmapped before the buffer goes: a pool takes back only buffers whose memories nobody else holds.
    mapped: MappedMemory<Readable>,
    _buffer: gst::Buffer,
}

/// `memory` of `buffer`, as it is. Both are held until the region is dropped.
pub(crate) fn export(buffer: &gst::Buffer, memory: gst::Memory) -> Result<Region, gst::glib::BoolError> {
    if memory.size() == 0 {
        return Ok(Region::from(Vec::new()));
    }
    let mapped = memory.into_mapped_memory_readable().map_err(|memory| {
        let allocator = memory.allocator().map(|allocator| allocator.memory_type().to_string());
        gst::glib::bool_error!("memory of type {:?} cannot be read by the CPU", allocator.unwrap_or_default())
    })?;
    let exported = Arc::new(Exported { mapped, _buffer: buffer.clone() });
    let bytes = exported.mapped.as_slice();
    let (start, len) = (bytes.as_ptr(), bytes.len());
    // SAFETY: the memory stays mapped as long as `exported` lives. While it is mapped for reading, GStreamer lets
    // nobody map it for writing. What GStreamer maps is the CPU's.
    Ok(unsafe { Region::new(start, len, MemoryKind::Host, exported) })
}

/// A landing buffer as the memory of a GStreamer memory, which gives it back when it is freed.
struct Imported(Landed);

impl AsMut<[u8]> for Imported {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0.host_bytes_mut().unwrap_or_default()
    }
}

/// A piece of the sender's memory, which it gets back when all pieces of the frame are freed.
struct Lent {
    region: Region,
    _release: Arc<Release>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.region.host_bytes().unwrap_or_default()
    }
}

/// `payload` as memories of `lengths`, as it was at the sender. Nothing is copied.
pub(crate) fn import(payload: Payload, lengths: &[u64]) -> Result<Vec<gst::Memory>, Malformed> {
    match payload {
        Payload::Landed(landed) if landed.host_bytes().is_none() => {
            Err(Malformed(format!("a frame in memory of the kind {:?}", landed.kind())))
        }
        Payload::Landed(landed) => cut(gst::Memory::from_mut_slice(Imported(landed)), lengths),
        Payload::Copied(bytes) => cut(gst::Memory::from_mut_slice(bytes), lengths),
        Payload::Mapped(mapped) => borrow(&mapped),
    }
}

/// The sender's memories themselves, which nobody writes to.
fn borrow(mapped: &Mapped) -> Result<Vec<gst::Memory>, Malformed> {
    check_count(mapped.regions().len())?;
    let lend = |region: &Region| {
        let lent = Lent { region: region.clone(), _release: Arc::clone(mapped.release()) };
        gst::Memory::from_slice(lent)
    };
    Ok(mapped.regions().iter().map(lend).collect())
}

fn check_count(memories: usize) -> Result<(), Malformed> {
    let most = gst::BufferRef::max_memory();
    if memories > most {
        return Err(Malformed(format!(
            "a frame of {memories} memories, more than the {most} a buffer takes"
        )));
    }
    Ok(())
}

/// `whole` in parts of `lengths`, which must add up to it.
fn cut(whole: gst::Memory, lengths: &[u64]) -> Result<Vec<gst::Memory>, Malformed> {
    check_count(lengths.len())?;
    let total = lengths.iter().try_fold(0u64, |sum, len| sum.checked_add(*len));
    if total != u64::try_from(whole.size()).ok() {
        return Err(Malformed(format!("a frame of {} bytes with memories of {lengths:?}", whole.size())));
    }
    if lengths.len() == 1 {
        return Ok(vec![whole]);
    }
    let mut start = 0;
    Ok(lengths
        .iter()
        .map(|len| {
            // Fits: the lengths add up to one that does.
            let end = start + *len as usize;
            let range = std::mem::replace(&mut start, end)..end;
            if range.is_empty() { gst::Memory::with_size(0) } else { whole.share(range) }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use gst::prelude::*;

    use super::*;

    fn export(buffer: &gst::Buffer) -> Result<Vec<Region>, gst::glib::BoolError> {
        buffer.iter_memories_owned().map(|memory| super::export(buffer, memory)).collect()
    }

    fn bytes(memory: &gst::MemoryRef) -> Vec<u8> {
        memory.map_readable().unwrap().to_vec()
    }

    #[test]
    fn exports_each_memory_where_it_is() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        for part in [&b"one"[..], b"", b"three"] {
            buffer.make_mut().append_memory(gst::Memory::from_slice(part));
        }
        let regions = export(&buffer).unwrap();
        assert_eq!(regions.iter().map(Region::len).collect::<Vec<_>>(), [3, 0, 5]);
        let at = buffer.peek_memory(2).map_readable().unwrap().as_ptr();
        assert_eq!(regions[2].as_ptr(), at);
    }

    #[test]
    fn holds_the_buffer_until_the_last_region_is_gone() {
        gst::init().unwrap();
        let pool = gst::BufferPool::new();
        let mut config = pool.config();
        config.set_params(None, 64, 1, 1);
        pool.set_config(config).unwrap();
        pool.set_active(true).unwrap();
        let busy = gst::BufferPoolAcquireParams::with_flags(gst::BufferPoolAcquireFlags::DONTWAIT);

        let buffer = pool.acquire_buffer(None).unwrap();
        let at = buffer.peek_memory(0).as_ptr();
        let regions = export(&buffer).unwrap();
        drop(buffer);
        assert_eq!(pool.acquire_buffer(Some(&busy)), Err(gst::FlowError::Eos));
        drop(regions);
        let again = pool.acquire_buffer(Some(&busy)).unwrap();
        assert_eq!(again.peek_memory(0).as_ptr(), at, "the pool took the memory back");
        drop(again);
        pool.set_active(false).unwrap();
    }

    #[test]
    fn cuts_without_copying() {
        gst::init().unwrap();
        let whole = gst::Memory::from_mut_slice(b"onethree".to_vec());
        let parts = cut(whole, &[3, 0, 5, 0]).unwrap();
        assert_eq!(
            parts.iter().map(|part| bytes(part)).collect::<Vec<_>>(),
            [&b"one"[..], b"", b"three", b""]
        );
        assert_eq!(
            parts[0].parent().map(gst::MemoryRef::as_ptr),
            parts[2].parent().map(gst::MemoryRef::as_ptr)
        );
    }

    #[test]
    fn leaves_a_single_memory_writable() {
        gst::init().unwrap();
        let mut parts = cut(gst::Memory::from_mut_slice(vec![1, 2, 3]), &[3]).unwrap();
        parts[0].get_mut().unwrap().map_writable().unwrap()[0] = 9;
        assert_eq!(bytes(&parts[0]), [9, 2, 3]);
    }

    #[test]
    fn bytes_that_were_copied_become_memories() {
        gst::init().unwrap();
        let parts = import(Payload::Copied(b"onethree".to_vec().into()), &[3, 5]).unwrap();
        assert_eq!(parts.iter().map(|part| bytes(part)).collect::<Vec<_>>(), [&b"one"[..], b"three"]);
        assert!(import(Payload::Copied(b"onethree".to_vec().into()), &[3, 6]).is_err());
    }

    #[test]
    fn takes_a_frame_without_memories() {
        gst::init().unwrap();
        assert!(cut(gst::Memory::with_size(0), &[]).unwrap().is_empty());
        assert_eq!(cut(gst::Memory::with_size(0), &[0, 0]).unwrap().len(), 2);
    }

    #[test]
    fn refuses_lengths_that_do_not_add_up() {
        gst::init().unwrap();
        for lengths in [&[][..], &[2], &[4], &[2, 2], &[u64::MAX, 4], &[0; 1000]] {
            assert!(cut(gst::Memory::from_mut_slice(vec![1, 2, 3]), lengths).is_err(), "{lengths:?}");
        }
    }
}
