//! What is drawn: DeepStream's structures to values and back.

use dsmeta::model;

use crate::Error;
use crate::at::{At, Link};
use crate::batch::Locked;
use crate::raw;
use crate::text::Text;

/// Longest text that is read, in bytes.
pub(crate) const MAX_TEXT: usize = 64 << 10;
/// Number of colours that the drawing element can be set up with: `MAX_BG_CLR`.
const COLORS: i32 = 20;

fn color(from: &raw::Color) -> model::Color {
    model::Color { red: from.red, green: from.green, blue: from.blue, alpha: from.alpha }
}

fn raw_color(from: &model::Color) -> raw::Color {
    raw::Color { red: from.red, green: from.green, blue: from.blue, alpha: from.alpha }
}

pub(crate) fn rect(locked: &Locked<'_>, at: At<'_, raw::Rect>) -> model::Rect {
    let from = at.get();
    model::Rect {
        left: from.left,
        top: from.top,
        width: from.width,
        height: from.height,
        rotation: locked.loaded.layout.rotation(at).map_or(0.0, At::get),
        border_width: from.border_width,
        border_color: color(&from.border_color),
        has_bg_color: from.has_bg_color,
        reserve: from.reserved,
        bg_color: color(&from.bg_color),
        has_color_info: from.has_color_info,
        color_id: from.color_id,
    }
}

/// A colour that is none is left out: the drawing element takes the number as an index.
pub(crate) fn set_rect(locked: &Locked<'_>, at: At<'_, raw::Rect>, from: &model::Rect) {
    let known_color = (0..COLORS).contains(&from.color_id);
    at.set(raw::Rect {
        left: from.left,
        top: from.top,
        width: from.width,
        height: from.height,
        border_width: from.border_width,
        border_color: raw_color(&from.border_color),
        has_bg_color: from.has_bg_color,
        reserved: from.reserve,
        bg_color: raw_color(&from.bg_color),
        has_color_info: if known_color { from.has_color_info } else { 0 },
        color_id: if known_color { from.color_id } else { 0 },
    });
    if let Some(rotation) = locked.loaded.layout.rotation(at) {
        rotation.set(from.rotation);
    }
}

pub(crate) fn text(locked: &Locked<'_>, from: &raw::TextParams) -> model::Text {
    model::Text {
        display_text: from.display_text.read(locked, MAX_TEXT),
        x_offset: from.x_offset,
        y_offset: from.y_offset,
        font: model::Font {
            name: from.font.name.read(locked, MAX_TEXT),
            size: from.font.size,
            color: color(&from.font.color),
        },
        set_bg_clr: from.set_bg_clr,
        bg_color: color(&from.bg_color),
    }
}

pub(crate) fn raw_text(from: &model::Text) -> raw::TextParams {
    raw::TextParams {
        display_text: Text::allocate(&from.display_text),
        x_offset: from.x_offset,
        y_offset: from.y_offset,
        font: raw::Font {
            name: Text::interned(&from.font.name),
            size: from.font.size,
            color: raw_color(&from.font.color),
        },
        set_bg_clr: from.set_bg_clr,
        bg_color: raw_color(&from.bg_color),
    }
}

/// A mask that has not a value for each pixel comes without values.
pub(crate) fn mask(locked: &Locked<'_>, from: &raw::Mask) -> model::Mask {
    let size = from.size as usize;
    let pixels = pixels(from.width, from.height).filter(|pixels| *pixels <= size / size_of::<f32>());
    model::Mask {
        data: from.data.values(locked, pixels.filter(|_| size <= dsmeta::MAX_PAYLOAD).unwrap_or(0)),
        threshold: from.threshold,
        width: from.width,
        height: from.height,
    }
}

pub(crate) fn raw_mask(from: &model::Mask) -> raw::Mask {
    raw::Mask {
        data: Link::allocate(&from.data),
        size: u32::try_from(size_of_val(&*from.data)).expect("checked"),
        threshold: from.threshold,
        width: from.width,
        height: from.height,
    }
}

/// The drawing element reads as many values as there are pixels.
pub(crate) fn check_mask(mask: &model::Mask) -> Result<(), Error> {
    let model::Mask { ref data, width, height, .. } = *mask;
    if data.is_empty() {
        return Ok(());
    }
    if pixels(width, height) != Some(data.len()) || size_of_val(&**data) > dsmeta::MAX_PAYLOAD {
        return Err(Error::Mask { width, height, values: data.len() });
    }
    Ok(())
}

