//! What is drawn on a frame.

/// A colour: each part from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Color {
    /// Red.
    pub red: f64,
    /// Green.
    pub green: f64,
    /// Blue.
    pub blue: f64,
    /// 0 cannot be seen, 1 cannot be seen through.
    pub alpha: f64,
}

/// A rectangle, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub left: f32,
    /// Upper edge.
    pub top: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
    /// Angle in the unit of DeepStream's `rotation_angle`, which NVIDIA's codec does not carry. Radians where it came
    /// from GStreamer's analytics.
    pub rotation: f32,
    /// Width of the border.
    pub border_width: u32,
    /// Colour of the border.
    pub border_color: Color,
    /// Not 0: it is filled.
    pub has_bg_color: u32,
    /// For DeepStream itself.
    pub reserve: u32,
    /// Colour it is filled with.
    pub bg_color: Color,
    /// Not 0: `color_id` says something.
    pub has_color_info: i32,
    /// Which colour, of those that the drawing element was set up with.
    pub color_id: i32,
}

/// A text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    /// Its characters.
    pub display_text: String,
    /// Left edge, in pixels.
    pub x_offset: u32,
    /// Upper edge, in pixels.
    pub y_offset: u32,
    /// What the characters look like.
    pub font: Font,
    /// Not 0: it has a background.
    pub set_bg_clr: i32,
    /// Colour of the background.
    pub bg_color: Color,
}

/// What characters look like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Font {
    /// Name.
    pub name: String,
    /// Size.
    pub size: u32,
    /// Colour.
    pub color: Color,
}

/// Which pixels of its rectangle belong to an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mask {
    /// One value for each pixel of the mask, row by row, or none at all.
    pub data: Vec<f32>,
    /// Values above belong to the object.
    pub threshold: f32,
    /// Width of the mask, in its pixels.
    pub width: u32,
    /// Height of the mask, in its pixels.
    pub height: u32,
}

/// What is to be drawn on a frame: at most [`MAX_SHAPES`](crate::MAX_SHAPES) of each kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Display {
    /// Rectangles.
    pub rects: Vec<Rect>,
    /// Texts.
    pub texts: Vec<Text>,
    /// Lines.
    pub lines: Vec<Line>,
    /// Arrows.
    pub arrows: Vec<Arrow>,
    /// Circles.
    pub circles: Vec<Circle>,
    /// For the user.
    pub misc_osd_data: [i64; 4],
    /// For DeepStream itself.
    pub reserve: [i64; 4],
}

/// A line, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// Where it begins.
    pub x1: u32,
    /// Where it begins.
    pub y1: u32,
    /// Where it ends.
    pub x2: u32,
    /// Where it ends.
    pub y2: u32,
    /// Its width.
    pub width: u32,
    /// Its colour.
    pub color: Color,
}

/// An arrow, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Arrow {
    /// Where it begins.
    pub x1: u32,
    /// Where it begins.
    pub y1: u32,
    /// Where it ends.
    pub x2: u32,
    /// Where it ends.
    pub y2: u32,
    /// Its width.
    pub width: u32,
    /// Where its head is: 0 where it begins, 1 where it ends, 2 at both.
    pub head: u32,
    /// Its colour.
    pub color: Color,
    /// For DeepStream itself.
    pub reserve: u32,
}

/// A circle, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Circle {
    /// Centre.
    pub xc: u32,
    /// Centre.
    pub yc: u32,
    /// Radius.
    pub radius: u32,
    /// Colour of the border.
    pub color: Color,
    /// Not 0: it is filled.
    pub has_bg_color: u32,
    /// Colour it is filled with.
    pub bg_color: Color,
    /// Width of the border, which NVIDIA's codec does not carry.
    pub width: u32,
    /// For DeepStream itself.
    pub reserve: u32,
}
