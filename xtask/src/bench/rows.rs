//! The rows: every workload and every transport that is measured.

use super::plan::{Carries, Group, Kind, Memory, Pipelines, Role, Transport, Workload};

const NV12_1080P: &str = "video/x-raw,format=NV12,width=1920,height=1080,framerate=60/1,pixel-aspect-ratio=1/1,\
                          interlace-mode=progressive";
const NV12_4K: &str = "video/x-raw,format=NV12,width=3840,height=2160,framerate=60/1,pixel-aspect-ratio=1/1,\
                       interlace-mode=progressive";

const CUDA_1080P: &str = "video/x-raw(memory:CUDAMemory),format=NV12,width=1920,height=1080,framerate=60/1,\
                          pixel-aspect-ratio=1/1,interlace-mode=progressive";
const CUDA_4K: &str = "video/x-raw(memory:CUDAMemory),format=NV12,width=3840,height=2160,framerate=60/1,\
                       pixel-aspect-ratio=1/1,interlace-mode=progressive";
const CUDA_8K: &str = "video/x-raw(memory:CUDAMemory),format=NV12,width=7680,height=4320,framerate=60/1,\
                       pixel-aspect-ratio=1/1,interlace-mode=progressive";

const VIDEO: Workload = Workload {
    name: "video",
    about: "1080p NV12, as fast as it goes",
    bytes: 1920 * 1080 * 3 / 2,
    window: 8,
    fps: None,
    objects: 0,
    caps: NV12_1080P,
    buf_type: "nvdsucx-buf-video",
    raw_video: true,
    cuda: false,
};

/// All workloads in a GPU's memory.
pub(super) const CUDA: &str = "cuda";

const CUDA_VIDEO: Workload = Workload {
    name: "cuda 1080p",
    about: "1080p NV12 from a GPU's memory to a GPU's memory, as fast as it goes",
    caps: CUDA_1080P,
    cuda: true,
    ..VIDEO
};

/// For small buffers. With fewer in flight the kernel's delayed acknowledgements (40 ms) stall transports that leave Nagle's
/// algorithm on more often; with more, shmsink and shmsrc stop for ever, each waiting for room in the socket between them.
const SMALL_WINDOW: u32 = 128;

pub(super) static WORKLOADS: &[Workload] = &[
    VIDEO,
    Workload {
        name: "4k",
        about: "2160p NV12, as fast as it goes",
        bytes: 3840 * 2160 * 3 / 2,
        caps: NV12_4K,
        ..VIDEO
    },
    Workload {
        name: "audio",
        about: "20 ms of 48 kHz stereo S16LE, as fast as it goes",
        bytes: 3840,
        window: SMALL_WINDOW,
        fps: None,
        objects: 0,
        caps: "audio/x-raw,format=S16LE,rate=48000,channels=2,layout=interleaved,channel-mask=(bitmask)0x3",
        buf_type: "nvdsucx-buf-raw-audio",
        raw_video: false,
        cuda: false,
    },
    Workload {
        name: "text",
        about: "text, as fast as it goes",
        bytes: 64,
        window: SMALL_WINDOW,
        fps: None,
        objects: 0,
        caps: "text/x-raw,format=utf8",
        buf_type: "nvdsucx-buf-text",
        raw_video: false,
        cuda: false,
    },
    Workload { name: "live", about: "1080p NV12 at 60 frames/s", fps: Some(60), ..VIDEO },
    Workload {
        name: "objects",
        about: "1080p NV12 at 60 frames/s, each with 500 regions of interest with a label and a confidence",
        fps: Some(60),
        objects: 500,
        ..VIDEO
    },
    CUDA_VIDEO,
    Workload {
        name: "cuda 4k",
        about: "2160p NV12 from a GPU's memory to a GPU's memory, as fast as it goes",
        bytes: 3840 * 2160 * 3 / 2,
        caps: CUDA_4K,
        ..CUDA_VIDEO
    },
    Workload {
        name: "cuda 8k",
        about: "4320p NV12 from a GPU's memory to a GPU's memory, as fast as it goes",
        bytes: 7680 * 4320 * 3 / 2,
        caps: CUDA_8K,
        ..CUDA_VIDEO
    },
    Workload {
        name: "cuda live",
        about: "1080p NV12 from a GPU's memory to a GPU's memory, at 60 frames/s",
        fps: Some(60),
        ..CUDA_VIDEO
    },
];

/// Measured unless something else is asked for: workload, and whether its bytes are touched.
pub(super) const DEFAULT: &[(&str, bool)] =
    &[("video", false), ("video", true), ("text", false), ("live", false)];

