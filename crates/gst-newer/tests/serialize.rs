//! Metas go through GStreamer's serialisation, and hostile bytes do not reach it.

mod common;

use std::str::FromStr;

use gst_newer::serialize::*;
use gst_newer::{Error, custom_meta};
use proptest::prelude::*;

const CUSTOM: &str = "GstNewerTestMeta";

fn frame(name: &[u8], version: u8, payload: &[u8]) -> Vec<u8> {
    let total = 8 + name.len() + 2 + payload.len();
    let mut frame = (total as u32).to_le_bytes().to_vec();
    frame.extend((name.len() as u32).to_le_bytes());
    frame.extend(name);
    frame.extend([0, version]);
    frame.extend(payload);
    frame
}

fn timestamp(texts: &[u8]) -> Vec<u8> {
    let payload = [&5u64.to_le_bytes(), &7u64.to_le_bytes(), texts].concat();
    frame(b"GstReferenceTimestampMeta", 0, &payload)
}

fn try_on_buffer(frame: &[u8]) -> Result<gst::Buffer, Error> {
    let mut buffer = gst::Buffer::new();
    deserialize(buffer.make_mut(), frame).map(|()| buffer)
}

fn frames_of(buffer: &gst::Buffer) -> Vec<Option<Vec<u8>>> {
    buffer.iter_meta::<gst::Meta>().map(|meta| serialize(&meta)).collect()
}

/// Goes on only where GStreamer serialises, and checks that it says so where it does not.
fn start() -> bool {
    // GStreamer's parsers say "critical" of text that is none; that is all that they do.
    gst::init().unwrap();
    // GStreamer's parsers complain of what they do not understand, which is meant here, some hundred times.
    gst::glib::log_set_default_handler(|_, _, _| ());
    custom_meta::register(CUSTOM, &[]).unwrap();
    assert_eq!(is_there(), common::at_least(24));
    is_there()
}

#[test]
fn a_reference_timestamp_comes_back() {
    let there = start();
    let mut buffer = gst::Buffer::new();
    let caps = gst::Caps::from_str("timestamp/x-ntp, host=(string)\"a b\"").unwrap();
    let time = gst::ClockTime::from_nseconds(5);
    gst::meta::ReferenceTimestampMeta::add(buffer.make_mut(), &caps, time, gst::ClockTime::NONE);
    let frames = frames_of(&buffer);
    let [frame] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(frame.is_some(), there);
    let Some(frame) = frame else { return };
    let back = try_on_buffer(frame).unwrap();
    let meta = back.meta::<gst::meta::ReferenceTimestampMeta>().unwrap();
    assert_eq!((meta.reference_owned(), meta.timestamp(), meta.duration()), (caps, time, None));
}

#[test]
fn what_is_known_of_a_timestamp_comes_back() {
    let there = start();
    let known = timestamp(b"timestamp/x-ntp\0x-info, a=(int)3;\0");
    let result = try_on_buffer(&known);
    assert_eq!(result.is_ok(), there);
    if common::at_least(28) {
        assert_eq!(frames_of(&result.unwrap()), [Some(known)]);
    }
}

#[test]
fn a_custom_meta_comes_back() {
    let there = start();
    let mut buffer = gst::Buffer::new();
    let mut meta = gst::meta::CustomMeta::add(buffer.make_mut(), CUSTOM).unwrap();
    meta.mut_structure().set("text", "a;b\"c\\");
    meta.mut_structure().set("list", gst::List::new([1, 2]));
    let frames = frames_of(&buffer);
    let [frame] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(frame.is_some(), there);
    let Some(frame) = frame else { return };
    let back = try_on_buffer(frame).unwrap();
    let [sent, got] =
        [&buffer, &back].map(|buffer| gst::meta::CustomMeta::from_buffer(buffer, CUSTOM).unwrap());
    assert_eq!(sent.structure(), got.structure());
}

#[test]
fn other_metas_are_not_taken() {
    start();
    let mut buffer = gst::Buffer::new();
    gst::meta::ParentBufferMeta::add(buffer.make_mut(), &gst::Buffer::new());
    gst::meta::ProtectionMeta::add(buffer.make_mut(), gst::Structure::new_empty("a"));
    assert_eq!(frames_of(&buffer), [None, None]);
}

