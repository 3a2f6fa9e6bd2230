//! The layout of video frames.

use std::sync::{Arc, Mutex};

use gst_video::VideoFrameExt as _;
use gst_video::{
    VideoAlignment, VideoFormat, VideoFormatInfo, VideoFrameFlags, VideoInfo, VideoInterlaceMode, VideoMeta,
};
use nvdsucx_session::wire;
use wire::MAX_PLANES;
use wire::meta::Kind;

use crate::event::Malformed;
use crate::ffi;

/// Bytes of a palette: 256 colours of 4 bytes.
const PALETTE_SIZE: usize = 1024;

/// Where the planes of a frame are. Made by [`check`] only: every row is within the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    flags: VideoFrameFlags,
    format: VideoFormat,
    width: u32,
    height: u32,
    offsets: Vec<usize>,
    strides: Vec<i32>,
    id: i32,
    /// Padding at the top, bottom, left and right in pixels, and the masks that strides are aligned to.
    alignment: ([u32; 4], [u32; MAX_PLANES]),
}

/// A stream of raw video, and the layout that its frames had last: most have the same.
#[derive(Debug)]
pub(crate) struct Stream {
    /// As the caps have it.
    pub(crate) info: VideoInfo,
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    encoded: Vec<u8>,
    /// Of the frame, in bytes.
    size: usize,
    layout: Arc<Layout>,
}

impl Stream {
    pub(crate) fn new(info: VideoInfo) -> Self {
        Self { info, last: Mutex::new(None) }
    }

    /// The stream that `caps` describe, if it is raw video.
    pub(crate) fn of(caps: &gst::CapsRef) -> Option<Arc<Self>> {
        format_of(caps).map(|info| Arc::new(Self::new(info)))
    }

    /// `meta`, of a frame of `size` bytes, for the wire.
    fn encode(&self, meta: &VideoMeta, size: usize) -> Result<Vec<u8>, Malformed> {
        let mut last = self.last.lock().unwrap();
        if let Some(last) = &*last
            && last.size == size
            && last.layout.is_of(meta)
        {
            return Ok(last.encoded.clone());
        }
        let described = to_wire(meta);
        let layout = Arc::new(check(&described, size, Some(&self.info))?);
        let encoded = wire::encode_meta(Kind::Video(described));
        *last = Some(Last { encoded: encoded.clone(), size, layout });
        Ok(encoded)
    }

    /// The layout that `encoded` describes, if it describes any, for a frame of `size` bytes.
    fn decode(&self, encoded: &[u8], size: usize) -> Result<Option<Arc<Layout>>, Malformed> {
        let mut last = self.last.lock().unwrap();
        if let Some(last) = &*last
            && last.size == size
            && last.encoded == encoded
        {
            return Ok(Some(Arc::clone(&last.layout)));
        }
        let layout = decode_with(encoded, size, Some(&self.info))?.map(Arc::new);
        if let Some(layout) = &layout {
            *last = Some(Last { encoded: encoded.to_vec(), size, layout: Arc::clone(layout) });
        }
        Ok(layout)
    }
}

/// The layout that `meta` gives a frame of `size` bytes, for the wire. `stream` is what it is of, if that is raw video.
pub(crate) fn encode(meta: &VideoMeta, size: usize, stream: Option<&Stream>) -> Result<Vec<u8>, Malformed> {
    if let Some(stream) = stream {
        return stream.encode(meta, size);
    }
    let described = to_wire(meta);
    check(&described, size, None)?;
    Ok(wire::encode_meta(Kind::Video(described)))
}

/// The layout that `encoded` describes, if it describes any, for a frame of `size` bytes.
pub(crate) fn decode(
    encoded: &[u8],
    size: usize,
    stream: Option<&Stream>,
) -> Result<Option<Arc<Layout>>, Malformed> {
    match stream {
        Some(stream) => stream.decode(encoded, size),
        None => Ok(decode_with(encoded, size, None)?.map(Arc::new)),
    }
}

fn decode_with(encoded: &[u8], size: usize, caps: Option<&VideoInfo>) -> Result<Option<Layout>, Malformed> {
    match wire::decode_meta(encoded, size as u64) {
        Ok(Some(Kind::Video(meta))) => check(&meta, size, caps).map(Some),
        Ok(_) => Ok(None),
        Err(err) => Err(Malformed(format!("a meta that cannot be read: {err}"))),
    }
}

