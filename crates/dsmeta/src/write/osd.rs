//! What is drawn.

use super::{Base, base, place, some_of};
use crate::Style;
use crate::model::{Arrow, Circle, Color, Display, Font, Line, Mask, Rect, Text};
use crate::protobuf::Writer;

/// `nvosdcolorparams`
fn color(to: &mut Writer, number: u32, color: &Color) {
    to.non_empty(number, |to| {
        to.double(1, color.red);
        to.double(2, color.green);
        to.double(3, color.blue);
        to.double(4, color.alpha);
    });
}

/// `nvosdrectparams`
pub(super) fn rect(to: &mut Writer, rect: &Rect) {
    to.float(1, rect.left);
    to.float(2, rect.top);
    to.float(3, rect.width);
    to.float(4, rect.height);
    to.uint32(5, rect.border_width);
    color(to, 6, &rect.border_color);
    to.uint32(7, rect.has_bg_color);
    to.uint32(8, rect.reserve);
    color(to, 9, &rect.bg_color);
    to.int32(10, rect.has_color_info);
    to.int32(11, rect.color_id);
    to.float(1000, rect.rotation);
}

/// `nvosdtextparams`: NVIDIA's reader copies the characters and their end into memory for the characters alone.
pub(super) fn text(to: &mut Writer, text: &Text, style: Style) {
    let (display_text, own_display_text) = place(text.display_text.as_str(), style);
    to.string(1, display_text);
    to.uint32(2, text.x_offset);
    to.uint32(3, text.y_offset);
    to.non_empty(4, |to| font(to, &text.font, style));
    to.int32(5, text.set_bg_clr);
    color(to, 6, &text.bg_color);
    to.string(1000, own_display_text);
}

/// `nvosdfontparams`: NVIDIA's reader copies the name into memory of the font's size in bytes.
fn font(to: &mut Writer, font: &Font, style: Style) {
    let style = if font.name.len() < font.size as usize { Style::Nvidia } else { style };
    let (name, own_name) = place(font.name.as_str(), style);
    to.string(1, name);
    to.uint32(2, font.size);
    color(to, 3, &font.color);
    to.string(1000, own_name);
}

/// `nvosdmaskparams`: with its size in bytes.
pub(super) fn mask(to: &mut Writer, mask: &Mask) {
    to.floats(1, &mask.data);
    to.uint32(2, size_of_val(mask.data.as_slice()) as u32);
    to.float(3, mask.threshold);
    to.uint32(4, mask.width);
    to.uint32(5, mask.height);
}

/// `nvdsdisplaymeta`
pub(super) fn display(to: &mut Writer, display: &Display, style: Style) {
    base(to, Base::Display);
    to.uint32(2, display.rects.len() as u32);
    to.uint32(3, display.texts.len() as u32);
    to.uint32(4, display.lines.len() as u32);
    to.uint32(5, display.arrows.len() as u32);
    to.uint32(6, display.circles.len() as u32);
    for rect in &display.rects {
        to.message(7, |to| self::rect(to, rect));
    }
    for text in &display.texts {
        to.message(8, |to| self::text(to, text, style));
    }
    for line in &display.lines {
        to.message(9, |to| self::line(to, line));
    }
    for arrow in &display.arrows {
        to.message(10, |to| self::arrow(to, arrow));
    }
    for circle in &display.circles {
        to.message(11, |to| self::circle(to, circle));
    }
    to.int64s(12, some_of(&display.misc_osd_data));
    to.int64s(13, some_of(&display.reserve));
}

/// `nvosdlineparams`
fn line(to: &mut Writer, line: &Line) {
    to.uint32(1, line.x1);
    to.uint32(2, line.y1);
    to.uint32(3, line.x2);
    to.uint32(4, line.y2);
    to.uint32(5, line.width);
    color(to, 6, &line.color);
}

/// `nvosdarrowparams`
fn arrow(to: &mut Writer, arrow: &Arrow) {
    to.uint32(1, arrow.x1);
    to.uint32(2, arrow.y1);
    to.uint32(3, arrow.x2);
    to.uint32(4, arrow.y2);
    to.uint32(5, arrow.width);
    to.uint32(6, arrow.head);
    color(to, 7, &arrow.color);
    to.uint32(8, arrow.reserve);
}

/// `nvosdcircleparams`
fn circle(to: &mut Writer, circle: &Circle) {
    to.uint32(1, circle.xc);
    to.uint32(2, circle.yc);
    to.uint32(3, circle.radius);
    color(to, 4, &circle.color);
    to.uint32(5, circle.has_bg_color);
    color(to, 6, &circle.bg_color);
    to.uint32(7, circle.reserve);
    to.uint32(1000, circle.width);
}
