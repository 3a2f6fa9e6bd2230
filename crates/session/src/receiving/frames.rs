//! A frame's way, from its header to the queue: it finds a place, lands there, and is put in order.

use std::time::Instant;

use nvdsucx_wire as wire;
use nvdsucx_wire::stream_event::Event;
use ucp::{Data, RegionMut, Status};
use wire::{FrameArrival, FrameHeader, StreamEvent};

use super::{Fetch, PATIENCE, Receiving};
use crate::landing::Slot;
use crate::links::{Frame, LinkId, Links};
use crate::subscriber::{Arrived, Entry, Shared, State};
use crate::{Error, Incoming, Landed, Notice, Payload, ReceivedFrame};

/// Payloads up to this length get memory of their own instead of a landing buffer.
const SMALL: usize = 64 << 10;
/// Events that may be between the frames of a window.
const EVENTS: u64 = 4096;

impl Receiving {
    pub(super) fn frame(&mut self, links: &mut Links, id: LinkId, frame: Frame) {
        let Some(sender) = self.sender.as_mut().filter(|sender| sender.id == id) else { return };
        let size = frame.data.len() as u64;
        let arrival = match wire::decode_frame(&frame.header, size) {
            Ok(arrival) => arrival,
            Err(error) => return links.broke_protocol(id, &error.to_string()),
        };
        let limit = self.max_frame_size as u64;
        // Without the trailer: what is given back when the frame is taken.
        let payload = payload_len(&arrival, size);
        if payload > limit {
            return self.too_large(links, payload);
        }
        sender.frames += 1;
        sender.bytes += payload;
        sender.counters.frames.add(1);
        sender.counters.bytes.add(payload);
        sender.counters.in_flight.set(sender.frames);
        if !sender.keeps_to(&self.limit, limit) {
            return links.broke_protocol(id, "it sends more than it was allowed to have in flight");
        }
        self.waiting.push_back((arrival, frame.data));
        self.land_waiting(links);
    }

    /// Gives every waiting frame, first come first served, a place to land while there are any.
    pub(super) fn land_waiting(&mut self, links: &mut Links) -> bool {
        let mut busy = false;
        while let Some((arrival, data)) = self.waiting.pop_front() {
            let len = data.len();
            let small = match &data {
                Data::Copied(bytes) => Some(bytes.as_slice()),
                Data::Held(held) if len <= SMALL => Some(held.bytes()),
                _ => None,
            };
            if let Some(bytes) = small {
                match Landed::copy_of(bytes) {
                    Some(landed) => self.landed(links, arrival, landed),
                    None => self.fail(links, Error::OutOfMemory(len)),
                }
                busy = true;
                continue;
            }
            // A header behind the memories is for the CPU to read.
            let for_cpu = matches!(arrival, FrameArrival::Trailer { .. });
            let slot = match self.landing.take(links.context(), len, for_cpu) {
                Ok(slot) => slot,
                Err(error) => {
                    self.fail(links, error);
                    return true;
                }
            };
            if let Some(complaint) = self.landing.take_complaint() {
                links.notify(Notice::Log(complaint));
            }
            let Some(slot) = slot else {
                self.waiting.push_front((arrival, data));
                if !self.landing.may_grow(self.max_held) {
                    return busy;
                }
                if self.landing.is_too_small_for(self.fetching.len()) {
                    self.landing.grow();
                    continue;
                }
                if self.is_starved() {
                    self.landing.grow();
                    links.notify(Notice::Log(format!(
                        "the pipeline holds all landing buffers and waits for more: there may be {} now; set \
                         `num-nvbuf` to what it needs",
                        self.landing.limit()
                    )));
                    continue;
                }
                return busy;
            };
            busy = true;
            self.land(links, arrival, data, slot);
        }
        busy
    }

    /// The pipeline waits, has nothing queued and nothing under way, and all landing buffers are with it.
    fn is_starved(&self) -> bool {
        let mut state = self.shared.lock();
        let starved = self.fetching.is_empty()
            && state.is_idle()
            && state.waiting.is_some_and(|since| since.elapsed() >= PATIENCE);
        if starved {
            // Patience starts afresh.
            state.waiting = Some(Instant::now());
        }
        starved
    }

    fn land(&mut self, links: &mut Links, arrival: FrameArrival, data: Data, mut slot: Slot) {
        let len = data.len();
        match data {
            Data::Rendezvous(rendezvous) => {
                self.last_cookie += 1;
                let fetch = Fetch { epoch: self.epoch, arrival, slot: slot.id, len };
                self.fetching.insert(self.last_cookie, fetch);
                rendezvous.receive(slot.region, self.last_cookie);
            }
            Data::Held(held) => {
                let landed = match slot.region.host_bytes_mut() {
                    Some(target) => {
                        target[..len].copy_from_slice(held.bytes());
                        Some(self.landing.landed(slot, len))
                    }
                    // It is the CPU's memory already.
                    None => {
                        self.landing.put_back(slot);
                        Landed::copy_of(held.bytes())
                    }
                };
                match landed {
                    Some(landed) => self.landed(links, arrival, landed),
                    None => self.fail(links, Error::OutOfMemory(len)),
                }
            }
            Data::Copied(_) => self.landing.put_back(slot),
        }
    }

