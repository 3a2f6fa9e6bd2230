//! What UCX carries, to the peers and from them.

use std::time::Instant;

use nvdsucx_wire as wire;
use nvdsucx_wire::message::Kind;
use ucp::{Data, Event, Region, SendMode};

use super::{DRAIN_QUIET, Frame, Link, LinkEvent, LinkId, Links, Stage};
use crate::{Notice, monotonic};

/// The cookie of a frame that is sent; that of all else is 0.
const FRAME: u64 = 1;

impl Links {
    /// Lets UCX work and handles what happened. Returns whether anything did; [`take_events`](Self::take_events) has it.
    pub(crate) fn progress(&mut self) -> bool {
        let mut busy = self.ucx.progress();
        self.now = Instant::now();
        while let Some(event) = self.ucx.next_event() {
            busy = true;
            match event {
                Event::ConnectionRequest(request) => self.connection_request(request),
                Event::Message(message) => self.message(message),
                // The peer's failure, if that is what it was, is reported for its endpoint.
                Event::Sent { cookie: FRAME, mut regions, .. } => self.sent.append(&mut regions),
                Event::Sent { .. } => {}
                Event::Received { cookie, region, result } => {
                    self.events.push(LinkEvent::Received { cookie, region, result });
                }
                Event::Failed { endpoint, status } => {
                    if let Some(&id) = self.endpoints.get(&endpoint) {
                        self.connection_lost(id, &status.to_string());
                    }
                }
            }
        }
        busy
    }

    /// When UCX was last let work.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// Adds what was in the frames that have been sent since the last call. Returns whether there were any.
    pub(crate) fn take_sent(&mut self, into: &mut Vec<Region>) -> bool {
        let any = !self.sent.is_empty();
        into.append(&mut self.sent);
        any
    }

    pub(crate) fn take_events(&mut self) -> Vec<LinkEvent> {
        std::mem::take(&mut self.events)
    }

    fn message(&mut self, message: ucp::Message) {
        let (prefix, _) = match wire::Prefix::decode(&message.header) {
            Ok(decoded) => decoded,
            Err(error) => return self.notify(Notice::Log(format!("skipped a message: {error}"))),
        };
        let Some(&id) = self.tokens.get(&prefix.token) else {
            // Of a connection that is gone.
            return;
        };
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        link.heard = now;
        match &mut link.stage {
            Stage::Attaching { .. } if link.endpoint.is_some() => self.up(id),
            Stage::Draining { quiet, limit, .. } => *quiet = (now + DRAIN_QUIET).min(*limit),
            Stage::Up => {}
            _ => return,
        }
        match (message.id, message.data) {
            (wire::AM_FRAME, data) => {
                let frame = Frame { header: message.header, data };
                self.events.push(LinkEvent::Frame(id, frame));
            }
            (_, Data::Rendezvous(_)) => self.broke_protocol(id, "it wants a control message to be fetched"),
            (_, Data::Copied(bytes)) => self.control(id, &bytes),
            (_, Data::Held(held)) => self.control(id, held.bytes()),
        }
    }

    fn control(&mut self, id: LinkId, bytes: &[u8]) {
        match wire::decode_message(bytes) {
            Ok(Some(Kind::Bye(bye))) => self.down(id, format!("it left: {}", bye.reason), true),
            Ok(Some(Kind::Ping(ping))) => {
                let pong = wire::Ping { time: monotonic(), ..ping };
                self.send_control(id, Kind::Pong(pong));
            }
            // A sign of life, and that is all.
            Ok(Some(Kind::Pong(pong))) if pong.id == 0 => {}
            Ok(Some(
                Kind::Hello(_)
                | Kind::Welcome(_)
                | Kind::Refusal(_)
                | Kind::Challenge(_)
                | Kind::Proof(_)
                | Kind::Sealed(_),
            )) => {
                self.broke_protocol(id, "it introduced itself again");
            }
            Ok(Some(kind)) => self.events.push(LinkEvent::Control(id, kind)),
            Ok(None) => self.notify(Notice::Log("skipped a message of an unknown kind".to_owned())),
            Err(error) => self.broke_protocol(id, &error.to_string()),
        }
    }

    pub(crate) fn send_control(&mut self, to: LinkId, kind: Kind) {
        let Some(Link { endpoint: Some(endpoint), theirs, .. }) = self.links.get(&to) else { return };
        let header = wire::Prefix { token: theirs.token, trailer: 0 }.encode().to_vec();
        let body = wire::encode_message(&wire::Message::from(kind));
        // Always eager: there is no landing buffer for control messages.
        endpoint.send(wire::AM_CONTROL, header, vec![Region::from(body)], SendMode::Eager, 0);
    }

    /// Whether the header of a frame goes before its data, and not behind it.
    pub(crate) fn fits_inline(&self, header: &wire::FrameHeader) -> bool {
        header.encode_for(0, self.ucx.max_header()).trailer.is_empty()
    }

    pub(crate) fn send_frame(&mut self, to: LinkId, header: &wire::FrameHeader, regions: &[Region]) {
        let Some(Link { endpoint: Some(endpoint), theirs, mode, .. }) = self.links.get(&to) else { return };
        let encoded = header.encode_for(theirs.token, self.ucx.max_header());
        let mut regions = regions.to_vec();
        if !encoded.trailer.is_empty() {
            regions.push(Region::from(encoded.trailer));
        }
        endpoint.send(wire::AM_FRAME, encoded.inline, regions, *mode, FRAME);
    }
}
