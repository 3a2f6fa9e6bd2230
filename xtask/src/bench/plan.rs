//! What is measured: workloads and transports.

use std::process::Command;

/// Stands for the port in a pipeline.
pub(super) const PORT: &str = "{port}";
/// Stands for the workload's `buf-type` in a pipeline.
pub(super) const BUF_TYPE: &str = "{buf-type}";

/// What is sent.
pub(crate) struct Workload {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) bytes: u32,
    /// Most frames in flight.
    pub(super) window: u32,
    /// Frames a second; none: as fast as it goes.
    pub(super) fps: Option<u32>,
    pub(super) caps: &'static str,
    pub(super) buf_type: &'static str,
}

/// What it is sent through.
pub(crate) struct Transport {
    pub(super) name: &'static str,
    /// `UCX_TLS` of both sides; none: not set.
    pub(super) tls: Option<&'static str>,
    pub(super) kind: Kind,
    /// UCX alone, over the same transports.
    pub(super) ucx_alone: Option<&'static str>,
}

pub(super) enum Kind {
    /// The element that connects has `name=transport`; the sender listens.
    Pipelines { send: &'static str, receive: &'static str },
    /// `ucx_perftest`, which measures rates only.
    Perftest,
}

const NV12: &str = "video/x-raw,format=NV12,width=1920,height=1080,framerate=60/1,pixel-aspect-ratio=1/1,\
                    interlace-mode=progressive";
const NV12_BYTES: u32 = 1920 * 1080 * 3 / 2;

pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "video",
        about: "1080p NV12, as fast as it goes",
        bytes: NV12_BYTES,
        window: 8,
        fps: None,
        caps: NV12,
        buf_type: "nvdsucx-buf-video",
    },
    Workload {
        name: "text",
        about: "text, as fast as it goes",
        bytes: 64,
        // With few small buffers in flight the kernel's delayed acknowledgements (40 ms) stall transports that leave
        // Nagle's algorithm on: that would measure the window, not the transport.
        window: 4096,
        fps: None,
        caps: "text/x-raw,format=utf8",
        buf_type: "nvdsucx-buf-text",
    },
    Workload {
        name: "live",
        about: "1080p NV12 at 60 frames/s",
        bytes: NV12_BYTES,
        window: 8,
        fps: Some(60),
        caps: NV12,
        buf_type: "nvdsucx-buf-video",
    },
];

const OURS: Kind = Kind::Pipelines {
    send: "nvdsucxserversink name=transport addr=127.0.0.1 port=0 buf-type={buf-type} sync=false",
    receive: "nvdsucxclientsrc name=transport addr=127.0.0.1 port={port} buf-type={buf-type}",
};

/// What the ratios for GStreamer's own transport refer to.
pub(super) const BASELINE: &str = "tcp+gdp";

pub(super) const TRANSPORTS: &[Transport] = &[
    Transport { name: "nvdsucx", tls: None, kind: OURS, ucx_alone: Some("ucp_am_bw") },
    Transport { name: "nvdsucx tcp", tls: Some("tcp"), kind: OURS, ucx_alone: Some("ucp_am_bw tcp") },
    Transport {
        name: BASELINE,
        tls: None,
        kind: Kind::Pipelines {
            send: "gdppay ! tcpserversink name=transport host=127.0.0.1 port=0 sync=false",
            receive: "tcpclientsrc name=transport host=127.0.0.1 port={port} ! gdpdepay",
        },
        ucx_alone: None,
    },
    Transport { name: "ucp_am_bw", tls: None, kind: Kind::Perftest, ucx_alone: None },
    Transport { name: "ucp_am_bw tcp", tls: Some("tcp"), kind: Kind::Perftest, ucx_alone: None },
];

impl Transport {
    /// A program that measures rates has nothing to say about a paced source.
    pub(super) fn carries(&self, workload: &Workload) -> bool {
        workload.fps.is_none() || matches!(self.kind, Kind::Pipelines { .. })
    }

    /// Sets or removes what chooses UCX's transports.
    pub(super) fn choose_ucx_transports(&self, command: &mut Command) {
        match self.tls {
            Some(tls) => command.env("UCX_TLS", tls),
            None => command.env_remove("UCX_TLS"),
        };
    }
}
