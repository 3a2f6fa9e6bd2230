//! What the two processes share outside the transport: flow control, and when the run begins and ends.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use memmap2::{MmapOptions, MmapRaw};
use rustix::thread::futex;
use rustix::time::Timespec;

/// For a wait that is also ended by something that wakes no futex.
const LOOK_AGAIN_AFTER: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The shared page. New pages are all zero.
#[repr(C)]
struct Page {
    /// The receiver's pipeline plays.
    ready: AtomicU32,
    /// Frames received, modulo 2³².
    received: AtomicU32,
    /// The sender sleeps until so many are received; 0: it is awake.
    wanted: AtomicU32,
    /// The receiver has the last frame.
    finished: AtomicU32,
}

/// One process' view of the page.
pub(crate) struct Control(MmapRaw);

impl Control {
    /// Maps the first page of `file`.
    pub(crate) fn map(file: &impl AsRawFd) -> anyhow::Result<Self> {
        let map = MmapOptions::new().len(size_of::<Page>()).map_raw(file.as_raw_fd());
        let map = map.context("it cannot be mapped")?;
        ensure!(map.as_ptr().cast::<Page>().is_aligned(), "its mapping is not aligned");
        Ok(Self(map))
    }

    fn page(&self) -> &Page {
        // SAFETY: the mapping is at least as large as a Page, aligned (checked in `map`), and lives as long as `self`. A
        // Page is only atomics, so any bytes are valid and the other process may write at any time.
        unsafe { &*self.0.as_ptr().cast::<Page>() }
    }

    pub(crate) fn set_ready(&self) {
        self.page().ready.store(1, Ordering::SeqCst);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.page().ready.load(Ordering::SeqCst) != 0
    }

    /// The receiver has `frames` so far.
    pub(crate) fn set_received(&self, frames: u64) {
        let page = self.page();
        let frames = low(frames);
        page.received.store(frames, Ordering::SeqCst);
        let wanted = page.wanted.load(Ordering::SeqCst);
        if wanted != 0 && reached(frames, wanted) {
            // It fails only for addresses that are not mapped.
            let _ = futex::wake(&page.received, futex::Flags::empty(), 1);
        }
    }

    /// Frames received, as many as `sent` at most.
    pub(crate) fn received(&self, sent: u64) -> u64 {
        sent - u64::from(low(sent).wrapping_sub(self.page().received.load(Ordering::SeqCst)))
    }

    /// Sleeps until `frames` are received, or for a short time.
    pub(crate) fn wait_for(&self, frames: u64) {
        let page = self.page();
        // 0 says that nobody sleeps; in the rare case the time-out wakes us.
        page.wanted.store(low(frames), Ordering::SeqCst);
        let received = page.received.load(Ordering::SeqCst);
        if !reached(received, low(frames)) {
            // However it ends, the caller looks again.
            let _ = futex::wait(&page.received, futex::Flags::empty(), received, Some(&LOOK_AGAIN_AFTER));
        }
        page.wanted.store(0, Ordering::SeqCst);
    }

    pub(crate) fn set_finished(&self) {
        self.page().finished.store(1, Ordering::SeqCst);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.page().finished.load(Ordering::SeqCst) != 0
    }
}

/// For waits that only a state change or the end of the run ends.
pub(crate) fn nap() {
    std::thread::sleep(Duration::from_millis(2));
}

/// The page counts modulo 2³².
fn low(frames: u64) -> u32 {
    frames as u32
}

fn reached(received: u32, wanted: u32) -> bool {
    received.wrapping_sub(wanted) < u32::MAX / 2
}
