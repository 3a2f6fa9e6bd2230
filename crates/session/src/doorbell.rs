//! Waking the transport thread, at no cost while it is awake.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Rung by any thread, heard by the transport thread.
#[derive(Debug)]
pub(crate) struct Doorbell {
    /// Somebody has something for the transport thread.
    rung: AtomicBool,
    /// The transport thread sleeps, or is about to: a system call is needed to wake it.
    asleep: AtomicBool,
    event: OwnedFd,
}

impl Doorbell {
    pub(crate) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { rung: AtomicBool::new(false), asleep: AtomicBool::new(false), event })
    }

    /// Wakes the transport thread. What it is to find must be in place before.
    pub(crate) fn ring(&self) {
        self.rung.store(true, SeqCst);
        if self.asleep.swap(false, SeqCst) {
            // It cannot fail: the counter is far from full, and a full one wakes as well.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }

    /// Whether it was rung since the last call. To be called before looking for work.
    pub(crate) fn answer(&self) -> bool {
        self.rung.load(SeqCst) && self.rung.swap(false, SeqCst)
    }

    /// Sleeps until rung, until one of `others` is readable, or for `timeout`. `prepare` runs when rings are heard already,
    /// and can call the sleep off by returning `false`. Says which of the others is readable.
    pub(crate) fn sleep<const N: usize>(
        &self,
        others: [BorrowedFd<'_>; N],
        timeout: Duration,
        prepare: impl FnOnce() -> bool,
    ) -> [bool; N] {
        let mut readable = [false; N];
        self.asleep.store(true, SeqCst);
        if !self.rung.load(SeqCst) && prepare() {
            // One that is too long for the system is as good as none.
            let timeout = Timespec::try_from(timeout).ok();
            let mut fds = vec![PollFd::new(&self.event, PollFlags::IN)];
            fds.extend(others.into_iter().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            // An interruption or an error only makes the caller look once more.
            if poll(&mut fds, timeout.as_ref()).is_ok() {
                for (readable, fd) in readable.iter_mut().zip(&fds[1..]) {
                    *readable = !fd.revents().is_empty();
                }
            }
        }
        if !self.asleep.swap(false, SeqCst) {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.event, &mut count);
        }
        readable
    }
}
