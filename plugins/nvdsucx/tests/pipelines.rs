//! What one pipeline puts into a sink, another gets out of a source.
#![allow(missing_docs)]

mod common;

use common::{End, beginning, init, pair, pair_of_any, port, some_caps, time};
use gst::prelude::*;
use gst_video::{VideoFrameFlags, VideoMeta};

fn tags(title: &str) -> gst::Event {
    let mut tags = gst::TagList::new();
    tags.make_mut().add::<gst::tags::Title>(&title, gst::TagMergeMode::Append);
    gst::event::Tag::new(tags)
}

fn push_events(sender: &End, events: &[gst::Event]) {
    for event in events {
        assert!(sender.pad.push_event(event.clone()), "{event:?}");
    }
}

fn assert_same(arrived: &gst::EventRef, sent: &gst::EventRef) {
    assert_eq!((arrived.type_(), arrived.seqnum()), (sent.type_(), sent.seqnum()));
    let text = |event: &gst::EventRef| event.structure().map(ToString::to_string);
    assert_eq!(text(arrived), text(sent));
}

fn bytes(text: &[u8]) -> gst::Buffer {
    gst::Buffer::from_mut_slice(text.to_vec())
}

#[test]
fn a_stream_arrives_as_it_was_sent() {
    for server_sends in [true, false] {
        let (sender, receiver) = pair_of_any(server_sends);
        let mut events = beginning(&some_caps(), &time()).to_vec();
        events.push(tags("first"));
        push_events(&sender, &events);
        sender.pad.push(bytes(b"one")).unwrap();
        let between = gst::event::CustomDownstream::new(gst::Structure::new_empty("between"));
        push_events(&sender, &[between.clone(), tags("second")]);
        sender.pad.push(bytes(b"two")).unwrap();
        let eos = gst::event::Eos::new();
        push_events(&sender, std::slice::from_ref(&eos));

        for event in &events {
            assert_same(&receiver.next_event(), event);
        }
        assert_eq!(receiver.next_buffer().map_readable().unwrap().as_slice(), b"one");
        assert_same(&receiver.next_event(), &between);
        assert_eq!(receiver.next_event().type_(), gst::EventType::Tag);
        assert_eq!(receiver.next_buffer().map_readable().unwrap().as_slice(), b"two");
        assert_same(&receiver.next_event(), &eos);
        receiver.assert_nothing_left();
        // The pad remembers the sender's events, for elements that are linked later.
        let pad = receiver.pad.peer().unwrap();
        assert_same(&pad.sticky_event::<gst::event::StreamStart>(0).unwrap(), &events[0]);
        assert_same(&pad.sticky_event::<gst::event::Segment>(0).unwrap(), &events[2]);
    }
}

#[test]
fn the_end_is_posted_when_the_receiver_has_everything() {
    let (sender, receiver) = pair_of_any(true);
    push_events(&sender, &beginning(&some_caps(), &time()));
    for _ in 0..200 {
        sender.pad.push(bytes(&[0; 1000])).unwrap();
    }
    assert!(sender.pad.push_event(gst::event::Eos::new()));
    sender.message(gst::MessageType::Eos);
    sender.stop();
    for _ in 0..200 {
        receiver.skip_to_buffer();
    }
    assert_eq!(receiver.next_event().type_(), gst::EventType::Eos);
}

#[test]
fn a_gap_comes_after_the_segment() {
    let (sender, receiver) = pair_of_any(false);
    let events = beginning(&some_caps(), &time());
    push_events(&sender, &events);
    let gap = gst::event::Gap::builder(gst::ClockTime::ZERO).duration(gst::ClockTime::SECOND).build();
    push_events(&sender, std::slice::from_ref(&gap));
    for event in &events {
        assert_same(&receiver.next_event(), event);
    }
    assert_same(&receiver.next_event(), &gap);
    sender.pad.push(bytes(b"x")).unwrap();
    receiver.skip_to_buffer();
}

#[test]
fn segments_of_other_formats_arrive() {
    let (sender, receiver) = pair_of_any(true);
    let mut segment = gst::FormattedSegment::<gst::format::Bytes>::new();
    segment.set_stop(gst::format::Bytes::from_u64(1));
    let events = beginning(&some_caps(), segment.upcast_ref());
    push_events(&sender, &events);
    for text in [b"abc", b"def"] {
        sender.pad.push(bytes(text)).unwrap();
    }
    for event in &events {
        assert_same(&receiver.next_event(), event);
    }
    assert_eq!(receiver.next_buffer().dts(), None);
    assert_eq!(receiver.next_buffer().map_readable().unwrap().as_slice(), b"def");
}

#[test]
fn a_second_segment_arrives_once() {
    let (sender, receiver) = pair_of_any(true);
    push_events(&sender, &beginning(&some_caps(), &time()));
    sender.pad.push(bytes(b"a")).unwrap();
    receiver.skip_to_buffer();
    let mut later = gst::FormattedSegment::<gst::ClockTime>::new();
    later.set_start(gst::ClockTime::SECOND);
    let later = gst::event::Segment::new(&later);
    push_events(&sender, std::slice::from_ref(&later));
    sender.pad.push(bytes(b"b")).unwrap();
    assert_same(&receiver.next_event(), &later);
    receiver.next_buffer();
}

