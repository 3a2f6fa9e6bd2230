//! Regions of interest survive being a payload.

mod common;

use common::*;
use dsmeta::Batch;
use dsmeta::model::{KString, Object, Origin, UNTRACKED, VideoBatch, VideoFrame};
use gst_video::{VideoFormat, VideoFrameFlags, VideoMeta};

fn video(buffer: &gst::BufferRef) -> VideoBatch {
    match batch_of(buffer) {
        Batch::Video(batch) => batch,
        Batch::Audio(_) => panic!("audio"),
    }
}

fn objects(regions: &[Roi]) -> Vec<Object> {
    let buffer = Line::start("nvdsmetainsert", VIDEO).push(buffer_with(regions));
    video(&buffer).frames.remove(0).objects
}

#[test]
fn regions_come_back_as_they_were() {
    let all = [
        roi("", 0, 0, &[]),
        roi("car", 1, 0, &["detection, confidence=(double)0.75, label_id=(int)2", "object_id, id=(int)7"]),
        roi("wheel", 2, 1, &["detection, confidence=(double)0.9, label_id=(int)3"]),
        roi("Fahrzeug für „alles“, \"sogar\" das; ok", -5, 2, &["detection, confidence=(double)0.5"]),
        roi("日本語\tlabel", i32::MAX, i32::MIN, &["colour, label=(string)red, confidence=(double)0.25"]),
        roi(
            "car",
            6,
            1,
            &[
                "detection, confidence=(double)0.5, label_id=(int)1",
                "object_id, id=(int)0",
                "colour, label=(string)red, confidence=(double)0.25, label_id=(int)4",
                "make, label=(string)\"a b\", confidence=(double)1",
                "make, label=(string)\"\", confidence=(double)0",
            ],
        ),
    ];
    assert_eq!(round_trip(&all), all);
}

#[test]
fn parameters_beyond_the_conventions_come_back_as_they_were() {
    for params in [
        // As DL Streamer has it.
        &["detection, x_min=(double)0.1, x_max=(double)0.2, confidence=(double)0.75, label_id=(int)2"][..],
        &["object_id, id=(int)3", "detection, confidence=(double)0.5, label_id=(int)1"],
        &[
            "detection, confidence=(double)0.5, label_id=(int)1",
            "detection, confidence=(double)0.25, label_id=(int)1",
        ],
        &["detection, confidence=(double)0, label_id=(int)0"],
        &["detection, confidence=(float)0.5, label_id=(int)0"],
        &["detection"],
        &["object_id, id=(int)-3"],
        &["object_id, id=(string)seven"],
        &["object_id, id=(guint64)18446744073709551615"],
        &["object_id, id=(guint64)5"],
        &["object_id, id=(guint64)5000000000"],
        &["roi/x264, delta-qp=(int)-5", "keypoints, at=(double)< 0.5, 0.25 >, name=(string){ a, b }"],
        &["colour, label=(string)red, confidence=(double)0.1"],
        &["colour, label=(string)red, confidence=(double)0.5, label_id=(int)0"],
        &["colour, label=(string)red, confidence=(double)0.5, label_id=(int)-1"],
        &["colour, label=(string)red, confidence=(double)0.5, more=(boolean)true"],
        &["frame, label=(string)red, confidence=(double)0.5"],
        &["classifier, label=(string)red, confidence=(double)0.5, type=(string)vehicle"],
        &["classifier, label=(string)red, confidence=(double)0.5, type=(string)\"vehicle colour\""],
    ] {
        let region = [roi("thing", 1, 0, params)];
        assert_eq!(round_trip(&region), region);
    }
}

#[test]
fn what_deepstream_knows_is_where_its_readers_look() {
    let found = objects(&[
        roi("lorry", 5, 0, &["detection, confidence=(double)0.75, label_id=(int)2", "object_id, id=(int)7"]),
        roi("plate", 6, 5, &["text, label=(string)B-XY, confidence=(double)0.5, label_id=(int)9"]),
    ]);
    let (lorry, plate) = (&found[0], &found[1]);
    assert_eq!(
        (lorry.label.as_str(), lorry.confidence, lorry.class_id, lorry.object_id),
        ("lorry", 0.75, 2, 7)
    );
    assert_eq!(
        (lorry.rect.left, lorry.rect.top, lorry.rect.width, lorry.rect.height),
        (10.0, 20.0, 30.0, 40.0)
    );
    assert_eq!((lorry.detector_bbox.left, lorry.tracker_bbox.height), (10.0, 40.0));
    assert_eq!((plate.parent, plate.object_id, plate.tracker_bbox.width), (Some(0), UNTRACKED, 0.0));
    let classifier = &plate.classifiers[0];
    assert_eq!(classifier.classifier_type, "text");
    let label = &classifier.labels[0];
    assert_eq!((label.result_label.as_str(), label.result_prob, label.result_class_id), ("B-XY", 0.5, 9));
}

