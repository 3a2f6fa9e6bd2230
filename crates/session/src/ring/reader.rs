//! The receiver's end.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use nvdsucx_wire::{RecordHead, RecordKind, Span};
use ucp::{Maker, Mapping};

use super::{
    ANSWER, Broken, CAPACITY, Delays, ENDED, FLUSHED, HEAD, LEN, MADE, MAX_SLOTS, Memory, RECEIVER_ASLEEP,
    RECORDS, RELEASED, SECRET, SENDER_ASLEEP, SLOTS, Sleep, TAIL, TAKEN, delay_at,
};
use crate::delay;

/// The age of a ring, in nanoseconds, at which it is mapped at the latest.
const YOUNG: u64 = 60_000_000_000;

/// A record as it was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) kind: RecordKind,
    pub(crate) spilled: bool,
    pub(crate) slot: Option<u32>,
    pub(crate) spans: Vec<Span>,
    pub(crate) payload: Vec<u8>,
    /// It was written before a flush.
    pub(crate) stale: bool,
}

/// The receiver's end.
#[derive(Debug)]
pub(crate) struct Reader {
    memory: Memory,
    pub(super) tail: u64,
    taken: u64,
    releases: Arc<Releases>,
    /// The sender's clock is ours: it is in no other time namespace.
    same_clock: bool,
    scratch: Vec<u8>,
    head_at: std::ops::Range<usize>,
}

impl Reader {
    /// The ring in `memory`, if it is the one whose `secret` was told; leaves `answer` there.
    pub(crate) fn new(memory: Mapping, secret: u64, answer: u64) -> Option<Self> {
        let memory = Memory(Arc::new(memory));
        if memory.0.len() < LEN || memory.get(SECRET) != secret {
            return None;
        }
        memory.set(ANSWER, answer);
        Some(Self::over(memory))
    }

    pub(super) fn over(memory: Memory) -> Self {
        let releases = Arc::new(Releases { memory: memory.clone(), count: Mutex::new(0) });
        let age = delay::monotonic().checked_sub(memory.get(MADE));
        let same_clock = age.is_some_and(|age| age < YOUNG);
        Self { memory, tail: 0, taken: 0, releases, same_clock, scratch: Vec::new(), head_at: 0..0 }
    }

    /// To release slots with, from any thread.
    pub(crate) fn releases(&self) -> &Arc<Releases> {
        &self.releases
    }

    /// The process that made it.
    pub(crate) fn maker(&self) -> Option<Maker> {
        self.memory.0.maker()
    }

    /// Whether there is nothing to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.memory.get(HEAD) == self.tail
    }

    /// Whether the sender says that its stream is at its end.
    pub(crate) fn end_flag(&self) -> EndFlag {
        EndFlag(self.memory.clone())
    }

    /// The next record, if there is one; [`head`](Self::head) is of it until the next call.
    pub(crate) fn read(&mut self) -> Result<Option<Read>, Broken> {
        loop {
            let head = self.memory.get(HEAD);
            if head == self.tail {
                return Ok(None);
            }
            let available = head.wrapping_sub(self.tail);
            if available > CAPACITY || !available.is_multiple_of(8) {
                return Err(Broken::Jump { what: "the head", from: self.tail, to: head });
            }
            let at = RECORDS + (self.tail % CAPACITY) as usize;
            let rest = CAPACITY - self.tail % CAPACITY;
            let mut fixed = [0; RecordHead::LEN];
            let fits = fixed.len().min(rest as usize);
            self.memory.0.read(at, &mut fixed[..fits]);
            let record = RecordHead::decode(&fixed, available.min(rest))?;
            let read = (record.kind != RecordKind::Pad).then(|| self.copy(at, &record));
            if record.kind == RecordKind::Frame {
                self.taken += 1;
                self.count_delay(record.written);
            }
            self.memory.set(TAKEN, self.taken);
            self.tail += u64::from(record.len);
            self.memory.set(TAIL, self.tail);
            self.memory.wake_sender();
            if read.is_some() {
                return Ok(read);
            }
        }
    }

    /// Copies out what stands at `at`: the sender could change it at any time.
    fn copy(&mut self, at: usize, record: &RecordHead) -> Read {
        let head_start = record.head_start();
        self.scratch.clear();
        let spans_and_head = head_start - RecordHead::LEN + record.head_len as usize;
        self.memory.0.read_into(at + RecordHead::LEN, spans_and_head, &mut self.scratch);
        let (spans, _) = self.scratch.split_at(head_start - RecordHead::LEN);
        let spans: Vec<_> = spans.as_chunks().0.iter().map(Span::decode).collect();
        self.head_at = head_start - RecordHead::LEN..spans_and_head;
        let mut payload = Vec::new();
        if record.payload_len > 0 {
            let start = at + record.payload_start();
            self.memory.0.read_into(start, record.payload_len as usize, &mut payload);
        }
        Read {
            kind: record.kind,
            spilled: record.spilled,
            slot: record.slot,
            spans,
            payload,
            stale: record.kind == RecordKind::Frame && self.tail < self.memory.get(FLUSHED),
        }
    }

    /// Counts how long a frame took. Nobody else writes there.
    fn count_delay(&self, written: u32) {
        if self.same_clock
            && let Some(nanoseconds) = delay::since(written)
        {
            let count = self.memory.word(delay_at(delay::bucket(nanoseconds)));
            count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
        }
    }

    /// How long frames took until they were read.
    pub(crate) fn delays(&self) -> Delays {
        Delays(self.memory.clone())
    }

    /// The head that stood in the record that was read last.
    pub(crate) fn head(&self) -> &[u8] {
        &self.scratch[self.head_at.clone()]
    }

    /// Announces a sleep until there is something to read. Whoever waits for us to do something must not go on waiting.
    pub(crate) fn sleep(&self) -> Sleep {
        self.memory.wake(SENDER_ASLEEP);
        Sleep::announce(&self.memory, RECEIVER_ASLEEP)
    }
}

/// Whether the sender says that its stream is at its end.
#[derive(Debug)]
pub(crate) struct EndFlag(Memory);

impl EndFlag {
    pub(crate) fn is_set(&self) -> bool {
        self.0.get(ENDED) != 0
    }
}

/// Where the receiver lets go of memory.
#[derive(Debug)]
pub(crate) struct Releases {
    memory: Memory,
    count: Mutex<u64>,
}

impl Releases {
    /// Wakes whoever reads, in this process.
    pub(crate) fn wake_reader(&self) {
        self.memory.wake(RECEIVER_ASLEEP);
    }

    /// The memory of `slot` is the sender's again.
    pub(crate) fn release(&self, slot: u32) {
        {
            let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
            self.memory.half(SLOTS + 4 * (*count % MAX_SLOTS) as usize).store(slot, SeqCst);
            *count += 1;
            self.memory.set(RELEASED, *count);
        }
        self.memory.wake_sender();
    }
}
