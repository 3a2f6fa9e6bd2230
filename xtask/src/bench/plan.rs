//! What is measured: workloads and transports.

use std::process::Command;

/// What is sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) bytes: u32,
    /// Most frames in flight.
    pub(super) window: u32,
    /// Frames a second; none: as fast as it goes.
    pub(super) fps: Option<u32>,
    /// Regions of interest on each frame.
    pub(super) objects: u32,
    pub(super) caps: &'static str,
    pub(super) buf_type: &'static str,
    pub(super) raw_video: bool,
}

/// A workload, as it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(super) workload: &'static Workload,
    /// The source writes every byte and the receiver reads every byte; otherwise only the first few.
    pub(super) touch: bool,
}

/// What it is sent through.
pub(crate) struct Transport {
    pub(super) name: &'static str,
    pub(super) group: Group,
    pub(super) kind: Kind,
    /// `UCX_TLS` of both sides; none: not set.
    pub(super) tls: Option<&'static str>,
    /// UCX alone, over the same transports.
    pub(super) ucx_alone: Option<&'static str>,
    /// Elements, and properties of them (`element:property`), without which it cannot be measured.
    pub(super) needs: &'static [&'static str],
    /// Where to get what it needs.
    pub(super) origin: &'static str,
    pub(super) carries: Carries,
}

/// What a transport can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    Everything,
    RawVideo,
    /// It drops frames that come faster than they are taken.
    LiveRawVideo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// The measuring program's own limit.
    Ceiling,
    Ours,
    Peer,
    /// UCX without GStreamer.
    Roof,
}

pub(super) enum Kind {
    /// Source and sink in one process, with nothing between them.
    Alone,
    Pipelines(Pipelines),
    /// `ucx_perftest`, which measures rates only.
    Perftest,
}

/// Two pipelines. The element that connects has `name=transport`. What stands in braces is replaced: `{port}`, `{buf-type}`,
/// `{caps}`, `{socket}` (a path), `{shm-bytes}`, `{service}` (a name), `{fd}` (of a socket pair).
#[derive(Clone, Copy)]
pub(super) struct Pipelines {
    pub(super) send: &'static str,
    pub(super) receive: &'static str,
    /// The one that listens is started first.
    pub(super) first: Role,
    pub(super) memory: Memory,
    /// The sender sets the states of the receiver's pipeline, too.
    pub(super) slave: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Send,
    Receive,
}

/// Where the source's buffers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// Where the sink proposes, as for a source or filter that asks for its memory.
    Proposed,
    /// In a pool of its own in system memory, as for a decoder that brings its buffers along, or because the sink proposes
    /// nothing.
    Own,
}

const NV12_1080P: &str = "video/x-raw,format=NV12,width=1920,height=1080,framerate=60/1,pixel-aspect-ratio=1/1,\
                          interlace-mode=progressive";
const NV12_4K: &str = "video/x-raw,format=NV12,width=3840,height=2160,framerate=60/1,pixel-aspect-ratio=1/1,\
                       interlace-mode=progressive";

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
    },
    Workload { name: "live", about: "1080p NV12 at 60 frames/s", fps: Some(60), ..VIDEO },
    Workload {
        name: "objects",
        about: "1080p NV12 at 60 frames/s, each with 500 regions of interest with a label and a confidence",
        fps: Some(60),
        objects: 500,
        ..VIDEO
    },
];

/// Measured unless something else is asked for: workload, and whether its bytes are touched.
const DEFAULT: &[(&str, bool)] = &[("video", false), ("video", true), ("text", false), ("live", false)];

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
    kind: Kind::Perftest,
    needs: &[],
    origin: "UCX's package (ucx-utils)",
    ..PEER
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
];

impl Case {
    pub(super) fn name(self) -> String {
        if self.touch { format!("{}, touched", self.workload.name) } else { self.workload.name.to_owned() }
    }

    pub(super) fn about(self) -> String {
        let bytes = if self.touch { "every byte written and read" } else { "bytes not touched" };
        format!("{}; {bytes}", self.workload.about)
    }

    pub(super) fn is_paced(self) -> bool {
        self.workload.fps.is_some()
    }

    /// What was asked for: workloads by name, all of them, or a selection; `touch`: only those of video, and touched.
    pub(super) fn select(names: &[String], all: bool, touch: bool) -> anyhow::Result<Vec<Self>> {
        let untouched = |workload| Self { workload, touch: false };
        let touched = |workload| Self { workload, touch: true };
        let mut cases: Vec<_> = if !names.is_empty() {
            let workloads = named(WORKLOADS, |workload| workload.name, names, "workload")?;
            workloads.into_iter().map(untouched).collect()
        } else if all {
            let both = |workload: &'static Workload| {
                let touched = (workload.raw_video && workload.fps.is_none()).then(|| touched(workload));
                [Some(untouched(workload)), touched]
            };
            WORKLOADS.iter().flat_map(both).flatten().collect()
        } else {
            let case = |(name, touch): &(&str, bool)| {
                let workload = WORKLOADS.iter().find(|workload| workload.name == *name)?;
                Some(Self { workload, touch: *touch })
            };
            DEFAULT.iter().filter_map(case).collect()
        };
        if touch {
            cases.retain(|case| case.workload.raw_video);
            cases.iter_mut().for_each(|case| case.touch = true);
            cases.dedup();
            anyhow::ensure!(!cases.is_empty(), "--touch is for video");
        }
        Ok(cases)
    }
}

