//! Regions of interest and objects.

use std::borrow::Cow;
use std::str::FromStr;

use dsmeta::model::{Bbox, KString, Object, Rect, Region};
use gst::Structure;
use gst::glib::Quark;
use gst_video::VideoRegionOfInterestMeta;

use super::{frames, params};
use crate::CAT;

type RegionRef<'a> = gst::MetaRef<'a, VideoRegionOfInterestMeta>;

/// The object that `region` tells of. Its parent is not known here.
pub(super) fn read(region: &RegionRef<'_>) -> Object {
    let (x, y, width, height) = region.rect();
    let bbox = Bbox { left: x as f32, top: y as f32, width: width as f32, height: height as f32 };
    let mut object = Object {
        label: KString::from_ref(&crate::ffi::region_type(region)),
        detector_bbox: bbox,
        rect: Rect {
            left: bbox.left,
            top: bbox.top,
            width: bbox.width,
            height: bbox.height,
            ..Rect::default()
        },
        ..Object::default()
    };
    let own = || region.params().filter(|param| !frames::is_frame(param));
    let found = params::read(own(), &mut object);
    if object.object_id != dsmeta::model::UNTRACKED {
        object.tracker_bbox = bbox;
    }
    object.region = Some(Region {
        id: region.id(),
        parent_id: region.parent_id(),
        x,
        y,
        width,
        height,
        params: if found.exact { Vec::new() } else { own().map(ToString::to_string).collect() },
        confidence: if found.exact { found.confidence } else { 0.0 },
    });
    object
}

/// What makes a region the same as another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity<'a> {
    label: Cow<'a, str>,
    id: i32,
    rect: (u32, u32, u32, u32),
}

impl Identity<'static> {
    pub(super) fn of(region: &RegionRef<'_>) -> Self {
        Self { label: crate::ffi::region_type(region), id: region.id(), rect: region.rect() }
    }
}

impl<'a> Identity<'a> {
    /// Of the region that `object` was, or is to be with `id`.
    pub(super) fn of_object(object: &'a Object, id: i32) -> Self {
        // Saturates, and what is no number is 0.
        let pixels = |length: f32| length.round() as u32;
        let rect = match &object.region {
            Some(region) => (region.x, region.y, region.width, region.height),
            None => {
                let rect = &object.rect;
                (pixels(rect.left), pixels(rect.top), pixels(rect.width), pixels(rect.height))
            }
        };
        Self { label: Cow::Borrowed(&object.label), id, rect }
    }
}

/// What puts regions on a buffer, all that a payload has.
pub(super) struct Adder<'a> {
    params: params::Templates,
    /// Types of regions, as GLib keeps them: there are few, and to find one by its text takes GLib longer.
    labels: Vec<(&'a str, Quark)>,
}

/// Most types that are kept.
const MAX_LABELS: usize = 32;

impl<'a> Adder<'a> {
    pub(super) fn new() -> Self {
        Self { params: params::Templates::new(), labels: Vec::new() }
    }

    /// Puts a region on `buffer`, that of `object`. `frame` is a parameter more.
    pub(super) fn add(
        &mut self,
        buffer: &mut gst::BufferRef,
        identity: &Identity<'_>,
        parent_id: i32,
        object: &'a Object,
        frame: Option<Structure>,
    ) {
        let mut region = crate::ffi::add_region(buffer, self.label(&object.label), identity.rect);
        region.set_id(identity.id);
        region.set_parent_id(parent_id);
        match &object.region {
            Some(known) if !known.params.is_empty() => {
                for param in known.params.iter().filter_map(|text| parse(text)) {
                    region.add_param(param);
                }
            }
            _ => self.params.build(object, |param| region.add_param(param)),
        }
        if let Some(frame) = frame {
            region.add_param(frame);
        }
    }

    fn label(&mut self, label: &'a str) -> Quark {
        if let Some((_, quark)) = self.labels.iter().find(|(known, _)| *known == label) {
            return *quark;
        }
        let quark = Quark::from_str(label);
        if self.labels.len() < MAX_LABELS {
            self.labels.push((label, quark));
        }
        quark
    }
}

/// The structure that `text` is, which came from elsewhere.
fn parse(text: &str) -> Option<Structure> {
    let checked = gst_newer::text::check("a parameter of a region", text).map_err(|err| err.to_string());
    let parsed = checked.and_then(|()| Structure::from_str(text).map_err(|err| err.to_string()));
    parsed.inspect_err(|err| gst::debug!(CAT, "left out a parameter of a region: {err}: {text}")).ok()
}
