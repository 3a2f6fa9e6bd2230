//! What the kernel says about a process.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// CPU time that process `pid` has used so far, all its threads together.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = read(pid, "stat");
    // The second field is the name, in parentheses, and may hold spaces itself.
    let after_name = &stat[stat.rfind(')').expect("/proc/PID/stat has a name") + 1..];
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 =
        fields[11..=12].iter().map(|f| f.parse::<u64>().expect("utime and stime are numbers")).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// How often the thread of process `pid` whose name ends so has gone to sleep.
pub fn sleeps(pid: u32, name: &str) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    // Others may end meanwhile.
    let statuses = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let field = |status: &str, name: &str| {
        status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
    };
    let status =
        statuses.into_iter().find(|status| field(status, "Name:").is_some_and(|its| its.ends_with(name)));
    let status = status.unwrap_or_else(|| panic!("process {pid} has no thread called {name}"));
    let count = field(&status, "voluntary_ctxt_switches:").and_then(|count| count.parse().ok());
    count.expect("a thread's status has voluntary_ctxt_switches")
}

/// Whether process `pid` has a handler for signal number `signal`.
pub fn handles_signal(pid: u32, signal: i32) -> bool {
    let status = read(pid, "status");
    let caught =
        status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("/proc/PID/status has SigCgt");
    let caught = u64::from_str_radix(caught.trim(), 16).expect("SigCgt is a hexadecimal number");
    caught & (1 << (signal - 1)) != 0
}

/// Threads of process `pid`.
pub fn threads(pid: u32) -> usize {
    entries(pid, "task")
}

/// Open files of process `pid`.
pub fn open_files(pid: u32) -> usize {
    entries(pid, "fd")
}

/// What process `pid` has in memory that is not shared, in bytes.
pub fn private_memory(pid: u32) -> u64 {
    let status = read(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.expect("/proc/PID/status has RssAnon") << 10
}

/// Pieces of memory that process `pid` has mapped.
pub fn mappings(pid: u32) -> usize {
    read(pid, "maps").lines().count()
}

/// The System V segments that process `pid` has mapped; newer ones have higher numbers.
pub fn segments(pid: u32) -> BTreeSet<u64> {
    let maps = read(pid, "maps");
    let segments = maps.lines().filter(|line| line.contains("/SYSV"));
    segments.filter_map(|line| line.split_whitespace().nth(4)?.parse().ok()).collect()
}

/// The file whose name begins with `name` that process `pid` has mapped.
pub fn mapped_file(pid: u32, name: &str) -> PathBuf {
    read(pid, "maps")
        .lines()
        .filter_map(|line| Some(Path::new(&line[line.find('/')?..])))
        .find(|file| file.file_name().is_some_and(|f| f.as_encoded_bytes().starts_with(name.as_bytes())))
        .unwrap_or_else(|| panic!("process {pid} has no {name} mapped"))
        .to_owned()
}

fn read(pid: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_else(|e| panic!("/proc/{pid}/{file}: {e}"))
}

fn entries(pid: u32, directory: &str) -> usize {
    fs::read_dir(format!("/proc/{pid}/{directory}"))
        .unwrap_or_else(|e| panic!("/proc/{pid}/{directory}: {e}"))
        .count()
}
