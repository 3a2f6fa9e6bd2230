//! One process of an example, and what it reports.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// What a side said, and which side it was.
pub(crate) struct Report {
    pub(crate) side: usize,
    pub(crate) line: Option<Line>,
}

/// One line: a word and `key=value` pairs.
pub(crate) struct Line {
    pub(crate) word: String,
    fields: HashMap<String, String>,
}

impl Line {
    pub(crate) fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let word = words.next().unwrap_or_default().to_owned();
        let pairs = words.filter_map(|pair| pair.split_once('='));
        Self { word, fields: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect() }
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.fields.get(key).map(String::as_str)
    }

    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        self.text(key)?.parse().ok()
    }

    pub(crate) fn count(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }
}

/// A running process. It is killed when dropped.
pub(crate) struct Side {
    pub(crate) label: &'static str,
    pub(crate) sends: bool,
    child: Child,
    /// Closing it asks the process to end.
    stdin: Option<ChildStdin>,
    pub(crate) latest: Option<Line>,
    pub(crate) lanes: Vec<Line>,
    pub(crate) done: Option<Line>,
    pub(crate) status: Option<ExitStatus>,
}

impl Side {
    /// Starts `pipe-side`; its reports come to `reports`, the last has no line.
    pub(crate) fn start(
        program: &Path,
        environment: &[(&'static str, std::path::PathBuf)],
        (number, label, sends): (usize, &'static str, bool),
        arguments: &[String],
        reports: &Sender<Report>,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg("--until-stdin-closes").args(arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{} does not start", program.display()))?;
        let stdin = child.stdin.take();
        let stderr = child.stderr.take().context("no standard error")?;
        let stdout = child.stdout.take().context("no standard output")?;
        std::thread::spawn(move || for_each_line(stderr, |line| eprintln!("[{label}] {line}")));
        let reports = reports.clone();
        std::thread::spawn(move || {
            // A failed send means that nobody waits for reports any more.
            for_each_line(stdout, |line| {
                let _ = reports.send(Report { side: number, line: Some(Line::parse(&line)) });
            });
            let _ = reports.send(Report { side: number, line: None });
        });
        Ok(Self { label, sends, child, stdin, latest: None, lanes: Vec::new(), done: None, status: None })
    }

    /// Remembers what it said.
    pub(crate) fn take(&mut self, line: Option<Line>) -> anyhow::Result<()> {
        match line {
            Some(line) if line.word == "lanes" => self.lanes.push(line),
            Some(line) if line.word == "done" => self.done = Some(line),
            Some(line) => self.latest = Some(line),
            None => {
                let status = self.child.wait().with_context(|| format!("the {} is lost", self.label))?;
                self.status = Some(status);
            }
        }
        Ok(())
    }

    /// Frames so far.
    pub(crate) fn frames(&self) -> u64 {
        self.done.as_ref().or(self.latest.as_ref()).and_then(|line| line.count("frames")).unwrap_or(0)
    }

    /// Asks it to end its stream and its files.
    pub(crate) fn ask_to_stop(&mut self) {
        self.stdin = None;
    }

    /// Gives it the time, then ends it.
    pub(crate) fn stop_before(&mut self, deadline: Instant) -> anyhow::Result<()> {
        self.ask_to_stop();
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.child.kill()?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Nothing to be done about a child that can be neither killed nor awaited.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn for_each_line(stream: impl Read, mut f: impl FnMut(String)) {
    BufReader::new(stream).lines().map_while(Result::ok).for_each(&mut f);
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn a_report_is_a_word_and_pairs() {
        let line = Line::parse("done frames=12 seconds=0.5 content=00ff");
        assert_eq!(line.word, "done");
        assert_eq!(line.count("frames"), Some(12));
        assert_eq!(line.number("seconds"), Some(0.5));
        assert_eq!(line.text("content"), Some("00ff"));
        assert_eq!(line.count("bytes"), None);
    }
}
