//! A contact sheet: some of the pictures of a stream, evenly spaced in time, on one page.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use gst_video::prelude::*;

use crate::probe;

const COLUMNS: usize = 4;
/// At the end there are half as many pictures, or more.
const MOST: usize = 24;
/// Between pictures, in pixels.
const GAP: usize = 4;
const BYTES_PER_PIXEL: usize = 3;
const ENCODE_WITHIN: gst::ClockTime = gst::ClockTime::from_seconds(20);

/// The pictures so far.
pub(crate) struct Sheet(Mutex<Pictures>);

struct Pictures {
    size: (usize, usize),
    /// Rows without padding, RGB.
    kept: Vec<Vec<u8>>,
    seen: usize,
    /// One in so many is kept.
    step: usize,
}

/// Collects the pictures (RGB) that go into `element`.
pub(crate) fn attach(element: &gst::Element) -> anyhow::Result<Arc<Sheet>> {
    let pictures = Pictures { size: (0, 0), kept: Vec::new(), seen: 0, step: 1 };
    let sheet = Arc::new(Sheet(Mutex::new(pictures)));
    let filled = sheet.clone();
    probe::on_pictures(element, move |buffer, info| {
        filled.0.lock().unwrap_or_else(PoisonError::into_inner).add(buffer, info)
    })?;
    Ok(sheet)
}

impl Sheet {
    /// Writes the page as a PNG file.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let pictures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(!pictures.kept.is_empty(), "there was no picture for {}", file.display());
        let png = encode(pictures.page())?;
        std::fs::write(file, png).with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Pictures {
    fn add(&mut self, buffer: &gst::BufferRef, info: &gst_video::VideoInfo) -> anyhow::Result<()> {
        let number = self.seen;
        self.seen += 1;
        if !number.is_multiple_of(self.step) {
            return Ok(());
        }
        ensure!(info.format() == gst_video::VideoFormat::Rgb, "RGB is needed, not {}", info.format());
        let size = (info.width() as usize, info.height() as usize);
        ensure!(self.kept.is_empty() || self.size == size, "the pictures change their size");
        self.size = size;
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info)
            .context("a picture cannot be read")?;
        let stride = usize::try_from(frame.plane_stride()[0]).context("a picture upside down")?;
        let rows = frame.plane_data(0)?.chunks(stride).take(size.1);
        self.kept.push(rows.flat_map(|row| &row[..size.0 * BYTES_PER_PIXEL]).copied().collect());
        if self.kept.len() == MOST {
            self.step *= 2;
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
        Ok(())
    }

    /// All pictures on one: width, height, pixels.
    fn page(&self) -> (usize, usize, Vec<u8>) {
        let (width, height) = self.size;
        let (columns, rows) = (COLUMNS.min(self.kept.len()), self.kept.len().div_ceil(COLUMNS));
        let (page_width, page_height) = (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP);
        let mut page = vec![0; page_width * page_height * BYTES_PER_PIXEL];
        for (number, picture) in self.kept.iter().enumerate() {
            let left = (number % COLUMNS) * (width + GAP) + GAP;
            let top = (number / COLUMNS) * (height + GAP) + GAP;
            for (y, row) in picture.chunks(width * BYTES_PER_PIXEL).enumerate() {
                let at = ((top + y) * page_width + left) * BYTES_PER_PIXEL;
                page[at..at + row.len()].copy_from_slice(row);
            }
        }
        (page_width, page_height, page)
    }
}

fn encode((width, height, pixels): (usize, usize, Vec<u8>)) -> anyhow::Result<Vec<u8>> {
    // GStreamer pads RGB's rows to multiples of four bytes.
    let info =
        gst_video::VideoInfo::builder(gst_video::VideoFormat::Rgb, width.try_into()?, height.try_into()?);
    let info = info.fps(gst::Fraction::new(1, 1)).build()?;
    let stride = usize::try_from(info.stride()[0])?;
    let mut padded = vec![0; info.size()];
    for (row, place) in pixels.chunks(width * BYTES_PER_PIXEL).zip(padded.chunks_mut(stride)) {
        place[..row.len()].copy_from_slice(row);
    }
    let sample =
        gst::Sample::builder().buffer(&gst::Buffer::from_mut_slice(padded)).caps(&info.to_caps()?).build();
    let png =
        gst_video::convert_sample(&sample, &gst::Caps::builder("image/png").build(), Some(ENCODE_WITHIN));
    let png = png.context("GStreamer cannot write PNG (is pngenc of plugins-good there?)")?;
    let buffer = png.buffer().context("pngenc gave nothing")?;
    Ok(buffer.map_readable()?.to_vec())
}
