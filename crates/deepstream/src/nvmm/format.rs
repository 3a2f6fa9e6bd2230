//! Colour formats (`NvBufSurfaceColorFormat`) and GStreamer's video formats.

use gst_video::VideoFormat;

/// Formats that DeepStream's pools make surfaces of, with the planes that GStreamer means by them. (Its pools take some others,
/// `Y42B` and `I420_12LE`, for what they are not.)
pub const FORMATS: [VideoFormat; 17] = [
    VideoFormat::Nv12,
    VideoFormat::Rgba,
    VideoFormat::I420,
    VideoFormat::P01010le,
    VideoFormat::Bgrx,
    VideoFormat::Rgbx,
    VideoFormat::Bgra,
    VideoFormat::Argb,
    VideoFormat::Abgr,
    VideoFormat::Rgb,
    VideoFormat::Bgr,
    VideoFormat::Gray8,
    VideoFormat::Gray16Le,
    VideoFormat::Nv21,
    VideoFormat::Uyvy,
    VideoFormat::Y444,
    VideoFormat::Y44410le,
];

/// What a surface's colour format number stands for; `None` for those that no element makes video of that GStreamer knows.
pub fn video_format(color: i32) -> Option<VideoFormat> {
    Some(match color {
        1 | 88 => VideoFormat::Gray8,
        2 | 4 | 31 | 32 | 35 => VideoFormat::I420,
        3 | 5 => VideoFormat::Yv12,
        6 | 7 | 33 | 34 | 36 => VideoFormat::Nv12,
        8 | 9 => VideoFormat::Nv21,
        10 | 11 | 89..=91 => VideoFormat::Uyvy,
        12 | 13 => VideoFormat::Vyuy,
        14 | 15 => VideoFormat::Yuy2,
        16 | 17 => VideoFormat::Yvyu,
        18 | 71..=74 => VideoFormat::Y444,
        19 => VideoFormat::Rgba,
        20 => VideoFormat::Bgra,
        21 => VideoFormat::Argb,
        22 => VideoFormat::Abgr,
        23 => VideoFormat::Rgbx,
        24 => VideoFormat::Bgrx,
        25 => VideoFormat::Xrgb,
        26 => VideoFormat::Xbgr,
        27 => VideoFormat::Rgb,
        28 => VideoFormat::Bgr,
        29 | 37..=40 => VideoFormat::P01010le,
        30 | 49 | 85..=87 => VideoFormat::P012Le,
        50 | 54 | 56 | 58 | 94 => VideoFormat::Nv16,
        52 | 55 | 57 | 59 | 104 => VideoFormat::Nv24,
        75..=79 => VideoFormat::Y44410le,
        80..=84 => VideoFormat::Y44412le,
        92 => VideoFormat::Gray16Le,
        _ => return None,
    })
}
