//! What is drawn.

use prost::Message;

use super::BaseMeta;

/// `nvosdcolorparams`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ColorParams {
    #[prost(double, tag = "1")]
    pub(crate) red: f64,
    #[prost(double, tag = "2")]
    pub(crate) green: f64,
    #[prost(double, tag = "3")]
    pub(crate) blue: f64,
    #[prost(double, tag = "4")]
    pub(crate) alpha: f64,
}

/// `nvosdrectparams`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RectParams {
    #[prost(float, tag = "1")]
    pub(crate) left: f32,
    #[prost(float, tag = "2")]
    pub(crate) top: f32,
    #[prost(float, tag = "3")]
    pub(crate) width: f32,
    #[prost(float, tag = "4")]
    pub(crate) height: f32,
    #[prost(uint32, tag = "5")]
    pub(crate) border_width: u32,
    #[prost(message, optional, tag = "6")]
    pub(crate) border_color: Option<ColorParams>,
    #[prost(uint32, tag = "7")]
    pub(crate) has_bg_color: u32,
    #[prost(uint32, tag = "8")]
    pub(crate) reserve: u32,
    #[prost(message, optional, tag = "9")]
    pub(crate) bgcolor: Option<ColorParams>,
    #[prost(int32, tag = "10")]
    pub(crate) has_color_info: i32,
    #[prost(int32, tag = "11")]
    pub(crate) color_id: i32,
    #[prost(float, tag = "1000")]
    pub(crate) own_rotation: f32,
}

/// `nvosdtextparams`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TextParams {
    #[prost(string, tag = "1")]
    pub(crate) display_text: String,
    #[prost(uint32, tag = "2")]
    pub(crate) x_offset: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) y_offset: u32,
    #[prost(message, optional, tag = "4")]
    pub(crate) font_params: Option<FontParams>,
    #[prost(int32, tag = "5")]
    pub(crate) set_bg_clr: i32,
    #[prost(message, optional, tag = "6")]
    pub(crate) text_bg_clr: Option<ColorParams>,
    #[prost(string, tag = "1000")]
    pub(crate) own_display_text: String,
}

/// `nvosdfontparams`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FontParams {
    #[prost(string, tag = "1")]
    pub(crate) font_name: String,
    #[prost(uint32, tag = "2")]
    pub(crate) font_size: u32,
    #[prost(message, optional, tag = "3")]
    pub(crate) font_color: Option<ColorParams>,
    #[prost(string, tag = "1000")]
    pub(crate) own_font_name: String,
}

/// `nvosdmaskparams`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MaskParams {
    #[prost(float, repeated, tag = "1")]
    pub(crate) data: Vec<f32>,
    /// In bytes.
    #[prost(uint32, tag = "2")]
    pub(crate) size: u32,
    #[prost(float, tag = "3")]
    pub(crate) threshold: f32,
    #[prost(uint32, tag = "4")]
    pub(crate) width: u32,
    #[prost(uint32, tag = "5")]
    pub(crate) height: u32,
}

/// `nvdsdisplaymeta`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DisplayMeta {
    #[prost(message, optional, tag = "1")]
    pub(crate) base_meta: Option<BaseMeta>,
    #[prost(uint32, tag = "2")]
    pub(crate) num_rects: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) num_labels: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) num_lines: u32,
    #[prost(uint32, tag = "5")]
    pub(crate) num_arrows: u32,
    #[prost(uint32, tag = "6")]
    pub(crate) num_circles: u32,
    #[prost(message, repeated, tag = "7")]
    pub(crate) rect_params: Vec<RectParams>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) text_params: Vec<TextParams>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) line_params: Vec<LineParams>,
    #[prost(message, repeated, tag = "10")]
    pub(crate) arrow_params: Vec<ArrowParams>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) circle_params: Vec<CircleParams>,
    #[prost(int64, repeated, tag = "12")]
    pub(crate) misc_osd_data: Vec<i64>,
    #[prost(int64, repeated, tag = "13")]
    pub(crate) reserve: Vec<i64>,
}

/// `nvosdlineparams`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct LineParams {
    #[prost(uint32, tag = "1")]
    pub(crate) x1: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) y1: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) x2: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) y2: u32,
    #[prost(uint32, tag = "5")]
    pub(crate) line_width: u32,
    #[prost(message, optional, tag = "6")]
    pub(crate) line_color: Option<ColorParams>,
}

/// `nvosdarrowparams`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ArrowParams {
    #[prost(uint32, tag = "1")]
    pub(crate) x1: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) y1: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) x2: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) y2: u32,
    #[prost(uint32, tag = "5")]
    pub(crate) arrow_width: u32,
    #[prost(uint32, tag = "6")]
    pub(crate) arrow_head: u32,
    #[prost(message, optional, tag = "7")]
    pub(crate) arrow_color: Option<ColorParams>,
    #[prost(uint32, tag = "8")]
    pub(crate) reserve: u32,
}

/// `nvosdcircleparams`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CircleParams {
    #[prost(uint32, tag = "1")]
    pub(crate) xc: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) yc: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) radius: u32,
    #[prost(message, optional, tag = "4")]
    pub(crate) circle_color: Option<ColorParams>,
    #[prost(uint32, tag = "5")]
    pub(crate) has_bg_color: u32,
    #[prost(message, optional, tag = "6")]
    pub(crate) circle_bg_color: Option<ColorParams>,
    #[prost(uint32, tag = "7")]
    pub(crate) reserve: u32,
    #[prost(uint32, tag = "1000")]
    pub(crate) own_circle_width: u32,
}
