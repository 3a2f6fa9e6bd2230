//! One run of two pipelines in two processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::plan::{BUF_TYPE, Kind, PORT, Transport, Workload};
use super::process::{Process, Watch};
use super::{Latency, Sample, Versions};
use crate::side::Line;

/// Not measured: connections, caches and windows settle.
pub(super) const WARM_UP: f64 = 0.5;
const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// Beyond the time that is measured.
const ENDS_WITHIN: Duration = Duration::from_secs(25);
/// For the page that both processes map: memory, so that no disk disturbs.
const SHARED_MEMORY: &str = "/dev/shm";
const PAGE_BYTES: u64 = 4096;

/// How the two sides are run.
pub(super) struct Sides {
    pub(super) program: PathBuf,
    pub(super) environment: [(&'static str, PathBuf); 2],
    pub(super) seconds: u32,
}

impl Sides {
    pub(super) fn measure(
        &self,
        workload: &Workload,
        transport: &Transport,
        rep: usize,
    ) -> anyhow::Result<Sample> {
        let Kind::Pipelines { send, receive } = transport.kind else {
            unreachable!("only pipelines have sides")
        };
        let watch = Watch::start()?;
        let page = control_page()?;

        let mut command = self.command(transport, "send", &page)?;
        command.args(["--caps", workload.caps]);
        command.args(["--bytes", &workload.bytes.to_string(), "--window", &workload.window.to_string()]);
        command.args(["--seconds", &self.seconds.to_string(), "--warm-up", &WARM_UP.to_string()]);
        if let Some(fps) = workload.fps {
            command.args(["--fps", &fps.to_string()]);
        }
        command.arg(send.replace(BUF_TYPE, workload.buf_type));
        let mut sender = Process::start("sender", &mut command)?;
        let listening = |line: &str| Some(Line::parse(line)).filter(|line| line.word == "listening");
        let listening = sender.wait_for(Instant::now() + STARTS_WITHIN, listening)?;
        let port = listening.text("port").context("the sender does not tell its port")?;

        let mut command = self.command(transport, "receive", &page)?;
        command.arg(receive.replace(PORT, port).replace(BUF_TYPE, workload.buf_type));
        let receiver = Process::start("receiver", &mut command)?;
        let deadline =
            Instant::now() + Duration::from_secs_f64(WARM_UP + f64::from(self.seconds)) + ENDS_WITHIN;
        let (receiver, sender) = (receiver.finish(deadline)?, sender.finish(deadline)?);
        let noise = watch.noise(sender.cpu + receiver.cpu)?;

        let (sent, received) = (Lines(&sender.lines), Lines(&receiver.lines));
        let frames = received.number("done", "frames")?;
        ensure!(
            frames == sent.number("done", "frames")?,
            "{} frames were sent, but {frames} received",
            sent.number("done", "frames")?
        );
        let milliseconds =
            |side: &Lines<'_>| side.number("done", "cpu").map(|seconds| 1e3 * seconds / frames);
        let received_number = |key| received.number("done", key);
        Ok(Sample {
            rep,
            // The first frame begins the interval.
            frames_per_second: (frames - 1.0) / received_number("seconds")?,
            sender_cpu_ms: milliseconds(&sent)?,
            receiver_cpu_ms: milliseconds(&received)?,
            latency: Some(Latency {
                p50: received_number("p50")?,
                p99: received_number("p99")?,
                max: received_number("max")?,
            }),
            noise,
            versions: Versions {
                gstreamer: listening.text("gstreamer").unwrap_or_default().to_owned(),
                ucx: received.text("connected", "ucx"),
                lanes: received.text("connected", "lanes"),
            },
        })
    }

    fn command(&self, transport: &Transport, role: &str, page: &File) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        command.arg(role).stdin(Stdio::from(page.try_clone()?));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        transport.choose_ucx_transports(&mut command);
        Ok(command)
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

/// What a side said.
struct Lines<'a>(&'a [String]);

impl Lines<'_> {
    fn find(&self, word: &str) -> Option<Line> {
        self.0.iter().map(|line| Line::parse(line)).find(|line| line.word == word)
    }

    fn number(&self, word: &str, key: &str) -> anyhow::Result<f64> {
        let number = self.find(word).and_then(|line| line.number(key));
        number.with_context(|| format!("a side does not report `{word} {key}=…`: {}", self.0.join("; ")))
    }

    /// Empty if it was not said.
    fn text(&self, word: &str, key: &str) -> String {
        self.find(word).and_then(|line| line.text(key).map(str::to_owned)).unwrap_or_default()
    }
}
