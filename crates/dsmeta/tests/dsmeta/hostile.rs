//! Payloads that somebody made to do harm.

use dsmeta::PayloadKind::{Audio, Video};
use dsmeta::model::*;
use dsmeta::*;

use crate::field::{field, number};

/// A frame with one object.
fn object(content: &[u8]) -> Vec<u8> {
    field(4, &field(15, content))
}

fn frame_of(batch: Batch) -> VideoFrame {
    let Batch::Video(mut batch) = batch else { panic!("{batch:?}") };
    batch.frames.remove(0)
}

fn with_objects(objects: Vec<Object>) -> Batch {
    let frame = VideoFrame { objects, ..Default::default() };
    Batch::Video(VideoBatch { max_frames_in_batch: 1, frames: vec![frame], ..Default::default() })
}

fn with_object(object: Object) -> Batch {
    with_objects(vec![object])
}

#[test]
fn counts_are_not_believed() {
    let counts = [number(2, 0), number(3, 1000), field(4, &number(13, 1_000_000))].concat();
    for kind in [Video, Audio] {
        let batch = decode(kind, &counts).unwrap();
        let (room, frames) = match &batch {
            Batch::Video(batch) => (batch.max_frames_in_batch, batch.frames.len()),
            Batch::Audio(batch) => (batch.max_frames_in_batch, batch.frames.len()),
        };
        assert_eq!((room, frames), (1, 1));
    }
    let frame = frame_of(decode(Video, &counts).unwrap());
    assert!(frame.objects.is_empty());
    let display = [2, 3, 4, 5, 6].map(|field| number(field, 16)).concat();
    let frame = frame_of(decode(Video, &field(4, &field(16, &display))).unwrap());
    assert_eq!(frame.displays, [Display::default()]);

    let error = decode(Video, &number(2, 1025)).unwrap_err();
    assert_eq!(
        error,
        Error::TooMany { what: "frames that there is room for", count: 1025, limit: MAX_FRAMES }
    );
}

#[test]
fn lists_of_four_may_be_short_but_not_long() {
    let frame = frame_of(decode(Video, &field(4, &field(18, &[7, 8]))).unwrap());
    assert_eq!(frame.misc_frame_info, [7, 8, 0, 0]);
    for lists in
        [field(18, &[1; 5]), number(18, 1).repeat(5), field(18, &[1; 100]), number(21, 1).repeat(100)]
    {
        let error = decode(Video, &field(4, &lists)).unwrap_err();
        assert!(matches!(error, Error::TooMany { .. }), "{error}");
    }
}

