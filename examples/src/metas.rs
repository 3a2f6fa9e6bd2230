//! The metadata of buffers: listed, counted, taken off.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use gst::prelude::*;
use gst_audio::AudioLevelMeta;
use gst_video::VideoRegionOfInterestMeta;

use crate::probe;

/// The meta that nvdsmetainsert adds has a structure of this name.
const PAYLOAD: &str = "NvdsCustomPayload";

/// Writes a line for each object and each level on the buffers that pass `element`: the buffer's number and time, then
/// all that the meta says, exactly.
pub(crate) fn list(element: &gst::Element, file: &Path) -> anyhow::Result<()> {
    let shown = file.display().to_string();
    let file = File::create(file).with_context(|| format!("cannot write {shown}"))?;
    let state = Mutex::new((0_u64, BufWriter::new(file)));
    probe::on_buffers(element, move |buffer| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, file) = &mut *state;
        let time = buffer.pts().map_or_else(|| "-".to_owned(), |time| time.nseconds().to_string());
        let lines = buffer.iter_meta().map(|region| describe_region(&region));
        let lines = lines.chain(buffer.iter_meta().map(|level| describe_level(&level)));
        for line in lines {
            writeln!(file, "{number} {time} {line}").with_context(|| format!("cannot write {shown}"))?;
        }
        *number += 1;
        // Here, because nobody is told when the last buffer has passed.
        file.flush().with_context(|| format!("cannot write {shown}"))
    })
}

fn describe_region(region: &VideoRegionOfInterestMeta) -> String {
    let (left, top, width, height) = region.rect();
    let (label, id, parent) = (region.roi_type(), region.id(), region.parent_id());
    let params = region.params().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    format!("{label} {left},{top} {width}x{height} id={id} parent={parent} {params}")
}

fn describe_level(level: &AudioLevelMeta) -> String {
    format!("level -{} dBov, voice {}", level.level(), level.voice_activity())
}

/// Takes the regions of interest off the buffers that go into `element`.
pub(crate) fn take_regions_off(element: &gst::Element) -> anyhow::Result<()> {
    probe::on_buffers(element, |buffer| {
        let buffer = buffer.make_mut();
        while let Some(region) = buffer.meta_mut::<VideoRegionOfInterestMeta>() {
            region.remove().context("a region does not go")?;
        }
        Ok(())
    })
}

/// How many regions of interest a buffer has, and how many payloads of nvdsmetainsert.
pub(crate) fn count(buffer: &gst::BufferRef) -> (u64, u64) {
    let (mut regions, mut payloads) = (0, 0);
    buffer.foreach_meta(|meta| {
        regions += u64::from(meta.api() == VideoRegionOfInterestMeta::meta_api());
        payloads +=
            u64::from(meta.try_as_custom_meta().is_some_and(|meta| meta.structure().name() == PAYLOAD));
        ControlFlow::Continue(())
    });
    (regions, payloads)
}
