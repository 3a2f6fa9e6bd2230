//! Latencies, counted in buckets: a run's memory does not grow, and nothing is sorted.

use std::fmt::Write as _;
use std::time::Duration;

/// Buckets for each power of two: a bucket's width is at most 1/128 of its values.
const PER_OCTAVE: usize = 128;
/// Below this many nanoseconds every value has a bucket of its own.
const EXACT: u64 = PER_OCTAVE as u64;
/// Up to 2⁴² ns, more than an hour; what takes longer counts as that.
const OCTAVES: usize = 42 - PER_OCTAVE.ilog2() as usize;

/// How often which duration was seen.
pub(crate) struct Histogram {
    counts: Vec<u32>,
    total: u64,
    max: Duration,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        // Written, so that the kernel provides the memory now.
        let mut counts = vec![1; PER_OCTAVE * (OCTAVES + 1)];
        counts.fill(0);
        Self { counts, total: 0, max: Duration::ZERO }
    }

    pub(crate) fn add(&mut self, value: Duration) {
        let bucket = bucket(nanoseconds(value)).min(self.counts.len() - 1);
        self.counts[bucket] += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn max(&self) -> Duration {
        self.max
    }

    /// A value that so many percent of all do not exceed.
    pub(crate) fn percentile(&self, percent: u64) -> Duration {
        let mut below = self.total.saturating_sub(1) * percent / 100;
        for (bucket, count) in self.counts.iter().enumerate() {
            match below.checked_sub(u64::from(*count)) {
                Some(rest) => below = rest,
                None => return Duration::from_nanos(middle(bucket)).min(self.max),
            }
        }
        self.max
    }

    /// `nanoseconds:count` of each bucket that has any.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (bucket, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let separator = if text.is_empty() { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}{}:{count}", middle(bucket));
        }
        text
    }
}

fn nanoseconds(value: Duration) -> u64 {
    u64::try_from(value.as_nanos()).unwrap_or(u64::MAX)
}

/// The index of the bucket for so many nanoseconds.
fn bucket(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    // The highest bits, without the first, which is always 1.
    let octave = value.ilog2() - EXACT.ilog2();
    let within = (value >> octave) - EXACT;
    (octave as usize + 1) * PER_OCTAVE + within as usize
}

/// The nanoseconds in the middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let (octave, within) = (bucket / PER_OCTAVE, (bucket % PER_OCTAVE) as u64);
    match octave.checked_sub(1) {
        None => within,
        Some(octave) => ((within + EXACT) << octave) + ((1 << octave) >> 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_narrow() {
        for value in [0, 1, 127, 128, 129, 255, 256, 1_000, 123_456, 16_000_000, 3_600_000_000_000] {
            let found = middle(bucket(value));
            assert!(found.abs_diff(value) * 128 <= value, "{value} ns became {found} ns");
        }
    }

    #[test]
    fn percentiles_are_where_they_belong() {
        let mut histogram = Histogram::new();
        for microseconds in 1..=1000 {
            histogram.add(Duration::from_micros(microseconds));
        }
        assert_eq!(histogram.total(), 1000);
        for (percent, expected) in [(0, 1.0), (50, 500.0), (99, 990.0), (100, 1000.0)] {
            let found = histogram.percentile(percent).as_secs_f64() * 1e6;
            assert!((found - expected).abs() <= expected / 100.0, "p{percent} is {found} µs");
        }
        assert_eq!(histogram.max(), Duration::from_millis(1));
    }

    #[test]
    fn what_takes_longer_than_an_hour_is_counted_too() {
        let mut histogram = Histogram::new();
        histogram.add(Duration::from_secs(1 << 40));
        assert_eq!((histogram.total(), histogram.max().as_secs()), (1, 1 << 40));
        assert!(histogram.text().ends_with(":1"));
    }

    #[test]
    fn the_text_has_only_what_was_seen() {
        let mut histogram = Histogram::new();
        [5, 7, 7].into_iter().for_each(|value| histogram.add(Duration::from_nanos(value)));
        assert_eq!(histogram.text(), "5:1,7:2");
    }
}
