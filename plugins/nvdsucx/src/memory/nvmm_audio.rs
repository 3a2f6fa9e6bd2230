//! DeepStream's batches of audio. They travel as a frame with a memory for each source.

use deepstream::nvmm::{self, Audio};
use gst_audio::{AudioFormat, AudioInfo, AudioLayout};
use nvdsucx_session::wire::audio_batch_meta::Source;
use nvdsucx_session::wire::{self, MAX_MEMORIES, meta::Kind};
use nvdsucx_session::{Frame, ReceivedFrame};

use super::cuda::{bring_home, regions};
use crate::buffer::{self, Arrived, Unusable};
use crate::event::Malformed;
use crate::meta;

/// GStreamer's formats in the order of DeepStream's numbers for them, from 1 on.
const FORMATS: [AudioFormat; 30] = [
    AudioFormat::S8,
    AudioFormat::U8,
    AudioFormat::S16le,
    AudioFormat::S16be,
    AudioFormat::U16le,
    AudioFormat::U16be,
    AudioFormat::S2432le,
    AudioFormat::S2432be,
    AudioFormat::U2432le,
    AudioFormat::U2432be,
    AudioFormat::S32le,
    AudioFormat::S32be,
    AudioFormat::U32le,
    AudioFormat::U32be,
    AudioFormat::S24le,
    AudioFormat::S24be,
    AudioFormat::U24le,
    AudioFormat::U24be,
    AudioFormat::S20le,
    AudioFormat::S20be,
    AudioFormat::U20le,
    AudioFormat::U20be,
    AudioFormat::S18le,
    AudioFormat::S18be,
    AudioFormat::U18le,
    AudioFormat::U18be,
    AudioFormat::F32le,
    AudioFormat::F32be,
    AudioFormat::F64le,
    AudioFormat::F64be,
];

/// `buffer`, which is of a stream of audio with `memory:NVMM`, for the wire. Nothing is copied. `lost` is as for
/// [`to_frame`](buffer::to_frame).
pub(crate) fn to_frame(buffer: &gst::Buffer, lost: impl FnMut(&str, &str)) -> Result<Frame, Malformed> {
    // SAFETY: the caps say so, and elements that give NVMM memory keep to what DeepStream means by that.
    let exported = unsafe { nvmm::export_audio(buffer) }.map_err(|err| Malformed(err.to_string()))?;
    if exported.audio.len() > MAX_MEMORIES {
        return Err(Malformed(format!(
            "a batch of {} sources, more than {MAX_MEMORIES}",
            exported.audio.len()
        )));
    }
    let mut header = buffer::header(buffer);
    header.metas.push(wire::encode_meta(Kind::AudioBatch(wire::AudioBatchMeta {
        batch_size: exported.batch_size.max(1),
        sources: exported.audio.iter().map(source).collect(),
    })));
    header.metas.append(&mut meta::to_wire(buffer, lost));
    Ok(Frame { header, regions: exported.regions })
}

fn source(audio: &Audio) -> Source {
    let some = |time: u64| (time != u64::MAX).then_some(time);
    Source {
        layout: audio.layout.cast_unsigned(),
        format: audio.format.cast_unsigned(),
        bytes_per_frame: audio.bytes_per_frame,
        channels: audio.channels,
        rate: audio.rate,
        pad_id: audio.pad_id,
        source_id: audio.source_id,
        ntp_timestamp: audio.ntp_timestamp,
        pts: some(audio.pts),
        duration: some(audio.duration),
    }
}

