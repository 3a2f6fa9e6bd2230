//! Batches of audio, `NvBufAudio`: in the CPU's memory, and so made and read without any library. They are the same in all
//! releases.

use std::ffi::c_void;
use std::ptr;
use std::slice;
use std::sync::Arc;

use gst::memory::{MappedMemory, Readable};
use ucp::{MemoryKind, Region};

use super::{Error, MAX_BATCH};

/// NvBufAudio.
#[repr(C)]
#[derive(Clone, Copy)]
struct Head {
    filled: u32,
    batch_size: u32,
    /// A byte; the others are nothing.
    contiguous: u64,
    list: *mut c_void,
}

/// NvBufAudioParams.
#[repr(C)]
#[derive(Clone, Copy)]
struct Params {
    layout: i32,
    format: i32,
    bytes_per_frame: u32,
    channels: u32,
    rate: u32,
    data_size: u32,
    data: *mut u8,
    pad_id: u32,
    source_id: u32,
    ntp_timestamp: u64,
    pts: u64,
    duration: u64,
    reserved: [u64; 2],
}

const _: () = assert!(size_of::<Head>() == 24 && size_of::<Params>() == 80);

/// What a batch says of one of its sources' audio, in DeepStream's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audio {
    /// 1: interleaved; 2: not.
    pub layout: i32,
    /// NvBufAudioFormat.
    pub format: i32,
    /// Of all channels together.
    pub bytes_per_frame: u32,
    /// How many there are.
    pub channels: u32,
    /// Frames in a second.
    pub rate: u32,
    /// Of the pad it came in by.
    pub pad_id: u32,
    /// Where it is from.
    pub source_id: u32,
    /// In nanoseconds.
    pub ntp_timestamp: u64,
    /// In nanoseconds; all bits set: none.
    pub pts: u64,
    /// In nanoseconds; all bits set: none.
    pub duration: u64,
}

/// The audio of a buffer, where it is.
#[derive(Debug)]
pub struct ExportedAudio {
    /// How many sources the batch has room for.
    pub batch_size: u32,
    /// What there is.
    pub audio: Vec<Audio>,
    /// The samples of each.
    pub regions: Vec<Region>,
}

/// Keeps audio in place.
struct Kept {
    mapped: MappedMemory<Readable>,
    _buffer: gst::Buffer,
}

/// The audio of `buffer`. It, and the buffer, are held until the last region is dropped.
///
/// # Safety
///
/// `buffer` comes with caps of `memory:NVMM` and audio, from an element that keeps to what DeepStream means by that: its memory is an
/// `NvBufAudio` with as many buffers as it says, which have as many bytes as they say, and are written to by nobody as long as
/// the buffer is held.
pub unsafe fn export_audio(buffer: &gst::Buffer) -> Result<ExportedAudio, Error> {
    let wrong = |what: String| Error::Audio(what);
    let memory = buffer.memory(0).filter(|_| buffer.n_memory() == 1);
    let mapped = memory.and_then(|memory| memory.into_mapped_memory_readable().ok());
    let mapped = mapped.ok_or_else(|| wrong(format!("is {} memories", buffer.n_memory())))?;
    let kept = Arc::new(Kept { mapped, _buffer: buffer.clone() });
    let bytes = kept.mapped.as_slice();
    let head = bytes.as_ptr().cast::<Head>();
    if bytes.len() != size_of::<Head>() || !head.is_aligned() {
        return Err(wrong(format!("has {} bytes, and not {}", bytes.len(), size_of::<Head>())));
    }
    // SAFETY: as demanded; it is as long, and aligned.
    let head = unsafe { head.read() };
    let list = head.list.cast::<Params>();
    if head.filled > head.batch_size || head.batch_size > MAX_BATCH {
        return Err(wrong(format!("has {} of {} buffers filled", head.filled, head.batch_size)));
    }
    if head.filled > 0 && (list.is_null() || !list.is_aligned()) {
        return Err(wrong("has no buffers".to_owned()));
    }
    let (mut audio, mut regions) = (Vec::new(), Vec::new());
    for index in 0..head.filled as usize {
        // SAFETY: as demanded: so many stand there.
        let params = unsafe { list.add(index).read() };
        let len = params.data_size as usize;
        if len > 0 && (params.data.is_null() || (params.data as usize).checked_add(len).is_none()) {
            return Err(wrong(format!("has {len} bytes in buffer {index}, at {:p}", params.data)));
        }
        audio.push(Audio {
            layout: params.layout,
            format: params.format,
            bytes_per_frame: params.bytes_per_frame,
            channels: params.channels,
            rate: params.rate,
            pad_id: params.pad_id,
            source_id: params.source_id,
            ntp_timestamp: params.ntp_timestamp,
            pts: params.pts,
            duration: params.duration,
        });
        regions.push(if len == 0 {
            Region::from(Vec::new())
        } else {
            // SAFETY: as demanded; the keep-alive holds the buffer.
            unsafe { Region::new(params.data, len, MemoryKind::Host, kept.clone()) }
        });
    }
    Ok(ExportedAudio { batch_size: head.batch_size, audio, regions })
}

/// A batch, and all it refers to.
struct Owned {
    head: Box<Head>,
    _list: Vec<Params>,
    _samples: Vec<Vec<u8>>,
}

// SAFETY: the pointers are to what it owns itself.
unsafe impl Send for Owned {}

impl AsMut<[u8]> for Owned {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: it has as many bytes, all of them initialised, and is borrowed as long. What is written there is followed by
        // elements alone, never here.
        unsafe { slice::from_raw_parts_mut(ptr::from_mut(&mut *self.head).cast(), size_of::<Head>()) }
    }
}

/// A memory with a batch that has room for `batch_size` sources, of which these are there.
pub fn audio_memory(batch_size: u32, audio: Vec<(Audio, Vec<u8>)>) -> Result<gst::Memory, Error> {
    let filled = audio.len();
    if batch_size == 0 || batch_size > MAX_BATCH || filled > batch_size as usize {
        return Err(Error::Audio(format!("would have {filled} of {batch_size} buffers filled")));
    }
    let (mut list, mut samples) = (Vec::new(), Vec::new());
    for (audio, mut bytes) in audio {
        let data_size = u32::try_from(bytes.len())
            .map_err(|_| Error::Audio(format!("would have {} bytes", bytes.len())))?;
        list.push(Params {
            layout: audio.layout,
            format: audio.format,
            bytes_per_frame: audio.bytes_per_frame,
            channels: audio.channels,
            rate: audio.rate,
            data_size,
            data: bytes.as_mut_ptr(),
            pad_id: audio.pad_id,
            source_id: audio.source_id,
            ntp_timestamp: audio.ntp_timestamp,
            pts: audio.pts,
            duration: audio.duration,
            reserved: [0; 2],
        });
        samples.push(bytes);
    }
    // Elements look at all that there is room for.
    list.resize(batch_size as usize, EMPTY);
    let head = Head { filled: filled as u32, batch_size, contiguous: 0, list: list.as_mut_ptr().cast() };
    Ok(gst::Memory::from_mut_slice(Owned { head: Box::new(head), _list: list, _samples: samples }))
}

const EMPTY: Params = Params {
    layout: 0,
    format: 0,
    bytes_per_frame: 0,
    channels: 0,
    rate: 0,
    data_size: 0,
    data: ptr::null_mut(),
    pad_id: 0,
    source_id: 0,
    ntp_timestamp: 0,
    pts: u64::MAX,
    duration: u64::MAX,
    reserved: [0; 2],
};
