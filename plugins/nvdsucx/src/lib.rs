//! GStreamer elements that carry a pipeline to other processes and hosts over UCX.
