//! The batches of `golden.py`, and one with what NVIDIA's schema has no field for.

use dsmeta::Batch;
use dsmeta::model::*;

pub(crate) fn video() -> Batch {
    let frame = VideoFrame {
        pad_index: 1,
        batch_id: 2,
        frame_num: -3,
        buf_pts: u64::MAX,
        ntp_timestamp: 1 << 40,
        source_id: 4,
        num_surfaces_per_frame: 1,
        source_frame_width: 1920,
        source_frame_height: 1080,
        surface_type: 5,
        surface_index: 6,
        infer_done: true,
        objects: objects(),
        displays: vec![display()],
        misc_frame_info: [41, 42, 43, 44],
        pipeline_width: 1280,
        pipeline_height: 720,
        reserve: [0xAA, 0xAB, 0xAC, 0xAD],
        sensor: None,
        analytics: None,
    };
    Batch::Video(VideoBatch {
        max_frames_in_batch: 4,
        frames: vec![frame, VideoFrame { batch_id: 3, ..Default::default() }],
        misc_batch_info: [31, 32, 33, -34],
        reserve: [35, 36, 37, 38],
        origin: Origin::DeepStream,
    })
}

pub(crate) fn audio() -> Batch {
    let frame = AudioFrame {
        pad_index: 1,
        batch_id: 2,
        frame_num: -3,
        buf_pts: u64::MAX,
        ntp_timestamp: 1 << 40,
        source_id: 4,
        num_samples_per_frame: 1024,
        sample_rate: 48000,
        num_channels: 2,
        format: 5,
        layout: 1,
        infer_done: true,
        class_id: -1,
        confidence: 0.75,
        class_label: "siren".into(),
        classifiers: classifiers(),
        misc_frame_info: [41, 42, 43, 44],
        reserve: [0xAA, 0xAB, 0xAC, 0xAD],
    };
    Batch::Audio(AudioBatch {
        max_frames_in_batch: 4,
        frames: vec![frame, AudioFrame { batch_id: 3, ..Default::default() }],
        misc_batch_info: [31, 32, 33, -34],
        reserve: [35, 36, 37, 38],
    })
}

/// [`video`] without what NVIDIA's writer never sets.
pub(crate) fn video_by_nvidia() -> Batch {
    let Batch::Video(mut batch) = video() else { unreachable!() };
    batch.reserve = [0; 4];
    let frame = &mut batch.frames[0];
    let object = &mut frame.objects[0];
    object.text.set_bg_clr = 0;
    object.rect.reserve = 0;
    let display = &mut frame.displays[0];
    display.texts[0].set_bg_clr = 0;
    display.misc_osd_data = [0; 4];
    display.reserve = [0; 4];
    Batch::Video(batch)
}

/// [`audio`] without what NVIDIA's writer never sets.
pub(crate) fn audio_by_nvidia() -> Batch {
    let Batch::Audio(mut batch) = audio() else { unreachable!() };
    batch.reserve = [0; 4];
    Batch::Audio(batch)
}

/// [`video`] as it may come from GStreamer: with a region of interest, analytics, and whatever NVIDIA does not carry.
pub(crate) fn extended() -> Batch {
    let Batch::Video(mut batch) = video() else { unreachable!() };
    batch.origin = Origin::Regions;
    let frame = &mut batch.frames[0];
    frame.sensor = Some(Sensor {
        source_id: 4,
        uri: "rtsp://camera".into(),
        id: "camera-1".into(),
        name: "north".into(),
    });
    frame.analytics = Some(analytics());
    frame.objects[1].parent = Some(0);
    let object = &mut frame.objects[0];
    object.rect.rotation = 0.5;
    object.label = "é".repeat(100).into();
    object.classifiers[0].labels[0].result_label = "x".repeat(128).into();
    object.region = Some(Region {
        id: 7,
        parent_id: -1,
        x: u32::MAX,
        y: 1,
        width: 2,
        height: 3,
        params: vec!["detection, confidence=(double)0.5;".into(), "object_id, id=(int)3;".into()],
        confidence: 0.1,
    });
    frame.displays[0].circles[0].width = 9;
    Batch::Video(batch)
}

