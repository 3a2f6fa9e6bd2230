//! What NVIDIA's reader needs to survive, as Google's protobuf sees it.

use dsmeta::model::*;
use dsmeta::{Batch, Error, PayloadKind, Style, decode, encode};

use crate::python;

fn video(objects: Vec<Object>) -> Batch {
    let frame = VideoFrame { objects, ..Default::default() };
    Batch::Video(VideoBatch { max_frames_in_batch: 1, frames: vec![frame], ..Default::default() })
}

fn audio(frame: AudioFrame) -> Batch {
    Batch::Audio(AudioBatch { max_frames_in_batch: 1, frames: vec![frame], ..Default::default() })
}

/// What a reader of NVIDIA's schema sees; ours sees everything.
fn seen(batch: &Batch, style: Style) -> String {
    let payload = encode(batch, style).unwrap();
    assert_eq!(decode(payload.kind, &payload.bytes).as_ref(), Ok(batch));
    python::print(payload.kind, &payload.bytes)
}

#[test]
fn lists_of_four_have_four_entries() {
    let text = seen(&video(vec![Object::default(), Object::default()]), Style::Safe);
    assert_eq!(python::values(&text, "misc_batch_info").len(), 4);
    assert_eq!(python::values(&text, "misc_frame_info").len(), 4);
    assert_eq!(python::values(&text, "misc_obj_info").len(), 8);
    // Of the frame and of two objects.
    assert_eq!(python::values(&text, "reserve").len(), 12);

    let text = seen(&audio(AudioFrame::default()), Style::Safe);
    assert_eq!(python::values(&text, "misc_batch_info").len(), 4);
    assert_eq!(python::values(&text, "misc_frame_info").len(), 4);
    assert_eq!(python::values(&text, "reserve").len(), 4);
}

#[test]
fn counts_are_those_of_the_lists() {
    let text = seen(&video(vec![Object::default(); 3]), Style::Safe);
    assert_eq!(python::values(&text, "num_frames_in_batch"), ["1"]);
    assert_eq!(python::values(&text, "num_obj_meta"), ["3"]);
    assert_eq!(text.matches("obj_meta_list {").count(), 3);
}

#[test]
fn a_batch_always_has_room() {
    let text = python::print(
        PayloadKind::Video,
        &encode(&Batch::Video(VideoBatch::default()), Style::Safe).unwrap().bytes,
    );
    assert_eq!(python::values(&text, "max_frames_in_batch"), ["1"]);
    let frames = vec![VideoFrame::default(); 3];
    let batch = Batch::Video(VideoBatch { max_frames_in_batch: 2, frames, ..Default::default() });
    let text = python::print(PayloadKind::Video, &encode(&batch, Style::Safe).unwrap().bytes);
    assert_eq!(python::values(&text, "max_frames_in_batch"), ["3"]);
}

#[test]
fn untracked_objects_and_negative_numbers_are_kept() {
    let object = Object { class_id: -1, unique_component_id: -1, ..Default::default() };
    let text = seen(&video(vec![object]), Style::Safe);
    assert_eq!(python::values(&text, "object_id"), ["18446744073709551615"]);
    assert_eq!(python::values(&text, "class_id"), ["-1"]);
    assert_eq!(python::values(&text, "unique_component_id"), ["-1"]);
}

#[test]
fn numbers_of_metas_are_those_of_all_releases() {
    let text = seen(&crate::sample::video(), Style::Nvidia);
    let mut types = python::values(&text, "meta_type");
    types.sort_unstable();
    types.dedup();
    assert_eq!(types, ["2", "3", "4", "5", "6"]);
    let text = seen(&audio(AudioFrame::default()), Style::Nvidia);
    assert_eq!(python::values(&text, "meta_type"), ["26"]);
}