/// The format of a stream of raw video; `None` for other streams.
pub(crate) fn format_of(caps: &gst::CapsRef) -> Option<VideoInfo> {
    // GStreamer logs an error for other caps.
    let raw = caps.structure(0).is_some_and(|structure| structure.name() == "video/x-raw");
    raw.then(|| VideoInfo::from_caps(caps).ok()).flatten()
}

/// `meta` for the wire.
pub(crate) fn to_wire(meta: &VideoMeta) -> wire::VideoMeta {
    let (padding, strides) = alignment_of(meta);
    let aligned = (padding, strides) != Default::default();
    let alignment = wire::Alignment { padding: padding.to_vec(), strides: strides.to_vec() };
    wire::VideoMeta {
        flags: meta.video_frame_flags().bits(),
        format: meta.format().to_str().to_string(),
        width: meta.width(),
        height: meta.height(),
        offsets: meta.offset().iter().map(|offset| *offset as u64).collect(),
        strides: meta.stride().to_vec(),
        id: meta.id(),
        alignment: aligned.then_some(alignment),
    }
}

fn alignment_of(meta: &VideoMeta) -> ([u32; 4], [u32; MAX_PLANES]) {
    let alignment = meta.alignment();
    let padding = [
        alignment.padding_top(),
        alignment.padding_bottom(),
        alignment.padding_left(),
        alignment.padding_right(),
    ];
    (padding, *alignment.stride_align())
}

/// The layout that `meta` describes, if a frame of `size` bytes can have it.
///
/// Elements trust the layout and the caps, and read or write all rows of either. So the layout must cover `caps`, those of
/// the stream, if it is raw video, and stay within the frame.
pub(crate) fn check(
    meta: &wire::VideoMeta,
    size: usize,
    caps: Option<&VideoInfo>,
) -> Result<Layout, Malformed> {
    let bad = |what: String| Malformed(format!("a video frame with {what}"));
    if meta.format.contains('\0') {
        return Err(bad("a zero byte in the name of its format".to_owned()));
    }
    let format = VideoFormat::from_string(&meta.format);
    if matches!(format, VideoFormat::Unknown | VideoFormat::Encoded) {
        return Err(bad(format!("format `{}`, unknown to this GStreamer", meta.format)));
    }
    if let Some(caps) = caps
        && (caps.format() != format || caps.width() > meta.width || caps.height() > meta.height)
    {
        return Err(bad(format!(
            "layout {} {}x{} in a stream of {} {}x{}",
            meta.format,
            meta.width,
            meta.height,
            caps.format(),
            caps.width(),
            caps.height()
        )));
    }
    let standard = VideoInfo::builder(format, meta.width, meta.height)
        .build()
        .ok()
        .filter(|info| {
            i32::try_from(meta.width).is_ok() && i32::try_from(meta.height).is_ok() && info.size() > 0
        })
        .ok_or_else(|| bad(format!("dimensions {}x{}", meta.width, meta.height)))?;
    let planes = standard.n_planes() as usize;
    if meta.offsets.len() != planes || meta.strides.len() != planes {
        return Err(bad(format!(
            "{} offsets and {} strides, where {format} has {planes} planes",
            meta.offsets.len(),
            meta.strides.len()
        )));
    }
    let mut offsets = Vec::with_capacity(planes);
    for (plane, (offset, stride)) in meta.offsets.iter().zip(&meta.strides).enumerate() {
        let fields = caps.is_some_and(|caps| caps.interlace_mode() == VideoInterlaceMode::Alternate);
        let len = plane_size(&standard, plane, *stride, fields)
            .ok_or_else(|| bad(format!("stride {stride} in plane {plane} at a width of {}", meta.width)))?;
        let offset = usize::try_from(*offset)
            .ok()
            .filter(|offset| offset.checked_add(len).is_some_and(|end| end <= size));
        offsets.push(offset.ok_or_else(|| bad(format!("plane {plane} outside of its {size} bytes")))?);
    }
    Ok(Layout {
        flags: VideoFrameFlags::from_bits_truncate(meta.flags),
        format,
        width: meta.width,
        height: meta.height,
        offsets,
        strides: meta.strides.clone(),
        id: meta.id,
        alignment: meta.alignment.as_ref().map(alignment).unwrap_or_default(),
    })
}

/// Those that are missing are 0.
fn alignment(meta: &wire::Alignment) -> ([u32; 4], [u32; MAX_PLANES]) {
    let (mut padding, mut strides) = ([0; 4], [0; MAX_PLANES]);
    padding.iter_mut().zip(&meta.padding).for_each(|(to, from)| *to = *from);
    strides.iter_mut().zip(&meta.strides).for_each(|(to, from)| *to = *from);
    (padding, strides)
}

