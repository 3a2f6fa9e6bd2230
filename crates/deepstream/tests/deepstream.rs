//! Values to DeepStream's metadata and back, with its own libraries.

mod common;

use common::{audio, buffer_with, classifier, frame, libraries, video};
use deepstream::{DeepStream, Error, carries_batch};
use dsmeta::model::{AudioBatch, Classifier, KString, Mask, Object, VideoBatch};
use dsmeta::{Batch, PayloadKind};

fn read(deepstream: &'static DeepStream, buffer: &gst::Buffer) -> Batch {
    deepstream.read(buffer).expect("good metadata").expect("metadata")
}

fn read_video(deepstream: &'static DeepStream, buffer: &gst::Buffer) -> VideoBatch {
    let Batch::Video(batch) = read(deepstream, buffer) else { panic!("not video") };
    batch
}

fn writable(buffer: &mut gst::Buffer) -> &mut gst::BufferRef {
    buffer.get_mut().expect("the only reference")
}

#[test]
fn deepstream_has_a_known_release_and_a_plain_buffer_has_no_batch() {
    let Some(deepstream) = libraries("deepstream_has_a_known_release") else { return };
    assert!(deepstream.release().contains('.'));
    let buffer = gst::Buffer::new();
    assert!(!carries_batch(&buffer));
    assert_eq!(deepstream.read(&buffer), Ok(None));
    assert!(DeepStream::of(&buffer).is_none());
}

#[test]
fn deepstream_gives_back_video_as_it_was() {
    let Some(deepstream) = libraries("deepstream_gives_back_video_as_it_was") else { return };
    let batch = Batch::Video(video(3));
    let buffer = buffer_with(deepstream, &batch);
    assert!(carries_batch(&buffer));
    assert!(DeepStream::of(&buffer).is_some());
    assert_eq!(read(deepstream, &buffer), batch);
}

#[test]
fn deepstream_gives_back_audio_as_it_was() {
    let Some(deepstream) = libraries("deepstream_gives_back_audio_as_it_was") else { return };
    let batch = Batch::Audio(audio(2));
    assert_eq!(read(deepstream, &buffer_with(deepstream, &batch)), batch);
}

#[test]
fn deepstream_gives_back_what_is_empty() {
    let Some(deepstream) = libraries("deepstream_gives_back_what_is_empty") else { return };
    let batch = Batch::Video(VideoBatch { max_frames_in_batch: 1, ..VideoBatch::default() });
    assert_eq!(read(deepstream, &buffer_with(deepstream, &batch)), batch);
    let batch = Batch::Audio(AudioBatch { max_frames_in_batch: 1, ..AudioBatch::default() });
    assert_eq!(read(deepstream, &buffer_with(deepstream, &batch)), batch);
    let mut batch = video(1);
    batch.frames[0].objects = vec![Object::default()];
    let batch = Batch::Video(batch);
    assert_eq!(read(deepstream, &buffer_with(deepstream, &batch)), batch);
}

/// What the library's own copy function leaves out, and puts the other way round.
fn copied(mut batch: VideoBatch) -> VideoBatch {
    let reverse_classifiers = |classifiers: &mut Vec<Classifier>| {
        classifiers.reverse();
        for classifier in classifiers {
            classifier.labels.reverse();
            classifier.classifier_type = KString::default();
        }
    };
    for frame in &mut batch.frames {
        (frame.pipeline_width, frame.pipeline_height) = (0, 0);
        frame.displays.reverse();
        frame.objects.reverse();
        let last = frame.objects.len() - 1;
        for object in &mut frame.objects {
            object.parent = object.parent.map(|parent| last - parent);
            reverse_classifiers(&mut object.classifiers);
        }
    }
    batch
}

#[test]
fn deepstream_copies_metadata_with_its_buffer() {
    let Some(deepstream) = libraries("deepstream_copies_metadata_with_its_buffer") else { return };
    let batch = video(3);
    let mut buffer = buffer_with(deepstream, &Batch::Video(batch.clone()));
    deepstream.set_payload(writable(&mut buffer), 5, b"payload").expect("room");
    let copy = buffer.copy();
    drop(buffer);
    assert_eq!(read_video(deepstream, &copy), copied(batch));
    assert_eq!(deepstream.payload(&copy), Some((5, b"payload".to_vec())));

    let mut batch = audio(2);
    let copy = buffer_with(deepstream, &Batch::Audio(batch.clone())).copy();
    for classifier in batch.frames.iter_mut().flat_map(|frame| &mut frame.classifiers) {
        classifier.classifier_type = KString::default();
        classifier.labels.reverse();
    }
    assert_eq!(read(deepstream, &copy), Batch::Audio(batch));
}