    pub(super) fn received(
        &mut self,
        links: &mut Links,
        cookie: u64,
        region: RegionMut,
        result: Result<(), Status>,
    ) {
        let Some(fetch) = self.fetching.remove(&cookie) else { return };
        let slot = Slot { id: fetch.slot, region };
        if fetch.epoch != self.epoch || self.sender.is_none() {
            return self.landing.put_back(slot);
        }
        match result {
            Ok(()) => {
                let landed = self.landing.landed(slot, fetch.len);
                self.landed(links, fetch.arrival, landed);
            }
            Err(status) => {
                // The connection is broken, which is reported by itself; the frame is lost with it.
                let text = format!("a frame of {} bytes could not be fetched: {status}", fetch.len);
                links.notify(Notice::Log(text));
                self.landing.put_back(slot);
            }
        }
    }

    /// A frame is here in whole.
    pub(super) fn landed(&mut self, links: &mut Links, arrival: FrameArrival, mut landed: Landed) {
        let Some(sender) = &mut self.sender else { return };
        let header = match arrival {
            FrameArrival::Inline { header, .. } => Ok(header),
            FrameArrival::Trailer { payload_len, .. } => read_trailer(&mut landed, payload_len),
        };
        let id = sender.id;
        match header {
            Ok(header) => {
                let sequence = header.sequence;
                let frame = ReceivedFrame { header, payload: Payload::Landed(landed), discontinuity: false };
                self.arrived(links, id, sequence, Incoming::Frame(frame));
            }
            Err(cause) => links.broke_protocol(id, &cause),
        }
    }

    pub(super) fn event(&mut self, links: &mut Links, id: LinkId, event: StreamEvent) {
        let max_frame_size = self.max_frame_size as u64;
        let Some(sender) = self.sender.as_mut().filter(|sender| sender.id == id) else { return };
        sender.bytes += wire::event_len(&event);
        if sender.keeps_to(&self.limit, max_frame_size) {
            self.arrived(links, id, event.sequence, Incoming::Event(event));
        } else {
            links.broke_protocol(id, "it sends more than it was allowed to have in flight");
        }
    }

    /// Puts an item where it belongs, and queues what is complete from the front on.
    fn arrived(&mut self, links: &mut Links, id: LinkId, sequence: u64, item: Incoming) {
        let Some(sender) = &mut self.sender else { return };
        if sender.end_in_ring.is_some() {
            return links.broke_protocol(id, "it goes on where it said that it would use the ring");
        }
        let Some(index) = sequence
            .checked_sub(sender.next)
            .filter(|ahead| *ahead < u64::from(self.limit.frames) + EVENTS)
            .map(|ahead| ahead as usize)
        else {
            let cause = format!("number {sequence} arrived where {} is next", sender.next);
            return links.broke_protocol(id, &cause);
        };
        if sender.pending.len() <= index {
            sender.pending.resize_with(index + 1, || None);
        }
        if sender.pending[index].is_some() {
            return links.broke_protocol(id, &format!("number {sequence} arrived twice"));
        }
        sender.pending[index] = Some(item);
        let mut state = self.shared.lock();
        while let Some(Some(_)) = sender.pending.front() {
            let Some(Some(mut item)) = sender.pending.pop_front() else { break };
            let sequence = sender.next;
            sender.next += 1;
            match &mut item {
                Incoming::Frame(frame) => frame.discontinuity = std::mem::take(&mut sender.discontinuity),
                Incoming::Event(event) => match event.event {
                    Some(Event::Eos(_)) => sender.ended = true,
                    Some(Event::StreamStart(_) | Event::Segment(_)) => sender.ended = false,
                    Some(Event::Flush(_)) => {
                        sender.ended = false;
                        drop_frames(&mut state, &self.shared);
                    }
                    Some(Event::Ring(_)) => {
                        let ring = sender.ring.take();
                        let Some(mut ring) = ring.filter(|_| sender.pending.is_empty()) else {
                            drop(state);
                            return links
                                .broke_protocol(id, "it uses a ring that is not there, or not alone");
                        };
                        ring.discontinuity = sender.discontinuity;
                        sender.end_in_ring = Some(ring.end_flag());
                        sender.counters.set_mapped(ring.delays());
                        state.queue.push_back(Entry::Ring(ring));
                        continue;
                    }
                    _ => {}
                },
            }
            state.queue.push_back(Entry::Item(Arrived { epoch: self.epoch, sequence, item }));
        }
        if state.queue.len() as u64 > u64::from(self.limit.frames) + EVENTS {
            drop(state);
            return links.broke_protocol(id, "it sends more events than there is room for");
        }
        if !state.queue.is_empty() {
            self.shared.wake(state);
        }
    }
}

/// Drops the queued frames, as if they had been taken.
fn drop_frames(state: &mut State, shared: &Shared) {
    for entry in std::mem::take(&mut state.queue) {
        match entry {
            Entry::Item(arrived) if matches!(arrived.item, Incoming::Frame(_)) => {
                state.taken.count(&arrived);
                shared.counters.dropped_flushed.add(1);
            }
            entry => state.queue.push_back(entry),
        }
    }
}

fn payload_len(arrival: &FrameArrival, data_len: u64) -> u64 {
    match arrival {
        FrameArrival::Inline { .. } => data_len,
        FrameArrival::Trailer { payload_len, .. } => *payload_len,
    }
}

/// Reads the header behind the payload, and cuts it off.
fn read_trailer(landed: &mut Landed, payload_len: u64) -> Result<FrameHeader, String> {
    let split = usize::try_from(payload_len).map_err(|error| error.to_string())?;
    let header = {
        let bytes = landed.host_bytes().ok_or("a long frame header landed where the CPU cannot read it")?;
        wire::decode_trailer(&bytes[split..], payload_len).map_err(|error| error.to_string())?
    };
    landed.truncate(split);
    Ok(header)
}