/// Bytes of a plane whose rows are `stride` apart; `None` if rows of that width are longer.
fn plane_size(standard: &VideoInfo, plane: usize, stride: i32, fields: bool) -> Option<usize> {
    let format = standard.format_info();
    if format.is_tiled() {
        // The stride of tiled formats holds the numbers of tiles across and down.
        let tiles = |stride: i32| ((stride & 0xffff) as usize, (stride >> 16) as usize);
        let ((across, down), (least_across, least_down)) = (tiles(stride), tiles(standard.stride()[plane]));
        let tile = format.tile_info(plane as u32).size() as usize;
        return (stride >= 0 && across >= least_across && down >= least_down).then(|| across * down * tile);
    }
    if format.has_palette() && plane == 1 {
        return Some(PALETTE_SIZE);
    }
    let stride = usize::try_from(stride).ok()?;
    let components = || (0..format.n_components()).filter(|c| format.plane()[*c as usize] as usize == plane);
    let height = if fields { standard.height().div_ceil(2) } else { standard.height() };
    let rows = components().map(|c| format.scale_height(c as u8, height)).max()?;
    let least = components().map(|c| row_size(&format, c, standard, plane)).max()?;
    if stride < least { None } else { stride.checked_mul(rows as usize) }
}

fn row_size(format: &VideoFormatInfo, component: u32, standard: &VideoInfo, plane: usize) -> usize {
    match usize::try_from(format.pixel_stride()[component as usize]) {
        Ok(pixel) if pixel > 0 => pixel * format.scale_width(component as u8, standard.width()) as usize,
        // Packed in a way of its own: as GStreamer lays it out.
        _ => usize::try_from(standard.stride()[plane]).unwrap_or(usize::MAX),
    }
}

impl Layout {
    /// Puts the layout on `buffer`.
    pub(crate) fn attach(&self, buffer: &mut gst::BufferRef) -> Result<(), Malformed> {
        let mut meta = VideoMeta::add_full(
            buffer,
            self.flags,
            self.format,
            self.width,
            self.height,
            &self.offsets,
            &self.strides,
        )
        .map_err(|err| Malformed(format!("a video layout that GStreamer refuses: {err}")))?;
        if self.id != 0 {
            ffi::set_video_meta_id(&mut meta, self.id);
        }
        let ([top, bottom, left, right], strides) = &self.alignment;
        if self.alignment != Default::default() {
            let alignment = VideoAlignment::new(*top, *bottom, *left, *right, strides);
            // It only tells elements how to ask for memory, and is refused if it does not fit the layout.
            let _ = meta.set_alignment(&alignment);
        }
        Ok(())
    }

    /// Where the planes begin, and how far apart their rows are.
    pub(crate) fn planes(&self) -> (&[usize], &[i32]) {
        (&self.offsets, &self.strides)
    }

    /// The same for GStreamer, of a frame of `size` bytes.
    pub(crate) fn video_info(&self, size: usize) -> Option<VideoInfo> {
        let builder = VideoInfo::builder(self.format, self.width, self.height);
        builder.offset(&self.offsets).stride(&self.strides).size(size).build().ok()
    }

    fn is_of(&self, meta: &VideoMeta) -> bool {
        self.format == meta.format()
            && (self.width, self.height) == (meta.width(), meta.height())
            && self.offsets == meta.offset()
            && self.strides == meta.stride()
            && (self.flags, self.id) == (meta.video_frame_flags(), meta.id())
            && self.alignment == alignment_of(meta)
    }

    /// Whether elements that know only the caps find the planes where they are.
    pub(crate) fn is_standard(&self, caps: &VideoInfo) -> bool {
        self.format == caps.format()
            && (self.width, self.height) == (caps.width(), caps.height())
            && self.offsets == caps.offset()
            && self.strides == caps.stride()
    }
}

