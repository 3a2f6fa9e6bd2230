//! One run of two pipelines in two processes, or of one that has both ends.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::plan::{Case, Memory, Pipelines, Role, Transport};
use super::process::{Ended, Process, Watch};
use super::sample::{Latency, Sample, Side};
use crate::side::Line;

/// Not measured: connections, caches and windows settle.
pub(super) const WARM_UP: f64 = 0.5;
const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// Beyond the time that is measured.
const ENDS_WITHIN: Duration = Duration::from_secs(25);
/// For the page that both processes map: memory, so that no disk disturbs.
const SHARED_MEMORY: &str = "/dev/shm";
const PAGE_BYTES: u64 = 4096;
/// An area of shared memory holds a window of buffers, and so many more: those that elements on the way still have.
const SPARE_BUFFERS: u64 = 6;
/// What a buffer in such an area needs beyond its bytes, at most: a page to align them.
const BUFFER_OVERHEAD: u64 = 8192;

/// How the sides are run.
pub(super) struct Sides {
    pub(super) program: PathBuf,
    pub(super) environment: Vec<(&'static str, std::ffi::OsString)>,
    pub(super) seconds: u32,
}

impl Sides {
    /// One run through a transport.
    pub(super) fn measure(
        &self,
        case: Case,
        transport: &Transport,
        pipelines: &Pipelines,
        rep: usize,
    ) -> anyhow::Result<Sample> {
        let watch = Watch::start()?;
        let page = control_page()?;
        let place = Place::new()?;
        let (at_sender, at_receiver) = UnixStream::pair()?;
        let workload = case.workload;
        let gpu_of = |role| transport.gpus.unwrap_or_default()[role as usize];

        let sender = |port: &str| {
            let mut command = self.command(Some(transport), "send", &page)?;
            self.describe(&mut command, case, gpu_of(Role::Send));
            if pipelines.memory == Memory::Own {
                command.arg("--own-memory");
            }
            let gpu = gpu_of(Role::Send);
            command.arg(place.fill(pipelines.send, case, port, gpu, &at_sender));
            start("sender", &mut command, &at_sender)
        };
        let receiver = |port: &str| {
            let mut command = self.command(Some(transport), "receive", &page)?;
            if case.touch {
                command.arg("--touch");
            }
            let gpu = gpu_of(Role::Receive);
            if workload.cuda {
                command.args(["--gpu", &gpu.to_string(), "--bytes", &workload.bytes.to_string()]);
                command.args(workload.fps.iter().flat_map(|fps| ["--fps".to_owned(), fps.to_string()]));
            }
            if workload.objects > 0 {
                command.args(["--objects", &workload.objects.to_string()]);
            }
            if pipelines.slave {
                command.arg("--slave");
            }
            command.arg(place.fill(pipelines.receive, case, port, gpu, &at_receiver));
            start("receiver", &mut command, &at_receiver)
        };
        let (sender, receiver) = match pipelines.first {
            Role::Send => {
                let mut sender = sender("")?;
                let port = port_of(&mut sender)?;
                (sender, receiver(&port)?)
            }
            Role::Receive => {
                let mut receiver = receiver("")?;
                let port = port_of(&mut receiver)?;
                (sender(&port)?, receiver)
            }
        };
        // Only theirs are left, so that the end of one is noticed by the other.
        drop((at_sender, at_receiver));
        let [sender, receiver] = Process::finish([sender, receiver], self.deadline())?;
        let noise = watch.noise(sender.cpu + receiver.cpu)?;
        sample(rep, &sender, &receiver, noise)
    }

    /// One run of source and sink in one process.
    pub(super) fn measure_alone(&self, case: Case, rep: usize) -> anyhow::Result<Sample> {
        let watch = Watch::start()?;
        let mut command = self.command(None, "alone", &control_page()?)?;
        self.describe(&mut command, case, 0);
        let [ended] = Process::finish([Process::start("ceiling", &mut command)?], self.deadline())?;
        let noise = watch.noise(ended.cpu)?;
        Ok(Sample { receiver: None, ..sample(rep, &ended, &ended, noise)? })
    }

