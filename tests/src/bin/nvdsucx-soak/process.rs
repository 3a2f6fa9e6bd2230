//! One process of a stream.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Lines that are kept to be shown if something is wrong.
const KEPT: usize = 12;

/// What a process has said.
#[derive(Debug)]
pub(crate) struct Said {
    /// Of the process: its stream, its side, how many were there before it.
    pub(crate) by: Name,
    pub(crate) what: What,
}

/// Who of all processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) stream: usize,
    pub(crate) side: usize,
    pub(crate) generation: u64,
}

#[derive(Debug)]
pub(crate) enum What {
    Line(String),
    Complaint(String),
    Ended,
}

/// A running process. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    /// The latest lines.
    pub(crate) said: VecDeque<String>,
}

impl Process {
    pub(crate) fn start(
        by: Name,
        args: &[String],
        env: &[(&str, &str)],
        heard: &Sender<Said>,
    ) -> Result<Self, String> {
        let this = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut command = Command::new(this);
        command.args(args).env_remove("UCX_TLS").envs(env.iter().copied());
        command.env("GST_DEBUG", "1").env("GST_DEBUG_NO_COLOR", "1").env("GST_REGISTRY_UPDATE", "no");
        // With an arena for each new thread memory would grow for long without any leak.
        command.env("MALLOC_ARENA_MAX", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("{command:?}: {e}"))?;
        let stdin = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (out, err) = (heard.clone(), heard.clone());
        // A failed send means that the run is over.
        thread::spawn(move || {
            for_each_line(stdout, |line| drop(out.send(Said { by, what: What::Line(line) })));
            let _ = out.send(Said { by, what: What::Ended });
        });
        thread::spawn(move || {
            for_each_line(stderr, |line| drop(err.send(Said { by, what: What::Complaint(line) })));
        });
        Ok(Self { child, stdin, said: VecDeque::new() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a command. One that cannot be written is missed where its effect is waited for.
    pub(crate) fn ask(&mut self, command: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = writeln!(stdin, "{command}").and_then(|()| stdin.flush());
        }
    }

    pub(crate) fn keep(&mut self, line: String) {
        if self.said.len() == KEPT {
            self.said.pop_front();
        }
        self.said.push_back(line);
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), String> {
        kill_process(Pid::from_child(&self.child), signal).map_err(|e| format!("{signal:?}: {e}"))
    }

    /// Kills it, without any chance to say good-bye.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => {
                self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|e| e.to_string())
            }
            ended => Err(format!("it had ended before it was killed: {ended:?}")),
        }
    }

    /// Asks it to stop.
    pub(crate) fn quit(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, deadline: Instant) -> Result<ExitStatus, String> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Err(e) => return Err(e.to_string()),
                Ok(None) if Instant::now() > deadline => return Err("it does not end".to_owned()),
                Ok(None) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of one that has ended there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn for_each_line(pipe: Option<impl Read>, f: impl FnMut(String)) {
    if let Some(pipe) = pipe {
        BufReader::new(pipe).lines().map_while(Result::ok).for_each(f);
    }
}
