//! What goes to a peer that reads our memory: frames where they are, or copied once to where it can read them.

use std::sync::Arc;

use nvdsucx_wire as wire;
use nvdsucx_wire::stream_event::Event;
use ucp::{MemoryKind, Region};
use wire::{RecordKind, Span};

use crate::arena::Arena;
use crate::backlog::{Backlog, Limits, time_of};
use crate::device::{Allocations, Opened};
use crate::links::LinkId;
use crate::ring::{Broken, InFlight, MAX_RECORD, Record, Sleep, Writer};
use crate::stats::PeerCounters;
use crate::{Error, Frame, Outgoing};

/// Payloads up to this length, in bytes, go into the ring itself: copying them twice costs less than letting go of memory.
const SMALL: usize = 16 << 10;

/// Where frames may stay.
pub(crate) struct Memory<'a> {
    pub(crate) arena: &'a Arena,
    pub(crate) allocations: &'a Allocations,
    /// Whether the peers may be able to read a device's memory.
    pub(crate) reachable: bool,
}

impl Memory<'_> {
    fn locate(&self, region: &Region) -> Option<Span> {
        match region.kind() {
            MemoryKind::Host => self.arena.locate(region),
            _ if self.reachable => self.allocations.locate(region),
            _ => None,
        }
    }
}

/// What goes into rings for a frame or an event, besides itself.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    kind: RecordKind,
    /// Encoded header or event.
    head: Vec<u8>,
    spans: Vec<Span>,
    /// The payload goes into the ring.
    small: bool,
    /// A head that is too long for the ring, and a payload that was copied.
    copies: Vec<Region>,
    spilled: bool,
    /// The payload is in a device's memory.
    on_device: bool,
}

impl Prepared {
    /// For `item`. What is elsewhere than in the arena is copied there, once, unless it is small.
    pub(crate) fn new(item: &Outgoing, memory: &Memory<'_>) -> Result<Self, Error> {
        let mut prepared = match item {
            Outgoing::Event(event) => Self::of(RecordKind::Event, wire::encode_event(event)),
            Outgoing::Frame(frame) => Self::frame(frame, memory)?,
        };
        if prepared.head.len() > MAX_RECORD / 4 {
            let head = Region::from(std::mem::take(&mut prepared.head));
            let (span, region) = copy(&[head], memory)?;
            prepared.spans.push(span);
            prepared.copies.push(region);
            prepared.spilled = true;
        }
        Ok(prepared)
    }

    fn of(kind: RecordKind, head: Vec<u8>) -> Self {
        Self {
            kind,
            head,
            spans: Vec::new(),
            small: false,
            copies: Vec::new(),
            spilled: false,
            on_device: false,
        }
    }

    fn frame(frame: &Frame, memory: &Memory<'_>) -> Result<Self, Error> {
        let mut head = Vec::with_capacity(128);
        frame.header.append_to(&mut head);
        let mut prepared = Self::of(RecordKind::Frame, head);
        let on_device = frame.regions.iter().any(|region| region.kind() != MemoryKind::Host);
        if frame.len() <= SMALL && !on_device {
            prepared.small = true;
            return Ok(prepared);
        }
        let there = frame.regions.iter().map(|region| memory.locate(region)).collect::<Option<Vec<_>>>();
        if let Some(spans) = there {
            prepared.spans = spans;
            prepared.on_device = on_device;
            return Ok(prepared);
        }
        let (span, region) = copy(&frame.regions, memory)?;
        let mut offset = span.offset;
        for part in &frame.regions {
            let len = part.len() as u64;
            prepared.spans.push(Span { offset, len, ..span });
            offset += len;
        }
        prepared.copies.push(region);
        Ok(prepared)
    }

    /// The payload was copied to where the peers can read it.
    pub(crate) fn is_copied(&self) -> bool {
        // What is left is the head.
        self.copies.len() > usize::from(self.spilled)
    }

    fn record<'a>(&'a self, item: &'a Outgoing) -> Record<'a> {
        let regions: &[Region] = match item {
            Outgoing::Frame(frame) => &frame.regions,
            Outgoing::Event(_) => &[],
        };
        let (payload, there): (&[_], &[_]) = if self.small { (regions, &[]) } else { (&[], regions) };
        // Where the payload was copied, the copy is what is held.
        let held = [&self.copies[..], if self.is_copied() { &[] } else { there }];
        let Self { kind, head, spans, spilled, .. } = self;
        Record { kind: *kind, head, spilled: *spilled, spans, held, payload, time: time_of(item) }
    }
}

/// `parts`, one after the other, in memory of the arena.
fn copy(parts: &[Region], memory: &Memory<'_>) -> Result<(Span, Region), Error> {
    let Memory { arena, allocations, .. } = memory;
    let len = parts.iter().map(Region::len).sum();
    let mut block = arena.allocate(len).ok_or(Error::OutOfSharedMemory(len))?;
    let mut rest = block.as_mut();
    for part in parts {
        let (here, after) = rest.split_at_mut(part.len());
        allocations.download(part, here).map_err(Error::Device)?;
        rest = after;
    }
    let region = Region::owned_by(Arc::new(block));
    let span = arena.locate(&region).ok_or(Error::OutOfSharedMemory(len))?;
    Ok((span, region))
}

