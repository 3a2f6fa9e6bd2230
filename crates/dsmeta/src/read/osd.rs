//! What is drawn.

use super::{choose, four};
use crate::Error;
use crate::model::{Arrow, Circle, Color, Display, Font, Line, Mask, Rect, Text};
use crate::schema;

fn color(color: Option<schema::ColorParams>) -> Color {
    let schema::ColorParams { red, green, blue, alpha } = color.unwrap_or_default();
    Color { red, green, blue, alpha }
}

pub(super) fn rect(rect: schema::RectParams) -> Rect {
    Rect {
        left: rect.left,
        top: rect.top,
        width: rect.width,
        height: rect.height,
        rotation: rect.own_rotation,
        border_width: rect.border_width,
        border_color: color(rect.border_color),
        has_bg_color: rect.has_bg_color,
        reserve: rect.reserve,
        bg_color: color(rect.bgcolor),
        has_color_info: rect.has_color_info,
        color_id: rect.color_id,
    }
}

pub(super) fn text(text: schema::TextParams) -> Text {
    let font = text.font_params.unwrap_or_default();
    Text {
        display_text: choose(text.own_display_text, text.display_text),
        x_offset: text.x_offset,
        y_offset: text.y_offset,
        font: Font {
            name: choose(font.own_font_name, font.font_name),
            size: font.font_size,
            color: color(font.font_color),
        },
        set_bg_clr: text.set_bg_clr,
        bg_color: color(text.text_bg_clr),
    }
}

/// NVIDIA's writer takes the size in bytes for a count and so sends four times what there is: the first quarter is the
/// mask.
pub(super) fn mask(mask: schema::MaskParams) -> Result<Mask, Error> {
    let schema::MaskParams { mut data, size, threshold, width, height } = mask;
    let bytes = size as usize;
    let values = bytes / size_of::<f32>();
    if !bytes.is_multiple_of(size_of::<f32>()) || (data.len() != values && data.len() != bytes) {
        return Err(Error::MaskSize { size, values: data.len() });
    }
    data.truncate(values);
    data.shrink_to_fit();
    Ok(Mask { data, threshold, width, height })
}

pub(super) fn display(display: schema::DisplayMeta) -> Result<Display, Error> {
    Ok(Display {
        rects: display.rect_params.into_iter().map(rect).collect(),
        texts: display.text_params.into_iter().map(text).collect(),
        lines: display.line_params.into_iter().map(line).collect(),
        arrows: display.arrow_params.into_iter().map(arrow).collect(),
        circles: display.circle_params.into_iter().map(circle).collect(),
        misc_osd_data: four(&display.misc_osd_data)?,
        reserve: four(&display.reserve)?,
    })
}

fn line(line: schema::LineParams) -> Line {
    Line {
        x1: line.x1,
        y1: line.y1,
        x2: line.x2,
        y2: line.y2,
        width: line.line_width,
        color: color(line.line_color),
    }
}

fn arrow(arrow: schema::ArrowParams) -> Arrow {
    Arrow {
        x1: arrow.x1,
        y1: arrow.y1,
        x2: arrow.x2,
        y2: arrow.y2,
        width: arrow.arrow_width,
        head: arrow.arrow_head,
        color: color(arrow.arrow_color),
        reserve: arrow.reserve,
    }
}

fn circle(circle: schema::CircleParams) -> Circle {
    Circle {
        xc: circle.xc,
        yc: circle.yc,
        radius: circle.radius,
        color: color(circle.circle_color),
        has_bg_color: circle.has_bg_color,
        bg_color: color(circle.circle_bg_color),
        width: circle.own_circle_width,
        reserve: circle.reserve,
    }
}
