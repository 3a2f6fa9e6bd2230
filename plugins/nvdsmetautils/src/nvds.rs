//! DeepStream's own metadata, where its libraries are, and on buffers that have it or are to have it.

use deepstream::DeepStream;
use dsmeta::{Batch, Payload, PayloadKind};

use crate::{CAT, Error};

/// What the `NvDsBatchMeta` of `buffer` says, if it has one.
pub(crate) fn read(buffer: &gst::BufferRef) -> Result<Option<Batch>, Error> {
    DeepStream::of(buffer).map_or(Ok(None), |deepstream| Ok(deepstream.read(buffer)?))
}

/// Puts `payload` where NVIDIA's elements look for it, in the `NvDsBatchMeta` of `buffer`, in place of one of ours.
pub(crate) fn attach(buffer: &mut gst::BufferRef, payload: &Payload) -> Result<(), Error> {
    let Some(deepstream) = DeepStream::of(buffer) else { return Ok(()) };
    detach(buffer);
    Ok(deepstream.set_payload(buffer, payload.kind.number(), &payload.bytes)?)
}

/// The payload that an element of NVIDIA's, or ours, put there. Only the first counts, as for NVIDIA's.
pub(crate) fn find(buffer: &gst::BufferRef) -> Option<Payload> {
    let (kind, bytes) = DeepStream::of(buffer)?.payload(buffer)?;
    Some(Payload { kind: PayloadKind::try_from(kind).ok()?, bytes })
}

/// Takes away what [`find`] finds.
pub(crate) fn detach(buffer: &mut gst::BufferRef) {
    if find(buffer).is_some()
        && let Some(deepstream) = DeepStream::of(buffer)
    {
        deepstream.remove_payload(buffer);
    }
}

/// Writes `batch` into the `NvDsBatchMeta` of `buffer`, which it gets if it is of DeepStream's memory and has none. False if
/// it has none and needs none.
pub(crate) fn write(buffer: &mut gst::BufferRef, batch: &Batch, nvmm: bool) -> Result<bool, Error> {
    let nvmm = nvmm || (buffer.n_memory() > 0 && buffer.peek_memory(0).is_type("nvds"));
    let deepstream = if nvmm {
        DeepStream::load().map_err(|err| gst::debug!(CAT, "{err}")).ok()
    } else {
        DeepStream::of(buffer)
    };
    let Some(deepstream) = deepstream else { return Ok(false) };
    let there = deepstream.read(buffer)?.filter(|there| frames(there) > 0);
    if let Some(there) = there {
        let mut batch = batch.clone();
        remove_known(&mut batch, &there);
        deepstream.attach(buffer, &batch)?;
    } else {
        // Elements take each frame for one of the buffer's surfaces.
        let surfaces = if nvmm { surfaces(buffer, batch) } else { 1 };
        if frames(batch) > surfaces {
            return Err(Error::Frames { payload: frames(batch), buffer: surfaces });
        }
        deepstream.attach(buffer, batch)?;
    }
    Ok(true)
}

fn frames(batch: &Batch) -> usize {
    match batch {
        Batch::Video(batch) => batch.frames.len(),
        Batch::Audio(batch) => batch.frames.len(),
    }
}

/// How many frames there are in DeepStream's memory, which holds a `NvBufSurface`, or a `NvBufAudio`.
fn surfaces(buffer: &gst::BufferRef, batch: &Batch) -> usize {
    let Ok(map) = buffer.map_readable() else { return 0 };
    let number = |at: usize| map.get(at..at + 4).map_or(0, |n| u32::from_ne_bytes([n[0], n[1], n[2], n[3]]));
    // Room, and how much of it is used.
    let (room, used) = match (batch, map.len()) {
        (Batch::Video(_), 64 | 72) => (number(4), number(8)),
        (Batch::Audio(_), 24) => (number(4), number(0)),
        _ => (0, 0),
    };
    used.min(room) as usize
}

/// Takes out of `batch` what the same frames have already: it came from there, and both are in one process.
fn remove_known(batch: &mut Batch, there: &Batch) {
    match (batch, there) {
        (Batch::Video(batch), Batch::Video(there)) => {
            for (frame, there) in batch.frames.iter_mut().zip(&there.frames) {
                if frame.objects == there.objects {
                    frame.objects.clear();
                }
                if frame.displays == there.displays {
                    frame.displays.clear();
                }
            }
        }
        (Batch::Audio(batch), Batch::Audio(there)) => {
            for (frame, there) in batch.frames.iter_mut().zip(&there.frames) {
                if frame.classifiers == there.classifiers {
                    frame.classifiers.clear();
                }
            }
        }
        // Refused when it is attached.
        _ => {}
    }
}
