//! How long frames take: a histogram of fixed size that costs a few nanoseconds a frame.
//!
//! A bucket holds what lies within an eighth of a power of two, so that what is read from the histogram is at most 6 % off.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Buckets of a histogram: up to a minute.
pub(crate) const BUCKETS: usize = 208;
/// Nanoseconds that are told apart, as a power of two.
const RESOLUTION: u32 = 8;
/// A stamp counts units of 1024 ns, modulo 2^32: an hour.
const STAMP: u32 = 10;

/// How long frames took, from when they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// As long or less: half of the frames.
    pub median: Duration,
    /// As long or less: 99 of 100.
    pub p99: Duration,
}

/// What the monotonic clock of this host shows, in nanoseconds.
pub fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec.cast_unsigned())
}

/// Now, as it stands in a record.
pub(crate) fn stamp() -> u32 {
    (monotonic() >> STAMP) as u32
}

/// Nanoseconds since `stamp`; `None` if it is of the future.
pub(crate) fn since(stamp: u32) -> Option<u64> {
    let age = self::stamp().wrapping_sub(stamp);
    (age <= u32::MAX / 2).then(|| u64::from(age) << STAMP)
}

/// The bucket for a time.
pub(crate) fn bucket(nanoseconds: u64) -> usize {
    let value = nanoseconds >> RESOLUTION;
    let bits = u64::BITS - value.leading_zeros();
    let index = match bits {
        0..=3 => value,
        // The power of two, and the three bits behind the first.
        _ => u64::from(bits - 3) * 8 + ((value >> (bits - 4)) & 7),
    };
    (index as usize).min(BUCKETS - 1)
}

/// A time in the middle of a bucket.
fn middle(bucket: usize) -> Duration {
    let (power, step) = (bucket / 8, bucket as u64 % 8);
    let (start, width) = if power == 0 { (step, 1) } else { ((8 + step) << (power - 1), 1 << (power - 1)) };
    Duration::from_nanos((start << RESOLUTION) + ((width << RESOLUTION) >> 1))
}

/// Reads a histogram; `None` if nothing is in it.
pub(crate) fn read(count: impl Fn(usize) -> u64) -> Option<Delay> {
    let counts: [u64; BUCKETS] = std::array::from_fn(count);
    let all = counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
    let at = |wanted: u64| {
        let mut sum = 0_u64;
        let reached = |count: &u64| {
            sum = sum.saturating_add(*count);
            sum >= wanted
        };
        counts.iter().position(reached).map(middle)
    };
    Some(Delay { median: at(all.div_ceil(2).max(1))?, p99: at((all - all / 100).max(1))? })
}

/// A histogram in memory of our own, which one thread fills.
#[derive(Debug)]
pub(crate) struct Histogram([AtomicU64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Histogram {
    pub(crate) fn add(&self, nanoseconds: u64) {
        self.0[bucket(nanoseconds)].fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> Option<Delay> {
        read(|bucket| self.0[bucket].load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_at_most_6_percent_off() {
        let mut nanoseconds = 2048;
        while nanoseconds < 60_000_000_000 {
            let read = middle(bucket(nanoseconds)).as_nanos() as f64;
            let off = (read / nanoseconds as f64 - 1.0).abs();
            assert!(off <= 0.065, "{nanoseconds} became {read}");
            nanoseconds += nanoseconds / 97;
        }
    }

    #[test]
    fn buckets_go_up_and_end() {
        let mut last = 0;
        for power in 0..64 {
            for eighth in 0..8 {
                let bucket = bucket((1_u64 << power) + ((1_u64 << power) / 8) * eighth);
                assert!(bucket >= last && bucket < BUCKETS);
                last = bucket;
            }
        }
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn percentiles_are_of_all_that_was_counted() {
        let histogram = Histogram::default();
        assert_eq!(histogram.read(), None);
        for _ in 0..985 {
            histogram.add(100_000);
        }
        for _ in 0..15 {
            histogram.add(50_000_000);
        }
        let Delay { median, p99 } = histogram.read().unwrap();
        assert!((94..107).contains(&median.as_micros()), "{median:?}");
        assert!((47..54).contains(&p99.as_millis()), "{p99:?}");
        let once = Histogram::default();
        once.add(1_000_000);
        let Delay { median, p99 } = once.read().unwrap();
        assert_eq!(median, p99);
    }

    #[test]
    fn a_stamp_of_the_future_tells_nothing() {
        assert!(since(stamp()).is_some_and(|age| age < 1_000_000_000));
        assert_eq!(since(stamp().wrapping_add(1 << 20)), None);
        assert!(since(stamp().wrapping_sub(1000)).is_some_and(|age| age >= 1000 * 1024));
    }
}