/// The way to a peer that reads our memory.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) id: LinkId,
    writer: Writer,
    /// What found no room and waits for some: events, and frames if the sender would rather drop old ones.
    late: Backlog<(Prepared, Outgoing)>,
    /// The peer is too slow, and about to be disconnected: it gets nothing more.
    pub(crate) too_slow: bool,
    /// Memory of a device that the peer has opened.
    pub(crate) opened: Opened,
    counters: Arc<PeerCounters>,
}

impl Ring {
    /// `waiting`: what may wait for room.
    pub(crate) fn new(
        id: LinkId,
        writer: Writer,
        waiting: Limits,
        opened: Opened,
        counters: Arc<PeerCounters>,
    ) -> Self {
        Self { id, writer, late: Backlog::new(waiting), too_slow: false, opened, counters }
    }

    /// Looks what the peer has done, and sends what found no room before.
    pub(crate) fn collect(&mut self, freed: &mut Vec<InFlight>) -> Result<(), Broken> {
        self.writer.collect(freed)?;
        while let Some((prepared, item)) = self.late.first()
            && self.writer.has_room(&prepared.record(item))
            && let Some((prepared, item)) = self.late.take_first()
        {
            self.write(&prepared, &item);
        }
        self.counters.in_flight.set(self.writer.in_flight());
        Ok(())
    }

    /// The peer has taken everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.late.is_empty() && self.writer.is_empty()
    }

    /// The peer has taken everything, as far as is known now.
    pub(crate) fn is_taken(&self) -> bool {
        self.late.is_empty() && self.writer.is_taken()
    }

    /// Frames sent so far.
    pub(crate) fn frames(&self) -> u64 {
        self.writer.frames()
    }

    /// The peer, which may be gone from the session, lives and has memory of ours.
    pub(crate) fn is_held(&self) -> bool {
        self.writer.is_held()
    }

    /// Whether the peer can read the payload where it is.
    pub(crate) fn reaches(&self, prepared: &Prepared) -> bool {
        // The last span may be the head's, in memory of ours; that is never a device's.
        let payload = prepared.spans.len() - usize::from(prepared.spilled);
        !prepared.on_device || prepared.spans[..payload].iter().all(|span| self.opened.contains(&span.memory))
    }

    /// Whether the peer has, or is yet to get, a frame in such a region.
    pub(crate) fn holds(&self, is_such: impl Fn(&Region) -> bool + Copy) -> bool {
        let waits = |(_, item): &(Prepared, Outgoing)| match item {
            Outgoing::Frame(frame) => frame.regions.iter().any(is_such),
            Outgoing::Event(_) => false,
        };
        self.writer.holds(is_such) || self.late.iter().any(waits)
    }

    /// Something waits for room.
    pub(crate) fn is_late(&self) -> bool {
        !self.late.is_empty()
    }

    pub(crate) fn has_room(&self, prepared: &Prepared, item: &Outgoing) -> bool {
        self.too_slow || (self.late.is_empty() && self.writer.has_room(&prepared.record(item)))
    }

    /// Sends `item`, or, if it finds no room, keeps it until there is some; older frames may have to give way then.
    pub(crate) fn send(&mut self, prepared: &Prepared, item: &Outgoing) {
        if matches!(item, Outgoing::Event(event) if matches!(event.event, Some(Event::Flush(_)))) {
            self.counters.dropped.add(self.late.drop_frames());
        }
        if self.has_room(prepared, item) {
            return self.write(prepared, item);
        }
        let late = (prepared.clone(), item.clone());
        match item {
            Outgoing::Event(_) => self.late.push_event(late),
            Outgoing::Frame(frame) => {
                let dropped = self.late.push_frame(late, frame.len() as u64, time_of(item));
                self.counters.dropped.add(dropped);
            }
        }
    }

    /// The peer does without a frame.
    pub(crate) fn miss(&self) {
        self.counters.dropped.add(1);
    }

    fn write(&mut self, prepared: &Prepared, item: &Outgoing) {
        match item {
            Outgoing::Frame(frame) => {
                self.counters.passed(frame.len() as u64);
            }
            Outgoing::Event(event) => match event.event {
                Some(Event::Flush(_)) => {
                    self.writer.flush();
                    self.writer.set_ended(false);
                }
                Some(Event::StreamStart(_) | Event::Segment(_)) => self.writer.set_ended(false),
                Some(Event::Eos(_)) => self.writer.set_ended(true),
                _ => {}
            },
        }
        self.writer.write(&prepared.record(item));
    }

    /// Announces a sleep until there is room; `None` if there is by now.
    pub(crate) fn wait_for_room(
        &mut self,
        prepared: &Prepared,
        item: &Outgoing,
        freed: &mut Vec<InFlight>,
    ) -> Option<Sleep> {
        let sleep = self.writer.sleep_until_half();
        let ready = self.collect(freed).is_err() || self.has_room(prepared, item);
        sleep.unless(ready)
    }

    /// Announces a sleep until the peer has taken everything; `None` if it has by now.
    pub(crate) fn wait_until_empty(&mut self, freed: &mut Vec<InFlight>) -> Option<Sleep> {
        let sleep = self.writer.sleep_until_empty();
        let ready = self.collect(freed).is_err() || self.is_empty();
        sleep.unless(ready)
    }
}
