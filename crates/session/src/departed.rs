//! Processes that may have been killed, and what they may have left.

use std::time::{Duration, Instant};

use ucp::Maker;

/// By then a process whose connection was lost is gone, if it is.
const GONE: Duration = Duration::from_secs(1);

/// Those whose connection was lost. What they left is removed a little later, and when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Departed(Vec<(Instant, Maker)>);

impl Departed {
    pub(crate) fn add(&mut self, maker: Maker) {
        self.0.push((Instant::now() + GONE, maker));
    }

    /// When to call [`clear_up`](Self::clear_up).
    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.first().map(|(due, _)| *due)
    }

    pub(crate) fn clear_up(&mut self) {
        while self.due().is_some_and(|due| due <= Instant::now()) {
            self.0.remove(0).1.clear_up();
        }
    }
}

impl Drop for Departed {
    fn drop(&mut self) {
        for (_, maker) in self.0.drain(..) {
            maker.clear_up();
        }
    }
}
