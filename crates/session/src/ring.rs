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
//! | 256 | tail: bytes of records read so far | receiver |
//! | 264 | taken: frames read so far | receiver |
//! | 384 | released: slots released so far | receiver |
//! | 512 | receiver asleep: 1 while it waits for records (a futex) | both |
//! | 640 | sender asleep: 1 while it waits for room (a futex) | both |
//! | 648, 656, 664 | tail, taken, released that the sender waits for | sender |
//! | 4096 | the slots released, as a ring of 4 bytes each | receiver |
//! | 20480 | the records | sender |
//!
//! A side is woken by a futex, and only while its word says that it sleeps. Nobody trusts the other to do so: every sleep
//! ends by itself after [`LONGEST_SLEEP`].

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use nvdsucx_wire::{DecodeError, RecordHead, RecordKind, Span};
use rustix::thread::futex;
use rustix::time::Timespec;
use ucp::{Mapping, Region};

const SECRET: usize = 0;
const ANSWER: usize = 8;
const HEAD: usize = 128;
const FLUSHED: usize = 136;
const ENDED: usize = 144;
const TAIL: usize = 256;
const TAKEN: usize = 264;
const RELEASED: usize = 384;
const RECEIVER_ASLEEP: usize = 512;
const SENDER_ASLEEP: usize = 640;
const WANTED_TAIL: usize = 648;
const WANTED_TAKEN: usize = 656;
const WANTED_RELEASED: usize = 664;
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
    #[error("{len} bytes at {offset} of shared memory {memory}, which it does not have")]
    Span { memory: u32, offset: u64, len: u64 },
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

    /// Sleeps until woken, unless it was woken since it was announced.
    pub(crate) fn sleep(&self) {
        // However it ends, the caller looks again.
        let word = self.memory.half(self.word);
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

/// What goes into a record.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) kind: RecordKind,
    /// Encoded header or event; empty if it is in the last span.
    pub(crate) head: &'a [u8],
    pub(crate) spilled: bool,
    pub(crate) spans: &'a [Span],
    /// The memory of the spans, held until the receiver lets go of it.
    pub(crate) held: [&'a [Region]; 2],
    /// Payload for the record itself.
    pub(crate) payload: &'a [Region],
}

impl Record<'_> {
    fn payload_len(&self) -> usize {
        self.payload.iter().map(Region::len).sum()
    }

    fn held_len(&self) -> u64 {
        self.held.iter().copied().flatten().map(|region| region.len() as u64).sum()
    }

    fn head(&self, slot: Option<u32>) -> Option<RecordHead> {
        let spans = self.spans.len();
        RecordHead::new(self.kind, slot, spans, self.spilled, self.head.len(), self.payload_len())
    }
}

/// The most that may be in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

/// Memory that the receiver has not let go of.
#[derive(Debug)]
pub(crate) struct InFlight {
    len: u64,
    _held: Vec<Region>,
}

/// The sender's end.
#[derive(Debug)]
pub(crate) struct Writer {
    memory: Memory,
    limits: Limits,
    head: u64,
    /// As last seen.
    tail: u64,
    taken: u64,
    released: u64,
    /// Frames written.
    frames: u64,
    slots: Vec<Option<InFlight>>,
    free: Vec<u32>,
    in_flight_bytes: u64,
    scratch: Vec<u8>,
}

impl Writer {
    /// A ring in fresh memory of [`LEN`] bytes.
    pub(crate) fn new(memory: Mapping, secret: u64, limits: Limits) -> Self {
        let memory = Memory(Arc::new(memory));
        memory.set(SECRET, secret);
        Self {
            memory,
            limits: Limits { frames: limits.frames.clamp(1, MAX_SLOTS), bytes: limits.bytes },
            head: 0,
            tail: 0,
            taken: 0,
            released: 0,
            frames: 0,
            slots: Vec::new(),
            free: Vec::new(),
            in_flight_bytes: 0,
            scratch: Vec::new(),
        }
    }

    /// Whether the receiver has mapped this very memory: it knows its token.
    pub(crate) fn is_answered(&self, token: u64) -> bool {
        self.memory.get(ANSWER) == token
    }

