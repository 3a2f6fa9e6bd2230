//! What the two processes share outside the transport: flow control, and when the run begins and ends.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use memmap2::{MmapOptions, MmapRaw};
use rustix::thread::futex;
use rustix::time::Timespec;

use crate::stamp::Stamp;

/// For a wait that is also ended by something that wakes no futex.
const LOOK_AGAIN_AFTER: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The shared page. New pages are all zero.
#[repr(C)]
struct Page {
    /// The receiver's pipeline plays.
    ready: Word,
    /// Frames received, modulo 2³².
    received: Word,
    /// The sender sleeps until so many are received; 0: it is awake.
    wanted: Word,
    /// The sender has looked how much memory both use.
    looked: Word,
    /// The receiver has the last frame, and has looked too.
    finished: Word,
    /// What is said of the last frames, where they do not carry it themselves.
    notes: [AtomicU64; NOTES],
}

/// No fewer than the frames that are ever in flight.
const NOTES: usize = 256;
/// A note is the time in nanoseconds, and these two flags below.
const NOTE_FLAGS: u32 = 2;

/// Alone in its cache lines, two of which processors fetch together: what one side writes slows no other word down.
#[repr(C, align(128))]
struct Word(AtomicU32);

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
        self.page().ready.set();
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.page().ready.is_set()
    }

    /// The receiver has `frames` so far.
    pub(crate) fn set_received(&self, frames: u64) {
        let Page { received: Word(received), wanted: Word(wanted), .. } = self.page();
        let frames = low(frames);
        received.store(frames, Ordering::SeqCst);
        let sleeps = wanted.load(Ordering::SeqCst);
        // Woken once, by the frame it waits for.
        if sleeps != 0
            && reached(frames, sleeps)
            && wanted.compare_exchange(sleeps, 0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        {
            // It fails only for addresses that are not mapped.
            let _ = futex::wake(wanted, futex::Flags::empty(), 1);
        }
    }

    /// Frames received, as many as `sent` at most.
    pub(crate) fn received(&self, sent: u64) -> u64 {
        sent - u64::from(low(sent).wrapping_sub(self.page().received.0.load(Ordering::SeqCst)))
    }

    /// Sleeps until `frames` are received, or for a short time.
    pub(crate) fn wait_for(&self, frames: u64) {
        let Page { received: Word(received), wanted: Word(wanted), .. } = self.page();
        // 0 says that nobody sleeps; in the rare case the time-out wakes us.
        let frames = low(frames);
        wanted.store(frames, Ordering::SeqCst);
        if !reached(received.load(Ordering::SeqCst), frames) {
            // However it ends, the caller looks again.
            let _ = futex::wait(wanted, futex::Flags::empty(), frames, Some(&LOOK_AGAIN_AFTER));
        }
        wanted.store(0, Ordering::SeqCst);
    }

    /// Says of a frame what its stamp says.
    pub(crate) fn note(&self, stamp: &Stamp) {
        let made = u64::try_from(stamp.made.as_nanos()).unwrap_or(u64::MAX) << NOTE_FLAGS;
        let note = made | u64::from(stamp.measured) << 1 | u64::from(stamp.last);
        self.page().notes[place(stamp.sequence)].store(note, Ordering::Release);
    }

    /// What was said of the frame of this number.
    pub(crate) fn noted(&self, sequence: u64, bytes: u64) -> Stamp {
        let note = self.page().notes[place(sequence)].load(Ordering::Acquire);
        let made = Duration::from_nanos(note >> NOTE_FLAGS);
        Stamp { sequence, made, bytes, measured: note & 2 != 0, last: note & 1 != 0 }
    }

    pub(crate) fn set_looked(&self) {
        self.page().looked.set();
    }

    pub(crate) fn has_looked(&self) -> bool {
        self.page().looked.is_set()
    }

    pub(crate) fn set_finished(&self) {
        self.page().finished.set();
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.page().finished.is_set()
    }
}

impl Word {
    fn set(&self) {
        self.0.store(1, Ordering::SeqCst);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst) != 0
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

fn place(sequence: u64) -> usize {
    sequence as usize % NOTES
}

fn reached(received: u32, wanted: u32) -> bool {
    received.wrapping_sub(wanted) < u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_what_the_stamp_says() {
        let file = rustix::fs::memfd_create("page", rustix::fs::MemfdFlags::empty()).unwrap();
        rustix::fs::ftruncate(&file, 4096).unwrap();
        let control = Control::map(&file).unwrap();
        let stamp = |sequence, measured, last| Stamp {
            sequence,
            made: Duration::from_nanos(1_234_567_890_123),
            bytes: 100,
            measured,
            last,
        };
        for stamp in [stamp(0, true, false), stamp(300, false, true)] {
            control.note(&stamp);
            assert_eq!(control.noted(stamp.sequence, 100), stamp);
        }
    }
}
