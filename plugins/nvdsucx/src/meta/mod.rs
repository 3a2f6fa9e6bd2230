//! The metas of a buffer as they travel.
//!
//! Each kind has a message of its own, in a file by the library that the kind is of. What has none goes as GStreamer itself
//! serialises it, where it can (1.24 and newer). What cannot go at all is counted, and named in the log once.

mod audio;
mod deepstream;
mod generic;
mod names;
mod relation;
mod structure;
mod templates;
#[cfg(test)]
mod tests;
mod video;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::meta::{MetaRef, tags};
use gst::prelude::*;
use gst_audio::{AudioClippingMeta, AudioLevelMeta, AudioMeta};
use gst_video::video_meta::{VideoCodecAlphaMeta, VideoSeiUserDataUnregisteredMeta};
use gst_video::{
    VideoAFDMeta, VideoAffineTransformationMeta, VideoBarMeta, VideoCaptionMeta, VideoCropMeta, VideoMeta,
    VideoRegionOfInterestMeta, VideoTimeCodeMeta,
};
use nvdsucx_session::wire;
use wire::encode_meta;
use wire::meta::Kind;

use crate::event::Malformed;
pub(crate) use names::Names;

/// Encoded metas of a frame, at most: they share its header with little else.
const MAX_BYTES: usize = wire::MAX_HEADER as usize - 4096;

/// Kinds that are named in the log, at most: a peer could make up more of them.
const MAX_NAMED: usize = 256;

pub(crate) const CROP: &str = "GstVideoCropMetaAPI";
const REGION: &str = "GstVideoRegionOfInterestMetaAPI";

type AnyMeta<'a> = MetaRef<'a, gst::Meta>;
type Encode = fn(&AnyMeta<'_>) -> Result<Vec<u8>, Malformed>;
type Propose = fn(&mut gst::query::Allocation);

/// A kind of meta that there is a message for.
struct Known {
    api: glib::Type,
    encode: Encode,
    propose: Propose,
}

/// The kinds that there is a message for, but for those of newer releases.
static KINDS: LazyLock<Vec<Known>> = LazyLock::new(|| {
    fn kind<T: MetaAPI>(encode: Encode) -> Known {
        Known { api: T::meta_api(), encode, propose: |query| query.add_allocation_meta::<T>(None) }
    }
    vec![
        kind::<VideoMeta>(|meta| video::layout(of(meta)?).map(encode_meta)),
        kind::<VideoCropMeta>(|meta| Ok(encode_meta(video::crop(of(meta)?)))),
        kind::<VideoRegionOfInterestMeta>(|meta| video::region(of(meta)?)),
        kind::<VideoAffineTransformationMeta>(|meta| Ok(encode_meta(video::affine(of(meta)?)))),
        kind::<VideoTimeCodeMeta>(|meta| video::time_code(of(meta)?).map(encode_meta)),
        kind::<VideoCaptionMeta>(|meta| Ok(encode_meta(video::caption(of(meta)?)))),
        kind::<VideoAFDMeta>(|meta| Ok(encode_meta(video::afd(of(meta)?)))),
        kind::<VideoBarMeta>(|meta| Ok(encode_meta(video::bar(of(meta)?)))),
        kind::<VideoSeiUserDataUnregisteredMeta>(|meta| Ok(encode_meta(video::sei(of(meta)?)))),
        kind::<VideoCodecAlphaMeta>(|meta| video::alpha(of(meta)?).map(encode_meta)),
        kind::<AudioMeta>(|meta| audio::layout(of(meta)?).map(encode_meta)),
        kind::<AudioClippingMeta>(|meta| audio::clipping(of(meta)?).map(encode_meta)),
        kind::<AudioLevelMeta>(|meta| Ok(encode_meta(audio::level(of(meta)?)))),
        kind::<gst::meta::ReferenceTimestampMeta>(|meta| {
            let info = gst_newer::serialize::timestamp_info(meta);
            Ok(encode_meta(generic::reference_timestamp(of(meta)?, info)))
        }),
        kind::<gst::meta::ProtectionMeta>(|meta| generic::protection(of(meta)?).map(encode_meta)),
    ]
});

fn of<'m, 'a, T: MetaAPI>(meta: &'m AnyMeta<'a>) -> Result<&'m MetaRef<'a, T>, Malformed> {
    meta.downcast_ref().ok_or_else(|| Malformed("a meta of another kind".to_owned()))
}

/// Metas that were left behind.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    count: AtomicU64,
    named: Mutex<BTreeSet<String>>,
}

impl Losses {
    /// One more of `kind`; `true` if it is the first of that kind.
    pub(crate) fn add(&self, kind: &str) -> bool {
        self.count.fetch_add(1, Relaxed);
        let mut named = self.named.lock().unwrap();
        named.len() < MAX_NAMED && !named.contains(kind) && named.insert(kind.to_owned())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }
}

