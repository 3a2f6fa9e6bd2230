//! Buffers in DeepStream's memory, `memory:NVMM` in caps.
//!
//! Such a buffer has one memory, and in that is no picture but an `NvBufSurface`: a batch of surfaces, so many of which are
//! filled. Each is somewhere else, in memory of a [`MemoryType`].
//!
//! * [`export`]: where the surfaces of a buffer are, as regions;
//! * [`export_audio`], [`audio_memory`]: the same for batches of audio, `NvBufAudio`, which are in the CPU's memory;
//! * [`Pool`]: makes buffers with surfaces to be filled. DeepStream's `libnvdsbufferpool.so` does it, which is looked for where
//!   the libraries for metadata are, when the first pool is made.
//!
//! What is read of an `NvBufSurface` is read once, and checked: lengths, counts, and that planes are within their surface.
//! Structures differ in length between releases; the length of the memory tells which it is, and others are refused.

mod audio;
mod error;
mod export;
mod fill;
mod format;
mod pool;
mod raw;
mod read;

use std::fmt;

pub use audio::{Audio, ExportedAudio, audio_memory, export_audio};
pub use error::Error;
pub use export::{Exported, export};
pub use fill::{Filling, Picture, Piece, Source};
pub use format::{FORMATS, video_format};
pub use pool::{Pool, PoolConfig, available};
pub use read::{Batch, Plane, Surface};

/// The name of the memory in caps.
pub const FEATURE: &str = "memory:NVMM";

/// Most surfaces of a buffer. DeepStream itself has no limit.
pub const MAX_BATCH: u32 = 1024;

/// Where surfaces are: `NvBufSurfaceMemType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum MemoryType {
    /// What the platform prefers: the GPU's own, where it has some.
    Default = 0,
    /// The CPU's, which the GPU reaches.
    Pinned = 1,
    /// The GPU's.
    Device = 2,
    /// Of both: it moves to who uses it.
    Unified = 3,
    /// Hardware buffers of Jetson.
    SurfaceArray = 4,
    /// The same, by handle.
    Handle = 5,
    /// The CPU's alone.
    System = 6,
    /// Textures of the GPU.
    CudaArray = 7,
}

impl MemoryType {
    /// The one of DeepStream's number.
    pub fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::Default,
            1 => Self::Pinned,
            2 => Self::Device,
            3 => Self::Unified,
            4 => Self::SurfaceArray,
            5 => Self::Handle,
            6 => Self::System,
            7 => Self::CudaArray,
            _ => return None,
        })
    }

    /// What UCX has to know of it; `None` if it cannot be reached by its address.
    fn kind(self) -> Option<ucp::MemoryKind> {
        match self {
            Self::Pinned | Self::System => Some(ucp::MemoryKind::Host),
            Self::Default | Self::Device => Some(ucp::MemoryKind::Cuda),
            Self::Unified => Some(ucp::MemoryKind::CudaManaged),
            Self::SurfaceArray | Self::Handle | Self::CudaArray => None,
        }
    }

    /// Whether it is a GPU's, and reached through that.
    pub fn is_on_gpu(self) -> bool {
        matches!(self, Self::Default | Self::Device | Self::Unified)
    }
}

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Pinned => "CUDA pinned",
            Self::Device => "CUDA device",
            Self::Unified => "CUDA unified",
            Self::SurfaceArray => "surface array",
            Self::Handle => "handle",
            Self::System => "system",
            Self::CudaArray => "CUDA array",
        })
    }
}
