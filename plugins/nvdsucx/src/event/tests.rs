use gst::glib::translate::IntoGlib;
use gst::{ClockTime, Event, Structure};
use nvdsucx_session::wire::{self, EventKind, stream_event};

use super::*;

/// `event` as the receiving pipeline gets it.
fn arrive(event: &Event) -> Event {
    let travels = to_wire(event).unwrap().expect("an event that travels");
    match from_wire(&travels).unwrap() {
        Received::Event(event) => event,
        Received::Flush { .. } => panic!("a flush"),
    }
}

fn assert_arrives(event: &Event) {
    let arrived = arrive(event);
    assert_eq!(arrived.type_(), event.type_());
    assert_eq!(arrived.seqnum(), event.seqnum());
    assert_eq!(arrived.running_time_offset(), event.running_time_offset());
    let text = |event: &Event| event.structure().map(ToString::to_string);
    assert_eq!(text(&arrived), text(event));
}

fn received(event: stream_event::Event) -> Result<Received, Malformed> {
    gst::init().unwrap();
    from_wire(&wire::StreamEvent { sequence: 0, seqnum: 0, running_time_offset: 0, event: Some(event) })
}

fn described(kind: EventKind, structure: &str) -> Result<Received, Malformed> {
    let structure = structure.to_owned();
    received(stream_event::Event::Structured(wire::Structured { kind: kind.into(), structure, seqnum: 0 }))
}

fn tags(scope: gst::TagScope) -> gst::TagList {
    let mut tags = gst::TagList::new();
    let fresh = tags.make_mut();
    fresh.set_scope(scope);
    fresh.add::<gst::tags::Title>(&"a \"title\"; with, signs\n", gst::TagMergeMode::Append);
    fresh.add::<gst::tags::Artist>(&"one", gst::TagMergeMode::Append);
    fresh.add::<gst::tags::Artist>(&"zwö", gst::TagMergeMode::Append);
    tags
}

#[test]
fn stream_start_arrives_with_its_group() {
    gst::init().unwrap();
    let start = gst::event::StreamStart::builder("a stream/with a name")
        .group_id(gst::GroupId::next())
        .flags(gst::StreamFlags::SPARSE | gst::StreamFlags::SELECT)
        .build();
    assert_arrives(&start);
}

#[test]
fn caps_arrive() {
    gst::init().unwrap();
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "NV12")
        .field("framerate", gst::Fraction::new(30000, 1001))
        .field("codec_data", gst::Buffer::from_slice([1, 2, 0xff]))
        .build();
    assert_arrives(&gst::event::Caps::new(&caps));
}

#[test]
fn segments_arrive_in_every_format() {
    gst::init().unwrap();
    let mut time = gst::FormattedSegment::<ClockTime>::new();
    time.set_flags(gst::SegmentFlags::RESET | gst::SegmentFlags::SEGMENT);
    time.set_rate(-1.5);
    time.set_applied_rate(2.0);
    time.set_base(ClockTime::SECOND);
    time.set_start(ClockTime::from_seconds(3));
    time.set_stop(ClockTime::from_seconds(9));
    time.set_position(ClockTime::from_seconds(4));
    let mut bytes = gst::FormattedSegment::<gst::format::Bytes>::new();
    bytes.set_duration(gst::format::Bytes::from_u64(7));
    let buffers = gst::FormattedSegment::<gst::format::Buffers>::new();
    for segment in [time.upcast(), bytes.upcast(), buffers.upcast()] {
        let arrived = arrive(&gst::event::Segment::new(&segment));
        let EventView::Segment(arrived) = arrived.view() else { panic!("{arrived:?}") };
        assert_eq!(arrived.segment(), &segment);
    }
}

#[test]
fn other_events_arrive() {
    gst::init().unwrap();
    let gap = gst::event::Gap::builder(ClockTime::SECOND).gap_flags(gst::GapFlags::DATA);
    let data = gst::Buffer::from_slice([1, 2]);
    let protection = gst::event::Protection::builder("9a04f079-9840", &data).origin("isobmff");
    let structure = || Structure::builder("app/x").field("n", 3u64).field("text", "a,b;c").build();
    for event in [
        gap.build(),
        gst::event::Gap::builder(ClockTime::ZERO).duration(ClockTime::SECOND).build(),
        gst::event::Eos::new(),
        gst::event::Tag::new(tags(gst::TagScope::Stream)),
        protection.build(),
        gst::event::SegmentDone::new(ClockTime::SECOND),
        gst::event::StreamGroupDone::new(gst::GroupId::next()),
        gst::event::InstantRateChange::new(2.0, gst::SegmentFlags::TRICKMODE),
        gst::event::CustomDownstream::new(structure()),
        gst::event::CustomDownstreamSticky::new(structure()),
        gst::event::CustomDownstreamOob::builder(structure()).running_time_offset(-5).build(),
        gst::event::CustomBoth::new(structure()),
        gst::event::CustomBothOob::new(structure()),
    ] {
        assert_arrives(&event);
    }
}

