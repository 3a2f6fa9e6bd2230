//! A process of a measurement: its lines, its CPU time, and its end.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// The unit of the kernel's CPU times, the same on every architecture that Linux shows to programs.
const TICKS_PER_SECOND: f64 = 100.0;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running process. It is killed when dropped.
pub(super) struct Process {
    label: &'static str,
    child: Child,
    incoming: Receiver<String>,
    lines: Vec<String>,
    /// What it says on standard error: shown only when it fails.
    complaints: Receiver<String>,
}

/// What a process left that ended well.
pub(super) struct Ended {
    pub(super) lines: Vec<String>,
    /// Of its whole life, in seconds.
    pub(super) cpu: f64,
}

impl Process {
    pub(super) fn start(label: &'static str, command: &mut Command) -> anyhow::Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("the {label} does not start"))?;
        let incoming = lines_of(child.stdout.take().context("no standard output")?);
        let complaints = lines_of(child.stderr.take().context("no standard error")?);
        Ok(Self { label, child, incoming, lines: Vec::new(), complaints })
    }

    /// Waits for a line that `wanted` takes.
    pub(super) fn wait_for<T>(
        &mut self,
        deadline: Instant,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        loop {
            match self.incoming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let found = wanted(&line);
                    self.lines.push(line);
                    if let Some(found) = found {
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(self.failure("does not get ready in time")),
                Err(RecvTimeoutError::Disconnected) => {
                    // Nothing to be done about a child that cannot be awaited; what it said is what counts.
                    let _ = self.child.wait();
                    return Err(self.failure("has ended early"));
                }
            }
        }
    }

    /// Waits until the process listens on a TCP port.
    pub(super) fn wait_until_listening(&mut self, port: u16, deadline: Instant) -> anyhow::Result<()> {
        while !is_listening(port)? {
            ensure!(Instant::now() < deadline, "the {} does not listen in time", self.label);
            if self.stat()?.state == "Z" {
                return Err(self.failure("has ended early"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits for the end of all of them, which must be good ones. The first that fails ends the wait: why others then fail,
    /// too, is no news.
    pub(super) fn finish<const N: usize>(
        mut processes: [Self; N],
        deadline: Instant,
    ) -> anyhow::Result<[Ended; N]> {
        let mut cpu = [None; N];
        while cpu.contains(&None) {
            for (process, cpu) in processes.iter_mut().zip(&mut cpu).filter(|(_, cpu)| cpu.is_none()) {
                // A process that has ended keeps its times until it is waited for.
                let stat = process.stat()?;
                if stat.state == "Z" {
                    let status = process.child.wait()?;
                    if !status.success() {
                        return Err(process.failure(&format!("failed ({status})")));
                    }
                    *cpu = Some(stat.cpu);
                } else if Instant::now() > deadline {
                    return Err(process.failure("does not end in time"));
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let mut cpu = cpu.into_iter().flatten();
        Ok(processes.map(|mut process| {
            let mut lines = std::mem::take(&mut process.lines);
            lines.extend(process.incoming.iter());
            Ended { lines, cpu: cpu.next().unwrap_or_default() }
        }))
    }

    fn stat(&self) -> anyhow::Result<Stat> {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Stat::parse(&text).with_context(|| format!("{path} is not understood: {text}"))
    }

    /// An error with what it complained of, or else all it said.
    fn failure(&mut self, what: &str) -> anyhow::Error {
        let ended = matches!(self.child.try_wait(), Ok(Some(_)));
        let complaints: Vec<_> =
            if ended { self.complaints.iter().collect() } else { self.complaints.try_iter().collect() };
        let said = if complaints.is_empty() {
            self.lines.iter().cloned().chain(self.incoming.try_iter()).collect()
        } else {
            complaints
        };
        let said: Vec<_> = said.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
        anyhow::anyhow!("the {} {what}: {}", self.label, said.join("; "))
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, incoming) = channel();
    std::thread::spawn(move || {
        // A failed send means that nobody waits for lines any more.
        BufReader::new(stream).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
    });
    incoming
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Nothing to be done about a child that can be neither killed nor awaited.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

struct Stat {
    state: String,
    cpu: f64,
}

impl Stat {
    /// Of `/proc/PID/stat`: fields 3, 14 and 15.
    fn parse(text: &str) -> Option<Self> {
        // The name, in parentheses, may hold anything.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
        Some(Self { state: (*fields.first()?).to_owned(), cpu: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND })
    }
}

fn is_listening(port: u16) -> anyhow::Result<bool> {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    // The second is absent where there is no IPv6.
    let (v4, v6) = ("/proc/net/tcp", "/proc/net/tcp6");
    let sockets = std::fs::read_to_string(v4).with_context(|| format!("cannot read {v4}"))?
        + &std::fs::read_to_string(v6).unwrap_or_default();
    Ok(sockets.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().unwrap_or_default();
        local.ends_with(&port) && fields.nth(1) == Some(LISTEN)
    }))
}

/// What the whole machine does, to find out what others did.
pub(super) struct Watch(Usage);

struct Usage {
    busy: f64,
    total: f64,
}

impl Watch {
    pub(super) fn start() -> anyhow::Result<Self> {
        usage().map(Self)
    }

    /// The share of the machine's time since then that others than we used, in percent. Network interrupts count as
    /// use: most kernels charge them to the process that runs just then, so `ours` has them too.
    pub(super) fn noise(&self, ours: f64) -> anyhow::Result<f64> {
        let now = usage()?;
        let share = (now.busy - self.0.busy - ours) / (now.total - self.0.total).max(f64::EPSILON);
        Ok(100.0 * share.clamp(0.0, 1.0))
    }
}

fn usage() -> anyhow::Result<Usage> {
    let text = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let seconds: Vec<f64> = line.split_whitespace().skip(1).filter_map(|ticks| ticks.parse().ok()).collect();
    let &[user, nice, system, idle, iowait, irq, softirq, steal, ..] = seconds.as_slice() else {
        bail!("/proc/stat is not understood: {line}");
    };
    let busy = user + nice + system + irq + softirq + steal;
    Ok(Usage { busy: busy / TICKS_PER_SECOND, total: (busy + idle + iowait) / TICKS_PER_SECOND })
}

#[cfg(test)]
mod tests {
    use super::Stat;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = Stat::parse("12 (a) b) Z 1 2 3 4 5 6 7 8 9 10 250 50 0 0").unwrap();
        assert_eq!((stat.state.as_str(), stat.cpu), ("Z", 3.0));
    }
}
