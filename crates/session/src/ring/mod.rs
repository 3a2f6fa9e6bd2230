//! The ring: how a stream goes from a sender to a receiver of the same host, without a copy and without UCX.
//!
//! The sender makes a piece of shared memory for each receiver; both map it. It holds a header, the slots that the receiver
//! has released, and the records ([`RecordHead`]). The sender alone writes records and the first words of the header, the
//! receiver alone the others; each checks whatever it reads of the other's before it uses it.
//!
//! | bytes | what | written by |
//! |---|---|---|
//! | 0 | secret, from the offer | sender |
//! | 8 | answer: the receiver's token | receiver |
//! | 128 | head: bytes of records written so far | sender |
//! | 136 | flushed: frames before this head are stale | sender |
//! | 144 | ended: 1 after the end of the stream | sender |
//! | 152 | what the sender's clock showed when it made the ring | sender |
//! | 256 | tail: bytes of records read so far | receiver |
//! | 264 | taken: frames read so far | receiver |
//! | 384 | released: slots released so far | receiver |
//! | 512 | receiver asleep: 1 while it waits for records (a futex) | both |
//! | 640 | sender asleep: 1 while it waits for room (a futex) | both |
//! | 648, 656, 664 | tail, taken, released that the sender waits for | sender |
//! | 1024 | how long frames took: a histogram of 208 counts, 8 bytes each | receiver |
//! | 4096 | the slots released, as a ring of 4 bytes each | receiver |
//! | 20480 | the records | sender |
//!
//! A side is woken by a futex, and only while its word says that it sleeps. Nobody trusts the other to do so: every sleep
//! ends by itself after [`LONGEST_SLEEP`].

mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use nvdsucx_wire::DecodeError;
use rustix::thread::futex;
use rustix::time::Timespec;
use ucp::Mapping;

use crate::delay::{self, BUCKETS, Delay};

pub(crate) use reader::{EndFlag, Read, Reader, Releases};
pub(crate) use writer::{InFlight, Record, Writer};

const SECRET: usize = 0;
const ANSWER: usize = 8;
const HEAD: usize = 128;
const FLUSHED: usize = 136;
const ENDED: usize = 144;
const MADE: usize = 152;
const TAIL: usize = 256;
const TAKEN: usize = 264;
const RELEASED: usize = 384;
const RECEIVER_ASLEEP: usize = 512;
const SENDER_ASLEEP: usize = 640;
const WANTED_TAIL: usize = 648;
const WANTED_TAKEN: usize = 656;
const WANTED_RELEASED: usize = 664;
const DELAYS: usize = 1024;
const SLOTS: usize = 4096;
const RECORDS: usize = 20_480;

/// Slots there can be: frames in flight whose memory is shared.
const MAX_SLOTS: u64 = ((RECORDS - SLOTS) / 4) as u64;
/// Bytes of records. Small enough for a CPU's cache, large enough for some thousand small frames.
const CAPACITY: u64 = 512 << 10;
/// Longest record: what is longer goes to shared memory of its own.
pub(crate) const MAX_RECORD: usize = CAPACITY as usize / 8;

/// Length of the memory of a ring, in bytes.
pub(crate) const LEN: usize = RECORDS + CAPACITY as usize;

/// The longest sleep, should the other side not wake us.
const LONGEST_SLEEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// The other side does what none of ours does.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("{what} of the ring in shared memory went from {from} to {to}")]
    Jump { what: &'static str, from: u64, to: u64 },
    #[error("it released frame {0} of the ring in shared memory, which it does not have")]
    Released(u32),
    #[error(
        "{len} bytes at {offset} of shared memory {memory}, which it does not have, or which cannot be mapped"
    )]
    Span { memory: u32, offset: u64, len: u64 },
    #[error("a frame in its GPU's memory could not be fetched: {0}")]
    Device(String),
    #[error("a record of the ring in shared memory: {0}")]
    Record(#[from] DecodeError),
}

/// The words of the header, by name.
#[derive(Clone, Debug)]
struct Memory(Arc<Mapping>);

impl Memory {
    fn word(&self, at: usize) -> &AtomicU64 {
        self.0.atomic_u64(at).expect("a ring is mapped in whole, for reading and writing")
    }

    fn half(&self, at: usize) -> &AtomicU32 {
        self.0.atomic_u32(at).expect("a ring is mapped in whole, for reading and writing")
    }

    fn get(&self, at: usize) -> u64 {
        self.word(at).load(SeqCst)
    }

    fn set(&self, at: usize, value: u64) {
        self.word(at).store(value, SeqCst);
    }

    fn wake(&self, word: usize) {
        let word = self.half(word);
        if word.load(SeqCst) != 0 && word.swap(0, SeqCst) != 0 {
            // It fails only for addresses that are not mapped.
            let _ = futex::wake(word, futex::Flags::empty(), 1);
        }
    }

    /// For the receiver: wakes the sender if there is what it waits for.
    fn wake_sender(&self) {
        if self.half(SENDER_ASLEEP).load(SeqCst) != 0
            && self.get(TAIL) >= self.get(WANTED_TAIL)
            && self.get(TAKEN) >= self.get(WANTED_TAKEN)
            && self.get(RELEASED) >= self.get(WANTED_RELEASED)
        {
            self.wake(SENDER_ASLEEP);
        }
    }
}

/// How long frames took until the receiver took them. It counts where both can see it.
#[derive(Debug)]
pub(crate) struct Delays(Memory);

impl Delays {
    pub(crate) fn read(&self) -> Option<Delay> {
        delay::read(|bucket| self.0.get(delay_at(bucket)))
    }
}

/// Where the count of a bucket is.
fn delay_at(bucket: usize) -> usize {
    DELAYS + 8 * bucket
}

const _: () = assert!(DELAYS + 8 * BUCKETS <= SLOTS);

/// A sleep that has been announced to the other side.
#[derive(Clone, Debug)]
pub(crate) struct Sleep {
    memory: Memory,
    word: usize,
}

impl Sleep {
    fn announce(memory: &Memory, word: usize) -> Self {
        memory.half(word).store(1, SeqCst);
        Self { memory: memory.clone(), word }
    }

    /// Sleeps until woken, unless it was woken since it was announced. For as long as `looking` it stays awake meanwhile.
    pub(crate) fn sleep(&self, looking: Duration) {
        let word = self.memory.half(self.word);
        let until = Instant::now() + looking;
        while word.load(SeqCst) != 0 && Instant::now() < until {
            std::hint::spin_loop();
        }
        // However it ends, the caller looks again.
        let _ = futex::wait(word, futex::Flags::empty(), 1, Some(&LONGEST_SLEEP));
        word.store(0, SeqCst);
    }

    /// The sleep, unless there is no need for it any more.
    pub(crate) fn unless(self, ready: bool) -> Option<Self> {
        if !ready {
            return Some(self);
        }
        self.memory.half(self.word).store(0, SeqCst);
        None
    }

    /// Ends the sleep, from this process.
    pub(crate) fn wake(&self) {
        self.memory.wake(self.word);
    }
}
