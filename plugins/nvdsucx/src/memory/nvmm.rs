//! DeepStream's memory: batches of surfaces.
//!
//! A batch travels as a frame with a memory for each surface that holds a picture, and a layout for each. So it can arrive in
//! any memory: in the CPU's and in CUDA's as a buffer with as many layouts, which is how GStreamer has several pictures in one.

use std::sync::OnceLock;

use cuda::Context;
use deepstream::nvmm::{self, Error, Picture, Piece, Pool, PoolConfig, Source, Surface};
use nvdsucx_session::wire::{self, FrameHeader, MAX_MEMORIES, meta::Kind};
use nvdsucx_session::{Frame, MemoryKind, ReceivedFrame};

use super::cuda::regions;
use crate::buffer::{self, Arrived, Unusable};
use crate::event::Malformed;
use crate::meta;
use crate::video::{self, Layout, Stream};

/// A batch on its way out.
pub(crate) struct Departing {
    pub(crate) frame: Frame,
    /// The number of the GPU that it is in the memory of, if it is not the CPU's.
    pub(crate) gpu: Option<u32>,
}

/// `buffer`, which is of a stream with `memory:NVMM`, for the wire. Nothing is copied. `lost` is as for
/// [`to_frame`](buffer::to_frame).
pub(crate) fn to_frame(
    buffer: &gst::Buffer,
    stream: &Stream,
    lost: impl FnMut(&str, &str),
) -> Result<Departing, Malformed> {
    // SAFETY: the caps say so, and elements that give NVMM memory keep to what DeepStream means by that.
    let exported = unsafe { nvmm::export(buffer) }.map_err(|err| Malformed(err.to_string()))?;
    let (batch, regions) = (exported.batch, exported.regions);
    let pictures = batch.pictures();
    if pictures.len() > MAX_MEMORIES {
        return Err(Malformed(format!("a batch of {} pictures, more than {MAX_MEMORIES}", pictures.len())));
    }
    let size = regions.iter().map(nvdsucx_session::Region::len).sum();
    let mut header = buffer::header(buffer);
    let mut start = 0;
    for (slot, surface) in pictures.iter().enumerate() {
        let layout = layout(surface, slot, start);
        video::check(&layout, size, Some(&stream.info))?;
        header.metas.push(wire::encode_meta(Kind::Video(layout)));
        start += surface.len as u64;
    }
    header.metas.push(wire::encode_meta(Kind::Surfaces(wire::SurfacesMeta {
        batch_size: u32::try_from(batch.surfaces.len()).unwrap_or(u32::MAX),
        colors: pictures.iter().map(|surface| surface.color.cast_unsigned()).collect(),
    })));
    // Layouts that the buffer itself has are of no memory of its own.
    header.metas.extend(meta::to_wire(buffer, lost).into_iter().filter(|meta| !meta::is_layout(meta)));
    let on_gpu = regions.iter().any(|region| region.kind() != MemoryKind::Host);
    Ok(Departing { frame: Frame { header, regions }, gpu: on_gpu.then_some(batch.gpu) })
}

/// Where the planes of a surface are whose memory begins at `start` in the frame.
fn layout(surface: &Surface, slot: usize, start: u64) -> wire::VideoMeta {
    wire::VideoMeta {
        format: surface.format.to_str().to_string(),
        width: surface.width,
        height: surface.height,
        offsets: surface.planes.iter().map(|plane| start + u64::from(plane.offset)).collect(),
        strides: surface.planes.iter().map(|plane| i32::try_from(plane.pitch).unwrap_or(i32::MAX)).collect(),
        id: i32::try_from(slot).unwrap_or(i32::MAX),
        ..wire::VideoMeta::default()
    }
}

/// Makes batches for elements that want NVMM memory.
#[derive(Debug)]
pub(crate) struct Batches {
    pool: Pool,
    context: OnceLock<Context>,
}

impl Batches {
    /// Batches for streams with `caps`, which name the memory. `context` makes the copies that the CPU cannot make.
    pub(crate) fn new(caps: &gst::Caps, config: PoolConfig, context: Option<Context>) -> Result<Self, Error> {
        let pool = Pool::new(caps, config)?;
        Ok(Self { pool, context: context.map(OnceLock::from).unwrap_or_default() })
    }

    /// How many surfaces a buffer has.
    pub(crate) fn batch_size(&self) -> u32 {
        self.pool.config().batch_size
    }

    /// The GPU that frames should land in the memory of.
    pub(crate) fn context(&self) -> Option<&Context> {
        self.context.get()
    }

