//! The messages of the protobuf package `dsmeta` for another codec than ours.

pub(crate) mod audio;
mod osd;
mod own;
pub(crate) mod video;

use osd::{DisplayMeta, MaskParams, RectParams, TextParams};
use own::{Analytics, Region, Sensor};
use prost::Message;

/// `nvdsbasemeta`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BaseMeta {
    #[prost(uint32, tag = "1")]
    pub(crate) meta_type: u32,
}

/// `nvdsclassifiermeta`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ClassifierMeta {
    #[prost(message, optional, tag = "1")]
    pub(crate) base_meta: Option<BaseMeta>,
    #[prost(uint32, tag = "2")]
    pub(crate) num_labels: u32,
    #[prost(int32, tag = "3")]
    pub(crate) unique_component_id: i32,
    #[prost(message, repeated, tag = "4")]
    pub(crate) label_info_list: Vec<LabelInfo>,
    #[prost(string, tag = "5")]
    pub(crate) classifier_type: String,
}

/// `nvdslabelinfo`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct LabelInfo {
    #[prost(message, optional, tag = "1")]
    pub(crate) base_meta: Option<BaseMeta>,
    #[prost(uint32, tag = "2")]
    pub(crate) num_classes: u32,
    #[prost(string, tag = "3")]
    pub(crate) result_label: String,
    #[prost(string, tag = "4")]
    pub(crate) presult_label: String,
    #[prost(uint32, tag = "5")]
    pub(crate) result_class_id: u32,
    #[prost(int32, tag = "6")]
    pub(crate) label_id: i32,
    #[prost(float, tag = "7")]
    pub(crate) result_prob: f32,
    #[prost(string, tag = "1000")]
    pub(crate) own_result_label: String,
}
