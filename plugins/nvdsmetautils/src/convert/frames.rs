//! Regions of several frames on one buffer: a parameter of each tells which frame it is of.

use dsmeta::model::VideoFrame;
use gst::{Structure, StructureRef};
use gst_video::VideoRegionOfInterestMeta;

const NAME: &str = "frame";
const SOURCE: &str = "source-id";
const BATCH: &str = "batch-id";
const PAD: &str = "pad-index";
const NUMBER: &str = "frame-num";
const PTS: &str = "pts";

/// What is known of a frame by its regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameId {
    pub(super) source_id: u32,
    pub(super) batch_id: u32,
    pub(super) pad_index: u32,
    pub(super) frame_num: i32,
    pub(super) pts: u64,
}

impl FrameId {
    /// The frame that `region` says it is of.
    pub(super) fn of(region: &VideoRegionOfInterestMeta) -> Option<Self> {
        region.params().find_map(Self::from_param)
    }

    fn from_param(param: &StructureRef) -> Option<Self> {
        if param.name() != NAME {
            return None;
        }
        Some(Self {
            source_id: param.get(SOURCE).ok()?,
            batch_id: param.get(BATCH).ok()?,
            pad_index: param.get(PAD).ok()?,
            frame_num: param.get(NUMBER).ok()?,
            pts: param.get(PTS).ok()?,
        })
    }

    /// The parameter for regions of `frame`.
    pub(super) fn param(frame: &VideoFrame) -> Structure {
        Structure::builder(NAME)
            .field(SOURCE, frame.source_id)
            .field(BATCH, frame.batch_id)
            .field(PAD, frame.pad_index)
            .field(NUMBER, frame.frame_num)
            .field(PTS, frame.buf_pts)
            .build()
    }
}

/// Whether this parameter tells of which frame a region is.
pub(super) fn is_frame(param: &StructureRef) -> bool {
    FrameId::from_param(param).is_some()
}