#[test]
fn tags_keep_their_scope() {
    gst::init().unwrap();
    for scope in [gst::TagScope::Stream, gst::TagScope::Global] {
        let arrived = arrive(&gst::event::Tag::new(tags(scope)));
        let EventView::Tag(arrived) = arrived.view() else { panic!("{arrived:?}") };
        assert_eq!(arrived.tag().scope(), scope);
        assert_eq!(arrived.tag().to_string(), tags(scope).to_string());
    }
}

#[test]
fn tables_of_contents_arrive() {
    gst::init().unwrap();
    let mut chapter = gst::TocEntry::new(gst::TocEntryType::Chapter, "chapter, 1");
    chapter.make_mut().set_start_stop_times(0, 5_000);
    chapter.make_mut().set_tags(tags(gst::TagScope::Stream));
    let mut edition = gst::TocEntry::new(gst::TocEntryType::Edition, "edition");
    edition.make_mut().append_sub_entry(chapter);
    let mut toc = gst::Toc::new(gst::TocScope::Current);
    toc.make_mut().append_entry(edition);
    let arrived = arrive(&gst::event::Toc::new(&toc, true));
    let EventView::Toc(arrived) = arrived.view() else { panic!("{arrived:?}") };
    let (toc, updated) = arrived.toc();
    assert!(updated);
    assert_eq!(toc.scope(), gst::TocScope::Current);
    let chapter = toc.find_entry("chapter, 1").unwrap();
    assert_eq!(chapter.start_stop_times(), Some((0, 5_000)));
    assert_eq!(chapter.tags().unwrap().to_string(), tags(gst::TagScope::Stream).to_string());
    assert_eq!(chapter.parent().unwrap().uid(), "edition");
}

#[test]
fn a_flush_arrives_as_one() {
    gst::init().unwrap();
    let flushed = flush_to_wire(gst::Seqnum::next(), true);
    assert!(matches!(from_wire(&flushed), Ok(Received::Flush { reset_time: true })));
}

#[test]
fn events_between_neighbours_do_not_travel() {
    gst::init().unwrap();
    for event in [gst::event::FlushStart::new(), gst::event::Latency::new(ClockTime::SECOND)] {
        assert_eq!(to_wire(&event), Ok(None));
    }
}

#[test]
fn what_has_no_text_is_not_sent() {
    gst::init().unwrap();
    let object = gst::Bus::new();
    let event = gst::event::CustomDownstream::new(Structure::builder("app").field("bus", &object).build());
    assert!(to_wire(&event).is_err());
}

#[test]
fn upstream_events_arrive() {
    gst::init().unwrap();
    let structure = Structure::builder("GstForceKeyUnit").field("all-headers", true).build();
    for event in [
        gst::event::Qos::builder(gst::QOSType::Underflow, 1.5, -3).timestamp(ClockTime::SECOND).build(),
        gst::event::Qos::new(gst::QOSType::Overflow, 0.5, 3, ClockTime::NONE),
        gst::event::Reconfigure::new(),
        gst::event::Navigation::new(
            Structure::builder("application/x-gst-navigation").field("x", 1.0).build(),
        ),
        gst::event::CustomUpstream::new(structure),
    ] {
        let arrived = upstream_from_wire(&upstream_to_wire(&event).unwrap().unwrap()).unwrap();
        assert_eq!(arrived.type_(), event.type_());
        assert_eq!(arrived.seqnum().into_glib(), event.seqnum().into_glib());
        assert_eq!(arrived.structure().map(ToString::to_string), event.structure().map(ToString::to_string));
    }
    let seek = gst::event::Seek::new(
        1.0,
        gst::SeekFlags::FLUSH,
        gst::SeekType::Set,
        ClockTime::ZERO,
        gst::SeekType::None,
        ClockTime::NONE,
    );
    assert_eq!(upstream_to_wire(&seek), Ok(None));
}

#[test]
fn refuses_stream_ids_with_zero_bytes() {
    let start = wire::StreamStart { stream_id: "a\0b".to_owned(), ..wire::StreamStart::default() };
    assert!(received(stream_event::Event::StreamStart(start)).is_err());
}

#[test]
fn takes_a_stream_without_a_group() {
    let start = wire::StreamStart { stream_id: String::new(), flags: u32::MAX, group_id: Some(0) };
    assert!(received(stream_event::Event::StreamStart(start)).is_ok());
}

#[test]
fn refuses_caps_that_are_none() {
    for caps in
        ["", "ANY", "EMPTY", "video/x-raw, width=[1, 2]", "a; b", "video/x-raw, width=", "a\0b", "a, =;;"]
    {
        assert!(received(stream_event::Event::Caps(caps.to_owned())).is_err(), "{caps:?}");
    }
}

