//! The functions of libgstanalytics, as its headers declare them.

use std::ffi::{c_char, c_void};

use gst::ffi::{GstBuffer, GstClockTime, GstMeta};
use gst::glib::ffi::{GQuark, gboolean};

use super::MaskFormat;
use crate::library;

const LIBRARY: &str = "libgstanalytics-1.0.so.0";

/// `GstAnalyticsRelationMeta`, which begins with a `GstMeta`; the rest is the library's.
pub(super) type RelationMeta = GstMeta;

/// `GstAnalyticsMtdType`: the address of what implements a kind of things; 0: any.
pub(super) type MtdType = usize;

/// `GstAnalyticsMtd`: which thing of which meta.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Mtd {
    pub(super) id: u32,
    pub(super) meta: *mut RelationMeta,
}

impl Mtd {
    /// One for the library to fill in.
    pub(super) const fn empty() -> Self {
        Self { id: 0, meta: std::ptr::null_mut() }
    }
}

/// `GstAnalyticsRelationMetaInitParams`
#[repr(C)]
#[derive(Debug)]
pub(super) struct InitParams {
    pub(super) relation_order: usize,
    pub(super) buf_size: usize,
}

/// The beginning of `GstVideoMeta`, a public structure.
#[repr(C)]
#[derive(Debug)]
pub(super) struct VideoMeta {
    pub(super) meta: GstMeta,
    pub(super) buffer: *mut GstBuffer,
    pub(super) flags: i32,
    pub(super) format: i32,
    pub(super) id: i32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) n_planes: u32,
    pub(super) offset: [usize; 4],
    pub(super) stride: [i32; 4],
}

/// What the library keeps of a segmentation, up to the ids of its regions. There is no function that gives the kind,
/// so it is read here, once all the rest is found to be what the functions give.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentationData {
    pub(super) kind: u32,
    pub(super) mask: *mut GstBuffer,
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) regions: usize,
}

