//! Audio: the same names as for video, but not the same messages.

use prost::Message;

use super::{BaseMeta, ClassifierMeta};

/// `nvdsbatchmeta`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchMeta {
    #[prost(uint32, tag = "2")]
    pub(crate) max_frames_in_batch: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) num_frames_in_batch: u32,
    #[prost(message, repeated, tag = "4")]
    pub(crate) audio_frame_meta_list: Vec<AudioFrameMeta>,
    #[prost(int64, repeated, tag = "6")]
    pub(crate) misc_batch_info: Vec<i64>,
    #[prost(int64, repeated, tag = "7")]
    pub(crate) reserve: Vec<i64>,
}

/// `nvdsaudioframemeta`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AudioFrameMeta {
    #[prost(message, optional, tag = "1")]
    pub(crate) base_meta: Option<BaseMeta>,
    #[prost(uint32, tag = "2")]
    pub(crate) pad_index: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) batch_id: u32,
    #[prost(int32, tag = "4")]
    pub(crate) frame_num: i32,
    #[prost(uint64, tag = "5")]
    pub(crate) buf_pts: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) ntp_timestamp: u64,
    #[prost(uint32, tag = "7")]
    pub(crate) source_id: u32,
    #[prost(int32, tag = "8")]
    pub(crate) num_samples_per_frame: i32,
    #[prost(uint32, tag = "9")]
    pub(crate) sample_rate: u32,
    #[prost(uint32, tag = "10")]
    pub(crate) num_channels: u32,
    #[prost(uint32, tag = "11")]
    pub(crate) nvbufaudioformat: u32,
    #[prost(uint32, tag = "12")]
    pub(crate) nvbufaudiolayout: u32,
    #[prost(bool, tag = "13")]
    pub(crate) binferdone: bool,
    #[prost(int32, tag = "14")]
    pub(crate) class_id: i32,
    #[prost(float, tag = "15")]
    pub(crate) confidence: f32,
    #[prost(string, tag = "16")]
    pub(crate) class_label: String,
    #[prost(message, repeated, tag = "17")]
    pub(crate) classifier_meta_list: Vec<ClassifierMeta>,
    #[prost(int64, repeated, tag = "19")]
    pub(crate) misc_frame_info: Vec<i64>,
    #[prost(int64, repeated, tag = "20")]
    pub(crate) reserve: Vec<i64>,
    #[prost(string, tag = "1000")]
    pub(crate) own_class_label: String,
    #[prost(message, repeated, tag = "1001")]
    pub(crate) own_classifier_meta_list: Vec<ClassifierMeta>,
}
