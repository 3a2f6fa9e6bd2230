//! The metas of a frame to bytes and back.

use prost::Message as _;

use crate::codec::{check_length, check_text};
use crate::frame::{MAX_MEMORIES, check_count};
use crate::meta::Kind;
use crate::relation_meta::thing;
use crate::{
    Alignment, AudioMeta, CustomMeta, DecodeError, Meta, RegionOfInterestMeta, RelationMeta, Structure,
    TimeCodeMeta, VideoMeta, structure,
};

/// Most planes of a video frame, as GStreamer has it.
pub const MAX_PLANES: usize = 4;

/// Largest width, height and padding of a video frame, in pixels.
pub const MAX_DIMENSION: u32 = 1 << 20;

/// Longest name of a video format, in bytes.
pub const MAX_FORMAT_NAME: usize = 32;

/// Most audio channels, as GStreamer has it.
pub const MAX_CHANNELS: usize = 64;

/// Longest name of a kind of object or class, in bytes.
pub const MAX_LABEL: usize = 1024;

/// Most parameters of a region of interest.
pub const MAX_PARAMS: usize = 64;

/// Longest name of a custom meta and of one of its tags, in bytes.
pub const MAX_META_NAME: usize = 64;

/// Most fields of a structure that does not travel as text.
pub const MAX_FIELDS: usize = 256;

/// Most tags of a custom meta.
pub const MAX_TAGS: usize = 16;

/// Most things in a relation meta, and most classes of one thing.
pub const MAX_THINGS: usize = 4096;

/// Most relations in a relation meta.
pub const MAX_LINKS: usize = 65_536;

/// Most surfaces that a batch has room for.
pub const MAX_BATCH: u32 = 1024;

/// Longest text form of a time, in bytes.
const MAX_TIME_TEXT: usize = 64;

/// A meta as it stands in a [`FrameHeader`](crate::FrameHeader).
pub fn encode_meta(kind: Kind) -> Vec<u8> {
    Meta { kind: Some(kind) }.encode_to_vec()
}

/// Reads one of the metas of a frame with a payload of `payload_len` bytes. `None` is a kind that this version does not know.
///
/// What is checked is what the bytes alone can tell, and that planes begin in the payload: counts, lengths of texts, ranges,
/// references. Texts of structures and caps are GStreamer's to parse.
pub fn decode_meta(bytes: &[u8], payload_len: u64) -> Result<Option<Kind>, DecodeError> {
    let meta = Meta::decode(bytes).map_err(|cause| DecodeError::Malformed { what: "a meta", cause })?;
    match &meta.kind {
        Some(Kind::Video(video)) => check_video(video, payload_len)?,
        Some(Kind::Region(region)) => check_region(region)?,
        Some(Kind::Affine(affine)) => check_exactly("numbers in a matrix", affine.matrix.len(), 16)?,
        Some(Kind::Audio(audio)) => check_audio(audio, payload_len)?,
        Some(Kind::Level(level)) => check_range("an audio level", level.level.into(), 0, 127)?,
        Some(Kind::ReferenceTimestamp(time)) => {
            check_plain("a reference clock", &time.reference)?;
            check_plain("what is known of a timestamp", &time.info)?;
        }
        Some(Kind::TimeCode(time)) => check_time_code(time)?,
        Some(Kind::Caption(caption)) => {
            check_range("the length of a caption", caption.data.len() as u64, 1, u64::MAX)?;
        }
        Some(Kind::Afd(afd)) => {
            check_range("the field of an AFD", afd.field.into(), 0, 1)?;
            check_range("the standard of an AFD", afd.spec.into(), 0, 2)?;
            check_range("an AFD", afd.afd.into(), 0, 15)?;
        }
        Some(Kind::Bar(bar)) => check_range("the field of bar data", bar.field.into(), 0, 1)?,
        Some(Kind::Protection(structure)) => check_structure(structure)?,
        Some(Kind::Custom(custom)) => check_custom(custom)?,
        Some(Kind::Sei(sei)) => check_exactly("bytes in the UUID of an SEI message", sei.uuid.len(), 16)?,
        Some(Kind::Relation(relation)) => check_relation(relation)?,
        Some(Kind::Surfaces(surfaces)) => {
            check_range("the size of a batch", surfaces.batch_size.into(), 1, MAX_BATCH.into())?;
            check_count("surfaces in a batch", surfaces.colors.len(), MAX_MEMORIES)?;
        }
        Some(Kind::AudioBatch(batch)) => {
            check_range("the size of a batch", batch.batch_size.into(), 1, MAX_BATCH.into())?;
            check_count("sources in a batch", batch.sources.len(), MAX_MEMORIES)?;
        }
        Some(
            Kind::Crop(_)
            | Kind::Clipping(_)
            | Kind::Payload(_)
            | Kind::Batch(_)
            | Kind::Serialized(_)
            | Kind::Alpha(_),
        )
        | None => {}
    }
    Ok(meta.kind)
}

fn check_video(video: &VideoMeta, payload_len: u64) -> Result<(), DecodeError> {
    check_text("the name of a video format", &video.format, MAX_FORMAT_NAME)?;
    for (what, value) in
        [("the width of a video frame", video.width), ("the height of a video frame", video.height)]
    {
        check_range(what, value.into(), 1, MAX_DIMENSION.into())?;
    }
    check_count("planes in a video frame", video.offsets.len(), MAX_PLANES)?;
    if video.offsets.len() != video.strides.len() {
        return Err(DecodeError::PlanesMismatch {
            offsets: video.offsets.len(),
            strides: video.strides.len(),
        });
    }
    check_offsets("a video plane", &video.offsets, payload_len)?;
    video.alignment.as_ref().map_or(Ok(()), check_alignment)
}

