//! What is drawn.

use super::value::{self, Four, base, one_more};
use crate::Error;
use crate::limits::{Counted, Tally};
use crate::model::{Arrow, Circle, Color, Display, Font, Line, Rect, Text};
use crate::protobuf::Reader;

fn color(mut from: Reader<'_>, color: &mut Color) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => color.red = from.double(key)?,
            2 => color.green = from.double(key)?,
            3 => color.blue = from.double(key)?,
            4 => color.alpha = from.double(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

pub(super) fn rect(mut from: Reader<'_>, rect: &mut Rect) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => rect.left = from.float(key)?,
            2 => rect.top = from.float(key)?,
            3 => rect.width = from.float(key)?,
            4 => rect.height = from.float(key)?,
            5 => rect.border_width = from.uint32(key)?,
            6 => color(from.message(key)?, &mut rect.border_color)?,
            7 => rect.has_bg_color = from.uint32(key)?,
            8 => rect.reserve = from.uint32(key)?,
            9 => color(from.message(key)?, &mut rect.bg_color)?,
            10 => rect.has_color_info = from.int32(key)?,
            11 => rect.color_id = from.int32(key)?,
            1000 => rect.rotation = from.float(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

/// The texts of a [`Text`], which may be read in several pieces.
#[derive(Default)]
pub(super) struct Texts<'a> {
    display_text: value::Text<'a>,
    font_name: value::Text<'a>,
}

impl Texts<'_> {
    pub(super) fn finish(self, text: &mut Text) {
        self.display_text.finish(&mut text.display_text);
        self.font_name.finish(&mut text.font.name);
    }
}

pub(super) fn text<'a>(mut from: Reader<'a>, text: &mut Text, texts: &mut Texts<'a>) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => texts.display_text.theirs = from.string(key)?,
            2 => text.x_offset = from.uint32(key)?,
            3 => text.y_offset = from.uint32(key)?,
            4 => font(from.message(key)?, &mut text.font, &mut texts.font_name)?,
            5 => text.set_bg_clr = from.int32(key)?,
            6 => color(from.message(key)?, &mut text.bg_color)?,
            1000 => texts.display_text.ours = from.string(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

fn font<'a>(mut from: Reader<'a>, font: &mut Font, name: &mut value::Text<'a>) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => name.theirs = from.string(key)?,
            2 => font.size = from.uint32(key)?,
            3 => color(from.message(key)?, &mut font.color)?,
            1000 => name.ours = from.string(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

/// A mask as it is sent: with its size in bytes.
#[derive(Default)]
pub(super) struct Mask {
    mask: crate::model::Mask,
    size: u32,
}

impl Mask {
    /// NVIDIA's writer takes the size in bytes for a count and so sends four times what there is: the first quarter is
    /// the mask.
    pub(super) fn finish(self) -> Result<crate::model::Mask, Error> {
        let Self { mut mask, size } = self;
        let bytes = size as usize;
        let values = bytes / size_of::<f32>();
        let found = mask.data.len();
        if !bytes.is_multiple_of(size_of::<f32>()) || (found != values && found != bytes) {
            return Err(Error::MaskSize { size, values: found });
        }
        mask.data.truncate(values);
        mask.data.shrink_to_fit();
        Ok(mask)
    }
}

pub(super) fn mask(mut from: Reader<'_>, mask: &mut Mask) -> Result<(), Error> {
    let Mask { mask, size } = mask;
    while let Some(key) = from.key()? {
        match key.number() {
            1 => mask.data.extend(from.floats(key)?),
            2 => *size = from.uint32(key)?,
            3 => mask.threshold = from.float(key)?,
            4 => mask.width = from.uint32(key)?,
            5 => mask.height = from.uint32(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

pub(super) fn display(mut from: Reader<'_>, list: &mut Vec<Display>, tally: &mut Tally) -> Result<(), Error> {
    let display = one_more(list, Counted::Displays, tally)?;
    let (mut misc, mut reserve) = (Four::default(), Four::default());
    while let Some(key) = from.key()? {
        match key.number() {
            1 => base(from.message(key)?)?,
            2..=6 => _ = from.uint32(key)?,
            7 => rect(from.message(key)?, one_more(&mut display.rects, Counted::Shapes, tally)?)?,
            8 => {
                let text = one_more(&mut display.texts, Counted::Shapes, tally)?;
                let mut texts = Texts::default();
                self::text(from.message(key)?, text, &mut texts)?;
                texts.finish(text);
            }
            9 => line(from.message(key)?, one_more(&mut display.lines, Counted::Shapes, tally)?)?,
            10 => arrow(from.message(key)?, one_more(&mut display.arrows, Counted::Shapes, tally)?)?,
            11 => circle(from.message(key)?, one_more(&mut display.circles, Counted::Shapes, tally)?)?,
            12 => misc.read(from.int64s(key)?)?,
            13 => reserve.read(from.int64s(key)?)?,
            _ => from.skip(key)?,
        }
    }
    (display.misc_osd_data, display.reserve) = (misc.numbers, reserve.numbers);
    Ok(())
}

fn line(mut from: Reader<'_>, line: &mut Line) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => line.x1 = from.uint32(key)?,
            2 => line.y1 = from.uint32(key)?,
            3 => line.x2 = from.uint32(key)?,
            4 => line.y2 = from.uint32(key)?,
            5 => line.width = from.uint32(key)?,
            6 => color(from.message(key)?, &mut line.color)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

fn arrow(mut from: Reader<'_>, arrow: &mut Arrow) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => arrow.x1 = from.uint32(key)?,
            2 => arrow.y1 = from.uint32(key)?,
            3 => arrow.x2 = from.uint32(key)?,
            4 => arrow.y2 = from.uint32(key)?,
            5 => arrow.width = from.uint32(key)?,
            6 => arrow.head = from.uint32(key)?,
            7 => color(from.message(key)?, &mut arrow.color)?,
            8 => arrow.reserve = from.uint32(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}

fn circle(mut from: Reader<'_>, circle: &mut Circle) -> Result<(), Error> {
    while let Some(key) = from.key()? {
        match key.number() {
            1 => circle.xc = from.uint32(key)?,
            2 => circle.yc = from.uint32(key)?,
            3 => circle.radius = from.uint32(key)?,
            4 => color(from.message(key)?, &mut circle.color)?,
            5 => circle.has_bg_color = from.uint32(key)?,
            6 => color(from.message(key)?, &mut circle.bg_color)?,
            7 => circle.reserve = from.uint32(key)?,
            1000 => circle.width = from.uint32(key)?,
            _ => from.skip(key)?,
        }
    }
    Ok(())
}
