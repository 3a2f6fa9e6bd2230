//! Frames of pictures.

use std::collections::{HashMap, HashSet};

use dsmeta::model::{Object, Origin, VideoBatch, VideoFrame};
use gst_newer::analytics as newer;
use gst_video::{VideoMeta, VideoRegionOfInterestMeta};

use super::frames::FrameId;
use super::region::{self, Adder, Identity};
use super::{analytics, names, pts};
use crate::{CAT, Error};

/// What the metas on `buffer` say. `size` is that of the stream's frames, or 0.
pub(super) fn read(buffer: &gst::BufferRef, size: (u32, u32)) -> VideoBatch {
    let whole = frame(buffer, size);
    let regions = || buffer.iter_meta::<VideoRegionOfInterestMeta>();
    let mut origin = Origin::Regions;
    let mut frames: Vec<(Option<FrameId>, VideoFrame)> = Vec::new();
    for region in regions() {
        let id = FrameId::of(&region);
        let index = frames.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
            let mut frame = id.map_or_else(|| whole.clone(), |id| part(&whole, id));
            if frames.is_empty() {
                // Nearly always there is one.
                frame.objects.reserve_exact(regions().count());
            }
            frames.push((id, frame));
            frames.len() - 1
        });
        frames[index].1.objects.push(region::read(&region));
    }
    let mut frames: Vec<VideoFrame> = frames.into_iter().map(|(_, frame)| frame).collect();
    frames.iter_mut().for_each(|frame| link(&mut frame.objects));
    if frames.is_empty() {
        frames.push(whole);
    }
    if let Some(relations) = newer::read(buffer) {
        let found = analytics::read(&relations);
        if frames[0].objects.is_empty() {
            origin = Origin::Analytics;
        }
        analytics::add_objects(&found, &mut frames[0].objects);
        break_circles(&mut frames[0].objects);
        frames[0].analytics = Some(found);
    }
    for frame in &mut frames {
        frame.infer_done = !frame.objects.is_empty();
    }
    VideoBatch { max_frames_in_batch: frames.len() as u32, frames, origin, ..VideoBatch::default() }
}

/// The frame that the buffer is.
fn frame(buffer: &gst::BufferRef, size: (u32, u32)) -> VideoFrame {
    let (width, height) = buffer.meta::<VideoMeta>().map_or(size, |meta| (meta.width(), meta.height()));
    let number = Some(buffer.offset()).filter(|offset| *offset != gst::ffi::GST_BUFFER_OFFSET_NONE);
    VideoFrame {
        frame_num: number.and_then(|number| i32::try_from(number).ok()).unwrap_or(0),
        buf_pts: pts(buffer),
        num_surfaces_per_frame: 1,
        source_frame_width: width,
        source_frame_height: height,
        pipeline_width: width,
        pipeline_height: height,
        ..VideoFrame::default()
    }
}

/// A frame of several on the buffer.
fn part(whole: &VideoFrame, id: FrameId) -> VideoFrame {
    VideoFrame {
        source_id: id.source_id,
        batch_id: id.batch_id,
        pad_index: id.pad_index,
        frame_num: id.frame_num,
        buf_pts: id.pts,
        ..whole.clone()
    }
}

/// Finds the parents of objects by the ids of their regions.
fn link(objects: &mut [Object]) {
    let of_parent = |object: &Object| object.region.as_ref().map_or(0, |region| region.parent_id);
    if objects.iter().all(|object| of_parent(object) == 0) {
        return;
    }
    let mut by_id = HashMap::with_capacity(objects.len());
    for (index, object) in objects.iter().enumerate() {
        by_id.entry(object.region.as_ref().map_or(0, |region| region.id)).or_insert(index);
    }
    for object in objects.iter_mut() {
        let parent = of_parent(object);
        object.parent = by_id.get(&parent).copied().filter(|_| parent != 0);
    }
    break_circles(objects);
}

/// Makes sure that no object is its own ancestor.
fn break_circles(objects: &mut [Object]) {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Never,
        Now,
        Before,
    }
    let mut seen = vec![Seen::Never; objects.len()];
    let mut path = Vec::new();
    for start in 0..objects.len() {
        let mut next = Some(start);
        while let Some(at) = next {
            match seen[at] {
                Seen::Never => {
                    seen[at] = Seen::Now;
                    path.push(at);
                    next = objects[at].parent;
                }
                Seen::Now => {
                    let last = path.last().expect("what was seen now is on the path");
                    objects[*last].parent = None;
                    break;
                }
                Seen::Before => break,
            }
        }
        for at in path.drain(..) {
            seen[at] = Seen::Before;
        }
    }
}

/// Puts on `buffer` what it has not yet of `batch`. False if this GStreamer has no metas for some of it.
pub(super) fn write(batch: &VideoBatch, buffer: &mut gst::BufferRef) -> Result<bool, Error> {
    names::check(batch)?;
    let (complete, restored) = write_analytics(batch, buffer)?;
    let known: HashSet<Identity<'_>> =
        buffer.iter_meta::<VideoRegionOfInterestMeta>().map(|region| Identity::of(&region)).collect();
    let mut adder = Adder::new();
    let mut first_id = 1;
    for (index, frame) in batch.frames.iter().enumerate() {
        // Regions that were none before are numbered, for their parts to refer to them.
        let id = |index: usize| match &frame.objects[index].region {
            Some(region) => region.id,
            None => first_id + index as i32,
        };
        for (place, object) in frame.objects.iter().enumerate() {
            // What was made of analytics metadata only for those who do not know that.
            if restored == Some(index) && object.region.is_none() {
                continue;
            }
            let identity = Identity::of_object(object, id(place));
            if known.contains(&identity) {
                continue;
            }
            let parent_id = match &object.region {
                Some(region) => region.parent_id,
                None => object.parent.map_or(0, id),
            };
            let of_frame = (batch.frames.len() > 1).then(|| FrameId::param(frame));
            adder.add(buffer, &identity, parent_id, object, of_frame);
        }
        first_id += frame.objects.len() as i32;
    }
    Ok(complete)
}

/// Restores analytics metadata, of which a buffer has one. Whether that was all, and the frame whose it was.
fn write_analytics(batch: &VideoBatch, buffer: &mut gst::BufferRef) -> Result<(bool, Option<usize>), Error> {
    let mut with =
        batch.frames.iter().enumerate().filter_map(|(i, frame)| Some((i, frame.analytics.as_ref()?)));
    let Some((index, found)) = with.next() else { return Ok((true, None)) };
    if newer::Analytics::get().is_none() {
        gst::debug!(CAT, "this GStreamer has no analytics metadata, detections become regions");
        return Ok((false, None));
    }
    let relations = analytics::write(found);
    if !analytics::has(buffer, &relations.things) {
        newer::attach(buffer, &relations)?;
    }
    Ok((with.next().is_none(), Some(index)))
}
