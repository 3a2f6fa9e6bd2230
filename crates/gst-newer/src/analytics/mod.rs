//! What analytics elements find in a frame, and how it is related: `GstAnalyticsRelationMeta`, which came with
//! GStreamer 1.24, as plain values.
//!
//! A thing is known by its index in [`Relations::things`]. The library that defines the meta is opened when it is
//! first needed: to [attach](Analytics::attach) things, or to [`read`] a buffer that has some.

mod check;
mod ffi;
mod labels;
mod mask;
mod read;
mod write;

use std::sync::OnceLock;

pub use check::{
    MAX_CLASSES, MAX_COORDINATE, MAX_LABEL, MAX_LINKS, MAX_MASK_SIDE, MAX_REGIONS, MAX_THINGS, RELATIONS,
};
pub use labels::MAX_NEW_LABELS;

/// Name of the API type of the meta.
pub const META_API: &str = "GstAnalyticsRelationMetaAPI";

/// What the meta needs.
const NEEDED: &str = "GStreamer 1.24 or newer with libgstanalytics (of gst-plugins-bad)";

/// What was found in a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relations {
    /// What was found.
    pub things: Vec<Thing>,
    /// How it is related.
    pub links: Vec<Link>,
}

/// Something that was found in a frame.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Thing {
    /// An object, and where it is.
    Object {
        /// What it is; empty: not known.
        label: String,
        /// Left edge, in pixels.
        x: i32,
        /// Upper edge, in pixels.
        y: i32,
        /// Width in pixels.
        width: i32,
        /// Height in pixels.
        height: i32,
        /// Rotation in radians; GStreamer 1.24 knows none, and loses it.
        rotation: f32,
        /// How certain the place is.
        confidence: f32,
    },
    /// What something may be, with the confidence in each.
    Class {
        /// Classes; a name that is empty is not known.
        classes: Vec<(String, f32)>,
    },
    /// An object that is followed from frame to frame.
    Tracking {
        /// The same in all frames.
        id: u64,
        /// When it was first seen.
        first_seen: Option<gst::ClockTime>,
        /// When it was last seen.
        last_seen: Option<gst::ClockTime>,
        /// It is followed no more.
        lost: bool,
    },
    /// Which pixels belong to which region. GStreamer 1.26 and newer.
    Segmentation {
        /// What the values in the mask stand for.
        kind: SegmentationKind,
        /// The mask.
        mask: Mask,
        /// Ids of the regions: values in the mask.
        regions: Vec<u32>,
        /// Left edge of the mask in the frame, in pixels.
        x: i32,
        /// Upper edge of the mask in the frame, in pixels.
        y: i32,
        /// Width of the mask in the frame, in pixels.
        shown_width: u32,
        /// Height of the mask in the frame, in pixels.
        shown_height: u32,
    },
    /// What cannot be carried. It keeps its index; [`Analytics::attach`] leaves it out, and what links to it.
    Other {
        /// GStreamer's name of what it is, `tensor` for one; may be empty.
        name: String,
    },
}

/// What the values in a mask stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum SegmentationKind {
    /// What something is.
    Semantic = 0,
    /// Which one it is.
    Instance = 1,
}

impl TryFrom<u32> for SegmentationKind {
    type Error = crate::Error;

    fn try_from(kind: u32) -> Result<Self, Self::Error> {
        match kind {
            0 => Ok(Self::Semantic),
            1 => Ok(Self::Instance),
            _ => Err(crate::Error::OutOfRange {
                what: "a segmentation's kind",
                value: kind.into(),
                min: 0,
                max: 1,
            }),
        }
    }
}

/// A picture whose values are ids of regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// How a value is stored.
    pub format: MaskFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The values, row by row, nothing in between.
    pub data: Vec<u8>,
}

/// How a value of a mask is stored. The numbers are those of `GstVideoFormat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum MaskFormat {
    /// 8 bits.
    Gray8 = 25,
    /// 16 bits, big-endian.
    Gray16Be = 26,
    /// 16 bits, little-endian.
    Gray16Le = 27,
}

