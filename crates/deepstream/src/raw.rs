//! DeepStream's structures, as far as they are the same in all releases. Where a release put something in between, the
//! structure is in two parts here, and [`Layout`](crate::layout::Layout) says where the second begins.
//!
//! A structure is read and written whole, by value, through [`At`](crate::at::At). Pointers in it have types of their
//! own ([`List`], [`Link`], [`Text`]), which only reading DeepStream's memory, or allocating for it, makes.

use std::ffi::{c_char, c_void};
use std::mem::{offset_of, size_of};

use gst::ffi::GstMeta;

use crate::at::{Link, List, Plain};
use crate::text::Text;

pub(crate) type CopyFn = unsafe extern "C" fn(*mut c_void, *mut c_void) -> *mut c_void;
pub(crate) type ReleaseFn = unsafe extern "C" fn(*mut c_void, *mut c_void);

/// Length of `obj_label`, `result_label` and `class_label`, with the NUL.
pub(crate) const LABEL: usize = 128;
/// Number of shapes of each kind in a display meta.
pub(crate) const SHAPES: usize = 16;
/// `NVDS_BATCH_GST_META`.
pub(crate) const BATCH_GST_META: i32 = 4097;
/// `NVDS_BATCH_META`.
pub(crate) const BATCH_META: i32 = 1;