#[test]
fn labels_fit() {
    let cases = [
        ("", 0),
        ("a", 1),
        ("abc", 127 * 3),
        ("é", 2),
        ("é", 200),
        ("€", 129),
        ("🚗", 128),
        ("x", 126),
        ("x", 127),
        ("x", 128),
        ("x", 5000),
    ];
    for (character, len) in cases {
        let label = character.repeat(len / character.len().max(1));
        let named = Label { result_label: label.clone().into(), ..Default::default() };
        let classifier = Classifier { labels: vec![named], ..Default::default() };
        let object = Object {
            label: label.clone().into(),
            classifiers: vec![classifier.clone()],
            ..Default::default()
        };
        let frame =
            AudioFrame { class_label: label.clone(), classifiers: vec![classifier], ..Default::default() };
        let video = seen(&video(vec![object]), Style::Nvidia);
        let audio = seen(&audio(frame), Style::Nvidia);
        for (text, field) in [
            (&video, "obj_label"),
            (&video, "result_label"),
            (&audio, "class_label"),
            (&audio, "result_label"),
        ] {
            let found = python::values(text, field);
            if label.is_empty() {
                assert!(found.is_empty(), "{found:?}");
                continue;
            }
            let found = found[0].trim_matches('"');
            assert!(found.len() <= 127 && label.starts_with(found), "{field}: {found}");
            // Not a character less than fit.
            assert!(found == label || found.len() + character.len() > 127, "{field}: {found}");
        }
    }
}

#[test]
fn drawn_texts_are_out_of_reach() {
    for (name, size, reached) in
        [("", 0, false), ("Serif", 5, false), ("Serif", 6, true), ("Serif", 0, false)]
    {
        let font = Font { name: name.into(), size, ..Default::default() };
        let text = Text { display_text: "vehicle".into(), font, ..Default::default() };
        let batch = video(vec![Object { text, ..Default::default() }]);
        let safe = seen(&batch, Style::Safe);
        assert_eq!(python::values(&safe, "display_text"), [""; 0]);
        assert_eq!(python::values(&safe, "font_name").len(), usize::from(reached));
        let nvidia = seen(&batch, Style::Nvidia);
        assert_eq!(python::values(&nvidia, "display_text"), ["\"vehicle\""]);
        assert_eq!(python::values(&nvidia, "font_name").len(), usize::from(!name.is_empty()));
    }
}

#[test]
fn masks_are_measured_in_bytes() {
    let mask = Mask { data: vec![0.5; 6], threshold: 0.25, width: 2, height: 3 };
    let batch = video(vec![Object { mask, ..Default::default() }]);
    let text = seen(&batch, Style::Nvidia);
    assert_eq!(python::values(&text, "data").len(), 6);
    assert_eq!(python::values(&text, "size"), ["24"]);
    assert!(!seen(&batch, Style::Safe).contains("mask_params"));
}

#[test]
fn seventeen_shapes_are_refused() {
    let with = |display: Display| {
        let frame = VideoFrame { displays: vec![display], ..Default::default() };
        Batch::Video(VideoBatch { max_frames_in_batch: 1, frames: vec![frame], ..Default::default() })
    };
    seen(&with(Display { rects: vec![Rect::default(); 16], ..Default::default() }), Style::Nvidia);
    let displays = [
        Display { rects: vec![Default::default(); 17], ..Default::default() },
        Display { texts: vec![Default::default(); 17], ..Default::default() },
        Display { lines: vec![Default::default(); 17], ..Default::default() },
        Display { arrows: vec![Default::default(); 17], ..Default::default() },
        Display { circles: vec![Default::default(); 17], ..Default::default() },
    ];
    for display in displays {
        let error = encode(&with(display), Style::Safe).unwrap_err();
        assert!(matches!(error, Error::TooMany { count: 17, limit: 16, .. }), "{error}");
    }
}

#[test]
fn kinds_have_nvidias_numbers() {
    assert_eq!(PayloadKind::try_from(0x00AB_CDEF), Ok(PayloadKind::Video));
    assert_eq!(PayloadKind::try_from(0x00FE_DCBA), Ok(PayloadKind::Audio));
    for foreign in [0, 1, 12289, 0x00AB_CDEE, u32::MAX] {
        let error = PayloadKind::try_from(foreign).unwrap_err();
        assert_eq!(error, Error::UnknownKind(foreign));
        assert!(error.to_string().contains("0xabcdef is video"), "{error}");
    }
}