/// A copy of `buffer` with its planes where `caps` alone puts them. `origin` is the pixel of it that comes first.
pub(crate) fn repack(
    buffer: &gst::Buffer,
    caps: &VideoInfo,
    origin: (u32, u32),
) -> Result<gst::Buffer, Malformed> {
    let failed =
        |what: &str| Malformed(format!("a video frame of {} bytes that cannot be {what}", buffer.size()));
    let source =
        gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, caps).map_err(|_| failed("read"))?;
    let mut copy = gst::Buffer::with_size(caps.size()).map_err(|_| failed("copied: no memory"))?;
    let fresh = copy.make_mut();
    {
        let mut target = gst_video::VideoFrameRef::from_buffer_ref_writable(fresh, caps)
            .map_err(|_| failed("written to a copy"))?;
        if origin == (0, 0) {
            source.copy(&mut target).map_err(|_| failed("copied"))?;
        } else {
            copy_from(&source, &mut target, origin).ok_or_else(|| failed("cropped"))?;
        }
    }
    buffer
        .copy_into(fresh, gst::BufferCopyFlags::FLAGS | gst::BufferCopyFlags::TIMESTAMPS, ..)
        .map_err(|_| failed("copied"))?;
    Ok(copy)
}

/// The bytes of a plane, of a format whose pixels have bytes of their own.
pub(crate) struct Plane {
    /// Of a row.
    pub(crate) row: usize,
    pub(crate) rows: usize,
    /// In front of the first pixel in its row, and rows above it.
    pub(crate) left: usize,
    pub(crate) top: usize,
}

impl Plane {
    /// The plane `plane` of `video`, the pixel (`x`, `y`) first; `None` if it has no pixels of their own.
    pub(crate) fn of(video: &VideoInfo, plane: u32, (x, y): (u32, u32)) -> Option<Self> {
        let format = video.format_info();
        if format.is_tiled() || format.has_palette() || format.is_complex() {
            return None;
        }
        let component = (0..format.n_components()).find(|c| format.plane()[*c as usize] == plane)?;
        let at = component as usize;
        let pixel = usize::try_from(format.pixel_stride()[at]).ok().filter(|pixel| *pixel > 0)?;
        let component = component as u8;
        Some(Self {
            row: format.scale_width(component, video.width()) as usize * pixel,
            rows: format.scale_height(component, video.height()) as usize,
            // Of samples that several pixels share, the one that the first pixel has.
            left: (x >> format.w_sub()[at]) as usize * pixel,
            top: (y >> format.h_sub()[at]) as usize,
        })
    }

    /// Bytes from the first to the last, with `stride` from row to row.
    pub(crate) fn span(&self, stride: usize) -> Option<usize> {
        self.rows.checked_sub(1)?.checked_mul(stride)?.checked_add(self.row)
    }
}