fn analytics() -> Analytics {
    let class = |label: &str| Class { label: label.into(), confidence: 0.25 };
    Analytics {
        items: vec![
            AnalyticsItem::Detection(Detection {
                label: "vehicle".into(),
                x: -1,
                y: i32::MAX,
                width: 3,
                height: 4,
                rotation: -0.5,
                confidence: 0.75,
            }),
            AnalyticsItem::Classification(vec![class("red"), class("blue")]),
            AnalyticsItem::Tracking(Tracking {
                tracking_id: u64::MAX,
                first_seen: 1,
                last_seen: u64::MAX,
                lost: true,
            }),
        ],
        relations: vec![Relation { from: 0, to: 1, kinds: 4 }, Relation { from: 2, to: 0, kinds: 8 }],
    }
}

fn objects() -> Vec<Object> {
    let vehicle = Object {
        parent: None,
        unique_component_id: 1,
        class_id: -1,
        object_id: UNTRACKED,
        detector_bbox: Bbox { left: 10.0, top: 11.0, width: 12.0, height: 13.0 },
        tracker_bbox: Bbox { left: 20.0, top: 21.0, width: 22.0, height: 23.0 },
        confidence: 0.75,
        tracker_confidence: 0.875,
        rect: rect(30.0),
        mask: Mask { data: vec![0.0, 0.25, 0.5, 0.75, 1.0, 1.25], threshold: 0.5, width: 3, height: 2 },
        text: text("vehicle 1"),
        label: "vehicle".into(),
        classifiers: classifiers(),
        misc_obj_info: [1, -2, 3, -4],
        reserve: [5, 6, 7, 8],
        region: None,
    };
    let wheel = Object { object_id: 2, label: "wheel".into(), ..Default::default() };
    vec![vehicle, wheel]
}

fn display() -> Display {
    Display {
        rects: vec![rect(40.0)],
        texts: vec![text("zone")],
        lines: vec![Line { x1: 1, y1: 2, x2: 3, y2: 4, width: 5, color: color(0.25) }],
        arrows: vec![Arrow {
            x1: 6,
            y1: 7,
            x2: 8,
            y2: 9,
            width: 10,
            head: 2,
            color: color(0.375),
            reserve: 11,
        }],
        circles: vec![Circle {
            xc: 12,
            yc: 13,
            radius: 14,
            color: color(0.5),
            has_bg_color: 1,
            bg_color: color(0.625),
            width: 0,
            reserve: 15,
        }],
        misc_osd_data: [16, 17, 18, 19],
        reserve: [20, 21, 22, 23],
    }
}

fn classifiers() -> Vec<Classifier> {
    let classifier = |classifier_type: &str, unique_component_id, words: [&str; 3]| {
        let label = |(index, word): (usize, &str)| Label {
            num_classes: 9,
            result_label: KString::from_ref(word),
            presult_label: format!("{word}!").into(),
            result_class_id: index as u32 + 1,
            label_id: u32::MAX,
            result_prob: 0.5,
        };
        let labels = words.into_iter().enumerate().map(label).collect();
        Classifier { unique_component_id, classifier_type: KString::from_ref(classifier_type), labels }
    };
    vec![
        classifier("colour", 4, ["red", "dark", "shiny"]),
        classifier("make", -5, ["Škoda", "old", "dented"]),
    ]
}

fn color(first: f64) -> Color {
    Color { red: first, green: first + 0.125, blue: first + 0.25, alpha: 1.0 }
}

fn rect(left: f32) -> Rect {
    Rect {
        left,
        top: left + 1.0,
        width: left + 2.0,
        height: left + 3.0,
        rotation: 0.0,
        border_width: 3,
        border_color: color(0.25),
        has_bg_color: 1,
        reserve: 7,
        bg_color: color(0.5),
        has_color_info: 1,
        color_id: -2,
    }
}

fn text(characters: &str) -> Text {
    Text {
        display_text: characters.into(),
        x_offset: 8,
        y_offset: 9,
        font: Font { name: "Serif".into(), size: 12, color: color(0.125) },
        set_bg_clr: 1,
        bg_color: color(0.625),
    }
}
