//! Video.

use prost::Message;

use super::{
    Analytics, BaseMeta, ClassifierMeta, DisplayMeta, MaskParams, RectParams, Region, Sensor, TextParams,
};

/// `nvdsbatchmeta`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchMeta {
    #[prost(uint32, tag = "2")]
    pub(crate) max_frames_in_batch: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) num_frames_in_batch: u32,
    #[prost(message, repeated, tag = "4")]
    pub(crate) frame_meta_list: Vec<FrameMeta>,
    #[prost(int64, repeated, tag = "6")]
    pub(crate) misc_batch_info: Vec<i64>,
    #[prost(int64, repeated, tag = "7")]
    pub(crate) reserve: Vec<i64>,
    #[prost(uint32, tag = "1000")]
    pub(crate) own_origin: u32,
}

/// `nvdsframemeta`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FrameMeta {
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
    pub(crate) num_surfaces_per_frame: i32,
    #[prost(uint32, tag = "9")]
    pub(crate) source_frame_width: u32,
    #[prost(uint32, tag = "10")]
    pub(crate) source_frame_height: u32,
    #[prost(uint32, tag = "11")]
    pub(crate) surface_type: u32,
    #[prost(uint32, tag = "12")]
    pub(crate) surface_index: u32,
    #[prost(uint32, tag = "13")]
    pub(crate) num_obj_meta: u32,
    #[prost(bool, tag = "14")]
    pub(crate) binferdone: bool,
    #[prost(message, repeated, tag = "15")]
    pub(crate) obj_meta_list: Vec<ObjectMeta>,
    #[prost(message, repeated, tag = "16")]
    pub(crate) display_meta_list: Vec<DisplayMeta>,
    #[prost(int64, repeated, tag = "18")]
    pub(crate) misc_frame_info: Vec<i64>,
    #[prost(uint32, tag = "19")]
    pub(crate) pipeline_width: u32,
    #[prost(uint32, tag = "20")]
    pub(crate) pipeline_height: u32,
    #[prost(int64, repeated, tag = "21")]
    pub(crate) reserve: Vec<i64>,
    #[prost(message, repeated, tag = "1000")]
    pub(crate) own_display_meta_list: Vec<DisplayMeta>,
    #[prost(message, optional, tag = "1001")]
    pub(crate) own_sensor: Option<Sensor>,
    #[prost(message, optional, tag = "1002")]
    pub(crate) own_analytics: Option<Analytics>,
}

/// `nvdsobjectmeta`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ObjectMeta {
    #[prost(message, optional, tag = "1")]
    pub(crate) base_meta: Option<BaseMeta>,
    #[prost(int32, tag = "2")]
    pub(crate) unique_component_id: i32,
    #[prost(int32, tag = "3")]
    pub(crate) class_id: i32,
    #[prost(uint64, tag = "4")]
    pub(crate) object_id: u64,
    #[prost(message, optional, tag = "5")]
    pub(crate) detector_bbox_info: Option<CompBboxInfo>,
    #[prost(message, optional, tag = "6")]
    pub(crate) tracker_bbox_info: Option<CompBboxInfo>,
    #[prost(float, tag = "7")]
    pub(crate) confidence: f32,
    #[prost(float, tag = "8")]
    pub(crate) tracker_confidence: f32,
    #[prost(message, optional, tag = "9")]
    pub(crate) rect_params: Option<RectParams>,
    #[prost(message, optional, tag = "10")]
    pub(crate) mask_params: Option<MaskParams>,
    #[prost(message, optional, tag = "11")]
    pub(crate) text_params: Option<TextParams>,
    #[prost(string, tag = "12")]
    pub(crate) obj_label: String,
    #[prost(message, repeated, tag = "13")]
    pub(crate) classifier_meta_list: Vec<ClassifierMeta>,
    #[prost(int64, repeated, tag = "15")]
    pub(crate) misc_obj_info: Vec<i64>,
    #[prost(int64, repeated, tag = "16")]
    pub(crate) reserve: Vec<i64>,
    #[prost(string, tag = "1000")]
    pub(crate) own_obj_label: String,
    #[prost(message, repeated, tag = "1001")]
    pub(crate) own_classifier_meta_list: Vec<ClassifierMeta>,
    #[prost(message, optional, tag = "1002")]
    pub(crate) own_mask_params: Option<MaskParams>,
    #[prost(uint32, optional, tag = "1003")]
    pub(crate) own_parent: Option<u32>,
    #[prost(message, optional, tag = "1004")]
    pub(crate) own_region: Option<Region>,
}

/// `nvdscompbboxinfo`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CompBboxInfo {
    #[prost(message, optional, tag = "1")]
    pub(crate) org_bbox_coords: Option<BboxCoords>,
}

/// `nvbboxcoords`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BboxCoords {
    #[prost(float, tag = "1")]
    pub(crate) left: f32,
    #[prost(float, tag = "2")]
    pub(crate) top: f32,
    #[prost(float, tag = "3")]
    pub(crate) width: f32,
    #[prost(float, tag = "4")]
    pub(crate) height: f32,
}
