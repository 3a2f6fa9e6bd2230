//! Objects that another program finds in the pictures, put on the buffers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use gst_video::prelude::*;

use crate::probe;

/// Shows the pictures that pass `element` to `command`, and puts what it finds on the buffers as regions of interest.
pub(crate) fn attach(element: &gst::Element, command: &str) -> anyhow::Result<()> {
    let command = command.to_owned();
    let running = Mutex::new(None);
    probe::on_pictures(element, move |buffer, info| {
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        let detector = match &mut *running {
            Some(detector) => detector,
            none => none.insert(Detector::start(&command, info.width(), info.height())?),
        };
        let found = detector.look_at(buffer, info)?;
        let buffer = buffer.make_mut();
        for object in &found {
            object.put_on(buffer);
        }
        Ok(())
    })
}

/// The other program.
struct Detector {
    child: Child,
    pictures: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    size: (u32, u32),
    command: String,
}

impl Detector {
    fn start(command: &str, width: u32, height: u32) -> anyhow::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {command} {width} {height}")]);
        let child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.context("there is no shell")?;
        let answers = child.stdout.take().context("the detector has no standard output")?;
        Ok(Self {
            pictures: child.stdin.take(),
            answers: BufReader::new(answers),
            child,
            size: (width, height),
            command: command.to_owned(),
        })
    }

    fn look_at(
        &mut self,
        buffer: &gst::BufferRef,
        info: &gst_video::VideoInfo,
    ) -> anyhow::Result<Vec<Object>> {
        ensure!(self.size == (info.width(), info.height()), "the pictures change their size");
        let grey = grey_pixels(buffer, info)?;
        let gone = || format!("`{}` takes no more pictures", self.command);
        let pictures = self.pictures.as_mut().with_context(gone)?;
        pictures.write_all(&grey).and_then(|()| pictures.flush()).with_context(gone)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(answer.ends_with('\n'), "`{}` ended without an answer to a picture", self.command);
        let objects = answer.trim().split(';').filter(|object| !object.is_empty());
        objects
            .map(|object| Object::parse(object).with_context(|| format!("not an object: {object}")))
            .collect()
    }
}

impl Drop for Detector {
    fn drop(&mut self) {
        // The end of its input is the end of the program.
        self.pictures = None;
        let _ = self.child.wait();
    }
}

/// The luminance, without padding.
fn grey_pixels(buffer: &gst::BufferRef, info: &gst_video::VideoInfo) -> anyhow::Result<Vec<u8>> {
    let format = info.format_info();
    ensure!(
        (format.is_yuv() || format.is_gray()) && info.comp_pstride(0) == 1 && info.comp_depth(0) == 8,
        "the detector needs pictures with a plane of grey pixels (NV12, I420, GRAY8), not {}",
        info.format()
    );
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info)
        .context("a picture cannot be read")?;
    let stride = usize::try_from(frame.plane_stride()[0]).context("a picture upside down")?;
    let (width, height) = (info.width() as usize, info.height() as usize);
    let rows = frame.plane_data(0)?.chunks(stride).take(height);
    Ok(rows.flat_map(|row| &row[..width]).copied().collect())
}

/// What a detector says of an object.
#[derive(Debug, PartialEq)]
struct Object {
    label: String,
    label_id: i32,
    confidence: f64,
    rectangle: (u32, u32, u32, u32),
    id: i32,
    parent: i32,
}

impl Object {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let object = Self {
            label: words.next()?.to_owned(),
            label_id: words.next()?.parse().ok()?,
            confidence: words.next()?.parse().ok()?,
            rectangle: (
                words.next()?.parse().ok()?,
                words.next()?.parse().ok()?,
                words.next()?.parse().ok()?,
                words.next()?.parse().ok()?,
            ),
            id: words.next()?.parse().ok()?,
            parent: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(object)
    }

    /// In the manner of DL Streamer, which nvdsmetainsert understands.
    fn put_on(&self, buffer: &mut gst::BufferRef) {
        let mut region = gst_video::VideoRegionOfInterestMeta::add(buffer, &self.label, self.rectangle);
        region.set_id(self.id);
        region.set_parent_id(self.parent);
        let detection = gst::Structure::builder("detection")
            .field("confidence", self.confidence)
            .field("label_id", self.label_id);
        region.add_param(detection.build());
        region.add_param(gst::Structure::builder("object_id").field("id", self.id).build());
    }
}

#[cfg(test)]
mod tests {
    use super::Object;

    #[test]
    fn an_object_is_nine_words() {
        let object = Object::parse("eye 1 0.5 10 20 30 40 7 3").expect("nine words");
        assert_eq!((object.rectangle, object.id, object.parent), ((10, 20, 30, 40), 7, 3));
        assert_eq!(Object::parse("eye 1 0.5 10 20 30 40 7"), None);
        assert_eq!(Object::parse("eye 1 0.5 10 20 30 -40 7 3"), None);
        assert_eq!(Object::parse("eye 1 0.5 10 20 30 40 7 3 9"), None);
    }
}
