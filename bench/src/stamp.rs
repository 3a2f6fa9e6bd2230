//! The first bytes of every buffer, and the clocks.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Bytes that the sender writes into each buffer, and the receiver reads.
pub(crate) const LENGTH: usize = 40;
const MAGIC: u64 = u64::from_le_bytes(*b"benchucx");
const MEASURED: u64 = 1;
const LAST: u64 = 2;

/// What the sender says about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) sequence: u64,
    /// When it was made: [`now`].
    pub(crate) made: Duration,
    pub(crate) bytes: u64,
    /// The warm-up is over.
    pub(crate) measured: bool,
    pub(crate) last: bool,
}

impl Stamp {
    pub(crate) fn write(&self, to: &mut [u8; LENGTH]) {
        let flags = u64::from(self.measured) * MEASURED + u64::from(self.last) * LAST;
        let made = u64::try_from(self.made.as_nanos()).unwrap_or(u64::MAX);
        let words = [MAGIC, self.sequence, made, self.bytes, flags];
        for (to, word) in to.as_chunks_mut().0.iter_mut().zip(words) {
            *to = word.to_le_bytes();
        }
    }

    /// `None` if these bytes are no stamp.
    pub(crate) fn read(from: &[u8; LENGTH]) -> Option<Self> {
        let mut words = from.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        let mut next = || words.next().unwrap_or_default();
        let (magic, sequence, made, bytes, flags) = (next(), next(), next(), next(), next());
        (magic == MAGIC).then_some(Self {
            sequence,
            made: Duration::from_nanos(made),
            bytes,
            measured: flags & MEASURED != 0,
            last: flags & LAST != 0,
        })
    }
}

/// The same clock in both processes.
pub(crate) fn now() -> Duration {
    read_clock(ClockId::Monotonic)
}

/// What all threads of this process have used so far.
pub(crate) fn cpu_time() -> Duration {
    read_clock(ClockId::ProcessCPUTime)
}

fn read_clock(clock: ClockId) -> Duration {
    // Neither clock is ever negative.
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let stamp = Stamp {
            sequence: 7,
            made: Duration::from_nanos(1_234_567_890_123),
            bytes: 3_110_400,
            measured: true,
            last: false,
        };
        let mut bytes = [0; LENGTH];
        assert_eq!(Stamp::read(&bytes), None);
        stamp.write(&mut bytes);
        assert_eq!(Stamp::read(&bytes), Some(stamp));
    }
}