const SERVER_TO_CLIENT: Pipelines = Pipelines {
    send: "nvdsucxserversink name=transport addr=127.0.0.1 port=0 buf-type={buf-type} sync=false",
    receive: "nvdsucxclientsrc name=transport addr=127.0.0.1 port={port} buf-type={buf-type}",
    first: Role::Send,
    memory: Memory::Proposed,
    slave: false,
};
const SHM: Pipelines = Pipelines {
    send: "shmsink name=transport socket-path={socket} shm-size={shm-bytes} wait-for-connection=true sync=false",
    receive: "shmsrc name=transport socket-path={socket} is-live=true ! capsfilter caps=\"{caps}\"",
    ..SERVER_TO_CLIENT
};
const UNIXFD: Pipelines = Pipelines {
    send: "unixfdsink name=transport socket-path={socket} wait-for-connection=true sync=false",
    receive: "unixfdsrc name=transport socket-path={socket}",
    ..SERVER_TO_CLIENT
};

const OURS: Transport = Transport {
    name: "nvdsucx",
    group: Group::Ours,
    kind: Kind::Pipelines(SERVER_TO_CLIENT),
    tls: None,
    ucx_alone: Some("ucp_am_bw"),
    needs: &["nvdsucxserversink", "nvdsucxclientsrc"],
    origin: "this project",
    carries: Carries::Everything,
    gpus: None,
};
const PEER: Transport = Transport { group: Group::Peer, ucx_alone: None, ..OURS };
const PEER_SHM: Transport =
    Transport { needs: &["shmsink", "shmsrc"], origin: "GStreamer's plugins-bad", ..PEER };
const PEER_UNIXFD: Transport = Transport {
    needs: &["unixfdsink:wait-for-connection", "unixfdsrc"],
    origin: "newer plugins-bad of GStreamer (the elements 1.24, the property later)",
    ..PEER
};
const PERFTEST: Transport = Transport {
    name: "ucp_am_bw",
    group: Group::Roof,
    kind: Kind::Perftest { handles_errors: true },
    needs: &[],
    origin: "UCX's package (ucx-utils)",
    ..PEER
};

/// Frames stay on the GPU. The source has a pool of its own, whatever comes after it, as the GPU's decoder has.
const ON_GPU: Pipelines = Pipelines {
    send: "nvdsucxserversink name=transport addr=127.0.0.1 port=0 buf-type={buf-type} max-size-bytes={shm-bytes} \
           sync=false",
    receive: "nvdsucxclientsrc name=transport addr=127.0.0.1 port={port} buf-type={buf-type} gpu-id={gpu} ! \
              capsfilter caps=video/x-raw(memory:CUDAMemory)",
    memory: Memory::Own,
    ..SERVER_TO_CLIENT
};
const ON_GPU_BY_MESSAGES: Pipelines = Pipelines {
    send: "nvdsucxserversink name=transport addr=127.0.0.1 port=0 buf-type={buf-type} zero-copy=false \
           max-size-bytes={shm-bytes} sync=false",
    receive: "nvdsucxclientsrc name=transport addr=127.0.0.1 port={port} buf-type={buf-type} zero-copy=false \
              gpu-id={gpu} ! capsfilter caps=video/x-raw(memory:CUDAMemory)",
    ..ON_GPU
};
const OURS_CUDA: Transport = Transport {
    name: "nvdsucx cuda",
    kind: Kind::Pipelines(ON_GPU),
    ucx_alone: Some("ucp_am_bw cuda"),
    needs: &["nvdsucxserversink", "nvdsucxclientsrc:gpu-id"],
    gpus: Some([0, 0]),
    ..OURS
};
const PERFTEST_CUDA: Transport = Transport {
    name: "ucp_am_bw cuda",
    origin: "a build of UCX with CUDA, as PyPI has it (libucx-cu13)",
    gpus: Some([0, 0]),
    ..PERFTEST
};

