use super::MemoryType;
use crate::library::FOLDER;

/// Why buffers in DeepStream's memory (`memory:NVMM`) cannot be read or made, and what to try.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The libraries are not there, or cannot be loaded.
    #[error(
        "cannot load DeepStream's libraries for NVMM memory: {0}; install DeepStream with the CUDA runtime that it needs, or set \
         {FOLDER} to the folder of its libraries"
    )]
    Load(String),
    /// A library that is there lacks a function.
    #[error("DeepStream's libnvdsbufferpool.so lacks {0}: use release 6.1 or later")]
    Symbol(&'static str),
    /// The buffer's memory is of no known length for what it has to be.
    #[error(
        "a buffer of NVMM memory is {0}, where NvBufSurface has 64 bytes (DeepStream 6.1 to 6.3) or 72 (8.0 to 9.1): other \
         releases are not known"
    )]
    Release(String),
    /// A surface is not as it has to be.
    #[error("a buffer of NVMM memory whose NvBufSurface {0}")]
    Surface(String),
    /// A batch of audio is not as it has to be.
    #[error("a buffer of NVMM memory whose NvBufAudio {0}")]
    Audio(String),
    /// The surfaces are in memory that cannot be reached.
    #[error(
        "surfaces in memory of type {0} cannot be sent or written to: have nvvideoconvert make others \
         (nvbuf-memory-type=nvbuf-mem-cuda-device)"
    )]
    Memory(MemoryType),
    /// There is no pool of such surfaces.
    #[error(
        "DeepStream has no pool of {memory} surfaces for {caps}: {hint}",
        hint = if *memory != MemoryType::System {
            "see in `nvidia-smi` whether there is a GPU of that number and its memory is full"
        } else {
            "the format may be unknown to this release, or the memory full"
        }
    )]
    Pool {
        /// What the surfaces are of.
        caps: String,
        /// What memory they are in.
        memory: MemoryType,
    },
    /// A frame cannot be put into a surface.
    #[error("a frame for a surface of {of} {0}", of = "DeepStream's")]
    Frame(String),
    /// CUDA is needed, and failed.
    #[error("{0}")]
    Cuda(#[from] cuda::Error),
}