#[test]
fn conventional_parameters_do_not_travel_twice() {
    let found = objects(&[roi(
        "car",
        1,
        0,
        &[
            "detection, confidence=(double)0.75, label_id=(int)2",
            "object_id, id=(int)7",
            "colour, label=(string)red, confidence=(double)0.25",
        ],
    )]);
    assert!(found[0].region.as_ref().unwrap().params.is_empty());
    // Single precision, as DeepStream has it, is not enough.
    let sent = [roi("car", 1, 0, &["detection, confidence=(double)0.1, label_id=(int)2"])];
    let found = objects(&sent);
    assert!(found[0].region.as_ref().unwrap().params.is_empty());
    assert_eq!(found[0].confidence, 0.1_f32);
    assert_eq!(round_trip(&sent), sent);
}

#[test]
fn regions_that_are_parts_of_one_another_come_back_too() {
    let around = [roi("a", 1, 3, &[]), roi("b", 2, 1, &[]), roi("c", 3, 2, &[]), roi("d", 4, 4, &[])];
    assert_eq!(round_trip(&around), around);
    // But one of them has no parent for DeepStream, which follows parents until there is none.
    assert_eq!(objects(&around).iter().filter(|object| object.parent.is_none()).count(), 2);
}

#[test]
fn numbers_that_are_none_are_left_out() {
    let mut odd = roi("a", 1, 0, &["detection, label_id=(int)1"]);
    odd.4[0].set("confidence", f64::NAN);
    assert_eq!(objects(&[odd])[0].confidence, 0.0);
}

#[test]
fn the_frame_is_told() {
    let mut buffer = buffer_with(&[]);
    buffer.make_mut().set_offset(11);
    let line = Line::start("nvdsmetainsert", VIDEO);
    let batch = video(&line.push(buffer));
    assert_eq!((batch.max_frames_in_batch, batch.origin), (1, Origin::Regions));
    let frame = &batch.frames[0];
    assert_eq!((frame.buf_pts, frame.frame_num, frame.infer_done), (40_000_000, 11, false));
    assert_eq!((frame.source_frame_width, frame.source_frame_height), (640, 480));
    let mut buffer = buffer_with(&[roi("a", 1, 0, &[])]);
    let fresh = buffer.make_mut();
    VideoMeta::add(fresh, VideoFrameFlags::empty(), VideoFormat::Gray8, 320, 200).unwrap();
    fresh.set_pts(gst::ClockTime::NONE);
    let frame = video(&line.push(buffer)).frames.remove(0);
    assert_eq!((frame.source_frame_width, frame.source_frame_height), (320, 200));
    assert_eq!((frame.buf_pts, frame.infer_done), (u64::MAX, true));
}

#[test]
fn a_second_insertion_replaces_the_payload() {
    let twice = Line::start("nvdsmetainsert ! nvdsmetainsert", VIDEO);
    let buffer = twice.push(buffer_with(&[roi("a", 1, 0, &[])]));
    assert_eq!(buffer.iter_meta::<gst::Meta>().count(), 2);
}

#[test]
fn regions_that_are_there_are_not_added_again() {
    let regions = [roi("a", 1, 0, &[]), roi("b", 2, 1, &[])];
    let buffer = Line::start("nvdsmetainsert ! nvdsmetaextract", VIDEO).push(buffer_with(&regions));
    assert_eq!(regions_of(&buffer), regions);
    assert!(payload_of(&buffer).is_none());
}

#[test]
fn other_regions_stay() {
    let inserted = Line::start("nvdsmetainsert", VIDEO).push(buffer_with(&[roi("a", 1, 0, &[])]));
    let mut other = buffer_with(&[roi("a", 2, 0, &[])]);
    let (kind, bytes) = payload_of(&inserted).unwrap();
    hang(&mut other, kind, &bytes);
    let extracted = Line::start("nvdsmetaextract", VIDEO).push(other);
    assert_eq!(regions_of(&extracted), [roi("a", 2, 0, &[]), roi("a", 1, 0, &[])]);
}

