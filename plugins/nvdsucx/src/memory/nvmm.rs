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