/// Tells who asks before it makes buffers which metas travel.
pub(crate) fn propose(query: &mut gst::query::Allocation) {
    KINDS.iter().for_each(|kind| (kind.propose)(query));
    // Nobody upstream can ask for a type that is not there.
    let found = [relation::api(), glib::Type::from_name(deepstream::API)];
    found.into_iter().flatten().for_each(|api| crate::ffi::add_allocation_meta(query, api));
}

/// The metas of `buffer` for the wire, but for its first `VideoMeta`, in order. `lost` is told the kind of each that cannot
/// travel, and why.
pub(crate) fn to_wire(buffer: &gst::BufferRef, mut lost: impl FnMut(&str, &str)) -> Vec<Vec<u8>> {
    let mut encoded = Vec::new();
    let mut room = MAX_BYTES;
    let mut layouts = 0;
    for meta in buffer.iter_meta::<gst::Meta>() {
        let api = meta.api();
        if api == KINDS[0].api {
            layouts += 1;
            if layouts == 1 {
                continue;
            }
        }
        match encode(buffer, &meta, api, &mut lost) {
            Ok(Some(bytes)) if bytes.len() + 8 <= room && encoded.len() < wire::MAX_METAS - 1 => {
                room -= bytes.len() + 8;
                encoded.push(bytes);
            }
            Ok(Some(_)) => lost(api.name(), "there are too many on one buffer"),
            // Of the memory in this process.
            Ok(None) => (),
            Err(err) => lost(api.name(), &err.0),
        }
    }
    encoded
}

/// `None` if it is of no use in another process. `lost` is told of parts that stay behind.
fn encode(
    buffer: &gst::BufferRef,
    meta: &AnyMeta<'_>,
    api: glib::Type,
    lost: &mut dyn FnMut(&str, &str),
) -> Result<Option<Vec<u8>>, Malformed> {
    if let Some(kind) = KINDS.iter().find(|kind| kind.api == api) {
        return (kind.encode)(meta).map(Some);
    }
    if let Some(custom) = meta.try_as_custom_meta() {
        return generic::custom(custom, api).map(|kind| Some(encode_meta(kind)));
    }
    if let Some(kind) = relation::to_wire(buffer, api, lost) {
        return Ok(Some(encode_meta(kind)));
    }
    if let Some(kind) = deepstream::to_wire(buffer, api) {
        return kind.map(|kind| kind.map(encode_meta));
    }
    if gst::meta::meta_api_type_has_tag::<tags::MemoryReference>(api) {
        return Ok(None);
    }
    match gst_newer::serialize::serialize(meta) {
        Some(bytes) => Ok(Some(encode_meta(Kind::Serialized(bytes)))),
        None => Err(Malformed("neither this plugin nor GStreamer can serialise it".to_owned())),
    }
}

/// The crop that `encoded` is, if it is one.
pub(crate) fn crop(encoded: &[u8]) -> Option<wire::VideoCropMeta> {
    // Field 2, with a length: others need not be read for that.
    const TAG: u8 = 2 << 3 | 2;
    match wire::decode_meta(encoded.strip_prefix(&[TAG]).and(Some(encoded))?, 0) {
        Ok(Some(Kind::Crop(crop))) => Some(crop),
        _ => None,
    }
}

/// Whether `encoded` is a layout.
pub(crate) fn is_layout(encoded: &[u8]) -> bool {
    // Field 1, with a length.
    encoded.first() == Some(&(1 << 3 | 2))
}

/// What `encoded` says of a batch of surfaces, if that is what it is.
pub(crate) fn surfaces(encoded: &[u8]) -> Option<wire::SurfacesMeta> {
    // Field 20, with a length.
    let tag = [0xa2, 1];
    match wire::decode_meta(encoded.starts_with(&tag).then_some(encoded)?, 0) {
        Ok(Some(Kind::Surfaces(surfaces))) => Some(surfaces),
        _ => None,
    }
}

/// What `encoded` says of a batch of audio, if that is what it is.
pub(crate) fn audio_batch(encoded: &[u8]) -> Option<wire::AudioBatchMeta> {
    // Field 21, with a length.
    let tag = [0xaa, 1];
    match wire::decode_meta(encoded.starts_with(&tag).then_some(encoded)?, 0) {
        Ok(Some(Kind::AudioBatch(batch))) => Some(batch),
        _ => None,
    }
}

/// What the stream is that a frame is of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stream<'a> {
    /// Raw video.
    pub(crate) video: Option<&'a crate::video::Stream>,
    /// Raw audio, as the caps have it.
    pub(crate) audio: Option<&'a gst_audio::AudioInfo>,
    /// The buffer is a batch of DeepStream's surfaces.
    pub(crate) nvmm: bool,
    /// How many pictures the buffer has.
    pub(crate) pictures: usize,
}

