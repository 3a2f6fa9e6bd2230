//! A process under test: started, read, spoken to, killed.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::compare::eventually;
use crate::environment;

/// How long a test waits for what should come soon, on a busy machine.
pub const SOON: Duration = Duration::from_secs(15);

/// How long a process may take until its elements are up: those that use a GPU load CUDA first, many at a time.
const STARTED: Duration = Duration::from_secs(60);

/// How long a process that is no longer needed may take to end, or else it is killed.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How to start a [`Peer`].
#[derive(Debug)]
pub struct Launch {
    name: String,
    program: Vec<OsString>,
    prefix: Vec<OsString>,
    env: Vec<(String, OsString)>,
}

impl Launch {
    /// The program `nvdsucx-peer` with `pipeline`, which it starts at once.
    pub fn pipeline(name: &str, pipeline: &str) -> Self {
        Self::pipeline_in_state(name, "playing", pipeline)
    }

    /// The program `nvdsucx-peer` with `pipeline`, which it brings into `state`.
    pub fn pipeline_in_state(name: &str, state: &str, pipeline: &str) -> Self {
        Self::program(name, &environment::get().peer).arg("--state").arg(state).arg(pipeline)
    }

    /// The same as [`pipeline`](Self::pipeline), but nothing passes `probe` before the command `unblock`.
    pub fn blocked_pipeline(name: &str, pipeline: &str) -> Self {
        Self::program(name, &environment::get().peer).arg("--block").arg(pipeline)
    }

    /// Any other program that shall find the plugin.
    pub fn program(name: &str, program: impl AsRef<OsStr>) -> Self {
        Self { name: name.into(), program: vec![program.as_ref().into()], prefix: vec![], env: vec![] }
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.program.push(arg.as_ref().into());
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().into()));
        self
    }

    /// Runs it by way of another program, such as `ip netns exec NAME`, that ends by executing it.
    pub fn by(mut self, prefix: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.prefix = prefix.into_iter().map(Into::into).collect();
        self
    }

    /// Starts the process.
    pub fn start(self) -> Peer {
        let argv: Vec<OsString> = self.prefix.into_iter().chain(self.program).collect();
        let mut child = Command::new(&argv[0])
            .args(&argv[1..])
            .env_remove("UCX_TLS")
            .env_remove("NVDSUCX_KEY")
            .env_remove("NVDSUCX_KEY_FILE")
            // Logs at the end of the process which objects are still there.
            .env("GST_TRACERS", "leaks")
            .env("GST_DEBUG", "1,GST_TRACER:7")
            .env("GST_DEBUG_NO_COLOR", "1")
            .envs(environment::get().variables())
            // The plugin is registered; looking again, in every process at once, helps nobody.
            .env("GST_REGISTRY_UPDATE", "no")
            .envs(self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{argv:?}: {e}"));
        let stdin = child.stdin.take();
        let out = Lines::follow(child.stdout.take().expect("piped"));
        let err = Lines::follow(child.stderr.take().expect("piped"));
        Peer { name: self.name, child, stdin, out, err }
    }
}

/// A running process. It is ended when dropped, and tells what it said if the test has failed.
#[derive(Debug)]
pub struct Peer {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    out: Arc<Lines>,
    err: Arc<Lines>,
}

impl Peer {
    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to the standard input.
    pub fn command(&mut self, command: &str) {
        let stdin = self.stdin.as_mut().expect("commands come before `finish`");
        if let Err(e) = writeln!(stdin, "{command}").and_then(|()| stdin.flush()) {
            panic!("{} does not take `{command}`: {e}", self.name);
        }
    }

    /// Has its `scriptsrc` push each of `lines`.
    pub fn push(&mut self, lines: &[&str]) {
        for line in lines {
            self.command(&format!("push {line}"));
        }
    }

    /// Writes a command and waits for the line that answers it, which begins with `answer`.
    pub fn ask(&mut self, command: &str, answer: &str) -> String {
        let mark = self.mark();
        self.command(command);
        self.line_after(mark, answer)
    }

    /// Lets nothing pass its `probe` from now on.
    pub fn block(&mut self) {
        self.ask("block", "blocking");
    }

    /// Has it say where the memory of the next buffer is that comes to `probe`: `where shared` or `where private`.
    pub fn find_next(&mut self) {
        self.ask("where", "looking");
    }

