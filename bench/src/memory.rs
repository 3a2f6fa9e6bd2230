//! What this process has in memory.

use std::fmt::{self, Display};

use anyhow::Context as _;

/// In KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The most that was ever resident, pages that others have too counted in full.
    peak: u64,
    /// What is mapped now, each page divided by the number of processes that have it.
    proportional: u64,
}

impl Memory {
    pub(crate) fn look() -> anyhow::Result<Self> {
        let read = |path: &str| std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
        let (status, maps) = (read("/proc/self/status")?, read("/proc/self/smaps_rollup")?);
        Self::parse(&status, &maps).context("the kernel does not tell how much memory is used")
    }

    fn parse(status: &str, maps: &str) -> Option<Self> {
        // Huge pages are in no other sum.
        let huge: u64 = ["Shared_Hugetlb", "Private_Hugetlb"].iter().filter_map(|key| field(maps, key)).sum();
        Some(Self { peak: field(status, "VmHWM")?, proportional: field(maps, "Pss")? + huge })
    }
}

impl Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peak={} pss={}", self.peak, self.proportional)
    }
}

fn field(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_words_are_understood() {
        let status = "Name:\tbench\nVmPeak:\t 9000 kB\nVmHWM:\t    5120 kB\n";
        let maps = "55d0-7ffd ---p 00000000 00:00 0 [rollup]\nRss: 4000 kB\nPss:  1000 kB\nPss_Anon: 900 kB\n\
                    Shared_Hugetlb:  2048 kB\nPrivate_Hugetlb: 0 kB\n";
        assert_eq!(Memory::parse(status, maps), Some(Memory { peak: 5120, proportional: 3048 }));
        assert_eq!(Memory::parse("", maps), None);
    }

    #[test]
    fn this_process_has_some() {
        let memory = Memory::look().unwrap();
        assert!(memory.peak > 0 && memory.proportional > 0, "{memory}");
    }
}