#[test]
fn memories_arrive_apart() {
    let (sender, receiver) = pair_of_any(false);
    push_events(&sender, &beginning(&some_caps(), &time()));
    let mut buffer = gst::Buffer::new();
    for part in [&b"head"[..], b"", b"body"] {
        buffer.make_mut().append_memory(gst::Memory::from_slice(part));
    }
    sender.pad.push(buffer).unwrap();
    sender.pad.push(gst::Buffer::new()).unwrap();
    let arrived = receiver.skip_to_buffer();
    assert_eq!(arrived.iter_memories().map(gst::MemoryRef::size).collect::<Vec<_>>(), [4, 0, 4]);
    assert_eq!(arrived.map_readable().unwrap().as_slice(), b"headbody");
    assert_eq!(receiver.next_buffer().size(), 0);
}

#[test]
fn a_flush_arrives_before_the_new_segment() {
    let (sender, receiver) = pair_of_any(true);
    let events = beginning(&some_caps(), &time());
    push_events(&sender, &events);
    sender.pad.push(bytes(b"a")).unwrap();
    receiver.skip_to_buffer();
    let segment = gst::event::Segment::new(&time());
    push_events(&sender, &[gst::event::FlushStart::new(), gst::event::FlushStop::new(true), segment.clone()]);
    sender.pad.push(bytes(b"b")).unwrap();
    assert_eq!(receiver.next_event().type_(), gst::EventType::FlushStart);
    assert_eq!(receiver.next_event().type_(), gst::EventType::FlushStop);
    assert_same(&receiver.next_event(), &segment);
    assert_eq!(receiver.next_buffer().map_readable().unwrap().as_slice(), b"b");
}

#[test]
fn upstream_events_reach_the_sender() {
    let (sender, receiver) = pair_of_any(true);
    push_events(&sender, &beginning(&some_caps(), &time()));
    sender.pad.push(bytes(b"a")).unwrap();
    receiver.skip_to_buffer();
    let event = gst::event::CustomUpstream::new(gst::Structure::new_empty("GstForceKeyUnit"));
    assert!(receiver.pad.push_event(event.clone()));
    loop {
        let arrived = sender.next_event();
        if arrived.type_() == gst::EventType::CustomUpstream {
            return assert_same(&arrived, &event);
        }
    }
}

#[test]
fn the_latency_of_the_sender_is_the_receivers() {
    let (sender, receiver) = pair_of_any(false);
    push_events(&sender, &beginning(&some_caps(), &time()));
    sender.pad.push(bytes(b"a")).unwrap();
    receiver.message(gst::MessageType::Latency);
    let mut query = gst::query::Latency::new();
    assert!(receiver.pad.peer_query(&mut query));
    let ms = gst::ClockTime::from_mseconds;
    assert_eq!(query.result(), (true, ms(30), Some(ms(90))));
}

#[test]
fn a_layout_is_repacked_where_downstream_takes_none() {
    init();
    let caps = gst_video::VideoInfo::builder(gst_video::VideoFormat::Gray8, 4, 2)
        .build()
        .unwrap()
        .to_caps()
        .unwrap();
    for layouts in [true, false] {
        let (sender, receiver) = pair(true, "nvdsucx-buf-video", &gst::Caps::new_any(), layouts);
        push_events(&sender, &beginning(&caps, &time()));
        let mut buffer = bytes(b"abcd....efgh....");
        let format = gst_video::VideoFormat::Gray8;
        VideoMeta::add_full(buffer.make_mut(), VideoFrameFlags::empty(), format, 4, 2, &[0], &[8]).unwrap();
        sender.pad.push(buffer).unwrap();
        let arrived = receiver.skip_to_buffer();
        let expected = if layouts { &b"abcd....efgh...."[..] } else { b"abcdefgh" };
        assert_eq!(arrived.map_readable().unwrap().as_slice(), expected);
        assert_eq!(arrived.meta::<VideoMeta>().map(|meta| meta.stride()[0]), layouts.then_some(8));
    }
}

#[test]
fn caps_that_downstream_refuses_are_an_error_that_names_both() {
    init();
    let only = gst::Caps::new_empty_simple("application/x-other");
    let (sender, receiver) = pair(true, "nvdsucx-buf-any", &only, true);
    push_events(&sender, &beginning(&some_caps(), &time()));
    let message = receiver.message(gst::MessageType::Error);
    let gst::MessageView::Error(error) = message.view() else { panic!("{message:?}") };
    let text = error.error().to_string();
    assert!(text.contains("application/x-test") && text.contains("application/x-other"), "{text}");
    assert!(error.error().matches(gst::StreamError::Format), "{error:?}");
}