    /// How buffers go to or come from each of the peers of its element: `mapped` or `messages`.
    pub fn paths(&mut self) -> Vec<String> {
        // The peers are structures in a structure, with a backslash before what is special there.
        let stats = self.ask("stats", "stats ").replace('\\', "");
        let word =
            |rest: &str| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
        stats.split("path=(string)").skip(1).map(word).collect()
    }

    /// The number called `name` in the statistics of its element.
    pub fn stat(&mut self, name: &str) -> u64 {
        let stats = self.ask("stats", "stats ");
        let rest = stats.split(&format!(" {name}=(guint64)")).nth(1);
        let number = rest.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {name} in {stats}"))
    }

    /// Waits until it has `peers` peers, and buffers go by shared memory to or from all of them.
    pub fn wait_until_mapped(&mut self, peers: usize) {
        eventually("mapped", SOON, || {
            let paths = self.paths();
            (paths.len() == peers && paths.iter().all(|path| path == "mapped")).then_some(())
        });
    }

    /// How many lines it has printed.
    pub fn mark(&self) -> usize {
        self.out.state.lock().unwrap().lines.len()
    }

    /// Everything it has printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.out.state.lock().unwrap().lines.clone()
    }

    /// The lines printed so far that begin with `start`.
    pub fn lines_with(&self, start: &str) -> Vec<String> {
        self.lines().into_iter().filter(|l| l.starts_with(start)).collect()
    }

    /// How many lines begin with `start`.
    pub fn count(&self, start: &str) -> usize {
        self.out.state.lock().unwrap().lines.iter().filter(|l| l.starts_with(start)).count()
    }

    /// Waits until `found` finds in the lines, which grow, what it looks for.
    pub fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        mut found: impl FnMut(&[String]) -> Option<T>,
    ) -> T {
        self.out.wait(within, |lines| found(lines)).unwrap_or_else(|ended| {
            let how = if ended { "it ended before it said" } else { "not" };
            panic!("{}: {how} {what} within {within:?}", self.name)
        })
    }

    /// Waits for the first line that begins with `start`.
    pub fn line(&self, start: &str) -> String {
        self.line_within(start, SOON)
    }

    /// Waits at most `within` for the first line that begins with `start`.
    pub fn line_within(&self, start: &str, within: Duration) -> String {
        self.wait_for(&format!("`{start}`"), within, |l| l.iter().find(|l| l.starts_with(start)).cloned())
    }

    /// Waits for the first line that begins with `start` and came after `mark`.
    pub fn line_after(&self, mark: usize, start: &str) -> String {
        self.wait_for(&format!("`{start}`"), SOON, |lines| {
            lines.iter().skip(mark).find(|l| l.starts_with(start)).cloned()
        })
    }

    /// Waits until `n` lines begin with `start`, and returns them.
    pub fn lines_until(&self, n: usize, start: &str) -> Vec<String> {
        self.wait_for(
            &format!("{n} lines `{start}`"),
            SOON.max(Duration::from_millis(100 * n as u64)),
            |lines| {
                let found: Vec<_> = lines.iter().filter(|l| l.starts_with(start)).cloned().collect();
                (found.len() >= n).then_some(found)
            },
        )
    }

    /// The port that a listening element has announced.
    pub fn port(&self) -> u16 {
        self.line_within("port=", STARTED)["port=".len()..].parse().expect("a port number")
    }

    /// [`port`](Self::port) on this host.
    pub fn local_address(&self) -> SocketAddr {
        (IpAddr::from(Ipv4Addr::LOCALHOST), self.port()).into()
    }

    /// Waits for an error on the bus that has all of `parts` in it, in any letter case.
    pub fn error(&self, within: Duration, parts: &[&str]) -> String {
        let error = self.line_within("error ", within);
        let lower = error.to_lowercase();
        for part in parts {
            assert!(lower.contains(&part.to_lowercase()), "{}: no `{part}` in: {error}", self.name);
        }
        error
    }

    /// Panics if there was an error on the bus.
    pub fn assert_no_error(&self) {
        assert_eq!(self.lines_with("error "), Vec::<String>::new(), "{}", self.name);
    }

    /// What it wrote to the standard error so far, but for GStreamer's tracer.
    pub fn stderr(&self) -> Vec<String> {
        let state = self.err.state.lock().unwrap();
        state.lines.iter().filter(|line| !line.contains(" GST_TRACER ")).cloned().collect()
    }

    /// Stops the pipeline and the program. Returns how long the pipeline took for that.
    pub fn stop(mut self) -> Duration {
        let answer = self.ask("stop", "stopped ");
        let millis = answer.rsplit('=').next().and_then(|ms| ms.parse().ok()).expect("stopped ms=N");
        let status = self.wait_exit(SOON);
        assert!(status.success(), "{} ended with {status}", self.name);
        self.assert_clean();
        Duration::from_millis(millis)
    }

    /// Waits until it has ended by itself.
    pub fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        // Both pipes end with the process, so this sleeps until then.
        let deadline = Instant::now() + within;
        for lines in [&self.out, &self.err] {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(lines.wait_end(left), "{} did not end within {within:?}", self.name);
        }
        self.child.wait().expect("our own child")
    }

    /// Panics if GLib or GStreamer complained about how they are used, or objects have leaked.
    pub fn assert_clean(&self) {
        const COMPLAINTS: [&str; 4] =
            ["CRITICAL", "-WARNING **", "panicked", " object-alive, type-name=(string)Gst"];
        // The thread of a task lets go of it some time after it was joined; the registry keeps what plugins have.
        const NO_LEAKS: [&str; 2] = ["type-name=(string)GstTask,", "Factory, address="];
        let said = self.err.state.lock().unwrap().lines.clone();
        let complaints: Vec<_> = said
            .into_iter()
            .filter(|line| COMPLAINTS.iter().any(|complaint| line.contains(complaint)))
            .filter(|line| !NO_LEAKS.iter().any(|kind| line.contains(kind)))
            .collect();
        assert!(complaints.is_empty(), "{}: {complaints:#?}", self.name);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|e| panic!("{}: {signal:?}: {e}", self.name));
    }

    /// Kills it, without any chance to say good-bye.
    pub fn kill(mut self) {
        self.child.kill().expect("our own child");
        let status = self.child.wait().expect("our own child");
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{} had ended before", self.name);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input stops `nvdsucx-peer`, unless a test has stopped the whole process.
        let ended = !thread::panicking()
            && self.stdin.take().is_some()
            && self.out.wait_end(LAST_WORDS)
            && self.err.wait_end(LAST_WORDS);
        let _ = self.child.kill();
        let status = self.child.wait();
        if ended {
            self.assert_clean();
        }
        if thread::panicking() {
            let mut report = format!("---- {} ended with {status:?} and had said:\n", self.name);
            shorten(&self.lines(), &mut report);
            let _ = writeln!(report, "---- {} complained:", self.name);
            shorten(&self.stderr(), &mut report);
            eprint!("{report}");
        }
    }
}

