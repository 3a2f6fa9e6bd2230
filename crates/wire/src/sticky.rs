//! What a peer that joins late must be told first.

use crate::stream_event::Event;
use crate::{EventKind, StreamEvent, StreamStart, Structured};

/// Most events that [`StickyEvents`] keeps besides running time, stream-start, caps, segment and end of stream.
pub const MAX_STICKY: usize = 1024;

/// The sticky events of a stream: the state that a sender keeps, and sends to each peer that joins.
///
/// They replace and remove one another as on a pad of GStreamer, so that a peer that joins late gets what is still in
/// force at one that was there all along: a stream-start removes tags, the end of the group and of the stream, with
/// another stream id also the table of contents; a flush removes the segment and both ends; a segment removes the end of
/// the stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StickyEvents {
    stream_start: Option<StreamEvent>,
    caps: Option<StreamEvent>,
    segment: Option<StreamEvent>,
    running_time: Option<StreamEvent>,
    /// In order of first arrival, each [`Key`] once.
    others: Vec<StreamEvent>,
    eos: Option<StreamEvent>,
}

impl StickyEvents {
    /// No events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of an event that passes. Of those that are not sticky, only a flush changes anything.
    ///
    /// When [`MAX_STICKY`] is reached, the oldest of the events that it counts gives way.
    pub fn update(&mut self, event: &StreamEvent) {
        match &event.event {
            Some(Event::StreamStart(start)) => {
                self.undo_end();
                self.forget(EventKind::Tag);
                if self.stream_start.as_ref().and_then(stream_id) != Some(&start.stream_id) {
                    self.forget(EventKind::Toc);
                }
                self.stream_start = Some(event.clone());
            }
            Some(Event::Caps(_)) => self.caps = Some(event.clone()),
            Some(Event::Segment(_)) => {
                self.eos = None;
                self.segment = Some(event.clone());
            }
            Some(Event::Flush(_)) => {
                self.undo_end();
                self.segment = None;
            }
            Some(Event::RunningTime(_)) => self.running_time = Some(event.clone()),
            Some(Event::Eos(_)) => self.eos = Some(event.clone()),
            Some(Event::Structured(structured)) => {
                if let Some(key) = Key::of(structured) {
                    self.keep(event, &key);
                }
            }
            Some(Event::Gap(_) | Event::Ring(_)) | None => {}
        }
    }

    /// The events in the order they are to be sent: running time, stream-start, caps, segment, then the others in order of
    /// first arrival, end of stream last.
    pub fn iter(&self) -> impl Iterator<Item = &StreamEvent> {
        let core = [&self.running_time, &self.stream_start, &self.caps, &self.segment];
        core.into_iter().flatten().chain(&self.others).chain(&self.eos)
    }

    /// The stream goes on, or another one begins: it has not ended after all.
    fn undo_end(&mut self) {
        self.eos = None;
        self.forget(EventKind::StreamGroupDone);
    }

    fn forget(&mut self, kind: EventKind) {
        self.others.retain(|event| key_of(event).is_none_or(|key| key.kind != kind));
    }

    fn keep(&mut self, event: &StreamEvent, key: &Key<'_>) {
        if let Some(kept) = self.others.iter_mut().find(|kept| key_of(kept).as_ref() == Some(key)) {
            *kept = event.clone();
            return;
        }
        if self.others.len() == MAX_STICKY {
            self.others.remove(0);
        }
        self.others.push(event.clone());
    }
}

/// Whether the event is part of the state of its stream.
pub fn is_sticky(event: &StreamEvent) -> bool {
    match &event.event {
        Some(
            Event::StreamStart(_)
            | Event::Caps(_)
            | Event::Segment(_)
            | Event::RunningTime(_)
            | Event::Eos(_),
        ) => true,
        Some(Event::Structured(structured)) => Key::of(structured).is_some(),
        Some(Event::Gap(_) | Event::Flush(_) | Event::Ring(_)) | None => false,
    }
}

/// What an event replaces: one with an equal key.
#[derive(PartialEq)]
struct Key<'a> {
    kind: EventKind,
    /// Of the kinds that GStreamer keeps one of each name; empty for the others.
    name: &'a str,
}

impl<'a> Key<'a> {
    /// `None` if events of that kind are not sticky.
    fn of(Structured { kind, structure, .. }: &'a Structured) -> Option<Self> {
        let kind = EventKind::try_from(*kind).ok()?;
        let name = match kind {
            EventKind::Tag | EventKind::Toc | EventKind::Protection | EventKind::CustomDownstreamSticky => {
                structure_name(structure)
            }
            EventKind::StreamGroupDone | EventKind::InstantRateChange => "",
            EventKind::Unspecified
            | EventKind::SegmentDone
            | EventKind::CustomDownstream
            | EventKind::CustomDownstreamOob
            | EventKind::CustomBoth
            | EventKind::CustomBothOob
            | EventKind::Qos
            | EventKind::Reconfigure
            | EventKind::Navigation
            | EventKind::CustomUpstream => return None,
        };
        Some(Self { kind, name })
    }
}

fn key_of(event: &StreamEvent) -> Option<Key<'_>> {
    match &event.event {
        Some(Event::Structured(structured)) => Key::of(structured),
        _ => None,
    }
}

fn stream_id(event: &StreamEvent) -> Option<&String> {
    match &event.event {
        Some(Event::StreamStart(StreamStart { stream_id, .. })) => Some(stream_id),
        _ => None,
    }
}

/// The name of a structure in GStreamer's text form, `name, field=value;`.
fn structure_name(structure: &str) -> &str {
    structure.split([',', ';']).next().unwrap_or_default().trim()
}
