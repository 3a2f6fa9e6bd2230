//! Payloads that nobody honest made.

mod common;

use common::*;
use dsmeta::PayloadKind;
use dsmeta::model::{Object, Region, VideoBatch, VideoFrame};

/// A payload with some of everything.
fn payload() -> Vec<u8> {
    let regions = [
        roi("car", 1, 0, &["detection, confidence=(double)0.75, label_id=(int)2", "object_id, id=(int)7"]),
        roi("plate", 2, 1, &["text, label=(string)B-XY, confidence=(double)0.1, label_id=(int)9"]),
    ];
    payload_of(&Line::start("nvdsmetainsert", VIDEO).push(buffer_with(&regions))).unwrap().1
}

/// What `bytes` become. What cannot be read must still be there.
fn extract(line: &Line, kind: PayloadKind, bytes: &[u8]) -> Vec<Roi> {
    let mut buffer = buffer_with(&[]);
    hang(&mut buffer, kind.number(), bytes);
    let after = line.push(buffer);
    let regions = regions_of(&after);
    if dsmeta::decode(kind, bytes).is_err() {
        assert_eq!(payload_of(&after), Some((kind.number(), bytes.to_vec())));
        assert_eq!(regions, []);
    } else {
        assert_eq!(payload_of(&after), None);
    }
    regions
}

#[test]
fn cut_anywhere_it_is_left_alone() {
    let whole = payload();
    let line = Line::start("nvdsmetaextract", VIDEO);
    let mut broken = 0;
    for len in 0..whole.len() {
        assert!(extract(&line, PayloadKind::Video, &whole[..len]).len() <= 2);
        broken += usize::from(dsmeta::decode(PayloadKind::Video, &whole[..len]).is_err());
    }
    assert!(broken > whole.len() / 2, "{broken} of {} are broken", whole.len());
    assert_eq!(extract(&line, PayloadKind::Video, &whole).len(), 2);
}

#[test]
fn with_any_byte_changed_it_does_no_harm() {
    let whole = payload();
    for kind in [PayloadKind::Video, PayloadKind::Audio] {
        let line = Line::start("nvdsmetaextract", VIDEO);
        for at in 0..whole.len() {
            for change in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                extract(&line, kind, &bytes);
            }
        }
    }
}

#[test]
fn one_warning_tells_of_many() {
    let line = Line::start("nvdsmetaextract name=extract", VIDEO);
    for _ in 0..3 {
        extract(&line, PayloadKind::Video, b"\xff\xff\xff");
    }
    let warnings = line.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("at 0:00:00.040000000: the payload cannot be parsed"), "{warnings:?}");
}

#[test]
fn payloads_of_others_are_left_alone() {
    let line = Line::start("nvdsmetaextract", VIDEO);
    let mut buffer = buffer_with(&[]);
    hang(&mut buffer, 7, b"theirs");
    let ours = payload();
    hang(&mut buffer, PayloadKind::Video.number(), &ours);
    let after = line.push(buffer);
    assert_eq!(payload_of(&after), Some((7, b"theirs".to_vec())));
    assert_eq!(after.iter_meta::<gst::Meta>().count(), 3);
    assert_eq!(regions_of(&after).len(), 2);
    let inserted = Line::start("nvdsmetainsert", VIDEO).push(after);
    assert_eq!(payload_of(&inserted), Some((7, b"theirs".to_vec())));
    assert_eq!(line.warnings(), Vec::<String>::new());
}

#[test]
fn a_meta_that_is_no_payload_is_left_alone() {
    let line = Line::start("nvdsmetaextract", VIDEO);
    let mut buffer = buffer_with(&[]);
    hang(&mut buffer, PayloadKind::Video.number(), b"");
    let mut meta = gst::meta::CustomMeta::from_mut_buffer(buffer.make_mut(), META).unwrap();
    meta.mut_structure().set("payload", "text");
    assert_eq!(line.push(buffer).iter_meta::<gst::Meta>().count(), 1);
    let mut buffer = buffer_with(&[]);
    hang(&mut buffer, 0, b"");
    gst::meta::CustomMeta::from_mut_buffer(buffer.make_mut(), META)
        .unwrap()
        .mut_structure()
        .remove_all_fields();
    assert_eq!(line.push(buffer).iter_meta::<gst::Meta>().count(), 1);
    assert_eq!(line.warnings(), Vec::<String>::new());
}

#[test]
fn parameters_that_gstreamer_cannot_read_are_left_out() {
    let params = vec!["{".repeat(100_000), "(".to_owned(), String::new(), "good, n=(int)1".to_owned()];
    let region = Region { id: 3, width: 5, params, ..Region::default() };
    let object = Object { label: "a".into(), region: Some(region), ..Object::default() };
    let frame = VideoFrame { objects: vec![object], ..VideoFrame::default() };
    let batch = VideoBatch { max_frames_in_batch: 1, frames: vec![frame], ..VideoBatch::default() };
    let payload = dsmeta::encode(&dsmeta::Batch::Video(batch), dsmeta::Style::Safe).unwrap();
    let regions = extract(&Line::start("nvdsmetaextract", VIDEO), payload.kind, &payload.bytes);
    let mut expected = roi("a", 3, 0, &["good, n=(int)1"]);
    expected.3 = (0, 0, 5, 0);
    assert_eq!(regions, [expected]);
}

#[test]
fn more_than_a_payload_may_hold_is_not_serialised() {
    let line = Line::start("nvdsmetainsert", VIDEO);
    let regions = vec![roi("a", 0, 0, &[]); dsmeta::MAX_OBJECTS + 1];
    let buffer = line.push(buffer_with(&regions));
    assert!(payload_of(&buffer).is_none());
    let warnings = line.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("objects, at most 65536 are allowed"),
        "{warnings:?}"
    );
}