/// Puts `metas` on `buffer`. `lost` is told the kind of each that cannot be put there, and why.
pub(crate) fn attach(
    buffer: &mut gst::BufferRef,
    metas: &[Vec<u8>],
    stream: Stream<'_>,
    names: &mut Names,
    mut lost: impl FnMut(&str, &str),
) {
    let mut params = Vec::new();
    for bytes in metas {
        if let Some(region) = wire::Region::head(bytes) {
            match video::attach_region(buffer, &region, names, &mut params) {
                Ok(true) => continue,
                // What is allowed, or wrong, is found below.
                Ok(false) => (),
                Err(err) => {
                    lost(REGION, &err.0);
                    continue;
                }
            }
        }
        match wire::decode_meta(bytes, buffer.size() as u64) {
            Ok(Some(kind)) => {
                if let Err(err) = attach_one(buffer, &kind, stream, names, &mut lost) {
                    lost(name_of(&kind), &err.0);
                }
            }
            Ok(None) => lost("of a kind that is newer than this plugin", "it is not known here"),
            Err(err) => lost("malformed", &err.to_string()),
        }
    }
}

fn attach_one(
    buffer: &mut gst::BufferRef,
    kind: &Kind,
    stream: Stream<'_>,
    names: &mut Names,
    lost: &mut dyn FnMut(&str, &str),
) -> Result<(), Malformed> {
    match kind {
        Kind::Video(meta) => video::attach_layout(buffer, meta, stream.video),
        Kind::Crop(meta) => video::attach_crop(buffer, meta, stream.video),
        Kind::Region(_) => {
            let bytes = encode_meta(kind.clone());
            let region = wire::Region::head(&bytes);
            let attached = region.map(|region| video::attach_region(buffer, &region, names, &mut Vec::new()));
            match attached.transpose()? {
                Some(true) => Ok(()),
                _ => Err(Malformed(format!("a region: {kind:?}"))),
            }
        }
        Kind::Affine(meta) => video::attach_affine(buffer, meta),
        Kind::TimeCode(meta) => video::attach_time_code(buffer, meta),
        Kind::Caption(meta) => video::attach_caption(buffer, meta),
        Kind::Afd(meta) => video::attach_afd(buffer, meta),
        Kind::Bar(meta) => {
            video::attach_bar(buffer, meta);
            Ok(())
        }
        Kind::Sei(meta) => video::attach_sei(buffer, meta),
        Kind::Audio(meta) => audio::attach_layout(buffer, meta, stream.audio),
        Kind::Clipping(meta) => audio::attach_clipping(buffer, meta),
        Kind::Level(meta) => {
            audio::attach_level(buffer, meta);
            Ok(())
        }
        Kind::Alpha(meta) => {
            video::attach_alpha(buffer, meta);
            Ok(())
        }
        Kind::ReferenceTimestamp(meta) => generic::attach_reference_timestamp(buffer, meta, lost),
        Kind::Protection(meta) => generic::attach_protection(buffer, meta, names),
        Kind::Custom(meta) => generic::attach_custom(buffer, meta, names),
        Kind::Payload(meta) if stream.nvmm => deepstream::attach_payload(buffer, meta, stream.pictures),
        Kind::Payload(meta) => generic::attach_payload(buffer, meta),
        Kind::Batch(meta) => deepstream::attach(buffer, meta, stream.nvmm.then_some(stream.pictures)),
        // What it says of the colours is for those who make surfaces.
        Kind::Surfaces(_) => Ok(()),
        Kind::AudioBatch(batch) if batch.sources.len() > 1 => {
            Err(Malformed(format!("the audio of {} sources in one buffer", batch.sources.len())))
        }
        Kind::AudioBatch(_) => Ok(()),
        Kind::Relation(meta) => relation::attach(buffer, meta, lost),
        Kind::Serialized(bytes) => gst_newer::serialize::deserialize(buffer, bytes)
            .map_err(|err| Malformed(format!("a meta as GStreamer serialises it: {err}"))),
    }
}

fn name_of(kind: &Kind) -> &str {
    match kind {
        Kind::Video(_) => "GstVideoMetaAPI",
        Kind::Crop(_) => CROP,
        Kind::Region(_) => REGION,
        Kind::Affine(_) => "GstVideoAffineTransformationAPI",
        Kind::TimeCode(_) => "GstVideoTimeCodeMetaAPI",
        Kind::Caption(_) => "GstVideoCaptionMetaAPI",
        Kind::Afd(_) => "GstVideoAFDMetaAPI",
        Kind::Bar(_) => "GstVideoBarMetaAPI",
        Kind::Sei(_) => "GstVideoSEIUserDataUnregisteredMetaAPI",
        Kind::Audio(_) => "GstAudioMetaAPI",
        Kind::Clipping(_) => "GstAudioClippingMetaAPI",
        Kind::Level(_) => "GstAudioLevelMetaAPI",
        Kind::Alpha(_) => "GstVideoCodecAlphaMetaAPI",
        Kind::ReferenceTimestamp(_) => generic::TIMESTAMP,
        Kind::Protection(_) => "GstProtectionMetaAPI",
        Kind::Custom(custom) => &custom.name,
        Kind::Payload(_) => generic::PAYLOAD,
        Kind::Batch(_) => deepstream::API,
        Kind::Surfaces(_) => "NvBufSurface",
        Kind::AudioBatch(_) => "NvBufAudio",
        Kind::Relation(_) => relation::API,
        Kind::Serialized(_) => "serialised by GStreamer",
    }
}
