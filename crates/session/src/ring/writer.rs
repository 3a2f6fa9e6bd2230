//! The sender's end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use nvdsucx_wire::{RecordHead, RecordKind, Span};
use ucp::{Mapping, Region};

use super::{
    ANSWER, Broken, CAPACITY, Delays, ENDED, FLUSHED, HEAD, MADE, MAX_SLOTS, Memory, RECEIVER_ASLEEP,
    RECORDS, RELEASED, SECRET, SENDER_ASLEEP, SLOTS, Sleep, TAIL, TAKEN, WANTED_RELEASED, WANTED_TAIL,
    WANTED_TAKEN,
};
use crate::backlog::{Limits, is_longer};
use crate::delay;

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
    /// When the frame is, in the stream.
    pub(crate) time: Option<u64>,
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

/// Memory that the receiver has not let go of.
#[derive(Debug)]
pub(crate) struct InFlight {
    len: u64,
    held: Vec<Region>,
}

/// The sender's end.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) memory: Memory,
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
    /// When the frames that were not taken are, if that is limited.
    times: VecDeque<Option<u64>>,
    scratch: Vec<u8>,
}

impl Writer {
    /// A ring in fresh memory of [`LEN`] bytes.
    pub(crate) fn new(memory: Mapping, secret: u64, limits: Limits) -> Self {
        let memory = Memory(Arc::new(memory));
        memory.set(SECRET, secret);
        memory.set(MADE, delay::monotonic());
        Self {
            memory,
            limits: Limits { frames: limits.frames.clamp(1, MAX_SLOTS), ..limits },
            head: 0,
            tail: 0,
            taken: 0,
            released: 0,
            frames: 0,
            slots: Vec::new(),
            free: Vec::new(),
            in_flight_bytes: 0,
            times: VecDeque::new(),
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
        if !self.times.is_empty() {
            // At most as many as are in the ring.
            self.times.drain(..self.times.len().saturating_sub((self.frames - taken) as usize));
        }
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

    /// How long its frames took until they were taken.
    pub(crate) fn delays(&self) -> Delays {
        Delays(self.memory.clone())
    }

    /// Whether the receiver has taken everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.tail == self.head
    }

    /// The same, looking afresh.
    pub(crate) fn is_taken(&self) -> bool {
        self.memory.get(TAIL) == self.head
    }

    /// Whether memory of ours is still with the receiver, and the receiver still there: the ring stays mapped as long as it
    /// has anything of ours.
    pub(crate) fn is_held(&self) -> bool {
        self.free.len() < self.slots.len() && self.memory.0.mappings() != Some(1)
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
        // Who has taken everything may need one more before it lets go of any.
        record.kind != RecordKind::Frame
            || self.in_flight() == 0
            || self.is_empty()
            || (self.in_flight() < self.limits.frames
                && self.in_flight_bytes + record.held_len() <= self.limits.bytes
                && !is_longer(self.times.front().copied().flatten(), record.time, self.limits.time))
    }

    /// What is left of the ring's end if `len` bytes do not fit there.
    fn padding(&self, len: u32) -> u64 {
        let rest = CAPACITY - self.head % CAPACITY;
        if u64::from(len) > rest { rest } else { 0 }
    }

    /// Writes `record`, which must have [room](Self::has_room), and wakes the receiver if it sleeps.
    pub(crate) fn write(&mut self, record: &Record<'_>) {
        let slot = (!record.spans.is_empty()).then(|| self.hold(record));
        let mut head = record.head(slot).expect("a record that has room has a head");
        if record.kind == RecordKind::Frame {
            head.written = delay::stamp();
            if self.limits.time < u64::MAX {
                self.times.push_back(record.time);
            }
        }
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
        let in_flight = InFlight { len: record.held_len(), held: record.held.concat() };
        self.in_flight_bytes += in_flight.len;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            // At most MAX_SLOTS.
            (self.slots.len() - 1) as u32
        });
        self.slots[slot as usize] = Some(in_flight);
        slot
    }

    /// Whether the peer has, or is yet to read, a frame in such a region.
    pub(crate) fn holds(&self, is_such: impl Fn(&Region) -> bool) -> bool {
        self.slots.iter().flatten().flat_map(|in_flight| &in_flight.held).any(is_such)
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