/// The buffer that `frame` was, as a batch with room for `batch_size` sources. `stream` is what the caps say.
pub(crate) fn import(frame: ReceivedFrame, batch_size: u32, stream: &AudioInfo) -> Result<Arrived, Unusable> {
    let ReceivedFrame { mut header, payload, discontinuity, .. } = frame;
    let batch = header.metas.iter().find_map(|meta| meta::audio_batch(meta));
    header.metas.retain(|meta| meta::audio_batch(meta).is_none());
    let mut bytes = Vec::new();
    for region in regions(bring_home(payload)?) {
        bytes.extend_from_slice(region.host_bytes().unwrap_or_default());
    }
    let audio = match batch {
        Some(batch) => {
            if batch.sources.len() > batch_size as usize {
                return Err(Unusable::Settings(format!(
                    "a batch of {} sources does not fit nvbuf-batch-size={batch_size}: set it to {}, as the sender's batches have it",
                    batch.sources.len(),
                    batch.batch_size
                )));
            }
            if batch.sources.len() != header.memories.len() {
                let memories = header.memories.len();
                let text = format!("a batch of {} sources in {memories} memories", batch.sources.len());
                return Err(Malformed(text).into());
            }
            // The lengths add up: the session has seen to that.
            let mut rest = bytes.as_slice();
            let lengths = header.memories.iter().map(|len| usize::try_from(*len).unwrap_or(usize::MAX));
            let cut = |(source, len): (&Source, usize)| {
                let (own, others) = rest.split_at_checked(len)?;
                rest = others;
                Some((checked(source, stream, len)?, own.to_vec()))
            };
            let audio = batch.sources.iter().zip(lengths).map(cut).collect::<Option<Vec<_>>>();
            audio.ok_or_else(|| {
                Malformed(format!("a batch of audio that is not as its caps say: {batch:?}"))
            })?
        }
        None => vec![(of_stream(stream, &header), bytes)],
    };
    let sources = audio.len();
    let memory = nvmm::audio_memory(batch_size, audio).map_err(|err| Unusable::Gpu(err.to_string()))?;
    let mut buffer = gst::Buffer::new();
    buffer.make_mut().append_memory(memory);
    let mut arrived = buffer::describe(buffer, header, None)?;
    arrived.surfaces = Some(sources);
    if discontinuity {
        arrived.set_discontinuity();
    }
    Ok(arrived)
}

/// What the sender says of `len` bytes, if it fits them and the stream: elements trust it.
fn checked(source: &Source, stream: &AudioInfo, len: usize) -> Option<Audio> {
    let mut audio = of_stream(stream, &wire::FrameHeader::default());
    let own = (source.layout, source.format, source.bytes_per_frame, source.channels, source.rate);
    let expected = (
        audio.layout.cast_unsigned(),
        audio.format.cast_unsigned(),
        audio.bytes_per_frame,
        audio.channels,
        audio.rate,
    );
    audio.pad_id = source.pad_id;
    audio.source_id = source.source_id;
    audio.ntp_timestamp = source.ntp_timestamp;
    audio.pts = source.pts.unwrap_or(u64::MAX);
    audio.duration = source.duration.unwrap_or(u64::MAX);
    (own == expected && len.is_multiple_of(audio.bytes_per_frame.max(1) as usize)).then_some(audio)
}

/// What is said of a buffer of a stream that was no batch.
fn of_stream(stream: &AudioInfo, header: &wire::FrameHeader) -> Audio {
    let number = FORMATS.iter().position(|format| *format == stream.format());
    Audio {
        layout: if stream.layout() == AudioLayout::Interleaved { 1 } else { 2 },
        format: number.and_then(|at| i32::try_from(at + 1).ok()).unwrap_or_default(),
        bytes_per_frame: stream.bpf(),
        channels: stream.channels(),
        rate: stream.rate(),
        pts: header.pts.unwrap_or(u64::MAX),
        duration: header.duration.unwrap_or(u64::MAX),
        ..Audio::default()
    }
}

#[cfg(test)]
mod tests {
    use nvdsucx_session::Payload;

    use super::*;
    use crate::meta::{Names, Stream};

    fn stream() -> AudioInfo {
        gst::init().unwrap();
        AudioInfo::builder(AudioFormat::F32le, 48_000, 2).build().unwrap()
    }