/// Declares a table of functions, with a constructor that looks up all of them by their names.
macro_rules! functions {
    (
        $(#[$doc:meta])*
        $table:ident { $($field:ident = $name:literal : fn($($arg:ty),*) $(-> $ret:ty)?;)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $table {
            $(pub(super) $field: unsafe extern "C" fn($($arg),*) $(-> $ret)?,)*
        }

        impl $table {
            fn find_in(library: &'static libloading::os::unix::Library) -> Option<Self> {
                Some(Self {
                    // SAFETY: these are the types that the library's headers declare.
                    $($field: unsafe { library::function(library, concat!($name, "\0")) }?,)*
                })
            }
        }
    };
}

functions! {
    /// What GStreamer 1.24 has.
    Base {
        add_meta = "gst_buffer_add_analytics_relation_meta_full":
            fn(*mut GstBuffer, *mut InitParams) -> *mut RelationMeta;
        get_meta = "gst_buffer_get_analytics_relation_meta": fn(*mut GstBuffer) -> *mut RelationMeta;
        get_length = "gst_analytics_relation_get_length": fn(*const RelationMeta) -> usize;
        get_mtd = "gst_analytics_relation_meta_get_mtd": fn(*mut RelationMeta, u32, MtdType, *mut Mtd) -> gboolean;
        get_mtd_data = "gst_analytics_relation_meta_get_mtd_data": fn(*const RelationMeta, u32) -> *mut c_void;
        get_related = "gst_analytics_relation_meta_get_direct_related":
            fn(*mut RelationMeta, u32, u32, MtdType, *mut *mut c_void, *mut Mtd) -> gboolean;
        get_relation = "gst_analytics_relation_meta_get_relation": fn(*const RelationMeta, u32, u32) -> u32;
        set_relation = "gst_analytics_relation_meta_set_relation":
            fn(*mut RelationMeta, u32, u32, u32) -> gboolean;
        mtd_type = "gst_analytics_mtd_get_mtd_type": fn(*const Mtd) -> MtdType;
        mtd_size = "gst_analytics_mtd_get_size": fn(*const Mtd) -> usize;
        type_name = "gst_analytics_mtd_type_get_name": fn(MtdType) -> *const c_char;
        od_type = "gst_analytics_od_mtd_get_mtd_type": fn() -> MtdType;
        od_location = "gst_analytics_od_mtd_get_location":
            fn(*const Mtd, *mut i32, *mut i32, *mut i32, *mut i32, *mut f32) -> gboolean;
        od_label = "gst_analytics_od_mtd_get_obj_type": fn(*const Mtd) -> GQuark;
        add_od = "gst_analytics_relation_meta_add_od_mtd":
            fn(*mut RelationMeta, GQuark, i32, i32, i32, i32, f32, *mut Mtd) -> gboolean;
        cls_type = "gst_analytics_cls_mtd_get_mtd_type": fn() -> MtdType;
        cls_length = "gst_analytics_cls_mtd_get_length": fn(*const Mtd) -> usize;
        cls_label = "gst_analytics_cls_mtd_get_quark": fn(*const Mtd, usize) -> GQuark;
        cls_level = "gst_analytics_cls_mtd_get_level": fn(*const Mtd, usize) -> f32;
        add_cls = "gst_analytics_relation_meta_add_cls_mtd":
            fn(*mut RelationMeta, usize, *mut f32, *mut GQuark, *mut Mtd) -> gboolean;
        tracking_type = "gst_analytics_tracking_mtd_get_mtd_type": fn() -> MtdType;
        tracking_info = "gst_analytics_tracking_mtd_get_info":
            fn(*const Mtd, *mut u64, *mut GstClockTime, *mut GstClockTime, *mut gboolean) -> gboolean;
        add_tracking = "gst_analytics_relation_meta_add_tracking_mtd":
            fn(*mut RelationMeta, u64, GstClockTime, *mut Mtd) -> gboolean;
        tracking_seen = "gst_analytics_tracking_mtd_update_last_seen": fn(*mut Mtd, GstClockTime) -> gboolean;
        tracking_lost = "gst_analytics_tracking_mtd_set_lost": fn(*mut Mtd) -> gboolean;
    }
}

functions! {
    /// Rotated objects: GStreamer 1.26.
    Oriented {
        location = "gst_analytics_od_mtd_get_oriented_location":
            fn(*const Mtd, *mut i32, *mut i32, *mut i32, *mut i32, *mut f32, *mut f32) -> gboolean;
        add = "gst_analytics_relation_meta_add_oriented_od_mtd":
            fn(*mut RelationMeta, GQuark, i32, i32, i32, i32, f32, f32, *mut Mtd) -> gboolean;
    }
}

functions! {
    /// Segmentation: GStreamer 1.26.
    Segmentation {
        mtd_type = "gst_analytics_segmentation_mtd_get_mtd_type": fn() -> MtdType;
        mask = "gst_analytics_segmentation_mtd_get_mask":
            fn(*const Mtd, *mut i32, *mut i32, *mut u32, *mut u32) -> *mut GstBuffer;
        region_count = "gst_analytics_segmentation_mtd_get_region_count": fn(*const Mtd) -> usize;
        region_id = "gst_analytics_segmentation_mtd_get_region_id": fn(*const Mtd, usize) -> u32;
        add = "gst_analytics_relation_meta_add_segmentation_mtd":
            fn(*mut RelationMeta, *mut GstBuffer, u32, usize, *mut u32, i32, i32, u32, u32, *mut Mtd) -> gboolean;
    }
}

functions! {
    /// What masks need of libgstvideo.
    Video {
        get_meta = "gst_buffer_get_video_meta": fn(*mut GstBuffer) -> *mut VideoMeta;
        add_meta = "gst_buffer_add_video_meta_full":
            fn(*mut GstBuffer, i32, MaskFormat, u32, u32, u32, *const usize, *const i32) -> *mut VideoMeta;
    }
}

/// The functions that the installed library has.
#[derive(Debug)]
pub(super) struct Functions {
    pub(super) base: Base,
    pub(super) oriented: Option<Oriented>,
    pub(super) segmentation: Option<(Segmentation, Video)>,
}

impl Functions {
    /// Opens the library; `None` if it is not there, or lacks what its first release had.
    pub(super) fn find() -> Option<Self> {
        let library = library::open(LIBRARY)?;
        // libgstanalytics is linked with it.
        let video = library::loaded("libgstvideo-1.0.so.0").and_then(Video::find_in);
        Some(Self {
            base: Base::find_in(library)?,
            oriented: Oriented::find_in(library),
            segmentation: Segmentation::find_in(library).zip(video),
        })
    }
}

/// The type of the meta's API, registered if it was not, if the library is loaded.
pub(super) fn api_of_loaded() -> Option<gst::glib::Type> {
    let library = library::loaded(LIBRARY)?;
    // SAFETY: this is the type that the library's header declares, and GStreamer keeps the type for ever.
    unsafe {
        let api: unsafe extern "C" fn() -> gst::glib::ffi::GType =
            library::function(library, "gst_analytics_relation_meta_api_get_type\0")?;
        Some(gst::glib::translate::from_glib(api()))
    }
}