fn check_alignment(alignment: &Alignment) -> Result<(), DecodeError> {
    check_exactly("sides in a padding", alignment.padding.len(), 4)?;
    for padding in &alignment.padding {
        check_range("the padding of a video frame", (*padding).into(), 0, MAX_DIMENSION.into())?;
    }
    check_count("planes in a video frame", alignment.strides.len(), MAX_PLANES)
}

fn check_region(region: &RegionOfInterestMeta) -> Result<(), DecodeError> {
    check_text("the type of a region of interest", &region.r#type, MAX_LABEL)?;
    check_count("parameters of a region of interest", region.params.len(), MAX_PARAMS)?;
    region.params.iter().try_for_each(check_structure)
}

fn check_audio(audio: &AudioMeta, payload_len: u64) -> Result<(), DecodeError> {
    check_plain("the format of audio", &audio.caps)?;
    check_count("audio channels", audio.offsets.len(), MAX_CHANNELS)?;
    check_range("the number of samples", audio.samples, 0, payload_len)?;
    check_offsets("an audio channel", &audio.offsets, payload_len)
}

fn check_time_code(time: &TimeCodeMeta) -> Result<(), DecodeError> {
    let most = i32::MAX as u64;
    check_range("the frame rate of a time code", time.fps_numerator.into(), 1, most)?;
    check_range("the frame rate of a time code", time.fps_denominator.into(), 1, most)?;
    check_text("the daily jam of a time code", &time.daily_jam, MAX_TIME_TEXT)
}

fn check_custom(custom: &CustomMeta) -> Result<(), DecodeError> {
    check_name("the name of a custom meta", &custom.name)?;
    check_count("tags of a custom meta", custom.tags.len(), MAX_TAGS)?;
    custom.tags.iter().try_for_each(|tag| check_name("a tag of a custom meta", tag))?;
    custom.structure.as_ref().map_or(Ok(()), check_structure)
}

fn check_structure(structure: &Structure) -> Result<(), DecodeError> {
    check_plain("a structure", &structure.text)?;
    check_count("fields in a structure", structure.fields.len(), MAX_FIELDS)?;
    if structure.text.is_empty() {
        check_name_of_structure(&structure.name)?;
    }
    for field in &structure.fields {
        check_plain("the name of a field", &field.name)?;
        if field.name.is_empty() {
            return Err(DecodeError::Name { what: "the name of a field" });
        }
        if let Some(structure::field::Value::String(text)) = &field.value {
            check_plain("a field of a structure", text)?;
        }
    }
    Ok(())
}

fn check_relation(relation: &RelationMeta) -> Result<(), DecodeError> {
    check_count("things in a relation meta", relation.things.len(), MAX_THINGS)?;
    check_count("relations in a relation meta", relation.links.len(), MAX_LINKS)?;
    for thing in &relation.things {
        match &thing.kind {
            Some(thing::Kind::Object(object)) => {
                check_text("the kind of an object", &object.r#type, MAX_LABEL)?;
            }
            Some(thing::Kind::Classes(classes)) => {
                check_count("classes", classes.classes.len(), MAX_THINGS)?;
                classes
                    .classes
                    .iter()
                    .try_for_each(|class| check_text("the name of a class", &class.name, MAX_LABEL))?;
            }
            Some(thing::Kind::Segmentation(mask)) => {
                check_text("the name of a video format", &mask.format, MAX_FORMAT_NAME)?;
                check_count("regions in a mask", mask.regions.len(), MAX_LINKS)?;
            }
            Some(thing::Kind::Tracking(_)) | None => {}
        }
    }
    let things = relation.things.len() as u64;
    relation.links.iter().flat_map(|link| [link.from, link.to]).try_for_each(|thing| {
        check_range("a thing that a relation names", thing.into(), 0, things.saturating_sub(1))
    })
}

/// As GStreamer has it.
pub(crate) fn check_name_of_structure(name: &str) -> Result<(), DecodeError> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"/-_.:+".contains(&c);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.bytes().all(allowed) {
        return Err(DecodeError::Name { what: "the name of a structure" });
    }
    Ok(())
}

pub(crate) fn check_plain(what: &'static str, text: &str) -> Result<(), DecodeError> {
    check_text(what, text, usize::MAX)
}

/// Letters, digits, `-` and `_`, and at least one of them.
fn check_name(what: &'static str, name: &str) -> Result<(), DecodeError> {
    check_length(what, name.len(), MAX_META_NAME)?;
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        return Err(DecodeError::Name { what });
    }
    Ok(())
}

fn check_range(what: &'static str, value: u64, min: u64, max: u64) -> Result<(), DecodeError> {
    if !(min..=max).contains(&value) {
        return Err(DecodeError::OutOfRange { what, value, min, max });
    }
    Ok(())
}

fn check_exactly(what: &'static str, count: usize, needed: usize) -> Result<(), DecodeError> {
    if count != needed {
        return Err(DecodeError::Count { what, count, needed });
    }
    Ok(())
}

fn check_offsets(what: &'static str, offsets: &[u64], payload: u64) -> Result<(), DecodeError> {
    match offsets.iter().find(|offset| **offset > payload) {
        Some(&offset) => Err(DecodeError::PlanePastPayload { what, offset, payload }),
        None => Ok(()),
    }
}