#[test]
fn limits_hold_and_can_be_reached() {
    let deep = |inner: &[u8]| object(&field(13, inner));
    let analytics = |inner: &[u8]| field(4, &field(1002, inner));
    let item = field(1, &field(3, &[]));
    type Wrap<'a> = Box<dyn Fn(&[u8]) -> Vec<u8> + 'a>;
    // One item, what it stands in, and how many there may be.
    let lists: [(&str, Vec<u8>, Wrap<'_>, usize); 9] = [
        ("frames", field(4, &[]), Box::new(<[u8]>::to_vec), MAX_FRAMES),
        ("objects", field(15, &[]), Box::new(|list| field(4, list)), MAX_OBJECTS),
        ("classifiers", field(1001, &[]), Box::new(object), MAX_CLASSIFIERS),
        ("labels", field(4, &[]), Box::new(deep), MAX_LABELS),
        ("display metas", field(1000, &[]), Box::new(|list| field(4, list)), MAX_DISPLAYS),
        ("parameters of regions", field(7, &[]), Box::new(|list| object(&field(1004, list))), MAX_PARAMS),
        ("items of analytics metadata", item.clone(), Box::new(analytics), MAX_ANALYTICS),
        (
            "classes of analytics metadata",
            field(1, &[]),
            Box::new(|list| analytics(&field(1, &field(2, list)))),
            MAX_CLASSES,
        ),
        (
            "relations of analytics metadata",
            field(2, &[]),
            Box::new(|list| analytics(&[&item, list].concat())),
            MAX_RELATIONS,
        ),
    ];
    for (what, item, wrap, limit) in lists {
        assert!(decode(Video, &wrap(&item.repeat(limit))).is_ok(), "{what}");
        let error = decode(Video, &wrap(&item.repeat(limit + 1))).unwrap_err();
        assert_eq!(error, Error::TooMany { what, count: limit + 1, limit });
        assert!(error.to_string().contains(&limit.to_string()));
    }
    let classifiers = field(17, &[]);
    assert!(decode(Audio, &field(4, &classifiers.repeat(MAX_CLASSIFIERS))).is_ok());
    assert!(decode(Audio, &field(4, &classifiers.repeat(MAX_CLASSIFIERS + 1))).is_err());
    let shapes = field(4, &field(16, &field(9, &[]).repeat(17)));
    assert!(matches!(decode(Video, &shapes), Err(Error::TooMany { count: 17, limit: MAX_SHAPES, .. })));
}

#[test]
fn limits_hold_for_what_is_sent() {
    let error = encode(&with_objects(vec![Object::default(); MAX_OBJECTS + 1]), Style::Safe).unwrap_err();
    assert_eq!(error, Error::TooMany { what: "objects", count: MAX_OBJECTS + 1, limit: MAX_OBJECTS });
    let object = Object { label: "x".repeat(MAX_PAYLOAD).into(), ..Default::default() };
    let error = encode(&with_object(object), Style::Safe).unwrap_err();
    assert!(matches!(error, Error::TooLong { limit: MAX_PAYLOAD, .. }), "{error}");
}

#[test]
fn long_payloads_are_refused_unread() {
    let bytes = vec![0xFF; MAX_PAYLOAD + 1];
    assert_eq!(decode(Video, &bytes), Err(Error::TooLong { len: MAX_PAYLOAD + 1, limit: MAX_PAYLOAD }));
}

#[test]
fn raw_structs_do_not_parse() {
    // What DeepStream 6.1 sends begins with a base meta: a pointer, then the number of a frame.
    for pointer in [0x7F12_3456_7890_u64, 0x5555_5555_AB10, 0x7FFF_FFFF_F000, 0] {
        let mut raw = pointer.to_le_bytes().to_vec();
        raw.extend(2_u64.to_le_bytes());
        raw.resize(200, 0);
        for kind in [Video, Audio] {
            let error = decode(kind, &raw).unwrap_err();
            assert!(matches!(error, Error::Malformed(_)), "{error}");
        }
    }
}

#[test]
fn broken_payloads_are_errors() {
    let cases = [
        (field(4, &[0; 8])[..4].to_vec(), Malformed::Cut),
        (vec![0x10], Malformed::Cut),
        (vec![0x10, 0x80], Malformed::Cut),
        (vec![0x0D, 0, 0, 0], Malformed::Cut),
        (vec![0x09, 0, 0, 0, 0], Malformed::Cut),
        (field(6, &[0x80]), Malformed::Cut),
        (object(&field(10, &field(1, &[0; 6]))), Malformed::Cut),
        // A length that is more than there can be.
        ([&[0x22][..], &[0xFF; 9], &[1]].concat(), Malformed::Cut),
        // A byte more than 64 bits take, and a bit more.
        ([&[0x10][..], &[0xFF; 10], &[1]].concat(), Malformed::Number),
        ([&[0x10][..], &[0xFF; 9], &[2]].concat(), Malformed::Number),
        (object(&field(12, &[0xFF])), Malformed::NotText(12)),
        (number(4, 1), Malformed::Type(4)),
        (field(2, &[1]), Malformed::Type(2)),
        (field(4, &[0x95, 1, 0, 0, 0, 0]), Malformed::Type(18)),
        // A group that did not begin, one that ends as another, a field of no number, and what no value is of.
        (vec![0x0C], Malformed::Key(0x0C)),
        (vec![0x0B, 0x14], Malformed::Key(0x14)),
        (vec![0x00, 0x00], Malformed::Key(0)),
        (vec![0x0E], Malformed::Key(0x0E)),
        (vec![0x80, 0x80, 0x80, 0x80, 0x10, 0], Malformed::Key(1 << 32)),
    ];
    for (bytes, cause) in cases {
        let error = decode(Video, &bytes).unwrap_err();
        assert_eq!(error, Error::Malformed(cause), "{bytes:x?}");
        assert!(error.to_string().starts_with("the payload cannot be parsed: "), "{error}");
    }
}

#[test]
fn parents_lead_upwards() {
    let tree = |parents: &[Option<usize>]| {
        with_objects(parents.iter().map(|parent| Object { parent: *parent, ..Default::default() }).collect())
    };
    let payload = encode(&tree(&[Some(2), None, Some(1), Some(2)]), Style::Safe).unwrap();
    assert!(decode(payload.kind, &payload.bytes).is_ok());
    for cycle in [&[Some(0)][..], &[Some(1), Some(0)], &[None, Some(2), Some(3), Some(1)]] {
        let error = encode(&tree(cycle), Style::Safe).unwrap_err();
        assert!(matches!(error, Error::ParentCycle { .. }), "{error}");
    }
    let error = encode(&tree(&[None, Some(2)]), Style::Safe).unwrap_err();
    assert_eq!(error, Error::NoSuchIndex { what: "the parent of an object", index: 2, count: 2 });

    let own = |parent| object(&number(1003, parent));
    assert_eq!(decode(Video, &own(0)), Err(Error::ParentCycle { object: 0 }));
    assert!(matches!(decode(Video, &own(1)), Err(Error::NoSuchIndex { index: 1, count: 1, .. })));
}

#[test]
fn relations_lead_somewhere() {
    let relation = field(2, &number(2, 1));
    let one = [field(1, &field(3, &[])), relation.clone()].concat();
    let two = [field(1, &field(3, &[])).repeat(2), relation].concat();
    assert!(decode(Video, &field(4, &field(1002, &two))).is_ok());
    let error = decode(Video, &field(4, &field(1002, &one))).unwrap_err();
    assert_eq!(error, Error::NoSuchIndex { what: "an item in a relation", index: 1, count: 1 });
    let unknown = field(4, &field(1002, &field(1, &field(99, &[]))));
    assert_eq!(decode(Video, &unknown), Err(Error::UnknownAnalytics { index: 0 }));
}

#[test]
fn masks_have_their_size() {
    let mask = |size, values: usize| {
        let data = field(1, &1.0_f32.to_le_bytes().repeat(values));
        decode(Video, &object(&field(10, &[data, number(2, size), number(4, 2), number(5, 2)].concat())))
    };
    let read = |batch: Batch| frame_of(batch).objects.remove(0).mask;
    assert_eq!(read(mask(16, 4).unwrap()).data, [1.0; 4]);
    assert_eq!(read(mask(16, 16).unwrap()).data, [1.0; 4]);
    assert_eq!(read(mask(0, 0).unwrap()), Mask { width: 2, height: 2, ..Default::default() });
    for (size, values) in [(16, 5), (16, 3), (15, 4), (0, 1), (u64::from(u32::MAX), 4)] {
        let error = mask(size, values).unwrap_err();
        assert!(matches!(error, Error::MaskSize { .. }), "{error}");
    }
    assert_eq!(mask(20, 5), Err(Error::MaskShape { width: 2, height: 2, values: 5 }));
    let huge = Mask { data: vec![0.0], width: u32::MAX, height: u32::MAX, threshold: 0.0 };
    assert!(encode(&with_object(Object { mask: huge, ..Default::default() }), Style::Safe).is_err());
}

#[test]
fn numbers_are_numbers() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let bbox = Bbox { top: value, ..Default::default() };
        let color = Color { alpha: value.into(), ..Default::default() };
        let text = Text { font: Font { color, ..Default::default() }, ..Default::default() };
        let objects = [
            Object { rect: Rect { left: value, ..Default::default() }, ..Default::default() },
            Object { rect: Rect { rotation: value, ..Default::default() }, ..Default::default() },
            Object { rect: Rect { bg_color: color, ..Default::default() }, ..Default::default() },
            Object { detector_bbox: bbox, ..Default::default() },
            Object { tracker_bbox: bbox, ..Default::default() },
            Object { confidence: value, ..Default::default() },
            Object { tracker_confidence: value, ..Default::default() },
            Object { text, ..Default::default() },
            Object { mask: Mask { threshold: value, ..Default::default() }, ..Default::default() },
            Object {
                mask: Mask { data: vec![value], width: 1, height: 1, threshold: 0.0 },
                ..Default::default()
            },
        ];
        for object in objects {
            let error = encode(&with_object(object), Style::Safe).unwrap_err();
            assert!(matches!(error, Error::NotFinite { .. }), "{error}");
        }
        let left = [&[0x0D][..], &value.to_le_bytes()].concat();
        let error = decode(Video, &object(&field(9, &left))).unwrap_err();
        assert!(matches!(error, Error::NotFinite { what: "a rectangle", .. }), "{error}");
    }
}

#[test]
fn texts_have_no_nul() {
    let error = decode(Video, &object(&field(12, b"a\0b"))).unwrap_err();
    assert_eq!(error, Error::Nul { what: "the label of an object" });
    let error = encode(&with_object(Object { label: "a\0".into(), ..Default::default() }), Style::Safe);
    assert_eq!(error, Err(Error::Nul { what: "the label of an object" }));
    assert!(decode(Audio, &field(4, &field(16, b"\0"))).is_err());
}

/// A field inside a field that is not known is not ours either, however deep.
#[test]
fn depth_is_bounded() {
    let mut nested = Vec::new();
    for _ in 0..10_000 {
        nested = field(999, &nested);
        if nested.len() > 1 << 16 {
            break;
        }
    }
    assert!(decode(Video, &nested).is_ok());
    // Groups are the only thing that is skipped by going into it.
    let groups = |depth| [[0x0B].repeat(depth), [0x0C].repeat(depth)].concat();
    assert!(decode(Video, &groups(100)).is_ok());
    assert_eq!(decode(Video, &groups(101)), Err(Error::Malformed(Malformed::TooDeep)));
    assert!(decode(Video, &groups(100_000)).is_err());
}