#[test]
fn hostile_frames_are_refused() {
    start();
    let custom = CUSTOM.as_bytes();
    let good = frame(custom, 0, b"GstNewerTestMeta, a=(int)1;\0");
    let patched = |at: usize, value: u32| {
        let mut frame = good.clone();
        frame[at..at + 4].copy_from_slice(&value.to_le_bytes());
        frame
    };
    let nested = [b"a, b=" as &[u8], &b"{".repeat(100_000), b"\0"].concat();
    let bad = [
        vec![],
        vec![0; 7],
        vec![0xff; 64],
        // The first wraps around to a header of 9 bytes.
        patched(4, u32::MAX),
        patched(4, u32::MAX - 9),
        patched(4, 1 << 20),
        patched(4, CUSTOM.len() as u32 + 1),
        patched(0, u32::MAX),
        patched(0, good.len() as u32 + 1),
        patched(0, good.len() as u32 - 1),
        patched(0, 0),
        good[..good.len() - 1].to_vec(),
        [&good[..], b"\0"].concat(),
        frame(b"", 0, b""),
        frame(b"no such meta", 0, b""),
        frame(&[b'a'; MAX_NAME + 1], 0, b""),
        frame(b"GstNewer\0TestMeta", 0, b"a;\0"),
        frame(b"\xff\xfe", 0, b""),
        frame(b"GstVideoMeta", 0, &[0xff; 36]),
        frame(b"GstAudioMeta", 0, &[0xff; 36]),
        frame(b"GstParentBufferMeta", 0, &[0; 8]),
        frame(custom, 0, b""),
        frame(custom, 0, b"GstNewerTestMeta;"),
        frame(custom, 0, b"a;\0b;\0"),
        frame(custom, 0, b"\xff;\0"),
        frame(custom, 0, b"not, a structure\0"),
        frame(custom, 0, &nested),
        frame(custom, 1, b"a;\0"),
        frame(b"GstReferenceTimestampMeta", 0, &[0; 15]),
        frame(b"GstReferenceTimestampMeta", 0, &[[0xff; 16].as_slice(), b"a/b\0"].concat()),
        timestamp(b""),
        timestamp(b"a/b"),
        timestamp(b"=\0"),
        timestamp(b"a/b\0=\0"),
        timestamp(b"a/b\0c;\0d;\0"),
        timestamp(&[b"a/b\0" as &[u8], &nested].concat()),
        vec![0; MAX_FRAME + 1],
    ];
    for (number, frame) in bad.iter().enumerate() {
        let error = try_on_buffer(frame).map(drop).expect_err(&number.to_string());
        if !matches!(error, Error::Refused { .. }) {
            assert!(!matches!(error, Error::NotThere { .. }) || !is_there(), "{number}: {error}");
        }
    }
    assert_eq!(try_on_buffer(&good).is_ok(), is_there());
}

#[test]
fn a_frame_is_taken_apart() {
    let bytes = frame(b"Abc", 3, b"xyz");
    assert_eq!(Frame::parse(&bytes), Ok(Frame { name: "Abc", version: 3, payload: b"xyz" }));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        start();
        let _ = try_on_buffer(&bytes);
    }

    #[test]
    fn any_payload_is_survived(payload in prop::collection::vec(any::<u8>(), 0..80), timestamp: bool, version in 0u8..3) {
        start();
        let name: &[u8] = if timestamp { b"GstReferenceTimestampMeta" } else { CUSTOM.as_bytes() };
        let _ = try_on_buffer(&frame(name, version, &payload));
    }

    #[test]
    fn any_text_is_survived(text in "[a-c/]{1,3}(, ?[a-c]=(\\((int|string|structure|list|GstCaps|buffer|bitmask|GstDateTime)\\))?[\\[\\]{}<>\"\\\\a-c0-9,;:=() -]{0,20}){0,3};?", timestamp: bool) {
        start();
        let text = [text.as_bytes(), b"\0"].concat();
        let frame = if timestamp { self::timestamp(&text) } else { frame(CUSTOM.as_bytes(), 0, &text) };
        let _ = try_on_buffer(&frame);
    }
}