fn pixels(width: u32, height: u32) -> Option<usize> {
    (width as usize).checked_mul(height as usize)
}

pub(crate) fn display(locked: &Locked<'_>, at: At<'_, raw::Display>) -> model::Display {
    let layout = &locked.loaded.layout;
    let (head, rest) = (at.get(), layout.display_rest(at).get());
    let count = |count: u32| raw::SHAPES.min(count as usize);
    model::Display {
        rects: (0..count(head.num_rects)).map(|index| rect(locked, layout.display_rect(at, index))).collect(),
        texts: rest.texts[..count(head.num_texts)].iter().map(|from| text(locked, from)).collect(),
        lines: rest.lines[..count(head.num_lines)].iter().map(line).collect(),
        arrows: rest.arrows[..count(head.num_arrows)].iter().map(arrow).collect(),
        circles: rest.circles[..count(head.num_circles)]
            .iter()
            .map(|from| circle(from, layout.circle_width))
            .collect(),
        misc_osd_data: rest.misc,
        reserve: rest.reserved,
    }
}

/// Fills a fresh display meta. There are no more shapes of a kind than it has room for.
pub(crate) fn set_display(locked: &Locked<'_>, at: At<'_, raw::Display>, from: &model::Display) {
    let layout = &locked.loaded.layout;
    let count = |len: usize| u32::try_from(len).expect("checked");
    at.update(|head| {
        head.num_rects = count(from.rects.len());
        head.num_texts = count(from.texts.len());
        head.num_lines = count(from.lines.len());
        head.num_arrows = count(from.arrows.len());
        head.num_circles = count(from.circles.len());
    });
    for (index, from) in from.rects.iter().enumerate() {
        set_rect(locked, layout.display_rect(at, index), from);
    }
    layout.display_rest(at).update(|rest| {
        fill(&mut rest.texts, &from.texts, raw_text);
        fill(&mut rest.lines, &from.lines, raw_line);
        fill(&mut rest.arrows, &from.arrows, raw_arrow);
        fill(&mut rest.circles, &from.circles, |from| raw_circle(from, layout.circle_width));
        rest.misc = from.misc_osd_data;
    });
}

fn fill<R, M>(to: &mut [R; raw::SHAPES], from: &[M], convert: impl Fn(&M) -> R) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = convert(from);
    }
}

fn line(from: &raw::Line) -> model::Line {
    model::Line {
        x1: from.x1,
        y1: from.y1,
        x2: from.x2,
        y2: from.y2,
        width: from.width,
        color: color(&from.color),
    }
}

fn raw_line(from: &model::Line) -> raw::Line {
    raw::Line {
        x1: from.x1,
        y1: from.y1,
        x2: from.x2,
        y2: from.y2,
        width: from.width,
        color: raw_color(&from.color),
    }
}

fn arrow(from: &raw::Arrow) -> model::Arrow {
    model::Arrow {
        x1: from.x1,
        y1: from.y1,
        x2: from.x2,
        y2: from.y2,
        width: from.width,
        head: from.head.cast_unsigned(),
        color: color(&from.color),
        reserve: from.reserved,
    }
}

fn raw_arrow(from: &model::Arrow) -> raw::Arrow {
    raw::Arrow {
        x1: from.x1,
        y1: from.y1,
        x2: from.x2,
        y2: from.y2,
        width: from.width,
        head: from.head.cast_signed(),
        color: raw_color(&from.color),
        reserved: from.reserve,
    }
}

fn circle(from: &raw::Circle, has_width: bool) -> model::Circle {
    let (width, reserve) = if has_width { (from.width, from.reserved) } else { (0, from.width) };
    model::Circle {
        xc: from.xc,
        yc: from.yc,
        radius: from.radius,
        color: color(&from.color),
        has_bg_color: from.has_bg_color,
        bg_color: color(&from.bg_color),
        width,
        reserve,
    }
}

fn raw_circle(from: &model::Circle, has_width: bool) -> raw::Circle {
    let (width, reserved) = if has_width { (from.width, from.reserve) } else { (from.reserve, 0) };
    raw::Circle {
        xc: from.xc,
        yc: from.yc,
        radius: from.radius,
        color: raw_color(&from.color),
        has_bg_color: from.has_bg_color,
        bg_color: raw_color(&from.bg_color),
        width,
        reserved,
    }
}