    /// What is there of `names` (`element`, `element:property`): a line for each, and one for GStreamer's release.
    pub(super) fn look(&self, names: &[&str]) -> anyhow::Result<Vec<Line>> {
        let mut command = Command::new(&self.program);
        command.arg("look").args(names).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let [ended] = Process::finish([Process::start("look at GStreamer", &mut command)?], self.deadline())?;
        Ok(ended.lines.iter().map(|line| Line::parse(line)).collect())
    }

    fn command(&self, transport: Option<&Transport>, role: &str, page: &File) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        command.arg(role).stdin(Stdio::from(page.try_clone()?));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(transport) = transport {
            transport.choose_ucx_transports(&mut command);
        }
        Ok(command)
    }

    /// What the source sends.
    fn describe(&self, command: &mut Command, case: Case, gpu: u32) {
        let workload = case.workload;
        command.args(["--caps", workload.caps]);
        command.args(["--bytes", &workload.bytes.to_string(), "--window", &case.window().to_string()]);
        command.args(["--seconds", &self.seconds.to_string(), "--warm-up", &WARM_UP.to_string()]);
        if workload.objects > 0 {
            command.args(["--objects", &workload.objects.to_string()]);
        }
        if let Some(fps) = workload.fps {
            command.args(["--fps", &fps.to_string()]);
        }
        if case.touch {
            command.arg("--touch");
        }
        if workload.cuda {
            command.args(["--gpu", &gpu.to_string()]);
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_secs_f64(WARM_UP + f64::from(self.seconds)) + ENDS_WITHIN
    }
}

/// Starts a side, which inherits `socket`.
fn start(label: &'static str, command: &mut Command, socket: &UnixStream) -> anyhow::Result<Process> {
    use rustix::io::{FdFlags, fcntl_setfd};

    fcntl_setfd(socket, FdFlags::empty())?;
    let started = Process::start(label, command);
    fcntl_setfd(socket, FdFlags::CLOEXEC)?;
    started
}

/// Waits until the side that is connected to is ready; its port, if it has one.
fn port_of(process: &mut Process) -> anyhow::Result<String> {
    let listening = |line: &str| Some(Line::parse(line)).filter(|line| line.word == "listening");
    let listening = process.wait_for(Instant::now() + STARTS_WITHIN, listening)?;
    Ok(listening.text("port").unwrap_or_default().to_owned())
}

/// A name that nobody else uses, and a folder of that name. It is gone when dropped.
struct Place {
    name: String,
    folder: PathBuf,
}

impl Place {
    fn new() -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("nvdsucx-bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self { name, folder })
    }

    fn fill(&self, pipeline: &str, case: Case, port: &str, gpu: u32, socket: &UnixStream) -> String {
        let workload = case.workload;
        let buffers = u64::from(case.window()) + SPARE_BUFFERS;
        let shared = buffers * (u64::from(workload.bytes) + BUFFER_OVERHEAD);
        pipeline
            .replace("{port}", port)
            .replace("{buf-type}", workload.buf_type)
            .replace("{caps}", workload.caps)
            .replace("{gpu}", &gpu.to_string())
            .replace("{socket}", &self.folder.join("socket").display().to_string())
            .replace("{shm-bytes}", &shared.to_string())
            .replace("{service}", &self.name)
            .replace("{fd}", &socket.as_raw_fd().to_string())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left of it in the folder for temporary files harms nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A file of zeros without a name: it is gone when the last process that has it ends, however that ends.
fn control_page() -> anyhow::Result<File> {
    let path = Path::new(SHARED_MEMORY).join(format!("nvdsucx-bench-{}", std::process::id()));
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true).open(&path);
    let file = file.with_context(|| format!("cannot create {}", path.display()))?;
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    file.set_len(PAGE_BYTES)?;
    Ok(file)
}

/// What the two sides reported.
fn sample(rep: usize, sender: &Ended, receiver: &Ended, noise: f64) -> anyhow::Result<Sample> {
    let (sent, received) = (Report::find(sender, "sent")?, Report::find(receiver, "received")?);
    let frames = received.number("frames")?;
    let sent_frames = sent.number("frames")?;
    ensure!(frames == sent_frames, "{sent_frames} frames were sent, but {frames} received");
    let side = |report: &Report| {
        anyhow::Ok(Side {
            cpu_ms: 1e3 * report.number("cpu")? / frames,
            peak_kib: Some(report.number("peak")?),
            pss_kib: Some(report.number("pss")?),
        })
    };
    let buckets = Report::find(receiver, "latencies")?;
    let buckets = buckets.0.text("buckets").unwrap_or_default();
    let connected = Report::find(receiver, "connected").ok();
    let text = |key| connected.as_ref().and_then(|report| report.0.text(key)).unwrap_or_default().to_owned();
    Ok(Sample {
        rep,
        // The first frame begins the interval.
        frames_per_second: (frames - 1.0) / received.number("seconds")?,
        sender: side(&sent)?,
        receiver: Some(side(&received)?),
        latency: Some(Latency {
            p50: received.number("p50")?,
            p99: received.number("p99")?,
            max: received.number("max")?,
        }),
        latencies: parse_buckets(buckets).with_context(|| format!("latencies not understood: {buckets}"))?,
        noise,
        ucx: text("ucx"),
        lanes: text("lanes"),
        way: text("path"),
    })
}

/// A line that a side said.
struct Report(Line);

impl Report {
    fn find(side: &Ended, word: &str) -> anyhow::Result<Self> {
        let line = side.lines.iter().map(|line| Line::parse(line)).find(|line| line.word == word);
        line.map(Self)
            .with_context(|| format!("a side does not report `{word} …`: {}", side.lines.join("; ")))
    }

