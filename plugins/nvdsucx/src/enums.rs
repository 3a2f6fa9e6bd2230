//! The enumerations of the elements' properties.

use deepstream::nvmm;
use gst::glib;
use nvdsucx_session::{OnDisconnect, Overflow, wire};

use crate::memory::Kind;

/// `buf-type`: what the buffers hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstNvDsUcxBufType")]
pub enum BufType {
    /// Raw video.
    #[default]
    #[enum_value(name = "Video buffers - NvBufSurface", nick = "nvdsucx-buf-video")]
    Video = 0,
    /// Raw audio; in batches, where there is DeepStream.
    #[enum_value(name = "Audio buffers - NvBufAudio", nick = "nvdsucx-buf-nv-audio")]
    NvAudio = 1,
    /// Raw audio.
    #[enum_value(name = "Audio buffers - raw memory", nick = "nvdsucx-buf-raw-audio")]
    RawAudio = 2,
    /// Text.
    #[enum_value(name = "Text buffers - gchar", nick = "nvdsucx-buf-text")]
    Text = 4,
    /// Anything, encoded streams for example.
    #[enum_value(name = "Any buffers - raw memory", nick = "nvdsucx-buf-any")]
    Any = 5,
}

impl BufType {
    /// What streams of this kind have.
    pub(crate) fn caps(self) -> gst::Caps {
        self.caps_in(&Kind::DEVICES)
    }

    /// What pads of this kind take and give here: for NVMM memory there have to be DeepStream's libraries.
    /// If there are not, `missing` is told why.
    pub(crate) fn offered(self, missing: impl FnOnce(&nvmm::Error)) -> gst::Caps {
        let has_nvmm = matches!(self, Self::Video | Self::NvAudio);
        let libraries = if has_nvmm { nvmm::available() } else { Ok(()) };
        match libraries {
            Ok(()) => self.caps(),
            Err(err) => {
                missing(&err);
                self.caps_in(&[Kind::Cuda])
            }
        }
    }

    fn caps_in(self, devices: &[Kind]) -> gst::Caps {
        match self {
            Self::Video => {
                let device =
                    |kind: &Kind| gst::Caps::builder("video/x-raw").features([kind.feature()]).build();
                let mut caps: gst::Caps = devices.iter().map(device).collect();
                caps.merge(gst::Caps::new_empty_simple("video/x-raw"));
                caps
            }
            Self::NvAudio => {
                let nvmm = devices.contains(&Kind::Nvmm).then_some(Kind::Nvmm.feature());
                let batches = |feature| gst::Caps::builder("audio/x-raw").features([feature]).build();
                let mut caps: gst::Caps = nvmm.map(batches).into_iter().collect();
                caps.merge(gst::Caps::new_empty_simple("audio/x-raw"));
                caps
            }
            Self::RawAudio => gst::Caps::new_empty_simple("audio/x-raw"),
            Self::Text => gst::Caps::new_empty_simple("text/x-raw"),
            Self::Any => gst::Caps::new_any(),
        }
    }
}

impl From<BufType> for wire::BufferType {
    fn from(buf_type: BufType) -> Self {
        match buf_type {
            BufType::Video => Self::Video,
            BufType::NvAudio => Self::NvAudio,
            BufType::RawAudio => Self::RawAudio,
            BufType::Text => Self::Text,
            BufType::Any => Self::Any,
        }
    }
}

/// `nvbuf-memory-type`: where NVMM output buffers are made. The type's name is our own: DeepStream's library registers
/// `GstNvBufMemoryType` in the processes where it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstUcxNvBufMemoryType")]
pub enum MemoryType {
    /// Whatever the platform prefers.
    #[enum_value(name = "The platform's default", nick = "nvbuf-mem-default")]
    Default = 0,
    /// Pinned host memory.
    #[enum_value(name = "Pinned host memory", nick = "nvbuf-mem-cuda-pinned")]
    CudaPinned = 1,
    /// Memory of the device.
    #[enum_value(name = "CUDA device memory", nick = "nvbuf-mem-cuda-device")]
    CudaDevice = 2,
    /// Managed memory.
    #[enum_value(name = "CUDA unified memory", nick = "nvbuf-mem-cuda-unified")]
    CudaUnified = 3,
    /// Surface arrays of Jetson.
    #[cfg(target_arch = "aarch64")]
    #[enum_value(name = "Surface array", nick = "nvbuf-mem-surface-array")]
    SurfaceArray = 4,
    /// The CPU's memory.
    #[enum_value(name = "System memory", nick = "nvbuf-mem-system")]
    System = 6,
}

impl From<MemoryType> for nvmm::MemoryType {
    fn from(memory: MemoryType) -> Self {
        match memory {
            MemoryType::Default => Self::Default,
            MemoryType::CudaPinned => Self::Pinned,
            MemoryType::CudaDevice => Self::Device,
            MemoryType::CudaUnified => Self::Unified,
            #[cfg(target_arch = "aarch64")]
            MemoryType::SurfaceArray => Self::SurfaceArray,
            MemoryType::System => Self::System,
        }
    }
}

/// `leaky`: what happens to a buffer that a peer has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstUcxLeaky")]
pub enum Leaky {
    /// It waits, and so do all peers.
    #[enum_value(name = "Wait for room", nick = "no")]
    No = 0,
    /// That peer does without it.
    #[enum_value(name = "Drop new buffers", nick = "upstream")]
    Upstream = 1,
    /// It waits for that peer alone, and old ones that do are dropped.
    #[enum_value(name = "Drop old buffers", nick = "downstream")]
    Downstream = 2,
    /// That peer is disconnected.
    #[enum_value(name = "Disconnect who is too slow", nick = "disconnect")]
    Disconnect = 3,
    /// `upstream` where the stream is live and there are other peers, otherwise `no`.
    #[enum_value(name = "Drop new buffers of live streams that go to others, too", nick = "auto")]
    Auto = 4,
}

impl From<Leaky> for Overflow {
    fn from(leaky: Leaky) -> Self {
        match leaky {
            Leaky::No => Self::Wait,
            Leaky::Upstream => Self::DropNew,
            Leaky::Downstream => Self::DropOld,
            Leaky::Disconnect => Self::Disconnect,
            Leaky::Auto => Self::Auto,
        }
    }
}

/// `timestamp-mode`: what the timestamps of a source are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstUcxTimestampMode")]
pub enum TimestampMode {
    /// As they were sent: running time is the sender's.
    #[enum_value(name = "As they were sent", nick = "keep")]
    Keep = 0,
    /// For the same moment in the running time of this pipeline.
    #[enum_value(name = "For the same moment in this pipeline's running time", nick = "map")]
    Map = 1,
}

/// `on-disconnect`: what happens when a peer is lost before the stream has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstUcxOnDisconnect")]
pub enum Disconnect {
    /// The element posts an error.
    #[enum_value(name = "Post an error", nick = "error")]
    Error = 0,
    /// The stream ends.
    #[enum_value(name = "End the stream", nick = "eos")]
    Eos = 1,
    /// A server waits for the next client, a client connects again.
    #[enum_value(name = "Wait for the peer to come back", nick = "reconnect")]
    Reconnect = 2,
}

impl From<Disconnect> for OnDisconnect {
    fn from(disconnect: Disconnect) -> Self {
        match disconnect {
            Disconnect::Error => Self::Fail,
            Disconnect::Eos => Self::Eos,
            Disconnect::Reconnect => Self::Reconnect,
        }
    }
}
