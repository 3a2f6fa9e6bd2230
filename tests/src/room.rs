//! A room of its own for processes that share memory: nobody else's segments and files are seen in it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// An IPC namespace, and a `/dev/shm`. Gone when dropped. Needs root.
#[derive(Debug)]
pub struct Room {
    keeper: Keeper,
}

/// A System V segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Process that made it.
    pub maker: u32,
    /// Length in bytes.
    pub len: u64,
    /// How often it is mapped.
    pub mapped: u64,
}

impl Room {
    /// An empty room.
    pub fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "namespaces need root: run these tests as root, as `cargo xtask test` does in its container"
        );
        let script = "mount -t tmpfs none /dev/shm && echo ready && exec cat";
        Self { keeper: Keeper::new(Command::new("unshare").args(["--mount", "--ipc", "sh", "-c", script])) }
    }

    /// The command that runs another one in it, see [`Launch::by`](crate::Launch::by).
    pub fn by(&self) -> Vec<String> {
        self.keeper.by()
    }

    /// The segments of shared memory that there are.
    pub fn segments(&self) -> Vec<Segment> {
        let table = self.run(&["cat", "/proc/sysvipc/shm"]);
        let segment = |line: &str| {
            let fields: Vec<u64> = line.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
            Segment { maker: fields[4] as u32, len: fields[3], mapped: fields[6] }
        };
        table.lines().skip(1).map(segment).collect()
    }

    /// How much shared memory process `pid` has made that is still there, in bytes.
    pub fn made_by(&self, pid: u32) -> u64 {
        self.segments().iter().filter(|segment| segment.maker == pid).map(|segment| segment.len).sum()
    }

    /// The names in its `/dev/shm`.
    pub fn files(&self) -> Vec<String> {
        fs::read_dir(format!("/proc/{}/root/dev/shm", self.keeper.pid()))
            .expect("the keeper lives")
            .map(|entry| entry.expect("a name").file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// Panics if somebody has left something in it.
    pub fn assert_empty(&self) {
        let left = (self.segments(), self.files());
        assert_eq!(left, (vec![], vec![]), "left in the room");
    }

    /// Sets a limit of the kernel on its shared memory: `shmmax`, `shmall`, `shmmni`.
    pub fn limit(&self, name: &str, value: u64) {
        self.run(&["sh", "-c", &format!("echo {value} > /proc/sys/kernel/{name}")]);
    }

    fn run(&self, command: &[&str]) -> String {
        let by = self.by();
        let output =
            Command::new(&by[0]).args(&by[1..]).args(command).output().expect("nsenter is installed");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

/// A process that sits in namespaces, so that they last. It goes when dropped.
#[derive(Debug)]
pub(crate) struct Keeper(Child);

impl Keeper {
    /// Starts it, and waits until it says that it is ready, which it does in its last namespace.
    pub(crate) fn new(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|e| panic!("{command:?}: {e}: is util-linux installed?"));
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says that it is ready");
        assert_eq!(line, "ready\n", "{command:?} does not come so far");
        Self(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The command that runs another one where it sits.
    pub(crate) fn by(&self) -> Vec<String> {
        let pid = self.pid().to_string();
        ["nsenter", "--target", &pid, "--mount", "--ipc", "--root", "--"].map(String::from).into()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