    /// The buffer that `frame` was, its pictures each in a surface.
    pub(crate) fn import(&self, frame: ReceivedFrame, stream: &Stream) -> Result<Arrived, Unusable> {
        let ReceivedFrame { mut header, payload, discontinuity, .. } = frame;
        let pictures = self.pictures(&header, payload.len(), stream)?;
        header.metas.retain(|meta| !meta::is_layout(meta) && meta::crop(meta).is_none());
        let regions = regions(payload);
        let pieces: Vec<_> = regions.iter().map(Piece::from).collect();
        let source = Source { pieces: &pieces, context: self.context.get() };
        let mut filling = self.pool.acquire().map_err(unusable)?;
        for picture in &pictures {
            filling.push(source, picture).map_err(unusable)?;
        }
        let buffer = filling.finish().map_err(unusable)?;
        let mut arrived = buffer::describe(buffer, header, None)?;
        arrived.surfaces = Some(pictures.len());
        if discontinuity {
            arrived.set_discontinuity();
        }
        Ok(arrived)
    }

    /// Where the pictures of a frame of `size` bytes are.
    fn pictures(&self, header: &FrameHeader, size: usize, stream: &Stream) -> Result<Vec<Picture>, Unusable> {
        let mut layouts = Vec::new();
        let mut origin = (0, 0);
        let mut surfaces = None;
        for encoded in &header.metas {
            if meta::is_layout(encoded) {
                layouts.extend(video::decode(encoded, size, Some(stream))?);
            } else if let Some(crop) = meta::crop(encoded) {
                origin = (crop.x, crop.y);
            } else if surfaces.is_none() {
                surfaces = meta::surfaces(encoded);
            }
        }
        let room = self.pool.config().batch_size as usize;
        if let Some(surfaces) = &surfaces {
            if layouts.len() > room {
                return Err(Unusable::Settings(format!(
                    "a batch of {} pictures does not fit nvbuf-batch-size={room}: set it to {}, as the sender's batches have it",
                    layouts.len(),
                    surfaces.batch_size,
                )));
            }
        } else {
            // Several views of one picture, which fit or do not.
            layouts.truncate(room);
            if layouts.is_empty() && size > 0 {
                return Ok(vec![self.picture(stream.info.offset(), stream.info.stride(), origin)?]);
            }
        }
        let colors = surfaces.map(|surfaces| surfaces.colors).unwrap_or_default();
        let picture = |(slot, layout): (usize, &std::sync::Arc<Layout>)| {
            let (offsets, strides) = layout.planes();
            let color = colors.get(slot).map(|color| color.cast_signed());
            Ok(Picture { color, ..self.picture(offsets, strides, origin)? })
        };
        layouts.iter().enumerate().map(picture).collect()
    }

    /// Planes with the pixel `origin` first.
    fn picture(&self, offsets: &[usize], strides: &[i32], origin: (u32, u32)) -> Result<Picture, Malformed> {
        let bad = || Malformed(format!("a picture with planes at {offsets:?}, rows {strides:?} apart"));
        let mut picture = Picture::default();
        for (plane, (offset, stride)) in (0..).zip(offsets.iter().zip(strides)) {
            let shape = video::Plane::of(self.pool.info(), plane, origin).ok_or_else(bad)?;
            let stride = usize::try_from(*stride).map_err(|_| bad())?;
            let above = shape.top.checked_mul(stride).and_then(|above| above.checked_add(shape.left));
            picture.offsets.push(above.and_then(|above| offset.checked_add(above)).ok_or_else(bad)?);
            picture.strides.push(stride);
        }
        Ok(picture)
    }
}