/// Declares structures that can be read and written by value, and checks their sizes.
macro_rules! plain {
    ($($(#[$doc:meta])* struct $name:ident = $size:literal { $($(#[$note:meta])* $field:ident: $type:ty,)* })*) => { $(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub(crate) struct $name { $($(#[$note])* pub(crate) $field: $type,)* }
        const _: () = assert!(size_of::<$name>() == $size);
        // SAFETY: numbers, and pointers that may be anything until they are followed.
        unsafe impl Plain for $name {}
    )* };
}

plain! {
    /// NvDsMeta, the GstMeta.
    struct Meta = 72 {
        meta: GstMeta,
        data: *mut c_void,
        user_data: *mut c_void,
        meta_type: i32,
        copy: Option<CopyFn>,
        release: Option<ReleaseFn>,
        transform: *mut c_void,
        transform_release: *mut c_void,
    }
    /// NvDsBaseMeta.
    struct Base = 40 {
        batch: *mut Batch,
        meta_type: i32,
        context: *mut c_void,
        copy: Option<CopyFn>,
        release: Option<ReleaseFn>,
    }
    /// NvDsMetaPool.
    struct Pool = 56 {
        meta_type: i32,
        max_elements: u32,
        element_size: u32,
        num_empty: u32,
        num_full: u32,
        empty: *mut c_void,
        full: *mut c_void,
        copy: Option<CopyFn>,
        release: Option<ReleaseFn>,
    }
    /// NvDsBatchMeta.
    struct Batch = 192 {
        base: Base,
        max_frames: u32,
        num_frames: u32,
        frame_pool: Link<Pool>,
        object_pool: Link<Pool>,
        classifier_pool: Link<Pool>,
        display_pool: Link<Pool>,
        user_pool: Link<Pool>,
        label_pool: Link<Pool>,
        /// Of [`Frame`] or [`AudioFrame`].
        frames: List<Base>,
        users: List<User>,
        mutex: [u64; 2],
        misc: [i64; 4],
        reserved: [i64; 4],
    }
    /// NvDsFrameMeta up to its sensor, or its reserved words in releases without sensor.
    struct Frame = 168 {
        base: Base,
        pad_index: u32,
        batch_id: u32,
        frame_num: i32,
        buf_pts: u64,
        ntp_timestamp: u64,
        source_id: u32,
        num_surfaces_per_frame: i32,
        source_frame_width: u32,
        source_frame_height: u32,
        surface_type: u32,
        surface_index: u32,
        num_objects: u32,
        infer_done: i32,
        objects: List<Object>,
        displays: List<Display>,
        users: List<User>,
        misc: [i64; 4],
        pipeline_width: u32,
        pipeline_height: u32,
    }
    /// NvDsSensorInfo.
    struct Sensor = 32 {
        source_id: u32,
        uri: Text,
        id: Text,
        name: Text,
    }
    /// NvDsObjectMeta up to its rectangle.
    struct Object = 104 {
        base: Base,
        parent: Link<Object>,
        unique_component_id: i32,
        class_id: i32,
        object_id: u64,
        detector_bbox: [f32; 4],
        tracker_bbox: [f32; 4],
        confidence: f32,
        tracker_confidence: f32,
    }
    /// NvDsObjectMeta after its rectangle.
    struct ObjectTail = 336 {
        mask: Mask,
        text: TextParams,
        label: [c_char; LABEL],
        classifiers: List<Classifier>,
        users: List<User>,
        misc: [i64; 4],
        reserved: [i64; 4],
    }
    /// NvDsClassifierMeta.
    struct Classifier = 64 {
        base: Base,
        num_labels: u32,
        unique_component_id: i32,
        labels: List<Label>,
        classifier_type: Text,
    }
    /// NvDsLabelInfo.
    struct Label = 200 {
        base: Base,
        num_classes: u32,
        result_label: [c_char; LABEL],
        presult_label: Text,
        result_class_id: u32,
        label_id: u32,
        result_prob: f32,
    }
    /// NvDsDisplayMeta up to its rectangles.
    struct Display = 64 {
        base: Base,
        num_rects: u32,
        num_texts: u32,
        num_lines: u32,
        num_arrows: u32,
        num_circles: u32,
    }
    /// NvDsDisplayMeta after its rectangles.
    struct DisplayTail = 5184 {
        texts: [TextParams; SHAPES],
        lines: [Line; SHAPES],
        arrows: [Arrow; SHAPES],
        circles: [Circle; SHAPES],
        misc: [i64; 4],
        reserved: [i64; 4],
    }
    /// NvDsUserMeta.
    struct User = 48 {
        base: Base,
        data: *mut c_void,
    }
    /// NvDsAudioFrameMeta.
    struct AudioFrame = 320 {
        base: Base,
        pad_index: u32,
        batch_id: u32,
        frame_num: i32,
        buf_pts: u64,
        ntp_timestamp: u64,
        source_id: u32,
        num_samples_per_frame: i32,
        sample_rate: u32,
        num_channels: u32,
        format: i32,
        layout: i32,
        infer_done: i32,
        class_id: i32,
        confidence: f32,
        class_label: [c_char; LABEL],
        classifiers: List<Classifier>,
        users: List<User>,
        misc: [i64; 4],
        reserved: [i64; 4],
    }
    /// NVDS_CUSTOM_PAYLOAD.
    struct CustomPayload = 16 {
        kind: u32,
        size: u32,
        data: *mut c_void,
    }
    /// NvOSD_ColorParams.
    struct Color = 32 {
        red: f64,
        green: f64,
        blue: f64,
        alpha: f64,
    }
    /// NvOSD_FontParams.
    struct Font = 48 {
        name: Text,
        size: u32,
        color: Color,
    }
    /// NvOSD_TextParams.
    struct TextParams = 104 {
        display_text: Text,
        x_offset: u32,
        y_offset: u32,
        font: Font,
        set_bg_clr: i32,
        bg_color: Color,
    }
    /// NvOSD_RectParams without its angle.
    struct Rect = 104 {
        left: f32,
        top: f32,
        width: f32,
        height: f32,
        border_width: u32,
        border_color: Color,
        has_bg_color: u32,
        reserved: u32,
        bg_color: Color,
        has_color_info: i32,
        color_id: i32,
    }
    /// NvOSD_MaskParams.
    struct Mask = 24 {
        data: Link<f32>,
        size: u32,
        threshold: f32,
        width: u32,
        height: u32,
    }
    /// NvOSD_LineParams.
    struct Line = 56 {
        x1: u32,
        y1: u32,
        x2: u32,
        y2: u32,
        width: u32,
        color: Color,
    }
    /// NvOSD_ArrowParams.
    struct Arrow = 64 {
        x1: u32,
        y1: u32,
        x2: u32,
        y2: u32,
        width: u32,
        head: i32,
        color: Color,
        reserved: u32,
    }
    /// NvOSD_CircleParams.
    struct Circle = 96 {
        xc: u32,
        yc: u32,
        radius: u32,
        color: Color,
        has_bg_color: u32,
        bg_color: Color,
        /// In releases before 8.0 this is the reserved word, and nothing follows.
        width: u32,
        reserved: u32,
    }
}

// SAFETY: any bits are a number.
unsafe impl Plain for f32 {}
// SAFETY: any bits are a number.
unsafe impl Plain for u32 {}
// SAFETY: any bits are numbers.
unsafe impl Plain for [i64; 4] {}

// Where the fields are that come after padding.
const _: () = {
    assert!(offset_of!(Meta, meta_type) == 32 && offset_of!(Meta, copy) == 40);
    assert!(offset_of!(Base, context) == 16 && offset_of!(Pool, empty) == 24);
    assert!(offset_of!(Batch, frame_pool) == 48 && offset_of!(Batch, frames) == 96);
    assert!(offset_of!(Batch, mutex) == 112 && offset_of!(Batch, misc) == 128);
    assert!(offset_of!(Frame, buf_pts) == 56 && offset_of!(Frame, infer_done) == 100);
    assert!(offset_of!(Frame, objects) == 104 && offset_of!(Frame, pipeline_width) == 160);
    assert!(offset_of!(Sensor, uri) == 8 && offset_of!(Object, object_id) == 56);
    assert!(offset_of!(Object, tracker_confidence) == 100);
    assert!(offset_of!(ObjectTail, label) == 344 - 216 && offset_of!(ObjectTail, misc) == 488 - 216);
    assert!(offset_of!(Classifier, labels) == 48 && offset_of!(Label, result_label) == 44);
    assert!(offset_of!(Label, presult_label) == 176 && offset_of!(Label, result_prob) == 192);
    assert!(offset_of!(DisplayTail, lines) == 3520 - 1856 && offset_of!(DisplayTail, misc) == 6976 - 1856);
    assert!(offset_of!(AudioFrame, buf_pts) == 56 && offset_of!(AudioFrame, class_label) == 108);
    assert!(offset_of!(AudioFrame, classifiers) == 240 && offset_of!(AudioFrame, misc) == 256);
    assert!(offset_of!(TextParams, font) == 16 && offset_of!(TextParams, bg_color) == 72);
    assert!(offset_of!(Rect, border_color) == 24 && offset_of!(Rect, bg_color) == 64);
    assert!(offset_of!(Rect, color_id) == 100 && offset_of!(Circle, width) == 88);
    assert!(offset_of!(Line, color) == 24 && offset_of!(Arrow, color) == 24);
};