#[test]
fn every_client_gets_everything_and_a_late_one_the_state() {
    let (sender, first) = pair_of_any(true);
    let mut events = beginning(&some_caps(), &time()).to_vec();
    events.push(tags("of all"));
    push_events(&sender, &events);
    sender.pad.push(bytes(b"a")).unwrap();
    first.skip_to_buffer();

    let settings = [("port", &*port(&sender)), ("buf-type", "nvdsucx-buf-any")];
    let late = End::receiver("nvdsucxclientsrc", &settings, &gst::Caps::new_any(), true);
    late.play();
    sender.message(gst::MessageType::Element);
    sender.message(gst::MessageType::Element);
    assert_eq!(sender.element.property::<u32>("num-clients"), 2);
    sender.pad.push(bytes(b"b")).unwrap();
    for event in &events {
        assert_same(&late.next_event(), event);
    }
    for client in [&first, &late] {
        assert_eq!(client.next_buffer().map_readable().unwrap().as_slice(), b"b");
    }
    assert!(sender.pad.push_event(gst::event::Eos::new()));
    sender.message(gst::MessageType::Eos);
    let stats = sender.element.property::<gst::Structure>("stats");
    assert_eq!((stats.get::<u64>("frames"), stats.get::<u64>("joined")), (Ok(2), Ok(2)));
    assert_eq!(stats.get::<gst::Array>("clients").unwrap().len(), 2);
}

#[test]
fn a_sender_that_waits_for_a_client_can_be_stopped() {
    init();
    let sender = End::sender("nvdsucxserversink", &[("port", "0"), ("buf-type", "nvdsucx-buf-any")]);
    sender.play();
    push_events(&sender, &beginning(&some_caps(), &time()));
    let pad = sender.pad.clone();
    let pushing = std::thread::spawn(move || while pad.push(bytes(b"x")).is_ok() {});
    sender.stop();
    pushing.join().unwrap();
}

#[test]
fn a_sender_that_waits_for_a_client_can_be_paused() {
    init();
    let settings = [("port", "0"), ("buf-type", "nvdsucx-buf-any")];
    let sender = End::sender("nvdsucxserversink", &settings);
    sender.play();
    push_events(&sender, &beginning(&some_caps(), &time()));
    let pad = sender.pad.clone();
    let pushing = std::thread::spawn(move || (0..200u8).try_for_each(|n| pad.push(bytes(&[n])).map(|_| ())));
    for state in [gst::State::Paused, gst::State::Playing, gst::State::Paused, gst::State::Playing] {
        sender.pipeline.set_state(state).unwrap();
    }
    let settings = [("port", &*port(&sender)), ("buf-type", "nvdsucx-buf-any")];
    let client = End::receiver("nvdsucxclientsrc", &settings, &gst::Caps::new_any(), true);
    client.play();
    for n in 0..200 {
        assert_eq!(client.skip_to_buffer().map_readable().unwrap().as_slice(), [n]);
    }
    pushing.join().unwrap().unwrap();
}

#[test]
fn a_server_can_be_started_again() {
    init();
    let server = End::receiver("nvdsucxserversrc", &[("port", "0")], &gst::Caps::new_any(), true);
    let (changed, ports) = std::sync::mpsc::channel();
    server.element.connect_notify(Some("port"), move |element, _| {
        let _ = changed.send(element.property::<i32>("port"));
    });
    for _ in 0..3 {
        server.play();
        assert_ne!(ports.recv().unwrap(), 0);
        server.stop();
        assert_eq!(ports.recv().unwrap(), 0);
    }
}

#[test]
fn elements_can_be_used_again() {
    for server_sends in [true, false] {
        let (sender, receiver) = pair_of_any(server_sends);
        for text in [b"a", b"b", b"c"] {
            push_events(&sender, &beginning(&some_caps(), &time()));
            sender.pad.push(bytes(text)).unwrap();
            assert_eq!(receiver.next_event().type_(), gst::EventType::StreamStart);
            assert_eq!(receiver.skip_to_buffer().map_readable().unwrap().as_slice(), text);
            assert!(sender.pad.push_event(gst::event::Eos::new()));
            assert_eq!(receiver.next_event().type_(), gst::EventType::Eos);
            for end in [&sender, &receiver] {
                end.stop();
                end.pad.set_active(false).unwrap();
                end.pad.set_active(true).unwrap();
            }
            let (server, client) = if server_sends { (&sender, &receiver) } else { (&receiver, &sender) };
            server.play();
            client.element.set_property_from_str("port", &port(server));
            client.play();
        }
    }
}

#[test]
fn a_lost_sender_is_an_error_and_not_an_end() {
    let (sender, receiver) = pair_of_any(true);
    push_events(&sender, &beginning(&some_caps(), &time()));
    sender.pad.push(bytes(b"a")).unwrap();
    receiver.skip_to_buffer();
    sender.stop();
    let message = receiver.message(gst::MessageType::Error);
    let gst::MessageView::Error(error) = message.view() else { panic!("{message:?}") };
    assert!(error.error().to_string().contains("127.0.0.1"), "{error:?}");
}
