//! Between GStreamer's memories and the session's regions, a file for each kind of memory.

pub(crate) mod shared;
pub(crate) mod system;