/// Fills `target` with the part of `source` that begins at pixel (`x`, `y`); `None` if it is not within, or of a format that
/// has no pixels of their own.
fn copy_from(
    source: &gst_video::VideoFrameRef<&gst::BufferRef>,
    target: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
    origin: (u32, u32),
) -> Option<()> {
    for plane in 0..target.n_planes() {
        let shape = Plane::of(target.info(), plane, origin)?;
        let stride = usize::try_from(source.plane_stride()[plane as usize]).ok()?;
        let to_stride = usize::try_from(target.plane_stride()[plane as usize]).ok()?;
        let from = source.plane_data(plane).ok()?;
        let to = target.plane_data_mut(plane).ok()?;
        for row in 0..shape.rows {
            let start = (shape.top + row) * stride + shape.left;
            let bytes = from.get(start..start + shape.row)?;
            to.get_mut(row * to_stride..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(format: VideoFormat, width: u32, height: u32) -> VideoInfo {
        gst::init().unwrap();
        VideoInfo::builder(format, width, height).build().unwrap()
    }

    fn standard(info: &VideoInfo) -> wire::VideoMeta {
        wire::VideoMeta {
            flags: 0,
            format: info.format().to_str().to_string(),
            width: info.width(),
            height: info.height(),
            offsets: info.offset().iter().map(|offset| *offset as u64).collect(),
            strides: info.stride().to_vec(),
            ..wire::VideoMeta::default()
        }
    }

    #[test]
    fn takes_the_standard_layout_of_every_format() {
        gst::init().unwrap();
        for format in VideoFormat::iter_raw() {
            for (width, height) in [(1, 1), (17, 9), (640, 480)] {
                let Ok(info) = VideoInfo::builder(format, width, height).build() else { continue };
                let layout = check(&standard(&info), info.size(), Some(&info));
                assert!(layout.is_ok_and(|layout| layout.is_standard(&info)), "{format} {width}x{height}");
            }
        }
    }

    #[test]
    fn refuses_the_standard_layout_in_less_memory() {
        gst::init().unwrap();
        for format in VideoFormat::iter_raw() {
            let info = info(format, 640, 480);
            assert!(check(&standard(&info), info.size() / 2, None).is_err(), "{format}");
        }
    }

    #[test]
    fn refuses_what_reaches_outside_of_the_frame() {
        let info = info(VideoFormat::Nv12, 64, 32);
        let good = standard(&info);
        let bad = [
            wire::VideoMeta { offsets: vec![0, 2049], ..good.clone() },
            wire::VideoMeta { offsets: vec![0, u64::MAX], ..good.clone() },
            wire::VideoMeta { strides: vec![64, 65], ..good.clone() },
            wire::VideoMeta { strides: vec![i32::MAX, 64], ..good.clone() },
            wire::VideoMeta { height: 33, ..good.clone() },
            wire::VideoMeta { width: 65, ..good.clone() },
            wire::VideoMeta { width: u32::MAX, height: u32::MAX, ..good.clone() },
        ];
        assert!(check(&good, info.size(), None).is_ok());
        for meta in bad {
            assert!(check(&meta, info.size(), None).is_err(), "{meta:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_layout() {
        let info = info(VideoFormat::Nv12, 64, 32);
        let good = standard(&info);
        let bad = [
            wire::VideoMeta { format: "NV13".to_owned(), ..good.clone() },
            wire::VideoMeta { format: "NV\u{0}12".to_owned(), ..good.clone() },
            wire::VideoMeta { format: "ENCODED".to_owned(), ..good.clone() },
            wire::VideoMeta { format: String::new(), ..good.clone() },
            wire::VideoMeta { width: 0, ..good.clone() },
            wire::VideoMeta { height: 0, ..good.clone() },
            wire::VideoMeta { offsets: vec![0], ..good.clone() },
            wire::VideoMeta { strides: vec![64; 5], offsets: vec![0; 5], ..good.clone() },
            wire::VideoMeta { strides: vec![64, 63], ..good.clone() },
            wire::VideoMeta { strides: vec![-64, 64], ..good.clone() },
        ];
        for meta in bad {
            assert!(check(&meta, 1 << 20, None).is_err(), "{meta:?}");
        }
    }

    #[test]
    fn refuses_a_layout_that_covers_less_than_the_caps() {
        let caps = info(VideoFormat::Nv12, 64, 32);
        let size = 1 << 20;
        assert!(check(&standard(&info(VideoFormat::Nv12, 80, 32)), size, Some(&caps)).is_ok());
        assert!(check(&standard(&info(VideoFormat::Nv12, 64, 30)), size, Some(&caps)).is_err());
        assert!(check(&standard(&info(VideoFormat::Nv21, 64, 32)), size, Some(&caps)).is_err());
    }

    #[test]
    fn repacks_rows_to_where_the_caps_put_them() {
        let caps = info(VideoFormat::Gray8, 4, 2);
        let mut buffer = gst::Buffer::from_mut_slice(b"abcd....efgh....".to_vec());
        let fresh = buffer.make_mut();
        fresh.set_pts(gst::ClockTime::SECOND);
        let meta = wire::VideoMeta { strides: vec![8], offsets: vec![0], ..standard(&caps) };
        check(&meta, 16, Some(&caps)).unwrap().attach(fresh).unwrap();
        let copy = repack(&buffer, &caps, (0, 0)).unwrap();
        assert_eq!(copy.map_readable().unwrap().as_slice(), b"abcdefgh");
        assert_eq!(copy.pts(), Some(gst::ClockTime::SECOND));
    }

    #[test]
    fn crops_to_what_the_caps_have() {
        let bytes: Vec<u8> = (0..96).collect();
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        let whole = info(VideoFormat::Nv12, 8, 8);
        check(&standard(&whole), 96, None).unwrap().attach(buffer.make_mut()).unwrap();
        let caps = info(VideoFormat::Nv12, 4, 2);
        let copy = repack(&buffer, &caps, (2, 4)).unwrap();
        let copy = copy.map_readable().unwrap();
        // Two rows of luma from (2, 4), and one of chroma from (1, 2).
        assert_eq!(copy[..8], [34, 35, 36, 37, 42, 43, 44, 45]);
        assert_eq!(copy[8..12], [82, 83, 84, 85]);
        assert!(repack(&buffer, &caps, (2, 7)).is_err());
        let packed = info(VideoFormat::V210, 8, 8);
        let buffer = gst::Buffer::with_size(packed.size()).unwrap();
        assert!(repack(&buffer, &packed, (2, 0)).is_err());
    }
}
