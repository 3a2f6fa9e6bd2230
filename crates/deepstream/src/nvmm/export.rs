//! The surfaces of a buffer, as they are.

use std::sync::Arc;

use gst::memory::{MappedMemory, Readable};
use ucp::Region;

use super::{Batch, Error, read};

/// The surfaces of a buffer that hold a picture, where they are.
#[derive(Debug)]
pub struct Exported {
    /// What they are.
    pub batch: Batch,
    /// The memory of each of [`Batch::pictures`].
    pub regions: Vec<Region>,
}

/// Keeps surfaces in place.
struct Kept {
    /// Unmapped before the buffer goes: a pool takes back only buffers whose memories nobody else holds.
    mapped: MappedMemory<Readable>,
    _buffer: gst::Buffer,
}

/// The surfaces of `buffer`. They, and the buffer, are held until the last region is dropped.
///
/// # Safety
///
/// `buffer` comes with caps of `memory:NVMM` and video, from an element that keeps to what DeepStream means by that: its memory is an
/// `NvBufSurface` with as many surfaces as it says; their memory is of the type it says, has as many bytes as they say, is
/// written to by nobody as long as the buffer is held, and all that was queued to write to it is done.
pub unsafe fn export(buffer: &gst::Buffer) -> Result<Exported, Error> {
    let wrong = |what: &str| Error::Release(what.to_owned());
    if buffer.n_memory() != 1 {
        return Err(Error::Release(format!("of {} memories", buffer.n_memory())));
    }
    let memory = buffer.memory(0).ok_or_else(|| wrong("without memory"))?;
    let mapped = memory.into_mapped_memory_readable().map_err(|_| wrong("not readable"))?;
    let kept = Arc::new(Kept { mapped, _buffer: buffer.clone() });
    let head = kept.mapped.as_slice();
    // SAFETY: as demanded.
    let batch = unsafe { read::batch(head.as_ptr(), head.len()) }?;
    let kind = batch.kind()?;
    let regions = batch.pictures().iter().map(|surface| {
        // SAFETY: as demanded; the keep-alive holds the buffer.
        unsafe { Region::new(surface.data as *const u8, surface.len, kind, kept.clone()) }
    });
    Ok(Exported { regions: regions.collect(), batch })
}
