//! Draws the objects that the buffers' metadata tell of.

use std::convert::Infallible;

use anyhow::Context as _;
use embedded_graphics::Pixel;
use embedded_graphics::mono_font::ascii::{FONT_6X10, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor as _};
use embedded_graphics::prelude::{DrawTarget, Drawable as _, OriginDimensions, Point, Primitive as _, Size};
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};
use gst_video::prelude::*;

use crate::probe;

/// By label id, in turn.
const COLOURS: [Rgb888; 4] = [
    Rgb888::new(90, 220, 60),
    Rgb888::new(255, 190, 40),
    Rgb888::new(70, 170, 255),
    Rgb888::new(255, 90, 160),
];
/// Pictures of this height and more get thicker lines and a larger font.
const LARGE: u32 = 480;

/// A box round each region of interest, with its label and confidence, in the pictures (NV12) that go into `element`.
pub(crate) fn attach(element: &gst::Element) -> anyhow::Result<()> {
    probe::on_pictures(element, |buffer, info| {
        let objects: Vec<_> = buffer.iter_meta().map(|region| Object::of(&region)).collect();
        let frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer.make_mut(), info);
        let mut picture = Picture::new(frame.context("a picture cannot be drawn on")?)?;
        objects.iter().for_each(|object| object.draw(&mut picture));
        Ok(())
    })
}

/// What is drawn of a region.
struct Object {
    rectangle: Rectangle,
    text: String,
    colour: Rgb888,
}

impl Object {
    fn of(region: &gst_video::VideoRegionOfInterestMeta) -> Self {
        let (left, top, width, height) = region.rect();
        let place = |value: u32| value.min(1 << 20) as i32;
        let detection = region.param("detection");
        let confidence = detection.and_then(|detection| detection.get::<f64>("confidence").ok());
        let label_id = detection.and_then(|detection| detection.get::<i32>("label_id").ok());
        let number = label_id.and_then(|id| usize::try_from(id).ok()).unwrap_or(0);
        Self {
            rectangle: Rectangle::new(Point::new(place(left), place(top)), Size::new(width, height)),
            text: match confidence {
                Some(confidence) => format!("{} {confidence:.2}", region.roi_type()),
                None => region.roi_type().to_owned(),
            },
            colour: COLOURS[number % COLOURS.len()],
        }
    }

    fn draw(&self, picture: &mut Picture<'_>) {
        let large = picture.size().height >= LARGE;
        let font: &MonoFont<'_> = if large { &FONT_10X20 } else { &FONT_6X10 };
        let line = PrimitiveStyle::with_stroke(self.colour, if large { 3 } else { 1 });
        let Ok(()) = self.rectangle.into_styled(line).draw(picture);

        // A label that is much wider than its box would hide others.
        let size = Size::new(
            font.character_size.width * self.text.chars().count() as u32,
            font.character_size.height,
        );
        if size.width > self.rectangle.size.width * 3 / 2 {
            return;
        }
        let Point { x, y } = self.rectangle.top_left;
        let corner = Point::new(x, (y - size.height as i32).max(0));
        let Ok(()) =
            Rectangle::new(corner, size).into_styled(PrimitiveStyle::with_fill(self.colour)).draw(picture);
        let style = MonoTextStyle::new(font, Rgb888::BLACK);
        let Ok(_) = Text::with_baseline(&self.text, corner, style, Baseline::Top).draw(picture);
    }
}

/// Something to draw on: NV12, with a colour for each four pixels.
struct Picture<'a> {
    frame: gst_video::VideoFrameRef<&'a mut gst::BufferRef>,
    size: Size,
    strides: [usize; 2],
}

impl<'a> Picture<'a> {
    fn new(frame: gst_video::VideoFrameRef<&'a mut gst::BufferRef>) -> anyhow::Result<Self> {
        let format = frame.format();
        anyhow::ensure!(format == gst_video::VideoFormat::Nv12, "NV12 is needed to draw on, not {format}");
        let stride =
            |plane: usize| usize::try_from(frame.plane_stride()[plane]).context("a picture upside down");
        let strides = [stride(0)?, stride(1)?];
        Ok(Self { size: Size::new(frame.width(), frame.height()), strides, frame })
    }

    fn set(&mut self, plane: u32, at: usize, values: &[u8]) {
        // Never missing: the frame is writable, its size checked by GStreamer, and the place within it.
        let bytes = self.frame.plane_data_mut(plane).ok();
        if let Some(place) = bytes.and_then(|bytes| bytes.get_mut(at..at + values.len())) {
            place.copy_from_slice(values);
        }
    }
}

impl OriginDimensions for Picture<'_> {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Picture<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, colour) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { continue };
            if x < self.size.width as usize && y < self.size.height as usize {
                let [luma, blue, red] = yuv(colour);
                self.set(0, y * self.strides[0] + x, &[luma]);
                self.set(1, y / 2 * self.strides[1] + x / 2 * 2, &[blue, red]);
            }
        }
        Ok(())
    }
}

/// As BT.601 has it.
fn yuv(colour: Rgb888) -> [u8; 3] {
    let (red, green, blue) = (f32::from(colour.r()), f32::from(colour.g()), f32::from(colour.b()));
    let luma = 0.299 * red + 0.587 * green + 0.114 * blue;
    let (from_blue, from_red) = ((blue - luma) / 1.772, (red - luma) / 1.402);
    // A cast from a float keeps to the limits of a byte.
    let scaled = |value: f32, span: f32, zero: f32| (value / 255.0 * span + zero).round() as u8;
    [scaled(luma, 219.0, 16.0), scaled(from_blue, 224.0, 128.0), scaled(from_red, 224.0, 128.0)]
}

#[cfg(test)]
mod tests {
    use super::{Rgb888, yuv};
    use embedded_graphics::pixelcolor::RgbColor as _;

    #[test]
    fn colours_are_those_of_video() {
        assert_eq!(yuv(Rgb888::BLACK), [16, 128, 128]);
        assert_eq!(yuv(Rgb888::WHITE), [235, 128, 128]);
        assert_eq!(yuv(Rgb888::RED), [81, 90, 240]);
        assert_eq!(yuv(Rgb888::BLUE), [41, 240, 110]);
    }
}
