//! What a peer that joins is told.

mod golden;

use nvdsucx_wire::stream_event::Event;
use nvdsucx_wire::*;

fn event(event: Event) -> StreamEvent {
    StreamEvent { event: Some(event), ..Default::default() }
}

fn stream_start(stream_id: &str) -> StreamEvent {
    event(Event::StreamStart(StreamStart { stream_id: stream_id.into(), ..Default::default() }))
}

fn caps(caps: &str) -> StreamEvent {
    event(Event::Caps(caps.into()))
}

fn segment() -> StreamEvent {
    event(Event::Segment(golden::segment()))
}

fn running_time(zero: i64) -> StreamEvent {
    event(Event::RunningTime(RunningTime { zero }))
}

fn eos() -> StreamEvent {
    event(Event::Eos(Eos {}))
}

fn flush() -> StreamEvent {
    event(Event::Flush(Flush { reset_time: true }))
}

fn structured(kind: EventKind, structure: &str) -> StreamEvent {
    event(Event::Structured(Structured { kind: kind.into(), structure: structure.into(), seqnum: 0 }))
}

fn after(events: &[StreamEvent]) -> Vec<StreamEvent> {
    let mut sticky = StickyEvents::new();
    events.iter().for_each(|event| sticky.update(event));
    sticky.iter().cloned().collect()
}

#[test]
fn come_in_the_order_gstreamer_wants() {
    let tag = structured(EventKind::Tag, "taglist, title=a;");
    let custom = structured(EventKind::CustomDownstreamSticky, "mine;");
    let mixed = [eos(), custom.clone(), tag.clone(), caps("x"), stream_start("s")];
    // The stream-start ends the end and the tags of the stream before it.
    assert_eq!(after(&mixed), [stream_start("s"), caps("x"), custom.clone()]);
    let late = [tag.clone(), caps("x"), custom.clone(), segment(), eos()];
    assert_eq!(after(&late), [caps("x"), segment(), tag, custom, eos()]);
}

#[test]
fn newer_ones_replace_older_ones() {
    assert_eq!(after(&[caps("a"), caps("b")]), [caps("b")]);
    let other = StreamEvent { sequence: 9, ..segment() };
    assert_eq!(after(&[segment(), other.clone()]), [other]);
    assert_eq!(after(&[running_time(1), running_time(2)]), [running_time(2)]);
}

#[test]
fn the_running_time_comes_first_and_outlives_streams_and_flushes() {
    let events = [stream_start("s"), segment(), running_time(1), flush(), stream_start("t")];
    assert_eq!(after(&events), [running_time(1), stream_start("t")]);
}

#[test]
fn named_kinds_are_kept_one_of_each_name_in_order_of_first_arrival() {
    for kind in [EventKind::Tag, EventKind::Toc, EventKind::Protection, EventKind::CustomDownstreamSticky] {
        let [a1, a2] = ["a, x=1;", "a;"].map(|structure| structured(kind, structure));
        let b = structured(kind, "b , x=1;");
        assert_eq!(after(&[a1, b.clone(), a2.clone()]), [a2, b], "{kind:?}");
    }
}

#[test]
fn the_same_name_of_another_kind_is_another_event() {
    let tag = structured(EventKind::Tag, "a;");
    let custom = structured(EventKind::CustomDownstreamSticky, "a;");
    assert_eq!(after(&[tag.clone(), custom.clone()]), [tag, custom]);
}

#[test]
fn other_kinds_are_kept_once() {
    for kind in [EventKind::StreamGroupDone, EventKind::InstantRateChange] {
        let [a, b] = ["a;", "b;"].map(|structure| structured(kind, structure));
        assert_eq!(after(&[a, b.clone()]), [b], "{kind:?}");
    }
}

#[test]
fn what_is_not_sticky_leaves_no_trace() {
    let gap = event(Event::Gap(Gap::default()));
    let mut passing = vec![gap, flush(), StreamEvent::default()];
    passing.extend(
        [
            EventKind::Unspecified,
            EventKind::SegmentDone,
            EventKind::CustomDownstream,
            EventKind::CustomDownstreamOob,
            EventKind::CustomBoth,
            EventKind::CustomBothOob,
            EventKind::Qos,
            EventKind::Reconfigure,
            EventKind::Navigation,
            EventKind::CustomUpstream,
        ]
        .map(|kind| structured(kind, "a;")),
    );
    // A kind of a version to come.
    passing.push(event(Event::Structured(Structured { kind: 1000, ..Default::default() })));
    for event in passing {
        assert!(!is_sticky(&event), "{event:?}");
        assert_eq!(after(&[event]), []);
    }
}

#[test]
fn what_is_sticky_is_kept() {
    for event in [
        stream_start("s"),
        caps("x"),
        segment(),
        eos(),
        running_time(1),
        structured(EventKind::Tag, "a;"),
        structured(EventKind::Toc, "a;"),
        structured(EventKind::Protection, "a;"),
        structured(EventKind::StreamGroupDone, "a;"),
        structured(EventKind::InstantRateChange, "a;"),
        structured(EventKind::CustomDownstreamSticky, "a;"),
    ] {
        assert!(is_sticky(&event), "{event:?}");
        assert_eq!(after(std::slice::from_ref(&event)), [event]);
    }
}

#[test]
fn another_stream_begins_without_what_described_the_old_one() {
    let custom = structured(EventKind::CustomDownstreamSticky, "mine;");
    let old = [
        stream_start("old"),
        caps("x"),
        segment(),
        structured(EventKind::Tag, "taglist;"),
        structured(EventKind::Toc, "toc;"),
        custom.clone(),
        structured(EventKind::StreamGroupDone, "done;"),
        eos(),
    ];
    let mut events = old.to_vec();
    events.push(stream_start("new"));
    assert_eq!(after(&events), [stream_start("new"), caps("x"), segment(), custom]);
}

#[test]
fn the_same_stream_keeps_its_contents() {
    let toc = structured(EventKind::Toc, "toc;");
    let events = [stream_start("s"), toc.clone(), eos(), stream_start("s")];
    assert_eq!(after(&events), [stream_start("s"), toc]);
}

#[test]
fn a_segment_and_a_flush_undo_the_end() {
    assert_eq!(after(&[stream_start("s"), eos(), segment()]), [stream_start("s"), segment()]);
    let done = structured(EventKind::StreamGroupDone, "done;");
    let tag = structured(EventKind::Tag, "taglist;");
    let events = [stream_start("s"), caps("x"), segment(), tag.clone(), done, eos(), flush()];
    assert_eq!(after(&events), [stream_start("s"), caps("x"), tag]);
}

#[test]
fn their_number_is_bounded_and_the_oldest_gives_way() {
    let custom = |number: usize| structured(EventKind::CustomDownstreamSticky, &format!("event-{number};"));
    let mut events = vec![stream_start("s"), caps("x"), segment()];
    events.extend((0..MAX_STICKY + 2).map(custom));
    let kept = after(&events);
    assert_eq!(kept.len(), 3 + MAX_STICKY);
    assert_eq!(kept[..3], events[..3]);
    assert_eq!(kept[3], custom(2));
    assert_eq!(kept.last(), Some(&custom(MAX_STICKY + 1)));
}