/// What DeepStream sends: no object was a region.
fn deepstream(frames: Vec<VideoFrame>) -> gst::Buffer {
    init();
    let batch = VideoBatch { max_frames_in_batch: frames.len() as u32, frames, ..VideoBatch::default() };
    let payload = dsmeta::encode(&Batch::Video(batch), dsmeta::Style::Nvidia).unwrap();
    let mut buffer = buffer_with(&[]);
    hang(&mut buffer, payload.kind.number(), &payload.bytes);
    buffer
}

fn object(label: &str, parent: Option<usize>) -> Object {
    let mut object = Object { label: KString::from_ref(label), parent, class_id: -1, ..Object::default() };
    (object.rect.left, object.rect.top, object.rect.width, object.rect.height) = (1.5, -3.0, 8.25, 1e20);
    object
}

#[test]
fn objects_of_deepstream_become_regions() {
    let mut car = object("car", None);
    (car.confidence, car.class_id, car.object_id) = (0.5, 2, 5_000_000_000);
    let frame = VideoFrame { objects: vec![car, object("wheel", Some(0))], ..VideoFrame::default() };
    let extracted = Line::start("nvdsmetaextract", VIDEO).push(deepstream(vec![frame]));
    let regions = regions_of(&extracted);
    let mut car = roi(
        "car",
        1,
        0,
        &["detection, confidence=(double)0.5, label_id=(int)2", "object_id, id=(guint64)5000000000"],
    );
    car.3 = (2, 0, 8, u32::MAX);
    let mut wheel = roi("wheel", 2, 1, &["detection, confidence=(double)0, label_id=(int)-1"]);
    wheel.3 = car.3;
    assert_eq!(regions, [car, wheel]);
}

#[test]
fn frames_of_a_batch_are_not_mixed_up() {
    let frame = |n: u32, labels: &[&str]| VideoFrame {
        source_id: 10 + n,
        batch_id: n,
        pad_index: 20 + n,
        frame_num: 30 + n as i32,
        buf_pts: u64::from(n) << 33,
        objects: labels.iter().map(|label| object(label, (*label == "part").then_some(0))).collect(),
        ..VideoFrame::default()
    };
    let frames = vec![frame(0, &["a", "part"]), frame(1, &["b", "part"]), frame(2, &["c"])];
    let extracted = Line::start("nvdsmetaextract", VIDEO).push(deepstream(frames.clone()));
    let regions = regions_of(&extracted);
    assert_eq!(
        regions.iter().map(|region| (region.1, region.2)).collect::<Vec<_>>(),
        [(1, 0), (2, 1), (3, 0), (4, 3), (5, 0)]
    );
    let of = regions[3].4.last().unwrap();
    assert_eq!(
        (of.name().as_str(), of.get::<u32>("source-id"), of.get::<u64>("pts")),
        ("frame", Ok(11), Ok(1 << 33))
    );
    // And back.
    let again = video(&Line::start("nvdsmetainsert", VIDEO).push(extracted));
    let short = |frame: &VideoFrame| {
        let objects =
            frame.objects.iter().map(|object| (object.label.clone(), object.parent)).collect::<Vec<_>>();
        (frame.source_id, frame.batch_id, frame.pad_index, frame.frame_num, frame.buf_pts, objects)
    };
    assert_eq!(
        again.frames.iter().map(short).collect::<Vec<_>>(),
        frames.iter().map(short).collect::<Vec<_>>()
    );
}

#[test]
fn names_that_cannot_name_a_structure_are_kept() {
    let mut car = object("car", None);
    for kind in ["", "vehicle colour", "detection", "7", "wörter", "frame", "make"] {
        car.classifiers.push(dsmeta::model::Classifier {
            classifier_type: kind.into(),
            labels: vec![dsmeta::model::Label { result_label: "x".into(), ..Default::default() }],
            ..Default::default()
        });
    }
    let frame = VideoFrame { objects: vec![car.clone()], ..VideoFrame::default() };
    let extracted = Line::start("nvdsmetaextract", VIDEO).push(deepstream(vec![frame]));
    let found = video(&Line::start("nvdsmetainsert", VIDEO).push(extracted)).frames.remove(0).objects;
    assert_eq!(found[0].classifiers, car.classifiers);
}