impl Transport {
    /// Those of the names, or all of them.
    pub(super) fn select(names: &[String]) -> anyhow::Result<Vec<&'static Self>> {
        if names.is_empty() {
            return Ok(TRANSPORTS.iter().collect());
        }
        named(TRANSPORTS, |transport| transport.name, names, "transport")
    }

    pub(super) fn carries(&self, case: Case) -> bool {
        let carried = match self.carries {
            Carries::Everything => true,
            Carries::RawVideo => case.workload.raw_video,
            Carries::LiveRawVideo => case.workload.raw_video && case.is_paced(),
        };
        // It has messages of one content, as fast as they go.
        let perftest = matches!(self.kind, Kind::Perftest);
        // Others leave metadata behind, or carry other kinds.
        let carried = carried && (case.workload.objects == 0 || self.group != Group::Peer);
        carried && !(perftest && (case.touch || case.is_paced()))
    }

    /// Where its source has its buffers; not of what has no source.
    pub(super) fn memory(&self) -> Option<Memory> {
        match &self.kind {
            Kind::Pipelines(pipelines) => Some(pipelines.memory),
            Kind::Alone | Kind::Perftest => None,
        }
    }

    /// Sets or removes what chooses UCX's transports.
    pub(super) fn choose_ucx_transports(&self, command: &mut Command) {
        match self.tls {
            Some(tls) => command.env("UCX_TLS", tls),
            None => command.env_remove("UCX_TLS"),
        };
    }
}

/// Those of `all` that have one of the names, in the order of `all`.
fn named<T>(
    all: &'static [T],
    name_of: impl Fn(&T) -> &'static str,
    names: &[String],
    what: &str,
) -> anyhow::Result<Vec<&'static T>> {
    let known: Vec<_> = all.iter().map(&name_of).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        anyhow::bail!("there is no {what} `{unknown}`, only {}", known.join(", "));
    }
    Ok(all.iter().filter(|one| names.iter().any(|name| name == name_of(one))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(cases: &[Case]) -> Vec<String> {
        cases.iter().map(|case| case.name()).collect()
    }

    #[test]
    fn what_is_asked_for_is_measured() {
        let select = |asked: &[&str], all, touch| {
            let asked: Vec<_> = asked.iter().map(|name| (*name).to_owned()).collect();
            Case::select(&asked, all, touch).map(|cases| names(&cases))
        };
        assert_eq!(select(&[], false, false).unwrap(), ["video", "video, touched", "text", "live"]);
        assert_eq!(select(&["text", "4k"], false, false).unwrap(), ["4k", "text"]);
        assert_eq!(select(&["4k"], false, true).unwrap(), ["4k, touched"]);
        assert_eq!(select(&[], false, true).unwrap(), ["video, touched", "live, touched"]);
        assert_eq!(
            select(&[], true, false).unwrap(),
            ["video", "video, touched", "4k", "4k, touched", "audio", "text", "live", "objects"]
        );
        assert!(select(&["text"], false, true).is_err());
        let error = select(&["8k"], false, false).unwrap_err().to_string();
        assert_eq!(error, "there is no workload `8k`, only video, 4k, audio, text, live, objects");
    }

    #[test]
    fn every_transport_is_named_once_and_its_roof_exists() {
        for transport in TRANSPORTS {
            let same = TRANSPORTS.iter().filter(|other| other.name == transport.name).count();
            assert_eq!(same, 1, "{}", transport.name);
            if let Some(roof) = transport.ucx_alone {
                assert_eq!(Transport::select(&[roof.to_owned()]).unwrap()[0].group, Group::Roof);
            }
        }
    }

    #[test]
    fn a_transport_is_given_what_it_carries() {
        let carried = |name: &str| {
            let transport = Transport::select(&[name.to_owned()]).unwrap()[0];
            let cases = Case::select(&[], false, false).unwrap();
            names(&cases.into_iter().filter(|case| transport.carries(*case)).collect::<Vec<_>>())
        };
        assert_eq!(carried("tcp+gdp"), ["video", "video, touched", "text", "live"]);
        assert_eq!(carried("iceoryx2"), ["video", "video, touched", "live"]);
        assert_eq!(carried("cudaipc"), ["live"]);
        assert_eq!(carried("ucp_am_bw"), ["video", "text"]);
    }
}
