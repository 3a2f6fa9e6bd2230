//! How the sender's clock differs from ours.

use std::collections::VecDeque;
use std::time::Duration;

/// Answers that are remembered.
const SAMPLES: usize = 8;
/// Answers before the difference counts as known.
const ENOUGH: usize = 4;
/// How often to ask once it is known: clocks drift apart.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// The last answers to the question what the sender's clock shows.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// How long each took, and the difference that it tells; in nanoseconds.
    samples: VecDeque<(u64, i64)>,
}

impl Answers {
    /// `theirs` is what the sender's clock showed between `asked` and `answered` by ours.
    pub(crate) fn add(&mut self, asked: u64, theirs: u64, answered: u64) {
        let took = answered.saturating_sub(asked);
        // Clocks since boot: far from wrapping, unless the sender lies, which harms its own stream alone.
        let difference = theirs.wrapping_sub(asked.wrapping_add(took / 2)).cast_signed();
        self.samples.truncate(SAMPLES - 1);
        self.samples.push_front((took, difference));
    }

    pub(crate) fn are_enough(&self) -> bool {
        self.samples.len() >= ENOUGH
    }

    /// How far the sender's clock is ahead, in nanoseconds: by the answer that came quickest, for it was delayed least.
    pub(crate) fn difference(&self) -> Option<i64> {
        let (took, difference) = self.samples.iter().min_by_key(|(took, _)| *took)?;
        // Clocks that cannot be told apart are one: that of this host.
        Some(if difference.unsigned_abs() <= took.div_ceil(2) { 0 } else { *difference })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AHEAD: u64 = 5_000_000_000;

    #[test]
    fn the_quickest_answer_tells() {
        let mut answers = Answers::default();
        assert_eq!(answers.difference(), None);
        answers.add(1_000_000, AHEAD + 1_000_000, 9_000_000);
        answers.add(10_000_000, AHEAD + 10_020_000, 10_040_000);
        answers.add(20_000_000, AHEAD + 27_000_000, 28_000_000);
        assert_eq!(answers.difference(), Some(AHEAD.cast_signed()));
        assert!(!answers.are_enough());
    }

    #[test]
    fn old_answers_are_forgotten() {
        let mut answers = Answers::default();
        answers.add(0, AHEAD, 10);
        for second in 1..=SAMPLES as u64 {
            let now = second * 1_000_000_000;
            answers.add(now, now + AHEAD + 1000 + 50, now + 100);
        }
        assert_eq!(answers.difference(), Some(AHEAD.cast_signed() + 1000));
        assert!(answers.are_enough());
    }

    #[test]
    fn one_clock_is_known_as_one() {
        let mut answers = Answers::default();
        answers.add(1000, 1900, 2000);
        assert_eq!(answers.difference(), Some(0));
        let mut behind = Answers::default();
        behind.add(AHEAD, 50, AHEAD + 100);
        assert_eq!(behind.difference(), Some(-AHEAD.cast_signed()));
    }
}
