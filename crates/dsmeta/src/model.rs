//! The metadata of a buffer as plain values.
//!
//! Scalars have the names and types of DeepStream's structs, so that nothing is lost between the two. Counts are the
//! lengths of the lists; lists are in the order of the message. A text that is not there is empty. Names of what was found
//! are [`KString`]s: there are hundreds of them, and short ones need no memory of their own.

mod gst;
mod osd;

pub use kstring::KString;

pub use gst::{Analytics, AnalyticsItem, Class, Detection, Origin, Region, Relation, Tracking};
pub use osd::{Arrow, Circle, Color, Display, Font, Line, Mask, Rect, Text};

/// The `object_id` of an object that no tracker follows.
pub const UNTRACKED: u64 = u64::MAX;

/// The metadata of one buffer.
#[derive(Clone, Debug, PartialEq)]
pub enum Batch {
    /// Of a buffer with video frames.
    Video(VideoBatch),
    /// Of a buffer with audio frames.
    Audio(AudioBatch),
}

/// The video frames of a buffer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoBatch {
    /// Number of frames the buffer has room for: never less than there are, never 0 when read.
    pub max_frames_in_batch: u32,
    /// One for each slot of the buffer that is filled, in order.
    pub frames: Vec<VideoFrame>,
    /// For the user.
    pub misc_batch_info: [i64; 4],
    /// For DeepStream itself.
    pub reserve: [i64; 4],
    /// What the metadata was before it became a payload.
    pub origin: Origin,
}

/// The audio frames of a buffer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AudioBatch {
    /// Number of frames the buffer has room for: never less than there are, never 0 when read.
    pub max_frames_in_batch: u32,
    /// One for each slot of the buffer that is filled, in order.
    pub frames: Vec<AudioFrame>,
    /// For the user.
    pub misc_batch_info: [i64; 4],
    /// For DeepStream itself.
    pub reserve: [i64; 4],
}

/// A video frame and what was found in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoFrame {
    /// Index of the muxer's pad.
    pub pad_index: u32,
    /// Slot of the buffer.
    pub batch_id: u32,
    /// Number of the frame in its source.
    pub frame_num: i32,
    /// Timestamp in nanoseconds.
    pub buf_pts: u64,
    /// Wall clock in nanoseconds.
    pub ntp_timestamp: u64,
    /// Which source.
    pub source_id: u32,
    /// Number of surfaces of the frame.
    pub num_surfaces_per_frame: i32,
    /// Width before the muxer scaled it, in pixels.
    pub source_frame_width: u32,
    /// Height before the muxer scaled it, in pixels.
    pub source_frame_height: u32,
    /// Sub-type of the surface.
    pub surface_type: u32,
    /// Index of the surface.
    pub surface_index: u32,
    /// Inference was done on it.
    pub infer_done: bool,
    /// What was found.
    pub objects: Vec<Object>,
    /// What is to be drawn.
    pub displays: Vec<Display>,
    /// For the user.
    pub misc_frame_info: [i64; 4],
    /// Width the muxer scaled it to, in pixels.
    pub pipeline_width: u32,
    /// Height the muxer scaled it to, in pixels.
    pub pipeline_height: u32,
    /// For DeepStream itself.
    pub reserve: [i64; 4],
    /// The sensor it is from.
    pub sensor: Option<Sensor>,
    /// GStreamer's analytics metadata, if the frame had it.
    pub analytics: Option<Analytics>,
}

/// The sensor of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sensor {
    /// Which source.
    pub source_id: u32,
    /// Where it is.
    pub uri: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// An audio frame and what was heard in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AudioFrame {
    /// Index of the muxer's pad.
    pub pad_index: u32,
    /// Slot of the buffer.
    pub batch_id: u32,
    /// Number of the frame in its source.
    pub frame_num: i32,
    /// Timestamp in nanoseconds.
    pub buf_pts: u64,
    /// Wall clock in nanoseconds.
    pub ntp_timestamp: u64,
    /// Which source.
    pub source_id: u32,
    /// Number of samples.
    pub num_samples_per_frame: i32,
    /// Samples per second.
    pub sample_rate: u32,
    /// Number of channels.
    pub num_channels: u32,
    /// `NvBufAudioFormat`.
    pub format: u32,
    /// `NvBufAudioLayout`.
    pub layout: u32,
    /// Inference was done on it.
    pub infer_done: bool,
    /// Class of the whole frame.
    pub class_id: i32,
    /// Confidence in that class.
    pub confidence: f32,
    /// Name of that class.
    pub class_label: String,
    /// What classifiers said.
    pub classifiers: Vec<Classifier>,
    /// For the user.
    pub misc_frame_info: [i64; 4],
    /// For DeepStream itself.
    pub reserve: [i64; 4],
}

/// Something found in a video frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Index, in the frame's list, of the object this one is a part of.
    pub parent: Option<usize>,
    /// Who found it.
    pub unique_component_id: i32,
    /// Its class.
    pub class_id: i32,
    /// The tracker's number for it, or [`UNTRACKED`].
    pub object_id: u64,
    /// Where the detector saw it.
    pub detector_bbox: Bbox,
    /// Where the tracker says it is.
    pub tracker_bbox: Bbox,
    /// The detector's confidence.
    pub confidence: f32,
    /// The tracker's confidence.
    pub tracker_confidence: f32,
    /// Where it is, and how that is drawn.
    pub rect: Rect,
    /// Which pixels belong to it.
    pub mask: Mask,
    /// The text to be drawn at it.
    pub text: Text,
    /// Name of its class.
    pub label: KString,
    /// What classifiers said.
    pub classifiers: Vec<Classifier>,
    /// For the user.
    pub misc_obj_info: [i64; 4],
    /// For DeepStream itself.
    pub reserve: [i64; 4],
    /// The region of interest it was.
    pub region: Option<Region>,
}

impl Default for Object {
    /// Nothing is known of it, and it is [`UNTRACKED`].
    fn default() -> Self {
        Self {
            parent: None,
            unique_component_id: 0,
            class_id: 0,
            object_id: UNTRACKED,
            detector_bbox: Bbox::default(),
            tracker_bbox: Bbox::default(),
            confidence: 0.0,
            tracker_confidence: 0.0,
            rect: Rect::default(),
            mask: Mask::default(),
            text: Text::default(),
            label: KString::default(),
            classifiers: Vec::new(),
            misc_obj_info: [0; 4],
            reserve: [0; 4],
            region: None,
        }
    }
}

/// A box in the frame, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bbox {
    /// Left edge.
    pub left: f32,
    /// Upper edge.
    pub top: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

/// What a classifier said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classifier {
    /// Who said it.
    pub unique_component_id: i32,
    /// What it tells apart.
    pub classifier_type: KString,
    /// One for each attribute.
    pub labels: Vec<Label>,
}

/// One attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Label {
    /// Number of classes it can have.
    pub num_classes: u32,
    /// Name of the class it has. Longer than 127 bytes, DeepStream has it cut here and whole in `presult_label`.
    pub result_label: KString,
    /// Name of the class, if it was too long for DeepStream's `result_label`.
    pub presult_label: KString,
    /// The class it has.
    pub result_class_id: u32,
    /// Which attribute it is.
    pub label_id: u32,
    /// Probability.
    pub result_prob: f32,
}
