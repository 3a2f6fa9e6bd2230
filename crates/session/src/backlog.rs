//! What a peer has no room for and waits here.

use std::collections::VecDeque;

use crate::Outgoing;

/// What may be under way to a peer, or wait for it, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// Between the oldest and the newest, in nanoseconds.
    pub(crate) time: u64,
}

/// The time in the stream at which an item is.
pub(crate) fn time_of(item: &Outgoing) -> Option<u64> {
    match item {
        // Decoding times go up even where the pictures are reordered.
        Outgoing::Frame(frame) => frame.header.dts.or(frame.header.pts),
        Outgoing::Event(_) => None,
    }
}

/// Whether from `oldest` to `newest` is longer than `limit`.
pub(crate) fn is_longer(oldest: Option<u64>, newest: Option<u64>, limit: u64) -> bool {
    oldest.zip(newest).is_some_and(|(oldest, newest)| newest.saturating_sub(oldest) > limit)
}

/// Items in order. Of the frames there are never more than the limits allow: the oldest gives way. Events stay.
#[derive(Debug)]
pub(crate) struct Backlog<T> {
    items: VecDeque<Waiting<T>>,
    limits: Limits,
    frames: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    item: T,
    /// Length and time of a frame.
    frame: Option<(u64, Option<u64>)>,
}

impl<T> Backlog<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { items: VecDeque::new(), limits, frames: 0, bytes: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|waiting| &waiting.item)
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.items.front().map(|waiting| &waiting.item)
    }

    pub(crate) fn take_first(&mut self) -> Option<T> {
        self.remove(0)
    }

    pub(crate) fn push_event(&mut self, item: T) {
        self.items.push_back(Waiting { item, frame: None });
    }

    /// Adds a frame. Returns how many had to give way; it does not itself.
    pub(crate) fn push_frame(&mut self, item: T, len: u64, time: Option<u64>) -> u64 {
        let mut dropped = 0;
        while let Some((at, oldest)) = self.oldest()
            && (self.frames >= self.limits.frames
                || self.bytes.saturating_add(len) > self.limits.bytes
                || is_longer(oldest, time, self.limits.time))
        {
            self.remove(at);
            dropped += 1;
        }
        self.frames += 1;
        self.bytes += len;
        self.items.push_back(Waiting { item, frame: Some((len, time)) });
        dropped
    }

    /// Drops the frames, not the events. Returns how many there were.
    pub(crate) fn drop_frames(&mut self) -> u64 {
        self.items.retain(|waiting| waiting.frame.is_none());
        self.bytes = 0;
        std::mem::take(&mut self.frames)
    }

    /// Where the oldest frame is, and its time.
    fn oldest(&self) -> Option<(usize, Option<u64>)> {
        self.items.iter().enumerate().find_map(|(at, waiting)| waiting.frame.map(|(_, time)| (at, time)))
    }

    fn remove(&mut self, at: usize) -> Option<T> {
        let waiting = self.items.remove(at)?;
        if let Some((len, _)) = waiting.frame {
            self.frames -= 1;
            self.bytes -= len;
        }
        Some(waiting.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { frames: 3, bytes: 100, time: 1000 };

    fn all(backlog: &mut Backlog<u32>) -> Vec<u32> {
        std::iter::from_fn(|| backlog.take_first()).collect()
    }

    #[test]
    fn the_oldest_frame_gives_way_and_no_event() {
        let mut backlog = Backlog::new(LIMITS);
        assert_eq!(backlog.push_frame(1, 10, None), 0);
        backlog.push_event(2);
        assert_eq!(backlog.push_frame(3, 10, None) + backlog.push_frame(4, 10, None), 0);
        assert_eq!(backlog.push_frame(5, 10, None), 1);
        assert_eq!(all(&mut backlog), [2, 3, 4, 5]);
        assert!(backlog.is_empty() && backlog.frames == 0 && backlog.bytes == 0);
    }

    #[test]
    fn bytes_and_time_count_too() {
        let mut backlog = Backlog::new(LIMITS);
        backlog.push_frame(1, 60, Some(0));
        assert_eq!(backlog.push_frame(2, 50, Some(10)), 1);
        assert_eq!(backlog.push_frame(3, 1, Some(1010)), 0);
        assert_eq!(backlog.push_frame(4, 1, Some(1011)), 1);
        assert_eq!(backlog.push_frame(5, 1000, Some(1012)), 2, "one of any size always waits");
        assert_eq!(all(&mut backlog), [5]);
    }

    #[test]
    fn a_time_that_goes_back_is_no_long_time() {
        assert!(!is_longer(Some(5000), Some(0), 10));
        assert!(!is_longer(None, Some(5000), 10) && !is_longer(Some(0), None, 10));
    }

    #[test]
    fn a_flush_leaves_the_events() {
        let mut backlog = Backlog::new(LIMITS);
        backlog.push_frame(1, 10, None);
        backlog.push_event(2);
        backlog.push_frame(3, 10, None);
        assert_eq!(backlog.drop_frames(), 2);
        assert_eq!(all(&mut backlog), [2]);
    }
}