    /// Looks what the receiver has done. What it let go of is put into `freed`, to be dropped where no lock is held.
    pub(crate) fn collect(&mut self, freed: &mut Vec<InFlight>) -> Result<(), Broken> {
        let jump = |what, from, to| Err(Broken::Jump { what, from, to });
        let tail = self.memory.get(TAIL);
        if !(self.tail..=self.head).contains(&tail) {
            return jump("the tail", self.tail, tail);
        }
        let taken = self.memory.get(TAKEN);
        if !(self.taken..=self.frames).contains(&taken) {
            return jump("the count of frames", self.taken, taken);
        }
        (self.tail, self.taken) = (tail, taken);
        let released = self.memory.get(RELEASED);
        let held = (self.slots.len() - self.free.len()) as u64;
        if !(self.released..=self.released + held).contains(&released) {
            return jump("the count of released frames", self.released, released);
        }
        while self.released < released {
            let at = SLOTS + 4 * (self.released % MAX_SLOTS) as usize;
            let slot = self.memory.half(at).load(SeqCst);
            let Some(in_flight) = self.slots.get_mut(slot as usize).and_then(Option::take) else {
                return Err(Broken::Released(slot));
            };
            self.in_flight_bytes -= in_flight.len;
            self.free.push(slot);
            self.released += 1;
            freed.push(in_flight);
        }
        Ok(())
    }

    /// Frames written so far.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames not yet taken, or taken and not yet released.
    pub(crate) fn in_flight(&self) -> u64 {
        (self.frames - self.taken).max((self.slots.len() - self.free.len()) as u64)
    }