#[test]
fn deepstream_fills_the_frames_that_are_there() {
    let Some(deepstream) = libraries("deepstream_fills_the_frames_that_are_there") else { return };
    let mut there = video(3);
    for frame in &mut there.frames {
        frame.objects.truncate(1);
        frame.displays.clear();
    }
    let mut buffer = buffer_with(deepstream, &Batch::Video(there.clone()));

    let mut more = video(2);
    more.frames[0].objects.clear();
    for frame in &mut more.frames {
        frame.batch_id = 0;
        frame.source_id = 99;
        frame.sensor.as_mut().expect("a sensor").name = "new".to_owned();
    }
    deepstream.attach(writable(&mut buffer), &Batch::Video(more.clone())).expect("two of three frames");

    let after = read_video(deepstream, &buffer);
    assert_eq!(after.frames[2], there.frames[2]);
    assert_eq!(after.frames[0].objects, there.frames[0].objects);
    let added = &more.frames[1].objects;
    assert_eq!(after.frames[1].objects[..added.len()], *added);
    assert_eq!(after.frames[1].objects[added.len()..], there.frames[1].objects);
    for (index, frame) in after.frames[..2].iter().enumerate() {
        assert_eq!((frame.batch_id, frame.source_id), (index as u32, 99));
        assert_eq!(frame.sensor.as_ref().expect("a sensor").name, "new");
    }
}

#[test]
fn deepstream_refuses_what_does_not_go_with_the_buffer_and_leaves_it_alone() {
    let Some(deepstream) = libraries("deepstream_refuses_what_does_not_go_with_the_buffer") else { return };
    let there = Batch::Video(video(3));
    let mut buffer = buffer_with(deepstream, &there);
    let error = deepstream.attach(writable(&mut buffer), &Batch::Video(video(4)));
    assert_eq!(error, Err(Error::Frames { count: 4, slots: 3 }));
    let error = deepstream.attach(writable(&mut buffer), &Batch::Audio(audio(1)));
    assert_eq!(error, Err(Error::Kind { is: "video", other: "audio" }));
    assert_eq!(read(deepstream, &buffer), there);
}

/// That `change` makes a batch nobody could read without harm, and what is said.
fn refused(deepstream: &'static DeepStream, change: impl FnOnce(&mut VideoBatch)) -> Error {
    let mut batch = video(1);
    change(&mut batch);
    let mut buffer = gst::Buffer::new();
    let error = deepstream.attach(writable(&mut buffer), &Batch::Video(batch)).expect_err("hostile");
    assert!(!carries_batch(&buffer));
    error
}

#[test]
fn deepstream_refuses_hostile_values() {
    let Some(deepstream) = libraries("deepstream_refuses_hostile_values") else { return };
    let refused = |change: fn(&mut VideoBatch)| refused(deepstream, change);
    assert_eq!(
        refused(|batch| batch.frames[0].objects[1].mask =
            Mask { width: 5, height: 2, data: vec![0.0; 9], threshold: 0.5 }),
        Error::Mask { width: 5, height: 2, values: 9 }
    );
    assert_eq!(refused(|batch| batch.frames[0].objects[2].parent = Some(4)), Error::Parent(2));
    assert_eq!(refused(|batch| batch.frames[0].objects[1].parent = Some(1)), Error::Parent(1));
    assert_eq!(refused(|batch| batch.frames[0].objects[0].parent = Some(3)), Error::Parent(0));
    let rect = |batch: &mut VideoBatch| {
        let rects = &mut batch.frames[0].displays[0].rects;
        rects.push(rects[0]);
    };
    assert_eq!(refused(rect), Error::TooMany { what: "rectangles in a display meta", limit: 16 });
    assert_eq!(
        refused(|batch| batch.frames = vec![Default::default(); 1025]),
        Error::TooMany { what: "frames", limit: 1024 }
    );
    let mut batch = audio(1);
    batch.frames[0].classifiers = vec![classifier("x", 0); 1025];
    let error = deepstream.attach(writable(&mut gst::Buffer::new()), &Batch::Audio(batch));
    assert_eq!(error, Err(Error::TooMany { what: "classifiers of an audio frame", limit: 1024 }));
}

