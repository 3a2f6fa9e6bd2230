//! What the kernel says about memory, threads and files in the course of a run.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use nvdsucx_tests::process::{open_files, private_memory, threads};

/// A process may have this much more memory of its own late in the run than early, in bytes.
const MORE_MEMORY: u64 = 4 << 20;
const MORE_THREADS: u64 = 2;
/// UCX opens some at first use.
const MORE_FILES: u64 = 6;
/// There may be this many more segments late in the run than early; and bytes in them.
const MORE_SEGMENTS: u64 = 24;
const MORE_SEGMENT_BYTES: u64 = 64 << 20;

/// One look at a process, or at all segments.
#[derive(Clone, Debug)]
struct Look {
    at: Duration,
    numbers: [u64; 3],
}

/// Numbers over time that must stay what they are.
#[derive(Debug)]
pub(crate) struct Series {
    name: String,
    looks: Vec<Look>,
}

const PROCESS: [(&str, u64); 3] = [("memory", MORE_MEMORY), ("threads", MORE_THREADS), ("files", MORE_FILES)];
const SEGMENTS: [(&str, u64); 3] =
    [("segments", MORE_SEGMENTS), ("segment bytes", MORE_SEGMENT_BYTES), ("files in /dev/shm", 0)];

impl Series {
    pub(crate) fn new(name: String) -> Self {
        Self { name, looks: Vec::new() }
    }

    pub(crate) fn look_at_process(&mut self, begin: Instant, pid: u32) {
        self.look(begin, [private_memory(pid), threads(pid) as u64, open_files(pid) as u64]);
    }

    pub(crate) fn look_at_segments(&mut self, begin: Instant) -> Result<(), String> {
        let [segments, bytes] = segments()?;
        self.look(begin, [segments, bytes, files()?]);
        Ok(())
    }

    fn look(&mut self, begin: Instant, numbers: [u64; 3]) {
        self.looks.push(Look { at: begin.elapsed(), numbers });
    }

    /// What it was early in a run of this length, and late: the least of each, which only a leak raises.
    fn early_and_late(&self, length: Duration) -> ([u64; 3], [u64; 3]) {
        let least = |from: f64, to: f64| {
            let within = length.mul_f64(from)..length.mul_f64(to);
            let mut looks =
                self.looks.iter().filter(|look| within.contains(&look.at)).map(|look| look.numbers);
            let first = looks.next().unwrap_or_default();
            looks.fold(first, |least, numbers| [0, 1, 2].map(|n| least[n].min(numbers[n])))
        };
        (least(0.2, 0.5), least(0.75, 2.0))
    }

    fn check(&self, length: Duration, bounds: [(&str, u64); 3], report: &mut String) -> Result<(), String> {
        let (early, late) = self.early_and_late(length);
        let most =
            self.looks.iter().fold([0; 3], |most, look| [0, 1, 2].map(|n| most[n].max(look.numbers[n])));
        let _ = write!(report, "  {:<34}", self.name);
        for (n, (what, _)) in bounds.iter().enumerate() {
            let show = |number: u64| {
                if number < 1 << 16 { number.to_string() } else { format!("{} KiB", number >> 10) }
            };
            let _ =
                write!(report, " {what} {} -> {} (most {})", show(early[n]), show(late[n]), show(most[n]));
        }
        report.push('\n');
        for (n, (what, more)) in bounds.iter().enumerate() {
            if late[n] > early[n] + more {
                return Err(format!(
                    "{}: {what} grew from {} to {}, more than by {more}",
                    self.name, early[n], late[n]
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn check_process(&self, length: Duration, report: &mut String) -> Result<(), String> {
        self.check(length, PROCESS, report)
    }

    pub(crate) fn check_segments(&self, length: Duration, report: &mut String) -> Result<(), String> {
        self.check(length, SEGMENTS, report)
    }
}

/// The number of System V segments, and the bytes in them.
fn segments() -> Result<[u64; 2], String> {
    let table = fs::read_to_string("/proc/sysvipc/shm").map_err(|e| format!("/proc/sysvipc/shm: {e}"))?;
    let sizes = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    Ok(sizes.fold([0, 0], |[count, bytes], size| [count + 1, bytes + size]))
}

fn files() -> Result<u64, String> {
    Ok(fs::read_dir("/dev/shm").map_err(|e| format!("/dev/shm: {e}"))?.count() as u64)
}

/// All are gone whose memory there was.
pub(crate) fn assert_nothing_left() -> Result<(), String> {
    match (segments()?, files()?) {
        ([0, 0], 0) => Ok(()),
        left => Err(format!("left behind (segments and their bytes, files in /dev/shm): {left:?}")),
    }
}