    /// Whether the receiver has taken everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.tail == self.head
    }

    /// The same, looking afresh.
    pub(crate) fn is_taken(&self) -> bool {
        self.memory.get(TAIL) == self.head
    }

    /// Whether memory of ours is still with the receiver.
    pub(crate) fn is_held(&self) -> bool {
        self.free.len() < self.slots.len()
    }

    /// Whether `record` can go: there is room for it, and, if it is a frame, not enough in flight.
    pub(crate) fn has_room(&self, record: &Record<'_>) -> bool {
        let Some(head) = record.head(None) else { return false };
        if self.head - self.tail + self.padding(head.len) + u64::from(head.len) > CAPACITY {
            return false;
        }
        let slots = (self.slots.len() - self.free.len()) as u64;
        if slots >= MAX_SLOTS {
            return record.spans.is_empty();
        }
        record.kind != RecordKind::Frame
            || self.in_flight() == 0
            || (self.in_flight() < self.limits.frames
                && self.in_flight_bytes + record.held_len() <= self.limits.bytes)
    }

    /// What is left of the ring's end if `len` bytes do not fit there.
    fn padding(&self, len: u32) -> u64 {
        let rest = CAPACITY - self.head % CAPACITY;
        if u64::from(len) > rest { rest } else { 0 }
    }

    /// Writes `record`, which must have [room](Self::has_room), and wakes the receiver if it sleeps.
    pub(crate) fn write(&mut self, record: &Record<'_>) {
        let slot = (!record.spans.is_empty()).then(|| self.hold(record));
        let head = record.head(slot).expect("a record that has room has a head");
        let padding = self.padding(head.len);
        if padding > 0 {
            // As far as it has room: a rest of less than 24 bytes is of 8 or 16 bytes, and the length is in the first 4.
            let pad = RecordHead::pad(padding as u32).encode();
            self.put(self.head, &pad[..pad.len().min(padding as usize)]);
            self.head += padding;
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(&head.encode());
        for span in record.spans {
            self.scratch.extend_from_slice(&span.encode());
        }
        self.scratch.extend_from_slice(record.head);
        self.put(self.head, &self.scratch);
        let mut at = self.head + head.payload_start() as u64;
        for region in record.payload {
            if let Some(bytes) = region.host_bytes() {
                self.put(at, bytes);
            }
            at += region.len() as u64;
        }
        self.head += u64::from(head.len);
        self.frames += u64::from(record.kind == RecordKind::Frame);
        self.memory.set(HEAD, self.head);
        self.memory.wake(RECEIVER_ASLEEP);
    }

    /// Keeps the memory of `record` until the slot is released.
    fn hold(&mut self, record: &Record<'_>) -> u32 {
        let in_flight = InFlight { len: record.held_len(), _held: record.held.concat() };
        self.in_flight_bytes += in_flight.len;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            // At most MAX_SLOTS.
            (self.slots.len() - 1) as u32
        });
        self.slots[slot as usize] = Some(in_flight);
        slot
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        let written = self.memory.0.write(RECORDS + (at % CAPACITY) as usize, bytes);
        debug_assert!(written, "records are within the ring");
    }

    /// Frames written so far are stale.
    pub(crate) fn flush(&self) {
        self.memory.set(FLUSHED, self.head);
    }

    /// Whether the end of the stream was the last that went.
    pub(crate) fn set_ended(&self, ended: bool) {
        self.memory.set(ENDED, ended.into());
    }

    /// Announces a sleep until the receiver has taken and released half of what it has: waking up for each frame would cost
    /// more than the frame. (If the receiver has nothing to do it wakes us in any case.)
    pub(crate) fn sleep_until_half(&self) -> Sleep {
        let held = (self.slots.len() - self.free.len()) as u64;
        self.announce(
            self.tail + (self.head - self.tail).div_ceil(2),
            self.taken + (self.frames - self.taken).div_ceil(2),
            self.released + held.div_ceil(2),
        )
    }

    /// Announces a sleep until the receiver has taken everything.
    pub(crate) fn sleep_until_empty(&self) -> Sleep {
        self.announce(self.head, 0, 0)
    }

    fn announce(&self, tail: u64, taken: u64, released: u64) -> Sleep {
        self.memory.set(WANTED_TAIL, tail);
        self.memory.set(WANTED_TAKEN, taken);
        self.memory.set(WANTED_RELEASED, released);
        Sleep::announce(&self.memory, SENDER_ASLEEP)
    }
}

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
    tail: u64,
    taken: u64,
    releases: Arc<Releases>,
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
        let releases = Arc::new(Releases { memory: memory.clone(), count: Mutex::new(0) });
        Some(Self { memory, tail: 0, taken: 0, releases, scratch: Vec::new(), head_at: 0..0 })
    }

    /// To release slots with, from any thread.
    pub(crate) fn releases(&self) -> &Arc<Releases> {
        &self.releases
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
            self.taken += u64::from(record.kind == RecordKind::Frame);
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

#[cfg(test)]
mod tests {
    use ucp::{Context, Setting};

    use super::*;

    /// Both ends, in one process.
    fn ring(limits: Limits) -> (Writer, Reader) {
        let setting = Setting { name: "LOG_LEVEL", value: "fatal", force: false };
        let memory = Context::new("ring", &[setting]).unwrap().share(LEN).unwrap().mapping;
        let writer = Writer::new(memory, 7, limits);
        let memory = writer.memory.clone();
        let releases = Arc::new(Releases { memory: memory.clone(), count: Mutex::new(0) });
        let reader = Reader { memory, tail: 0, taken: 0, releases, scratch: Vec::new(), head_at: 0..0 };
        (writer, reader)
    }

    const PLENTY: Limits = Limits { frames: 1000, bytes: u64::MAX };

    fn frame<'a>(head: &'a [u8], payload: &'a [Region]) -> Record<'a> {
        Record { kind: RecordKind::Frame, head, spilled: false, spans: &[], held: [&[], &[]], payload }
    }

    fn span(len: u64) -> Span {
        Span { memory: 1, offset: 0, len }
    }

    #[test]
    fn records_of_every_length_come_out_as_they_went_in() {
        let (mut writer, mut reader) = ring(PLENTY);
        let mut freed = Vec::new();
        for n in 0..20_000_usize {
            let head = vec![n as u8; n % 300];
            let payload = [Region::from(vec![1; n * 7 % 1000]), Region::from(vec![2; n % 5])];
            let record = frame(&head, &payload);
            writer.collect(&mut freed).unwrap();
            assert!(writer.has_room(&record), "record {n}");
            writer.write(&record);
            if n % 3 == 0 {
                continue;
            }
            for n in if n % 3 == 1 { vec![n - 1, n] } else { vec![n] } {
                let read = reader.read().unwrap().unwrap();
                assert_eq!(reader.head(), vec![n as u8; n % 300]);
                assert_eq!(read.payload, [vec![1; n * 7 % 1000], vec![2; n % 5]].concat());
            }
        }
    }

    #[test]
    fn a_full_ring_has_no_room_until_it_is_read() {
        let (mut writer, mut reader) = ring(PLENTY);
        let mut freed = Vec::new();
        let payload = [Region::from(vec![0; MAX_RECORD - 100])];
        let record = frame(&[], &payload);
        for _ in 0..3 {
            let mut written = 0;
            while writer.has_room(&record) {
                writer.write(&record);
                written += 1;
            }
            assert!((7..=8).contains(&written), "{written}");
            while reader.read().unwrap().is_some() {}
            writer.collect(&mut freed).unwrap();
        }
    }

    #[test]
    fn memory_is_held_until_it_is_released() {
        let (mut writer, mut reader) = ring(Limits { frames: 3, bytes: 100 });
        let mut freed = Vec::new();
        let owner = Arc::new(vec![0; 40]);
        let held = [Region::owned_by(Arc::clone(&owner))];
        let spans = [span(40)];
        let record = Record { spans: &spans, held: [&held, &[]], ..frame(&[], &[]) };
        writer.write(&record);
        writer.write(&record);
        assert!(!writer.has_room(&record), "more bytes than may be in flight");
        let slots: Vec<_> = (0..2).map(|_| reader.read().unwrap().unwrap().slot.unwrap()).collect();
        writer.collect(&mut freed).unwrap();
        assert!(freed.is_empty() && writer.is_held() && writer.is_empty());
        reader.releases().release(slots[1]);
        reader.releases().release(slots[0]);
        writer.collect(&mut freed).unwrap();
        assert!(!writer.is_held() && writer.has_room(&record));
        assert_eq!(Arc::strong_count(&owner), 4, "the frames' two, until they are dropped");
        drop((freed, held));
        assert_eq!(Arc::strong_count(&owner), 1);
    }

    #[test]
    fn a_receiver_that_lies_is_found_out() {
        let lies: [(&str, usize, u64); 4] = [
            ("takes what was not sent", TAIL, 1 << 40),
            ("counts frames that were not sent", TAKEN, 2),
            ("releases more than it has", RELEASED, 2),
            ("releases what it does not have", RELEASED, 1),
        ];
        for (lie, word, value) in lies {
            let (mut writer, _) = ring(PLENTY);
            let held = [Region::from(vec![0; 8])];
            let spans = [span(8)];
            writer.write(&Record { spans: &spans, held: [&held, &[]], ..frame(&[], &[]) });
            writer.memory.half(SLOTS).store(77, SeqCst);
            writer.memory.set(word, value);
            assert!(writer.collect(&mut Vec::new()).is_err(), "{lie}");
        }
        let (mut writer, mut reader) = ring(PLENTY);
        writer.write(&frame(b"head", &[]));
        reader.read().unwrap();
        writer.collect(&mut Vec::new()).unwrap();
        writer.memory.set(TAIL, 0);
        assert!(writer.collect(&mut Vec::new()).is_err(), "gives back what it has taken");
    }

    #[test]
    fn a_sender_that_lies_is_found_out() {
        for head in [4, CAPACITY + 8, u64::MAX - 7] {
            let (writer, mut reader) = ring(PLENTY);
            writer.memory.set(HEAD, head);
            assert!(reader.read().is_err(), "head {head}");
        }
    }

    #[test]
    fn rubbish_in_the_ring_is_no_harm() {
        let (writer, mut reader) = ring(PLENTY);
        let mut state = 1_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let (mut good, mut bad) = (0, 0);
        for _ in 0..20_000 {
            let mut fixed = [0; RecordHead::LEN];
            fixed.fill_with(|| random() as u8 & random() as u8 & random() as u8);
            // Likely enough for a record that some are taken.
            fixed[0] &= 0xf8;
            for at in [2, 3, 7, 13, 14, 15, 17, 18, 19] {
                fixed[at] &= random() as u8 & random() as u8 & random() as u8;
            }
            let at = reader.tail % CAPACITY;
            let fits = fixed.len().min((CAPACITY - at) as usize);
            writer.memory.0.write(RECORDS + at as usize, &fixed[..fits]);
            writer.memory.set(HEAD, reader.tail + ((random() % CAPACITY) & !7));
            match reader.read() {
                Ok(_) => good += 1,
                Err(_) => bad += 1,
            }
        }
        assert!(good > 100 && bad > 100, "{good} good, {bad} bad");
    }
}
