//! What was measured.

use super::plan::{Case, Transport};

/// A run counts only if others used at most so many percent of the machine. Programs suffer unequally: one that polls on
/// every core loses far more than one that sleeps, so a ratio from a busy machine means nothing.
const QUIET: f64 = 10.0;

/// What one run of one transport measured.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Which repetition, from 0.
    pub(super) rep: usize,
    pub(super) frames_per_second: f64,
    pub(super) sender: Side,
    /// None where one process does it all.
    pub(super) receiver: Option<Side>,
    /// Not of a program that measures rates only.
    pub(super) latency: Option<Latency>,
    /// Nanoseconds, and how many frames took so long.
    pub(super) latencies: Vec<(u64, u64)>,
    /// The share of the machine's time that others used meanwhile, in percent.
    pub(super) noise: f64,
    /// UCX's release and the lanes it chose; empty where the transport does not tell, as the next.
    pub(super) ucx: String,
    pub(super) lanes: String,
    /// Whether payloads are mapped, or go in messages over the lanes.
    pub(super) way: String,
}

/// What one process used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    /// Milliseconds a frame.
    pub(super) cpu_ms: f64,
    /// The most that was ever resident. Not of a program that does not tell, as the next.
    pub(super) peak_kib: Option<f64>,
    /// Mapped at the end, each page divided by the number of processes that have it.
    pub(super) pss_kib: Option<f64>,
}

/// In microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

/// One case through every transport that carries it.
pub(super) struct Results {
    pub(super) case: Case,
    pub(super) runs: Vec<Runs>,
}

/// One case through one transport.
pub(super) struct Runs {
    pub(super) transport: &'static Transport,
    pub(super) samples: Vec<Sample>,
    /// Why there are no more of them.
    pub(super) failure: Option<String>,
}

impl Sample {
    pub(super) fn is_quiet(&self) -> bool {
        self.noise <= QUIET
    }

    /// The way of the payloads, in a word; empty where the transport does not tell.
    pub(super) fn path(&self) -> &str {
        if self.way == "mapped" { &self.way } else { &self.lanes }
    }

    /// Of both sides, in milliseconds a frame.
    pub(super) fn cpu_ms(&self) -> f64 {
        self.sender.cpu_ms + self.receiver.map_or(0.0, |side| side.cpu_ms)
    }
}

impl Runs {
    pub(super) fn quiet(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| sample.is_quiet())
    }

    /// The quiet ones. Figures of a busy machine are shown where there are no others.
    pub(super) fn counted(&self) -> Vec<&Sample> {
        let quiet: Vec<_> = self.quiet().collect();
        if quiet.is_empty() { self.samples.iter().collect() } else { quiet }
    }

    /// The median of the counted ones; none where nothing was measured.
    pub(super) fn median(&self, field: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        median(self.counted().into_iter().filter_map(field))
    }

    /// The latencies of all that count, as in [`Sample::latencies`].
    pub(super) fn latencies(&self) -> Vec<(u64, u64)> {
        let mut all = std::collections::BTreeMap::new();
        for (nanoseconds, frames) in self.counted().into_iter().flat_map(|sample| &sample.latencies) {
            *all.entry(*nanoseconds).or_insert(0) += frames;
        }
        all.into_iter().collect()
    }
}

pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A run with these figures, and nothing else.
    pub(in super::super) fn sample(rep: usize, rate: f64, cpu_ms: f64, p50: f64, noise: f64) -> Sample {
        let side = Side { cpu_ms: cpu_ms / 2.0, peak_kib: Some(2048.0), pss_kib: Some(1024.0) };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small positive number"
        )]
        let nanoseconds = (1e3 * p50) as u64;
        Sample {
            rep,
            frames_per_second: rate,
            sender: side,
            receiver: Some(side),
            latency: Some(Latency { p50, p99: 2.0 * p50, max: 3.0 * p50 }),
            latencies: vec![(nanoseconds, 9), (2 * nanoseconds, 1)],
            noise,
            ucx: String::new(),
            lanes: String::new(),
            way: String::new(),
        }
    }

    /// Runs of a transport.
    pub(in super::super) fn runs(name: &str, samples: Vec<Sample>) -> Runs {
        let transport = Transport::select(&[name.to_owned()]).unwrap()[0];
        Runs { transport, samples, failure: None }
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn a_busy_machine_counts_only_where_there_is_no_quiet_one() {
        let rate = |sample: &Sample| Some(sample.frames_per_second);
        let both = runs("nvdsucx", vec![sample(0, 10.0, 1.0, 1.0, 50.0), sample(1, 20.0, 1.0, 1.0, 0.0)]);
        assert_eq!(both.median(rate), Some(20.0));
        let busy = runs("nvdsucx", vec![sample(0, 10.0, 1.0, 1.0, 50.0)]);
        assert_eq!(busy.median(rate), Some(10.0));
    }

    #[test]
    fn latencies_of_all_runs_are_added_up() {
        let two = runs("nvdsucx", vec![sample(0, 1.0, 1.0, 1.0, 0.0), sample(1, 1.0, 1.0, 2.0, 0.0)]);
        assert_eq!(two.latencies(), [(1000, 9), (2000, 10), (4000, 1)]);
    }
}
