//! Fields that come more than once.

use dsmeta::PayloadKind::Video;
use dsmeta::model::*;
use dsmeta::{Batch, Error, MAX_SHAPES, decode};

use crate::field::{field, number};

fn frame(content: &[Vec<u8>]) -> Result<VideoFrame, Error> {
    decode(Video, &field(4, &content.concat())).map(|batch| match batch {
        Batch::Video(mut batch) => batch.frames.remove(0),
        Batch::Audio(batch) => panic!("{batch:?}"),
    })
}

fn object(content: &[Vec<u8>]) -> Object {
    frame(&[field(15, &content.concat())]).unwrap().objects.remove(0)
}

fn float(number: u8, value: f32) -> Vec<u8> {
    [&[number << 3 | 5][..], &value.to_le_bytes()].concat()
}

#[test]
fn the_last_value_holds() {
    let object = object(&[
        number(3, 1),
        field(12, b"one"),
        number(3, 2),
        field(12, b"two"),
        number(3, 0),
        field(12, b""),
        field(12, b"three"),
    ]);
    assert_eq!((object.class_id, object.label.as_str()), (0, "three"));
    let frame = frame(&[number(2, 1), number(2, 1 << 32 | 7), number(14, 1 << 63)]).unwrap();
    assert_eq!((frame.pad_index, frame.infer_done), (7, true));
}

#[test]
fn messages_in_one_field_are_one() {
    let object = object(&[
        field(9, &[float(1, 1.0), float(2, 2.0), field(6, &[0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F])].concat()),
        field(5, &field(1, &float(1, 3.0))),
        field(1004, &field(7, b"one")),
        field(9, &[float(2, 4.0), field(6, &[])].concat()),
        field(5, &[field(1, &float(4, 5.0)), field(1, &[])].concat()),
        field(1004, &[number(3, 6), field(7, b"two")].concat()),
        field(9, &[]),
    ]);
    assert_eq!((object.rect.left, object.rect.top), (1.0, 4.0));
    assert_eq!(object.rect.border_color, Color { red: 1.0, ..Default::default() });
    assert_eq!(object.detector_bbox, Bbox { left: 3.0, height: 5.0, ..Default::default() });
    let region = object.region.unwrap();
    assert_eq!((region.x, region.params), (6, vec!["one".to_owned(), "two".to_owned()]));

    let mask = |data: &[u8], more: &[u8]| field(10, &[field(1, data), more.to_vec()].concat());
    let halves = self::object(&[
        mask(&1.0_f32.to_le_bytes(), &[number(2, 4), number(4, 3)].concat()),
        mask(&2.0_f32.to_le_bytes(), &[float(1, 3.0), number(2, 12), number(5, 1)].concat()),
    ]);
    assert_eq!(halves.mask, Mask { data: vec![1.0, 2.0, 3.0], threshold: 0.0, width: 3, height: 1 });
}

#[test]
fn our_fields_are_preferred_wherever_they_stand() {
    let text = |field_number, text: &[u8]| field(11, &field(field_number, text));
    let classifier = |number, name: &[u8]| field(number, &field(5, name));
    let ours = [text(1000, b"ours"), field(1000, b"ours"), classifier(1001, b"ours"), field(1002, &[])];
    let mask = field(10, &[field(1, &[0; 4]), number(2, 4), number(4, 1), number(5, 1)].concat());
    let theirs = [text(1, b"theirs"), field(12, b"theirs"), classifier(13, b"theirs"), mask];
    for fields in [[ours.clone(), theirs.clone()], [theirs.clone(), ours]] {
        let object = object(&fields.concat());
        assert_eq!((object.text.display_text.as_str(), object.label.as_str()), ("ours", "ours"));
        assert_eq!(object.classifiers.len(), 1);
        assert_eq!(object.classifiers[0].classifier_type, "ours");
        assert_eq!(object.mask, Mask::default());
    }
    // An empty text of ours is none.
    let object = object(&[&theirs[..], &[text(1000, b""), field(1000, b"")]].concat());
    assert_eq!((object.text.display_text.as_str(), object.label.as_str()), ("theirs", "theirs"));
    assert_eq!(object.mask.data, [0.0]);

    // What is not preferred need not fit.
    let shapes = [field(16, &field(9, &[]).repeat(MAX_SHAPES + 1)), field(1000, &[])];
    assert!(frame(&shapes[..1]).is_err());
    assert_eq!(frame(&shapes).unwrap().displays, [Display::default()]);
}

#[test]
fn lists_are_packed_or_not() {
    let frame = frame(&[number(18, 1), field(18, &[2, 3]), field(18, &[]), number(18, 4)]).unwrap();
    assert_eq!(frame.misc_frame_info, [1, 2, 3, 4]);
    let data = [float(1, 1.0), field(1, &2.0_f32.to_le_bytes()), field(1, &[]), float(1, 3.0)].concat();
    let object = object(&[field(10, &[data, number(2, 12), number(4, 3), number(5, 1)].concat())]);
    assert_eq!(object.mask.data, [1.0, 2.0, 3.0]);
}

#[test]
fn the_last_kind_of_an_item_holds() {
    let item = |fields: &[Vec<u8>]| {
        let mut frame = frame(&[field(1002, &field(1, &fields.concat()))]).unwrap();
        frame.analytics.as_mut().unwrap().items.remove(0)
    };
    let class = |name: &[u8]| field(2, &field(1, &field(1, name)));
    let named = |name: &str| Class { label: name.into(), confidence: 0.0 };
    assert_eq!(
        item(&[class(b"a"), class(b"b")]),
        AnalyticsItem::Classification(vec![named("a"), named("b")])
    );
    let tracking = |field_number, value| field(3, &number(field_number, value));
    let both = Tracking { tracking_id: 1, first_seen: 2, ..Default::default() };
    assert_eq!(item(&[class(b"a"), tracking(1, 1), tracking(2, 2)]), AnalyticsItem::Tracking(both));
    let last = item(&[class(b"a"), tracking(1, 1), field(99, b""), class(b"c"), field(99, b"")]);
    assert_eq!(last, AnalyticsItem::Classification(vec![named("c")]));
    let detection = item(&[field(1, &number(2, 3)), tracking(1, 1), field(1, &number(3, 4))]);
    assert_eq!(detection, AnalyticsItem::Detection(Detection { y: 2, ..Default::default() }));
}