#[test]
fn refuses_segments_that_gstreamer_would_abort_on() {
    let good = wire::Segment {
        flags: u32::MAX,
        rate: 1.0,
        applied_rate: 1.0,
        format: 3,
        base: Some(0),
        offset: Some(0),
        start: Some(5),
        stop: None,
        time: None,
        position: Some(u64::MAX),
        duration: Some(u64::MAX - 1),
    };
    assert!(received(stream_event::Event::Segment(good)).is_ok());
    let bad = [
        wire::Segment { rate: 0.0, ..good },
        wire::Segment { rate: f64::NAN, ..good },
        wire::Segment { applied_rate: 0.0, ..good },
        wire::Segment { applied_rate: f64::INFINITY, ..good },
        wire::Segment { format: 0, ..good },
        wire::Segment { format: 5, ..good },
        wire::Segment { format: u32::MAX, ..good },
        wire::Segment { start: None, ..good },
        wire::Segment { base: Some(u64::MAX), ..good },
        wire::Segment { stop: Some(4), ..good },
    ];
    for segment in bad {
        assert!(received(stream_event::Event::Segment(segment)).is_err(), "{segment:?}");
    }
}

#[test]
fn refuses_a_gap_without_a_time() {
    let gap = wire::Gap { pts: u64::MAX, duration: Some(1), flags: u32::MAX };
    assert!(received(stream_event::Event::Gap(gap)).is_err());
    let gap = wire::Gap { pts: 0, duration: Some(u64::MAX), flags: u32::MAX };
    assert!(received(stream_event::Event::Gap(gap)).is_ok());
}

#[test]
fn refuses_structures_that_are_none() {
    for text in
        ["", ";", "ANY", "1a", "a b", "a, x", "a; b", "a(memory:X), x=1", "a, x=(NoSuchType)1", "a\0", "ä"]
    {
        let refused = described(EventKind::CustomDownstream, text);
        assert!(refused.is_err(), "{text:?}: {refused:?}");
    }
}

#[test]
fn refuses_fields_that_are_missing_or_of_another_type() {
    for (kind, text) in [
        (EventKind::Tag, "GstTagList-stream"),
        (EventKind::Tag, "GstTagList-stream, taglist=(int)1"),
        (EventKind::Tag, "whatever, taglist=(taglist)\"taglist;\""),
        (EventKind::Toc, "toc, scope=(GstTocScope)global, updated=(boolean)true"),
        (EventKind::Toc, "toc, scope=(GstTocScope)global, updated=(boolean)true, entries=(int)<1>"),
        (EventKind::Protection, "GstProtectionEvent, system_id=(string)x"),
        (EventKind::Protection, "GstProtectionEvent, system_id=(string)\"a b\", data=(buffer)00"),
        (EventKind::SegmentDone, "GstEventSegmentDone, format=(GstFormat)time, position=(int)1"),
        (EventKind::StreamGroupDone, "GstEventStreamGroupDone, group-id=(string)x"),
        (EventKind::InstantRateChange, "x, rate=(double)0, flags=(GstSegmentFlags)GST_SEGMENT_FLAG_NONE"),
        (EventKind::InstantRateChange, "x, rate=(double)1"),
    ] {
        assert!(described(kind, text).is_err(), "{text}");
    }
}

#[test]
fn refuses_events_of_the_other_direction() {
    for kind in [EventKind::Qos, EventKind::Reconfigure, EventKind::CustomUpstream, EventKind::Unspecified] {
        assert!(described(kind, "x").is_err(), "{kind:?}");
    }
    for kind in [EventKind::Tag, EventKind::CustomDownstream, EventKind::Unspecified] {
        let structured = wire::Structured { kind: kind.into(), structure: "x".to_owned(), seqnum: 1 };
        assert!(upstream_from_wire(&structured).is_err(), "{kind:?}");
    }
}

#[test]
fn refuses_kinds_it_does_not_know() {
    gst::init().unwrap();
    let structured = wire::Structured { kind: 77, structure: "x".to_owned(), seqnum: 1 };
    assert!(upstream_from_wire(&structured).is_err());
    assert!(received(stream_event::Event::Structured(structured)).is_err());
    assert!(from_wire(&wire::StreamEvent::default()).is_err());
}

#[test]
fn refuses_qos_from_before_the_beginning() {
    gst::init().unwrap();
    for text in [
        "q, type=(GstQOSType)overflow, proportion=(double)1, diff=(gint64)-9, timestamp=(guint64)8",
        "q, type=(GstQOSType)overflow, proportion=(double)1, diff=(gint64)-9223372036854775808, timestamp=(guint64)8",
        "q, type=(GstQOSType)overflow, proportion=(double)nan, diff=(gint64)1, timestamp=(guint64)8",
        "q, type=(GstQOSType)overflow, proportion=(double)1, diff=(gint64)1",
    ] {
        let structured =
            wire::Structured { kind: EventKind::Qos.into(), structure: text.to_owned(), seqnum: 0 };
        assert!(upstream_from_wire(&structured).is_err(), "{text}");
    }
}

#[test]
fn only_what_informs_is_dispensable() {
    let with = |event| wire::StreamEvent { event, ..wire::StreamEvent::default() };
    assert!(is_dispensable(&with(Some(stream_event::Event::Structured(wire::Structured::default())))));
    assert!(!is_dispensable(&with(Some(stream_event::Event::Caps(String::new())))));
}