impl MaskFormat {
    const ALL: [Self; 3] = [Self::Gray8, Self::Gray16Be, Self::Gray16Le];

    /// GStreamer's name of the format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gray8 => "GRAY8",
            Self::Gray16Be => "GRAY16_BE",
            Self::Gray16Le => "GRAY16_LE",
        }
    }

    /// The format of this name; `None` if no mask has it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Length of a value, in bytes.
    pub const fn value_len(self) -> usize {
        match self {
            Self::Gray8 => 1,
            Self::Gray16Be | Self::Gray16Le => 2,
        }
    }
}

/// How one thing is related to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Index of the first.
    pub from: usize,
    /// Index of the second.
    pub to: usize,
    /// Bits of `GstAnalyticsRelTypes`, some of [`RELATIONS`].
    pub relation: u32,
}

/// GStreamer's library for analytics.
#[derive(Debug)]
pub struct Analytics {
    functions: ffi::Functions,
}

impl Analytics {
    /// The library, which is opened if it is not yet; `None` if it is not installed, or is too old.
    pub fn get() -> Option<&'static Self> {
        static ANALYTICS: OnceLock<Option<Analytics>> = OnceLock::new();
        let there = ANALYTICS.get_or_init(|| ffi::Functions::find().map(|functions| Self { functions }));
        there.as_ref()
    }

    /// Whether the running GStreamer can attach this thing. Of an object's rotation it may know nothing.
    pub fn can_attach(&self, thing: &Thing) -> bool {
        match thing {
            Thing::Object { .. } | Thing::Class { .. } | Thing::Tracking { .. } => true,
            Thing::Segmentation { .. } => self.functions.segmentation.is_some(),
            Thing::Other { .. } => false,
        }
    }

    /// What the buffer's meta says; `None` if it has none.
    pub fn read(&self, buffer: &gst::BufferRef) -> Option<Relations> {
        has_relations(buffer).then(|| read::read(&self.functions, buffer)).flatten()
    }

    /// Adds things to the buffer, after those that it has already. What is wrong with them is found before anything
    /// is added.
    ///
    /// What [cannot be attached](Self::can_attach) is left out, and so are its links.
    pub fn attach(&self, buffer: &mut gst::BufferRef, relations: &Relations) -> Result<(), crate::Error> {
        relations.check()?;
        write::attach(self, buffer, relations)
    }
}

/// As [`Analytics::read`]; opens no library if the buffer has no such meta.
pub fn read(buffer: &gst::BufferRef) -> Option<Relations> {
    has_relations(buffer).then(Analytics::get).flatten()?.read(buffer)
}

/// As [`Analytics::attach`]; an error if the library is not installed.
pub fn attach(buffer: &mut gst::BufferRef, relations: &Relations) -> Result<(), crate::Error> {
    let analytics =
        Analytics::get().ok_or(crate::Error::NotThere { what: "analytics relations", needed: NEEDED })?;
    analytics.attach(buffer, relations)
}

/// The API type of the meta; `None` if the process has not loaded the library, without which nobody can ask for it.
pub fn api() -> Option<gst::glib::Type> {
    // It may be loaded later.
    static API: OnceLock<gst::glib::Type> = OnceLock::new();
    if let Some(api) = API.get() {
        return Some(*api);
    }
    let api = ffi::api_of_loaded()?;
    Some(*API.get_or_init(|| api))
}

/// Whether this meta is the one that [`read`] reads.
pub fn is_relations(meta: &gst::MetaRef<'_, gst::Meta>) -> bool {
    meta.api().name() == META_API
}

/// Whether the buffer has a meta that [`read`] reads.
pub fn has_relations(buffer: &gst::BufferRef) -> bool {
    // As long as nobody registered the type, there is no such meta.
    gst::glib::Type::from_name(META_API).is_some()
        && buffer.iter_meta::<gst::Meta>().any(|meta| is_relations(&meta))
}
