//! What the tests share: the libraries, and metadata that has everything.

use std::env;

use deepstream::{DeepStream, FOLDER};
use dsmeta::Batch;
use dsmeta::model::{
    Arrow, AudioBatch, AudioFrame, Bbox, Circle, Classifier, Color, Display, Font, KString, Label, Line,
    Mask, Object, Origin, Rect, Sensor, Text, VideoBatch, VideoFrame,
};

/// DeepStream's libraries. Where there are none, as the environment variable does not say where they are, what has to hold
/// without them is checked instead, and `test` said to be skipped.
pub(crate) fn libraries(test: &str) -> Option<&'static DeepStream> {
    gst::init().expect("GStreamer");
    match DeepStream::load() {
        Ok(deepstream) => Some(deepstream),
        Err(error) => {
            assert!(env::var_os(FOLDER).is_none(), "{error}");
            assert!(error.to_string().contains(FOLDER), "{error}");
            assert!(error.to_string().contains("libnvdsgst_meta.so"), "{error}");
            assert!(DeepStream::get().is_none());
            assert!(!deepstream::carries_batch(&gst::Buffer::new()));
            eprintln!("{test}: skipped, set {FOLDER} to the folder of DeepStream's libraries");
            None
        }
    }
}

/// A buffer with `batch`.
pub(crate) fn buffer_with(deepstream: &'static DeepStream, batch: &Batch) -> gst::Buffer {
    let mut buffer = gst::Buffer::new();
    deepstream.attach(buffer.get_mut().expect("a new buffer"), batch).expect("it fits");
    buffer
}

fn color(red: f64) -> Color {
    Color { red, green: 0.25, blue: 0.5, alpha: 1.0 }
}

fn rect(left: f32) -> Rect {
    Rect {
        left,
        top: 2.5,
        width: 30.0,
        height: 40.0,
        rotation: 0.75,
        border_width: 3,
        border_color: color(0.1),
        has_bg_color: 1,
        reserve: 7,
        bg_color: color(0.2),
        has_color_info: 1,
        color_id: 4,
    }
}

fn text(display_text: &str) -> Text {
    Text {
        display_text: display_text.to_owned(),
        x_offset: 5,
        y_offset: 6,
        font: Font { name: "Serif".to_owned(), size: 12, color: color(0.3) },
        set_bg_clr: 1,
        bg_color: color(0.4),
    }
}

pub(crate) fn classifier(name: &str, labels: usize) -> Classifier {
    let label = |index: usize| Label {
        num_classes: 9,
        result_label: format!("{name} {index}").into(),
        presult_label: if index == 1 { "long ".repeat(60).into() } else { KString::default() },
        result_class_id: index as u32,
        label_id: 10 + index as u32,
        result_prob: 0.5 + index as f32 / 100.0,
    };
    Classifier {
        unique_component_id: 17,
        classifier_type: KString::from_ref(name),
        labels: (0..labels).map(label).collect(),
    }
}

/// Object number `index`; the last two of four are parts of others, one of an earlier, one of a later.
fn object(index: usize) -> Object {
    let number = index as f32;
    Object {
        parent: [None, None, Some(0), Some(2)][index],
        unique_component_id: 2,
        class_id: index as i32 - 1,
        object_id: if index == 0 { u64::MAX } else { 1 << (40 + index) },
        detector_bbox: Bbox { left: number, top: 1.0, width: 2.0, height: 3.0 },
        tracker_bbox: Bbox { left: number, top: 4.0, width: 5.0, height: 6.0 },
        confidence: 0.9,
        tracker_confidence: 0.8,
        rect: rect(number),
        mask: Mask {
            data: (0..12).map(|value| value as f32 / 12.0).collect(),
            threshold: 0.5,
            width: 4,
            height: 3,
        },
        text: text(&format!("object {index}")),
        label: format!("cär {index}").into(),
        classifiers: vec![classifier("colour", 3), classifier("make", 3)],
        misc_obj_info: [1, 2, 3, i64::MIN],
        reserve: [0; 4],
        region: None,
    }
}

fn display(count: usize) -> Display {
    let (x1, y1, x2, y2) = (1, 2, 3, 4);
    let arrow = Arrow { x1, y1, x2, y2, width: 5, head: 2, color: color(0.6), reserve: 8 };
    let circle = Circle {
        xc: 1,
        yc: 2,
        radius: 3,
        color: color(0.7),
        has_bg_color: 1,
        bg_color: color(0.8),
        width: 9,
        reserve: 10,
    };
    Display {
        rects: (0..count).map(|index| rect(index as f32)).collect(),
        texts: (0..count).map(|index| text(&format!("text {index}"))).collect(),
        lines: vec![Line { x1, y1, x2, y2, width: 5, color: color(0.5) }; count],
        arrows: vec![arrow; count],
        circles: vec![circle; count],
        misc_osd_data: [4, 3, 2, 1],
        reserve: [0; 4],
    }
}

/// Frame number `index` of a batch.
pub(crate) fn frame(index: u32) -> VideoFrame {
    VideoFrame {
        pad_index: 10 + index,
        batch_id: index,
        frame_num: 1000,
        buf_pts: 1 << 50,
        ntp_timestamp: u64::MAX,
        source_id: 20 + index,
        num_surfaces_per_frame: 1,
        source_frame_width: 1920,
        source_frame_height: 1080,
        surface_type: 1,
        surface_index: 0,
        infer_done: true,
        objects: (0..4).map(object).collect(),
        displays: vec![display(16), display(1)],
        misc_frame_info: [-1, 2, -3, 4],
        pipeline_width: 1280,
        pipeline_height: 720,
        reserve: [0xAA, 0xAB, 0xAC, 0xAD],
        sensor: Some(Sensor {
            source_id: index,
            uri: "rtsp://camera".to_owned(),
            id: format!("sensor {index}"),
            name: "Tür".to_owned(),
        }),
        analytics: None,
    }
}

/// A batch with so many frames.
pub(crate) fn video(frames: u32) -> VideoBatch {
    VideoBatch {
        max_frames_in_batch: frames + 1,
        frames: (0..frames).map(frame).collect(),
        misc_batch_info: [9, 8, 7, 6],
        reserve: [0; 4],
        origin: Origin::DeepStream,
    }
}

/// An audio batch with so many frames.
pub(crate) fn audio(frames: u32) -> AudioBatch {
    let frame = |index| AudioFrame {
        pad_index: 10 + index,
        batch_id: index,
        frame_num: 7,
        buf_pts: 1 << 51,
        ntp_timestamp: 3,
        source_id: 30 + index,
        num_samples_per_frame: 1024,
        sample_rate: 48_000,
        num_channels: 2,
        format: 5,
        layout: 1,
        infer_done: true,
        class_id: -1,
        confidence: 0.75,
        class_label: "dög".to_owned(),
        classifiers: vec![classifier("sound", 3), classifier("voice", 2)],
        misc_frame_info: [5, 6, 7, 8],
        reserve: [1, 2, 3, 4],
    };
    AudioBatch {
        max_frames_in_batch: frames,
        frames: (0..frames).map(frame).collect(),
        misc_batch_info: [1, 1, 2, 3],
        reserve: [0; 4],
    }
}