/// Adds `lines` to `report`, but not all of those that tell about buffers.
fn shorten(lines: &[String], report: &mut String) {
    let about_buffers =
        |line: &String| ["buffer ", "meta ", "pushed buffer "].iter().any(|start| line.starts_with(start));
    for run in lines.chunk_by(|a, b| about_buffers(a) == about_buffers(b)) {
        let (kept, left_out) =
            if about_buffers(&run[0]) { (6, run.len().saturating_sub(6)) } else { (run.len(), 0) };
        for line in &run[..kept.min(run.len())] {
            let _ = writeln!(report, "{}", line.chars().take(400).collect::<String>());
        }
        if left_out > 0 {
            let _ = writeln!(report, "... {left_out} more about buffers");
        }
    }
}

/// Lines read from a pipe by a thread of their own.
#[derive(Debug, Default)]
struct Lines {
    state: Mutex<LinesState>,
    grew: Condvar,
}

#[derive(Debug, Default)]
struct LinesState {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn follow(pipe: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let writer = Arc::clone(&lines);
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(pipe.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
                writer.state.lock().unwrap().lines.push(text);
                writer.grew.notify_all();
                line.clear();
            }
            writer.state.lock().unwrap().ended = true;
            writer.grew.notify_all();
        });
        lines
    }

    /// Waits until `found` finds something; otherwise tells whether the pipe has ended.
    fn wait<T>(&self, within: Duration, mut found: impl FnMut(&[String]) -> Option<T>) -> Result<T, bool> {
        let deadline = Instant::now() + within;
        let mut state = self.state.lock().unwrap();
        loop {
            if let Some(found) = found(&state.lines) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.ended {
                return Err(state.ended);
            }
            state = self.grew.wait_timeout(state, left).unwrap().0;
        }
    }

    fn wait_end(&self, within: Duration) -> bool {
        let state = self.state.lock().unwrap();
        self.grew.wait_timeout_while(state, within, |state| !state.ended).unwrap().0.ended
    }
}