#[test]
fn deepstream_gets_no_index_that_the_buffer_has_not() {
    let Some(deepstream) = libraries("deepstream_gets_no_index_that_the_buffer_has_not") else { return };
    let mut batch = video(2);
    batch.max_frames_in_batch = u32::MAX;
    for frame in &mut batch.frames {
        frame.batch_id = 2;
        frame.surface_index = u32::MAX;
        frame.num_surfaces_per_frame = i32::MIN;
        for object in &mut frame.objects {
            object.rect.color_id = 20;
        }
    }
    let after = read_video(deepstream, &buffer_with(deepstream, &Batch::Video(batch)));
    assert_eq!(after.max_frames_in_batch, 64);
    for (index, frame) in after.frames.iter().enumerate() {
        assert_eq!((frame.batch_id, frame.surface_index, frame.num_surfaces_per_frame), (index as u32, 0, 1));
        let rect = &frame.objects[0].rect;
        assert_eq!((rect.has_color_info, rect.color_id), (0, 0));
    }

    let mut batch = video(2);
    (batch.frames[0].batch_id, batch.frames[1].batch_id) = (1, 0);
    let batch = Batch::Video(batch);
    assert_eq!(read(deepstream, &buffer_with(deepstream, &batch)), batch);
}

#[test]
fn deepstream_gets_texts_that_fit() {
    let Some(deepstream) = libraries("deepstream_gets_texts_that_fit") else { return };
    let mut batch = video(1);
    let object = &mut batch.frames[0].objects[0];
    let long = "ö".repeat(1000);
    object.label = long.clone().into();
    object.text.display_text = "before\0after".to_owned();
    object.text.font.name = long.clone();
    object.classifiers[0].labels[0].result_label = long.clone().into();
    let after = read_video(deepstream, &buffer_with(deepstream, &Batch::Video(batch)));
    let object = &after.frames[0].objects[0];
    assert_eq!(object.label, "ö".repeat(63));
    assert_eq!(object.text.display_text, "before");
    assert_eq!(object.text.font.name, "");
    let label = &object.classifiers[0].labels[0];
    assert_eq!(
        (label.result_label.as_str(), label.presult_label.as_str()),
        ("ö".repeat(63).as_str(), long.as_str())
    );
}

#[test]
fn deepstream_holds_many_objects() {
    let Some(deepstream) = libraries("deepstream_holds_many_objects") else { return };
    let mut batch = video(1);
    let first = Object { parent: None, mask: Mask::default(), ..batch.frames[0].objects[0].clone() };
    batch.frames[0].objects = vec![first; 5000];
    let batch = Batch::Video(batch);
    assert_eq!(read(deepstream, &buffer_with(deepstream, &batch)), batch);
}

#[test]
fn deepstream_keeps_payloads_in_order() {
    let Some(deepstream) = libraries("deepstream_keeps_payloads_in_order") else { return };
    for kind in [PayloadKind::Video.number(), PayloadKind::Audio.number()] {
        let mut buffer = gst::Buffer::new();
        assert_eq!(deepstream.payload(&buffer), None);
        assert!(!deepstream.remove_payload(writable(&mut buffer)));
        deepstream.set_payload(writable(&mut buffer), kind, b"first").expect("room");
        deepstream.set_payload(writable(&mut buffer), 1, b"").expect("room");
        assert_eq!(deepstream.payload(&buffer), Some((kind, b"first".to_vec())));
        let is_audio = matches!(read(deepstream, &buffer), Batch::Audio(_));
        assert_eq!(is_audio, kind == PayloadKind::Audio.number());

        let copy = buffer.copy();
        assert!(deepstream.remove_payload(writable(&mut buffer)));
        assert_eq!(deepstream.payload(&buffer), None);
        assert!(!deepstream.remove_payload(writable(&mut buffer)));
        deepstream.set_payload(writable(&mut buffer), 2, b"").expect("room");
        assert_eq!(deepstream.payload(&buffer), Some((2, Vec::new())));
        assert_eq!(deepstream.payload(&copy), Some((kind, b"first".to_vec())));
    }
}

#[test]
fn deepstream_takes_metadata_after_a_payload() {
    let Some(deepstream) = libraries("deepstream_takes_metadata_after_a_payload") else { return };
    let mut buffer = gst::Buffer::new();
    deepstream.set_payload(writable(&mut buffer), 1, b"payload").expect("room");
    let batch = VideoBatch { max_frames_in_batch: 3, frames: vec![frame(0), frame(1), frame(2)], ..video(0) };
    deepstream.attach(writable(&mut buffer), &Batch::Video(batch.clone())).expect("a batch without frames");
    assert_eq!(read_video(deepstream, &buffer), batch);
    assert_eq!(deepstream.payload(&buffer), Some((1, b"payload".to_vec())));
}
