//! What is measured: workloads and transports.

use std::process::Command;

use super::rows::{CUDA, DEFAULT, TRANSPORTS, WORKLOADS};

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
    /// In a GPU's memory.
    pub(super) cuda: bool,
}

/// A workload, as it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(super) workload: &'static Workload,
    /// At most in flight, if not as the workload has it.
    pub(super) window: Option<u32>,
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
    /// The GPUs of sender and receiver, for frames in their memory.
    pub(super) gpus: Option<[u32; 2]>,
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
    /// `ucx_perftest`, which measures rates only; with UCX's error handling, or without.
    Perftest {
        handles_errors: bool,
    },
}

/// Two pipelines. The element that connects has `name=transport`. What stands in braces is replaced: `{port}`, `{buf-type}`,
/// `{caps}`, `{gpu}` (its number), `{socket}` (a path), `{shm-bytes}`, `{service}` (a name), `{fd}` (of a socket pair).
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

impl Case {
    pub(super) fn name(self) -> String {
        if self.touch { format!("{}, touched", self.workload.name) } else { self.workload.name.to_owned() }
    }

    pub(super) fn about(self) -> String {
        let bytes = if self.touch { "every byte written and read" } else { "bytes not touched" };
        format!("{}; {bytes}", self.workload.about)
    }

    /// At most in flight.
    pub(super) fn window(self) -> u32 {
        self.window.unwrap_or(self.workload.window)
    }

    pub(super) fn is_paced(self) -> bool {
        self.workload.fps.is_some()
    }

    /// What was asked for: workloads by name, all of them, or a selection; `touch`: only those of video, and touched.
    pub(super) fn select(names: &[String], all: bool, touch: bool) -> anyhow::Result<Vec<Self>> {
        let untouched = |workload| Self { workload, window: None, touch: false };
        let touched = |workload| Self { workload, window: None, touch: true };
        let mut cases: Vec<_> = if !names.is_empty() {
            let all_of_cuda =
                WORKLOADS.iter().filter(|workload| workload.cuda).map(|workload| workload.name.to_owned());
            let names: Vec<_> = match names.iter().any(|name| name == CUDA) {
                true => names.iter().filter(|name| *name != CUDA).cloned().chain(all_of_cuda).collect(),
                false => names.to_vec(),
            };
            let workloads = named(WORKLOADS, |workload| workload.name, &names, "workload")?;
            workloads.into_iter().map(untouched).collect()
        } else if all {
            let both = |workload: &'static Workload| {
                let touched = (workload.raw_video && workload.fps.is_none()).then(|| touched(workload));
                [Some(untouched(workload)), touched]
            };
            let of_cpu = WORKLOADS.iter().filter(|workload| !workload.cuda);
            of_cpu.flat_map(both).flatten().collect()
        } else {
            let case = |(name, touch): &(&str, bool)| {
                let workload = WORKLOADS.iter().find(|workload| workload.name == *name)?;
                Some(Self { workload, window: None, touch: *touch })
            };
            DEFAULT.iter().filter_map(case).collect()
        };
        if touch {
            cases.retain(|case| case.workload.raw_video && !case.workload.cuda);
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
        if case.workload.cuda != self.gpus.is_some() {
            return false;
        }
        let carried = match self.carries {
            Carries::Everything => true,
            Carries::RawVideo => case.workload.raw_video,
            Carries::LiveRawVideo => case.workload.raw_video && case.is_paced(),
        };
        // It has messages of one content, as fast as they go.
        let perftest = matches!(self.kind, Kind::Perftest { .. });
        // Others leave metadata behind, or carry other kinds.
        let carried = carried && (case.workload.objects == 0 || self.group != Group::Peer);
        carried && !(perftest && (case.touch || case.is_paced()))
    }

    /// Where its source has its buffers; not of what has no source.
    pub(super) fn memory(&self) -> Option<Memory> {
        match &self.kind {
            Kind::Pipelines(pipelines) => Some(pipelines.memory),
            Kind::Alone | Kind::Perftest { .. } => None,
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
        assert_eq!(
            select(&["cuda", "text"], false, false).unwrap(),
            ["text", "cuda 1080p", "cuda 4k", "cuda 8k", "cuda live"]
        );
        assert!(select(&["text"], false, true).is_err());
        let error = select(&["8k"], false, false).unwrap_err().to_string();
        assert!(error.starts_with("there is no workload `8k`, only video, 4k, audio,"), "{error}");
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
        assert!(carried("nvdsucx cuda").is_empty());
    }
}
