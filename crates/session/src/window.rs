//! The window of a peer that gets messages: what is in flight to it, and what waits for room.

use std::collections::VecDeque;
use std::sync::Arc;

use nvdsucx_wire as wire;
use wire::StreamEvent;
use wire::message::Kind;

use crate::backlog::{Backlog, Limits, is_longer, time_of};
use crate::delay::monotonic;
use crate::links::{LinkId, Links};
use crate::stats::PeerCounters;
use crate::{Frame, Outgoing};

/// What is in flight to one peer.
pub(crate) struct Window {
    pub(crate) limits: Limits,
    /// What waits for room.
    pub(crate) late: Backlog<Outgoing>,
    /// Sequence number of the next frame or event.
    next: u64,
    /// What is not yet acknowledged; of events only those in between.
    sent: VecDeque<InFlight>,
    in_flight_frames: u64,
    in_flight_bytes: u64,
    pub(crate) counters: Arc<PeerCounters>,
}

/// A frame or an event in flight.
struct InFlight {
    sequence: u64,
    frame: Option<FrameInFlight>,
}

struct FrameInFlight {
    len: u64,
    /// In the stream.
    time: Option<u64>,
    /// By our clock.
    sent: u64,
}

impl Window {
    pub(crate) fn new(in_flight: Limits, waiting: Limits, counters: Arc<PeerCounters>) -> Self {
        Self {
            limits: in_flight,
            late: Backlog::new(waiting),
            next: 0,
            sent: VecDeque::new(),
            in_flight_frames: 0,
            in_flight_bytes: 0,
            counters,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.late.is_empty()
    }

    pub(crate) fn has_room(&self, len: u64, time: Option<u64>) -> bool {
        self.late.is_empty() && self.may_send(len, time)
    }

    fn may_send(&self, len: u64, time: Option<u64>) -> bool {
        let oldest = || self.sent.iter().find_map(|sent| sent.frame.as_ref()).and_then(|frame| frame.time);
        self.in_flight_frames == 0
            || (self.in_flight_frames < self.limits.frames
                && self.in_flight_bytes + len <= self.limits.bytes
                && (self.limits.time == u64::MAX || !is_longer(oldest(), time, self.limits.time)))
    }

    /// Keeps a frame until there is room; older ones may have to give way.
    pub(crate) fn wait(&mut self, item: &Outgoing) {
        let Outgoing::Frame(frame) = item else { return };
        let dropped = self.late.push_frame(item.clone(), frame.len() as u64, time_of(item));
        self.counters.dropped.add(dropped);
    }

    /// Sends what waits, as far as there is room.
    pub(crate) fn send_late(&mut self, links: &mut Links, to: LinkId) {
        while let Some(item) = self.late.first() {
            if let Outgoing::Frame(frame) = item
                && !self.may_send(frame.len() as u64, time_of(item))
            {
                return;
            }
            if let Some(mut item) = self.late.take_first() {
                self.send(links, to, &mut item);
            }
        }
    }

    /// Sends the events that wait, and drops the frames.
    pub(crate) fn give_up_late(&mut self, links: &mut Links, to: LinkId) {
        self.counters.dropped.add(self.late.drop_frames());
        self.send_late(links, to);
    }

    pub(crate) fn send(&mut self, links: &mut Links, to: LinkId, item: &mut Outgoing) {
        let time = time_of(item);
        match item {
            Outgoing::Frame(frame) => self.send_frame(links, to, frame, time),
            Outgoing::Event(event) => self.send_event(links, to, event.clone()),
        }
    }

    fn send_frame(&mut self, links: &mut Links, to: LinkId, frame: &mut Frame, time: Option<u64>) {
        frame.header.sequence = self.next;
        links.send_frame(to, &frame.header, &frame.regions);
        let len = frame.len() as u64;
        let frame = Some(FrameInFlight { len, time, sent: monotonic() });
        self.sent.push_back(InFlight { sequence: self.next, frame });
        self.next += 1;
        self.in_flight_frames += 1;
        self.in_flight_bytes += len;
        self.counters.passed(len);
        self.counters.in_flight.set(self.in_flight_frames);
    }

    pub(crate) fn send_event(&mut self, links: &mut Links, to: LinkId, mut event: StreamEvent) {
        event.sequence = self.next;
        links.send_control(to, Kind::Event(event));
        self.sent.push_back(InFlight { sequence: self.next, frame: None });
        self.next += 1;
    }

    /// Sends the event that ends this way. It is not taken by the pipeline, and so not acknowledged.
    pub(crate) fn send_last(&mut self, links: &mut Links, to: LinkId, event: StreamEvent) {
        self.send_event(links, to, event);
        self.sent.pop_back();
    }

    /// The peer has taken everything up to `sequence`.
    pub(crate) fn acknowledge(&mut self, sequence: u64) -> Result<(), ()> {
        if sequence >= self.next {
            return Err(());
        }
        while self.sent.front().is_some_and(|sent| sent.sequence <= sequence)
            && let Some(sent) = self.sent.pop_front()
        {
            let Some(frame) = sent.frame else { continue };
            self.in_flight_frames -= 1;
            self.in_flight_bytes -= frame.len;
            if sent.sequence == sequence {
                // Taken just now; those before it may have been taken long ago.
                self.counters.delays.add(monotonic().saturating_sub(frame.sent));
            }
        }
        self.counters.in_flight.set(self.in_flight_frames);
        Ok(())
    }
}