    fn buffer(batch_size: u32, sources: &[(u32, usize)]) -> gst::Buffer {
        let audio = sources.iter().map(|(id, frames)| {
            let audio =
                Audio { source_id: *id, pad_id: id + 10, ..of_stream(&stream(), &Default::default()) };
            (audio, vec![*id as u8; frames * 8])
        });
        let mut buffer = gst::Buffer::new();
        buffer.make_mut().append_memory(nvmm::audio_memory(batch_size, audio.collect()).unwrap());
        buffer
    }

    fn received(frame: Frame) -> ReceivedFrame {
        let bytes: Vec<u8> =
            frame.regions.iter().flat_map(|region| region.host_bytes().unwrap()).copied().collect();
        let memories = frame.regions.iter().map(|region| region.len() as u64).collect();
        let header = wire::FrameHeader { memories, ..frame.header };
        ReceivedFrame { header, payload: Payload::Copied(bytes.into()), discontinuity: false }
    }

    fn nothing_lost(kind: &str, why: &str) {
        panic!("{kind}: {why}");
    }

    fn departing(buffer: &gst::Buffer) -> Frame {
        to_frame(buffer, nothing_lost).unwrap()
    }

    #[test]
    fn a_batch_of_audio_arrives_as_it_was() {
        let sent = departing(&buffer(4, &[(1, 480), (2, 0), (3, 240)]));
        assert_eq!(
            sent.regions.iter().map(nvdsucx_session::Region::len).collect::<Vec<_>>(),
            [3840, 0, 1920]
        );
        let arrived = import(received(sent.clone()), 4, &stream()).unwrap();
        let arrived = arrived.complete(Stream::default(), &mut Names::default(), nothing_lost);
        let again = departing(&arrived);
        assert_eq!(again.header.metas, sent.header.metas);
        for (again, sent) in again.regions.iter().zip(&sent.regions) {
            assert_eq!(again.host_bytes(), sent.host_bytes());
        }
    }

    #[test]
    fn plain_audio_becomes_a_batch_of_one() {
        let header = wire::FrameHeader { memories: vec![16], pts: Some(7), ..wire::FrameHeader::default() };
        let payload = Payload::Copied(vec![5; 16].into());
        let arrived = import(ReceivedFrame { header, payload, discontinuity: true }, 2, &stream()).unwrap();
        let arrived = arrived.complete(Stream::default(), &mut Names::default(), nothing_lost);
        // SAFETY: it was made here.
        let exported = unsafe { nvmm::export_audio(&arrived) }.unwrap();
        assert_eq!((exported.batch_size, exported.audio.len()), (2, 1));
        let audio = &exported.audio[0];
        assert_eq!((audio.format, audio.layout, audio.channels, audio.pts), (27, 1, 2, 7));
        assert_eq!(exported.regions[0].host_bytes(), Some(&[5; 16][..]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let sent = || received(departing(&buffer(4, &[(1, 480), (2, 10), (3, 240)])));
        let error = import(sent(), 2, &stream()).err().unwrap().to_string();
        assert!(error.contains("nvbuf-batch-size=2") && error.contains("set it to 4"), "{error}");
        let other = AudioInfo::builder(AudioFormat::S16le, 48_000, 2).build().unwrap();
        assert!(matches!(import(sent(), 4, &other), Err(Unusable::Malformed(_))));
        for memories in [vec![3841, 79, 1920], vec![3840, 2000], vec![u64::MAX, 1, 2]] {
            let mut wrong = sent();
            wrong.header.memories = memories;
            assert!(matches!(import(wrong, 4, &stream()), Err(Unusable::Malformed(_))));
        }
    }

    #[test]
    fn other_memory_is_refused() {
        gst::init().unwrap();
        for len in [0, 23, 25, 72] {
            let error = to_frame(&gst::Buffer::from_mut_slice(vec![0; len]), nothing_lost).err().unwrap();
            assert!(error.0.contains("NvBufAudio"), "{}", error.0);
        }
        // 2 of 1 buffers.
        let mut bytes = vec![0; 24];
        (bytes[0], bytes[4]) = (2, 1);
        assert!(to_frame(&gst::Buffer::from_mut_slice(bytes), nothing_lost).is_err());
    }
}