fn unusable(err: Error) -> Unusable {
    match err {
        Error::Frame(text) => Unusable::Malformed(Malformed(text)),
        err => Unusable::Gpu(err.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use ::deepstream::DeepStream;
    use dsmeta::model::{Object, VideoBatch, VideoFrame};
    use dsmeta::{Batch, PayloadKind};
    use gst_video::{VideoFormat, VideoInfo};
    use nvdsucx_session::Payload;

    use super::*;
    use crate::meta::{Names, Stream as MetaStream};

    /// A stream of NV12, and what makes batches of it; `None`, said to be skipped, without DeepStream's libraries.
    fn batches(test: &str, batch_size: u32) -> Option<(Stream, Batches)> {
        gst::init().unwrap();
        let info = VideoInfo::builder(VideoFormat::Nv12, 32, 18).build().unwrap();
        let mut caps = info.to_caps().unwrap();
        caps.make_mut().set_features(0, Some(gst::CapsFeatures::new([nvmm::FEATURE])));
        let config = PoolConfig { memory: nvmm::MemoryType::System, gpu: 0, batch_size, buffers: 1 };
        match nvmm::available() {
            Ok(()) => Some((Stream::new(info), Batches::new(&caps, config, None).unwrap())),
            Err(err) => {
                eprintln!("{test}: skipped, {err}");
                None
            }
        }
    }

    /// A frame with a picture of 32 x 18 for each of `layouts`, which are places and strides of the first plane.
    fn frame(layouts: &[(u64, i32)], metas: Vec<Kind>) -> ReceivedFrame {
        let layout = |(id, (start, stride)): (usize, &(u64, i32))| {
            Kind::Video(wire::VideoMeta {
                format: "NV12".to_owned(),
                width: 32,
                height: 18,
                offsets: vec![*start, start + 18 * u64::from(stride.unsigned_abs())],
                strides: vec![*stride; 2],
                id: id as i32,
                ..wire::VideoMeta::default()
            })
        };
        let metas = layouts.iter().enumerate().map(layout).chain(metas).map(wire::encode_meta).collect();
        let bytes: Vec<u8> = (0..4000_u32).map(|at| (at * 7 / 3) as u8).collect();
        let header = FrameHeader { memories: vec![4000], metas, pts: Some(5), ..FrameHeader::default() };
        ReceivedFrame { header, payload: Payload::Copied(bytes.into()), discontinuity: true }
    }

    fn departing(buffer: &gst::Buffer, stream: &Stream) -> Frame {
        let departing = to_frame(buffer, stream, |kind, why| panic!("{kind}: {why}")).unwrap();
        assert_eq!(departing.gpu, None);
        departing.frame
    }

    /// `frame` at the other end.
    fn received(frame: Frame) -> ReceivedFrame {
        let bytes =
            frame.regions.iter().flat_map(|region| region.host_bytes().unwrap()).copied().collect::<Vec<_>>();
        let memories = frame.regions.iter().map(|region| region.len() as u64).collect();
        let header = FrameHeader { memories, ..frame.header };
        ReceivedFrame { header, payload: Payload::Copied(bytes.into()), discontinuity: false }
    }

    fn complete(arrived: Arrived) -> gst::Buffer {
        arrived.complete(MetaStream::default(), &mut Names::default(), |kind, why| panic!("{kind}: {why}"))
    }

    /// The pixel in the upper left corner of each picture, as it is on its way.
    fn corners(frame: &Frame) -> Vec<u8> {
        frame.regions.iter().map(|region| region.host_bytes().unwrap()[0]).collect()
    }

    fn byte(at: u32) -> u8 {
        (at * 7 / 3) as u8
    }

    #[test]
    fn a_batch_arrives_as_it_was() {
        let Some((stream, batches)) = batches("a_batch_arrives_as_it_was", 3) else { return };
        let colors = Kind::Surfaces(wire::SurfacesMeta { batch_size: 4, colors: vec![7, 33] });
        let arrived = batches.import(frame(&[(3, 40), (2000, 33)], vec![colors]), &stream).unwrap();
        assert_eq!(arrived.surfaces, Some(2));
        let buffer = complete(arrived);
        assert_eq!(buffer.pts(), Some(gst::ClockTime::from_nseconds(5)));
        assert!(buffer.flags().contains(gst::BufferFlags::DISCONT));
        let sent = departing(&buffer, &stream);
        assert_eq!(corners(&sent), [byte(3), byte(2000)]);
        let surfaces = sent.header.metas.iter().find_map(|meta| meta::surfaces(meta)).unwrap();
        assert_eq!(surfaces, wire::SurfacesMeta { batch_size: 3, colors: vec![7, 33] });
        assert_eq!(sent.header.metas.len(), 3);

        let again = complete(batches.import(received(sent.clone()), &stream).unwrap());
        let again = departing(&again, &stream);
        assert_eq!((corners(&again), &again.header.metas), (corners(&sent), &sent.header.metas));
    }

    #[test]
    fn a_frame_without_a_layout_is_one_picture() {
        let Some((stream, batches)) = batches("a_frame_without_a_layout_is_one_picture", 3) else { return };
        let buffer = complete(batches.import(frame(&[], vec![]), &stream).unwrap());
        assert_eq!(corners(&departing(&buffer, &stream)), [byte(0)]);
    }

    #[test]
    fn a_crop_is_applied() {
        let Some((stream, batches)) = batches("a_crop_is_applied", 1) else { return };
        let mut cropped =
            frame(&[], vec![Kind::Crop(wire::VideoCropMeta { x: 4, y: 3, width: 32, height: 18 })]);
        let large = Kind::Video(wire::VideoMeta {
            format: "NV12".to_owned(),
            width: 40,
            height: 24,
            offsets: vec![0, 1200],
            strides: vec![50, 50],
            ..wire::VideoMeta::default()
        });
        cropped.header.metas.insert(0, wire::encode_meta(large));
        let buffer = complete(batches.import(cropped, &stream).unwrap());
        assert_eq!(corners(&departing(&buffer, &stream)), [byte(3 * 50 + 4)]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let Some((stream, batches)) = batches("what_does_not_fit_is_refused", 2) else { return };
        let colors = || Kind::Surfaces(wire::SurfacesMeta { batch_size: 8, colors: vec![6; 3] });
        let three = [(0, 40), (1000, 40), (2000, 40)];
        let error = batches.import(frame(&three, vec![colors()]), &stream).err().unwrap().to_string();
        assert!(error.contains("nvbuf-batch-size=2") && error.contains("set it to 8"), "{error}");
        for layout in [(3500, 40), (0, 31), (0, i32::MAX), (u64::MAX >> 1, 40)] {
            let result = batches.import(frame(&[layout], vec![]), &stream);
            assert!(matches!(result, Err(Unusable::Malformed(_))), "{layout:?}");
        }
        // Of another size, or shorter than it says.
        let mut small = frame(&[], vec![]);
        small.payload = Payload::Copied(vec![0; 100].into());
        assert!(batches.import(small, &stream).is_err());
        let other = Stream::new(VideoInfo::builder(VideoFormat::Nv12, 64, 18).build().unwrap());
        assert!(batches.import(frame(&[(0, 64)], vec![]), &other).is_err());
    }

    #[test]
    fn deepstream_s_metadata_is_of_each_surface() {
        let Some((stream, batches)) = batches("deepstream_s_metadata_is_of_each_surface", 2) else { return };
        let deepstream = DeepStream::load().unwrap();
        let colors = || vec![Kind::Surfaces(wire::SurfacesMeta { batch_size: 2, colors: vec![6; 2] })];
        let mut buffer = complete(batches.import(frame(&[(0, 40), (2000, 40)], colors()), &stream).unwrap());
        let of = |slot: u32| VideoFrame {
            batch_id: slot,
            source_id: 7 + slot,
            objects: vec![Object { label: format!("object {slot}").into(), ..Object::default() }],
            ..VideoFrame::default()
        };
        let frames = vec![of(0), of(1)];
        let batch = Batch::Video(VideoBatch { max_frames_in_batch: 2, frames, ..VideoBatch::default() });
        deepstream.attach(buffer.make_mut(), &batch).unwrap();
        let arrived = complete(batches.import(received(departing(&buffer, &stream)), &stream).unwrap());
        assert_eq!(deepstream.read(&arrived), deepstream.read(&buffer));
        assert!(deepstream.read(&arrived).unwrap().is_some());

        // What nvdsmetainsert made is where nvdsmetaextract looks for it.
        deepstream.set_payload(buffer.make_mut(), PayloadKind::Video.number(), b"bytes").unwrap();
        let arrived = complete(batches.import(received(departing(&buffer, &stream)), &stream).unwrap());
        assert_eq!(deepstream.payload(&arrived), Some((PayloadKind::Video.number(), b"bytes".to_vec())));
        let Some(Batch::Video(arrived)) = deepstream.read(&arrived).unwrap() else { panic!("no batch meta") };
        assert_eq!(arrived.frames.iter().map(|frame| frame.batch_id).collect::<Vec<_>>(), [0, 1]);

        // Three frames are too many for two surfaces.
        let three = Batch::Video(VideoBatch { frames: vec![of(0), of(1), of(2)], ..VideoBatch::default() });
        let three = dsmeta::encode(&three, dsmeta::Style::Safe).unwrap();
        let meta = Kind::Batch(wire::PayloadMeta { r#type: three.kind.number(), data: three.bytes });
        let metas = colors().into_iter().chain([meta]).collect();
        let mut lost = 0;
        let arrived = batches.import(frame(&[(0, 40), (2000, 40)], metas), &stream).unwrap();
        arrived.complete(MetaStream::default(), &mut Names::default(), |_, _| lost += 1);
        assert_eq!(lost, 1);
    }
}
