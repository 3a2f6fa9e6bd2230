//! GStreamer's analytics metadata, since 1.24, survives being a payload; before, its detections become regions.

mod common;

use common::*;
use dsmeta::Batch;
use dsmeta::model::{
    self, AnalyticsItem, Detection, Object, Origin, Relation, UNTRACKED, VideoBatch, VideoFrame,
};
use gst_newer::analytics::{Analytics, Link, Relations, Thing, attach, read};

const IS_PART_OF: u32 = 1 << 1;
const RELATES_TO: u32 = 1 << 3;

fn detected(label: &str, x: i32) -> Thing {
    Thing::Object { label: label.to_owned(), x, y: 20, width: 30, height: 40, rotation: 0.0, confidence: 0.5 }
}

/// A car with a class and a tracker's number, and its wheel.
fn relations() -> Relations {
    Relations {
        things: vec![
            detected("car", -10),
            Thing::Class { classes: vec![("red".to_owned(), 0.25), ("blue".to_owned(), 0.75)] },
            Thing::Tracking {
                id: u64::MAX >> 1,
                first_seen: Some(gst::ClockTime::from_seconds(1)),
                last_seen: Some(gst::ClockTime::from_seconds(2)),
                lost: false,
            },
            detected("wheel", 10),
        ],
        links: vec![
            Link { from: 0, to: 1, relation: RELATES_TO },
            Link { from: 2, to: 0, relation: RELATES_TO },
            Link { from: 3, to: 0, relation: IS_PART_OF },
        ],
    }
}

/// A buffer with these metas; none where this GStreamer knows nothing of them.
fn buffer(relations: &Relations, regions: &[Roi]) -> Option<gst::Buffer> {
    init();
    Analytics::get()?;
    let mut buffer = buffer_with(regions);
    attach(buffer.make_mut(), relations).unwrap();
    Some(buffer)
}

fn frame(buffer: &gst::BufferRef) -> VideoFrame {
    match batch_of(buffer) {
        Batch::Video(mut batch) => batch.frames.remove(0),
        Batch::Audio(_) => panic!("audio"),
    }
}

fn sorted(mut relations: Relations) -> Relations {
    relations.links.sort_by_key(|link| (link.from, link.to));
    relations
}

#[test]
fn analytics_come_back_as_they_were() {
    let Some(buffer) = buffer(&relations(), &[]) else { return };
    let before = sorted(read(&buffer).unwrap());
    let inserted = Line::start("nvdsmetainsert", VIDEO).push(buffer);
    let extract = Line::start("nvdsmetaextract", VIDEO);
    let extracted = extract.push(bare(&inserted));
    assert_eq!(sorted(read(&extracted).unwrap()), before);
    assert_eq!(regions_of(&extracted), []);
    assert!(payload_of(&extracted).is_none());
    // What is there is not added again.
    assert_eq!(sorted(read(&extract.push(inserted)).unwrap()), before);
}

#[test]
fn others_see_objects() {
    let Some(buffer) = buffer(&relations(), &[]) else { return };
    let objects = frame(&Line::start("nvdsmetainsert", VIDEO).push(buffer)).objects;
    let (car, wheel) = (&objects[0], &objects[1]);
    assert_eq!((car.label.as_str(), car.confidence, car.object_id), ("car", 0.5, u64::MAX >> 1));
    assert_eq!((car.rect.left, car.rect.height, car.tracker_bbox.left), (-10.0, 40.0, -10.0));
    let label = &car.classifiers[0].labels[0];
    assert_eq!((label.result_label.as_str(), label.result_prob, label.result_class_id), ("blue", 0.75, 1));
    assert_eq!((wheel.label.as_str(), wheel.parent, wheel.object_id), ("wheel", Some(0), UNTRACKED));
}

#[test]
fn regions_beside_analytics_come_back_too() {
    let regions = [roi("wheel", 3, 0, &[]), roi("plate", 4, 3, &[])];
    let Some(buffer) = buffer(&relations(), &regions) else { return };
    let inserted = Line::start("nvdsmetainsert", VIDEO).push(buffer);
    // The wheel is one object, though both tell of it.
    assert_eq!(frame(&inserted).objects.len(), 3);
    let extracted = Line::start("nvdsmetaextract", VIDEO).push(bare(&inserted));
    assert_eq!(regions_of(&extracted), regions);
    assert_eq!(read(&extracted).unwrap().things.len(), 4);
}

#[test]
fn what_is_part_of_itself_has_no_end() {
    let relations = Relations {
        things: vec![detected("a", 1), detected("b", 2)],
        links: vec![
            Link { from: 0, to: 1, relation: IS_PART_OF },
            Link { from: 1, to: 0, relation: IS_PART_OF },
        ],
    };
    let Some(buffer) = buffer(&relations, &[]) else { return };
    let line = Line::start("nvdsmetainsert", VIDEO);
    let objects = frame(&line.push(buffer)).objects;
    assert_eq!(objects.iter().filter(|object| object.parent.is_none()).count(), 1);
    assert_eq!(line.warnings(), Vec::<String>::new());
}

#[test]
fn a_payload_with_analytics_is_of_use_to_every_gstreamer() {
    let mut car = Object { label: "car".into(), ..Object::default() };
    (car.rect.left, car.rect.top, car.rect.width, car.rect.height) = (10.0, 20.0, 30.0, 40.0);
    let detection =
        Detection { label: "car".to_owned(), x: 10, y: 20, width: 30, height: 40, ..Detection::default() };
    let classes = vec![model::Class { label: "red".to_owned(), confidence: 0.5 }];
    let analytics = model::Analytics {
        items: vec![AnalyticsItem::Detection(detection), AnalyticsItem::Classification(classes)],
        relations: vec![Relation { from: 0, to: 1, kinds: RELATES_TO }],
    };
    let frame = VideoFrame { objects: vec![car], analytics: Some(analytics), ..VideoFrame::default() };
    let batch = VideoBatch {
        max_frames_in_batch: 1,
        frames: vec![frame],
        origin: Origin::Analytics,
        ..VideoBatch::default()
    };
    let payload = dsmeta::encode(&Batch::Video(batch), dsmeta::Style::Safe).unwrap();
    let mut buffer = buffer_with(&[]);
    hang(&mut buffer, payload.kind.number(), &payload.bytes);
    let extracted = Line::start("nvdsmetaextract ! nvdsmetaextract", VIDEO).push(buffer);
    if Analytics::get().is_some() {
        assert_eq!(read(&extracted).unwrap().things.len(), 2);
        assert_eq!((regions_of(&extracted), payload_of(&extracted)), (Vec::new(), None));
    } else {
        // A region, once; and the payload, with what a region does not tell.
        assert_eq!(regions_of(&extracted), [roi("car", 1, 0, &[])]);
        assert!(payload_of(&extracted).is_some());
    }
}