    fn number(&self, key: &str) -> anyhow::Result<f64> {
        self.0.number(key).with_context(|| format!("a side reports `{} …` without {key}", self.0.word))
    }
}

/// `nanoseconds:frames,…`
fn parse_buckets(text: &str) -> Option<Vec<(u64, u64)>> {
    let pair = |pair: &str| {
        let (nanoseconds, frames) = pair.split_once(':')?;
        Some((nanoseconds.parse().ok()?, frames.parse().ok()?))
    };
    text.split(',').map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(lines: &[&str]) -> Ended {
        Ended { lines: lines.iter().map(|line| (*line).to_owned()).collect(), cpu: 1.0 }
    }

    const SENT: &str = "sent frames=101 cpu=0.202 peak=4096 pss=2048";
    const RECEIVED: &str =
        "received frames=101 cpu=0.101 seconds=2.0 p50=10.5 p99=20.5 max=30.5 peak=3072 pss=1024";
    const LATENCIES: &str = "latencies buckets=10500:100,30500:1";

    #[test]
    fn what_the_sides_report_is_understood() {
        let receiver = ended(&["connected ucx=1.13.1 lanes=tcp/lo path=mapped", RECEIVED, LATENCIES]);
        let sample = sample(3, &ended(&["listening port=7", SENT]), &receiver, 1.0).unwrap();
        assert_eq!((sample.rep, sample.frames_per_second), (3, 50.0));
        assert_eq!(
            (sample.ucx.as_str(), sample.lanes.as_str(), sample.path()),
            ("1.13.1", "tcp/lo", "mapped")
        );
        assert!((sample.sender.cpu_ms - 2.0).abs() < 1e-9);
        assert_eq!(sample.receiver.and_then(|side| side.pss_kib), Some(1024.0));
        assert_eq!(sample.latencies, [(10_500, 100), (30_500, 1)]);
    }

    #[test]
    fn frames_that_did_not_arrive_are_an_error() {
        let receiver = ended(&[&RECEIVED.replace("101", "100"), LATENCIES]);
        let error = sample(0, &ended(&[SENT]), &receiver, 0.0).unwrap_err().to_string();
        assert_eq!(error, "101 frames were sent, but 100 received");
    }

    #[test]
    fn a_pipeline_has_no_gaps_left() {
        let place = Place { name: "name".to_owned(), folder: "/nowhere".into() };
        let (socket, _) = UnixStream::pair().unwrap();
        for transport in super::super::rows::TRANSPORTS {
            let super::super::plan::Kind::Pipelines(pipelines) = &transport.kind else { continue };
            for workload in super::super::rows::WORKLOADS {
                for pipeline in [pipelines.send, pipelines.receive] {
                    let case = Case { workload, window: None, touch: false };
                    let filled = place.fill(pipeline, case, "7174", 0, &socket);
                    assert!(!filled.contains(['{', '}']), "{filled}");
                }
            }
        }
    }
}
