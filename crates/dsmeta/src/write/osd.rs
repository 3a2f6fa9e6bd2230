//! What is drawn.

use super::{list, place, some, some_of};
use crate::Style;
use crate::model::{Arrow, Circle, Color, Display, Font, Line, Mask, Rect, Text};
use crate::schema::{self, BaseMeta};

fn color(color: Color) -> Option<schema::ColorParams> {
    let Color { red, green, blue, alpha } = color;
    some(schema::ColorParams { red, green, blue, alpha })
}

pub(super) fn rect(rect: &Rect) -> schema::RectParams {
    schema::RectParams {
        left: rect.left,
        top: rect.top,
        width: rect.width,
        height: rect.height,
        border_width: rect.border_width,
        border_color: color(rect.border_color),
        has_bg_color: rect.has_bg_color,
        reserve: rect.reserve,
        bgcolor: color(rect.bg_color),
        has_color_info: rect.has_color_info,
        color_id: rect.color_id,
        own_rotation: rect.rotation,
    }
}

/// NVIDIA's reader copies the characters and their end into memory for the characters alone.
pub(super) fn text(text: &Text, style: Style) -> schema::TextParams {
    let (display_text, own_display_text) = place(text.display_text.clone(), style);
    schema::TextParams {
        display_text,
        x_offset: text.x_offset,
        y_offset: text.y_offset,
        font_params: some(font(&text.font, style)),
        set_bg_clr: text.set_bg_clr,
        text_bg_clr: color(text.bg_color),
        own_display_text,
    }
}

/// NVIDIA's reader copies the name into memory of the font's size in bytes.
fn font(font: &Font, style: Style) -> schema::FontParams {
    let style = if font.name.len() < font.size as usize { Style::Nvidia } else { style };
    let (font_name, own_font_name) = place(font.name.clone(), style);
    schema::FontParams { font_name, font_size: font.size, font_color: color(font.color), own_font_name }
}

pub(super) fn mask(mask: &Mask) -> schema::MaskParams {
    schema::MaskParams {
        data: mask.data.clone(),
        size: size_of_val(mask.data.as_slice()) as u32,
        threshold: mask.threshold,
        width: mask.width,
        height: mask.height,
    }
}

pub(super) fn display(display: &Display, style: Style) -> schema::DisplayMeta {
    schema::DisplayMeta {
        base_meta: BaseMeta::of(BaseMeta::DISPLAY),
        num_rects: display.rects.len() as u32,
        num_labels: display.texts.len() as u32,
        num_lines: display.lines.len() as u32,
        num_arrows: display.arrows.len() as u32,
        num_circles: display.circles.len() as u32,
        rect_params: list(&display.rects, rect),
        text_params: list(&display.texts, |text| self::text(text, style)),
        line_params: list(&display.lines, line),
        arrow_params: list(&display.arrows, arrow),
        circle_params: list(&display.circles, circle),
        misc_osd_data: some_of(display.misc_osd_data),
        reserve: some_of(display.reserve),
    }
}

fn line(line: &Line) -> schema::LineParams {
    schema::LineParams {
        x1: line.x1,
        y1: line.y1,
        x2: line.x2,
        y2: line.y2,
        line_width: line.width,
        line_color: color(line.color),
    }
}

fn arrow(arrow: &Arrow) -> schema::ArrowParams {
    schema::ArrowParams {
        x1: arrow.x1,
        y1: arrow.y1,
        x2: arrow.x2,
        y2: arrow.y2,
        arrow_width: arrow.width,
        arrow_head: arrow.head,
        arrow_color: color(arrow.color),
        reserve: arrow.reserve,
    }
}

fn circle(circle: &Circle) -> schema::CircleParams {
    schema::CircleParams {
        xc: circle.xc,
        yc: circle.yc,
        radius: circle.radius,
        circle_color: color(circle.color),
        has_bg_color: circle.has_bg_color,
        circle_bg_color: color(circle.bg_color),
        reserve: circle.reserve,
        own_circle_width: circle.width,
    }
}