pub(super) static TRANSPORTS: &[Transport] = &[
    Transport { name: "ceiling", group: Group::Ceiling, kind: Kind::Alone, needs: &[], ..PEER },
    OURS,
    Transport {
        name: "nvdsucx 1 copy",
        kind: Kind::Pipelines(Pipelines { memory: Memory::Own, ..SERVER_TO_CLIENT }),
        ..OURS
    },
    Transport {
        name: "nvdsucx reversed",
        kind: Kind::Pipelines(Pipelines {
            send: "nvdsucxclientsink name=transport addr=127.0.0.1 port={port} buf-type={buf-type} sync=false",
            receive: "nvdsucxserversrc name=transport addr=127.0.0.1 port=0 buf-type={buf-type}",
            first: Role::Receive,
            ..SERVER_TO_CLIENT
        }),
        needs: &["nvdsucxclientsink", "nvdsucxserversrc"],
        ..OURS
    },
    Transport {
        name: "nvdsucx messages",
        kind: Kind::Pipelines(Pipelines {
            send: "nvdsucxserversink name=transport addr=127.0.0.1 port=0 buf-type={buf-type} zero-copy=false sync=false",
            receive: "nvdsucxclientsrc name=transport addr=127.0.0.1 port={port} buf-type={buf-type} zero-copy=false",
            ..SERVER_TO_CLIENT
        }),
        needs: &["nvdsucxserversink:zero-copy", "nvdsucxclientsrc:zero-copy"],
        ..OURS
    },
    Transport {
        name: "nvdsucx busy-poll",
        kind: Kind::Pipelines(Pipelines {
            receive: "nvdsucxclientsrc name=transport addr=127.0.0.1 port={port} buf-type={buf-type} busy-poll=20000",
            ..SERVER_TO_CLIENT
        }),
        needs: &["nvdsucxserversink", "nvdsucxclientsrc:busy-poll"],
        carries: Carries::LiveRawVideo,
        ..OURS
    },
    Transport { name: "nvdsucx tcp", tls: Some("tcp"), ucx_alone: Some("ucp_am_bw tcp"), ..OURS },
    Transport { name: "shm zero-copy", kind: Kind::Pipelines(SHM), ..PEER_SHM },
    Transport {
        name: "shm 1 copy",
        kind: Kind::Pipelines(Pipelines { memory: Memory::Own, ..SHM }),
        ..PEER_SHM
    },
    Transport { name: "unixfd zero-copy", kind: Kind::Pipelines(UNIXFD), ..PEER_UNIXFD },
    Transport {
        name: "unixfd 1 copy",
        kind: Kind::Pipelines(Pipelines { memory: Memory::Own, ..UNIXFD }),
        ..PEER_UNIXFD
    },
    Transport {
        name: "iceoryx2",
        kind: Kind::Pipelines(Pipelines {
            send: "iceoryx2sink name=transport service={service} lossless=true wait-for-connection=true sync=false",
            receive: "iceoryx2src name=transport service={service} safe-overflow=false",
            ..SERVER_TO_CLIENT
        }),
        needs: &["iceoryx2sink", "iceoryx2src"],
        origin: "gst-plugin-iceoryx2, to be found on GST_PLUGIN_PATH",
        carries: Carries::RawVideo,
        ..PEER
    },
    Transport {
        // From system memory to the GPU and back, which is what the other rows' source and sink work with. The memory that it
        // proposes is laid out in another way.
        name: "cudaipc",
        kind: Kind::Pipelines(Pipelines {
            send: "cudaipcsink name=transport address={socket} sync=false",
            receive: "cudaipcsrc name=transport address={socket} ! cudadownload ! capsfilter caps=\"{caps}\"",
            memory: Memory::Own,
            ..SERVER_TO_CLIENT
        }),
        needs: &["cudaipcsink", "cudaipcsrc", "cudadownload"],
        origin: "GStreamer 1.26's plugins-bad, on a machine with an NVIDIA GPU",
        carries: Carries::LiveRawVideo,
        ..PEER
    },
    Transport {
        name: "tcp+gdp",
        kind: Kind::Pipelines(Pipelines {
            send: "gdppay ! tcpserversink name=transport host=127.0.0.1 port=0 sync=false",
            receive: "tcpclientsrc name=transport host=127.0.0.1 port={port} ! gdpdepay",
            memory: Memory::Own,
            ..SERVER_TO_CLIENT
        }),
        needs: &["gdppay", "tcpserversink", "tcpclientsrc", "gdpdepay"],
        origin: "GStreamer's plugins-base and plugins-bad",
        ..PEER
    },
    Transport {
        name: "ipcpipeline",
        kind: Kind::Pipelines(Pipelines {
            send: "ipcpipelinesink name=transport fdin={fd} fdout={fd}",
            receive: "ipcpipelinesrc name=transport fdin={fd} fdout={fd}",
            first: Role::Receive,
            memory: Memory::Own,
            slave: true,
        }),
        needs: &["ipcpipelinesink", "ipcpipelinesrc", "ipcslavepipeline"],
        origin: "GStreamer's plugins-bad",
        ..PEER
    },
    PERFTEST,
    Transport { name: "ucp_am_bw tcp", tls: Some("tcp"), ..PERFTEST },
    Transport {
        name: "ceiling cuda",
        group: Group::Ceiling,
        kind: Kind::Alone,
        needs: &[],
        gpus: Some([0, 0]),
        ..PEER
    },
    OURS_CUDA,
    Transport {
        name: "nvdsucx cuda reversed",
        kind: Kind::Pipelines(Pipelines {
            send: "nvdsucxclientsink name=transport addr=127.0.0.1 port={port} buf-type={buf-type} \
                   max-size-bytes={shm-bytes} sync=false",
            receive: "nvdsucxserversrc name=transport addr=127.0.0.1 port=0 buf-type={buf-type} gpu-id={gpu} ! \
                      capsfilter caps=video/x-raw(memory:CUDAMemory)",
            first: Role::Receive,
            ..ON_GPU
        }),
        needs: &["nvdsucxclientsink", "nvdsucxserversrc:gpu-id"],
        ..OURS_CUDA
    },
    Transport {
        name: "nvdsucx cuda busy-poll",
        kind: Kind::Pipelines(Pipelines {
            receive: "nvdsucxclientsrc name=transport addr=127.0.0.1 port={port} buf-type={buf-type} gpu-id={gpu} \
                      busy-poll=20000 ! capsfilter caps=video/x-raw(memory:CUDAMemory)",
            ..ON_GPU
        }),
        needs: &["nvdsucxserversink", "nvdsucxclientsrc:busy-poll"],
        carries: Carries::LiveRawVideo,
        ..OURS_CUDA
    },
    Transport { name: "nvdsucx cuda messages", kind: Kind::Pipelines(ON_GPU_BY_MESSAGES), ..OURS_CUDA },
    Transport {
        name: "nvdsucx staged",
        kind: Kind::Pipelines(Pipelines {
            send: "cudadownload ! capsfilter caps=video/x-raw ! \
                   nvdsucxserversink name=transport addr=127.0.0.1 port=0 buf-type={buf-type} sync=false",
            receive: "nvdsucxclientsrc name=transport addr=127.0.0.1 port={port} buf-type={buf-type} ! \
                      capsfilter caps=video/x-raw ! cudaupload ! capsfilter caps=video/x-raw(memory:CUDAMemory)",
            ..ON_GPU
        }),
        needs: &["nvdsucxserversink", "nvdsucxclientsrc", "cudadownload", "cudaupload"],
        ..OURS_CUDA
    },
    Transport {
        name: "nvdsucx cuda 0 to 1",
        gpus: Some([0, 1]),
        ucx_alone: Some("ucp_am_bw cuda 0 to 1"),
        ..OURS_CUDA
    },
    Transport {
        name: "nvdsucx cuda messages 0 to 1",
        kind: Kind::Pipelines(ON_GPU_BY_MESSAGES),
        gpus: Some([0, 1]),
        ucx_alone: Some("ucp_am_bw cuda 0 to 1"),
        ..OURS_CUDA
    },
    Transport {
        name: "cudaipc on the GPU",
        kind: Kind::Pipelines(Pipelines {
            send: "cudaipcsink name=transport address={socket} sync=false",
            receive: "cudaipcsrc name=transport address={socket} ! \
                      capsfilter caps=video/x-raw(memory:CUDAMemory)",
            ..ON_GPU
        }),
        needs: &["cudaipcsink", "cudaipcsrc"],
        origin: "GStreamer 1.26's plugins-bad, on a machine with an NVIDIA GPU",
        carries: Carries::LiveRawVideo,
        gpus: Some([0, 0]),
        ..PEER
    },
    Transport {
        name: "tcp+gdp staged",
        kind: Kind::Pipelines(Pipelines {
            send: "cudadownload ! capsfilter caps=video/x-raw ! gdppay ! \
                   tcpserversink name=transport host=127.0.0.1 port=0 sync=false",
            receive: "tcpclientsrc name=transport host=127.0.0.1 port={port} ! gdpdepay ! cudaupload ! \
                      capsfilter caps=video/x-raw(memory:CUDAMemory)",
            ..ON_GPU
        }),
        needs: &["gdppay", "tcpserversink", "tcpclientsrc", "gdpdepay", "cudadownload", "cudaupload"],
        origin: "GStreamer's plugins-base and plugins-bad",
        gpus: Some([0, 0]),
        ..PEER
    },
    PERFTEST_CUDA,
    Transport {
        name: "ucp_am_bw cuda bare",
        kind: Kind::Perftest { handles_errors: false },
        ..PERFTEST_CUDA
    },
    Transport { name: "ucp_am_bw cuda 0 to 1", gpus: Some([0, 1]), ..PERFTEST_CUDA },
];
