//! Control messages to bytes and back.

use prost::Message as _;

use crate::message::Kind;
use crate::stream_event::Event;
use crate::{DecodeError, Hello, Message, Segment, SharedMemory, StreamEvent};

/// Longest encoded [`Message`], in bytes.
pub const MAX_MESSAGE: usize = 16 << 20;

/// Longest text in a [`Hello`], in bytes.
pub const MAX_HELLO_TEXT: usize = 256;

/// Longest key of shared memory, in bytes.
pub const MAX_KEY: usize = 4096;

/// Length of a challenge and of a proof, in bytes.
pub const PROOF_LEN: usize = 32;

/// Longest text of a [`Refusal`](crate::Refusal) or a [`Bye`](crate::Bye), in bytes.
pub const MAX_REASON: usize = 4096;

impl From<Kind> for Message {
    fn from(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

/// The data of an [`AM_CONTROL`](crate::AM_CONTROL) message. A reader refuses it if it is longer than [`MAX_MESSAGE`].
pub fn encode_message(message: &Message) -> Vec<u8> {
    message.encode_to_vec()
}

/// Reads the data of an [`AM_CONTROL`](crate::AM_CONTROL) message. `None` is a message this version does not know: skip
/// it.
///
/// An event of a kind this version does not know comes as a [`StreamEvent`] without `event`: its sequence number counts,
/// although there is nothing to pass on.
///
/// Whether role and buffer type of a [`Hello`] are known is for [`accept`](crate::accept) to say, so that the peer gets
/// an answer with the reason. Enumerations elsewhere may hold numbers that this version does not know.
pub fn decode_message(bytes: &[u8]) -> Result<Option<Kind>, DecodeError> {
    check_length("a message", bytes.len(), MAX_MESSAGE)?;
    let message =
        Message::decode(bytes).map_err(|cause| DecodeError::Malformed { what: "a message", cause })?;
    match &message.kind {
        Some(Kind::Hello(hello) | Kind::Welcome(hello)) => check_hello(hello)?,
        Some(Kind::Refusal(refusal)) => check_text("the text of a refusal", &refusal.text, MAX_REASON)?,
        Some(Kind::Bye(bye)) => check_text("the reason of a bye", &bye.reason, MAX_REASON)?,
        Some(Kind::Event(event)) => check_event(event)?,
        Some(Kind::Upstream(upstream)) => {
            check_text("the structure of an upstream event", &upstream.structure, MAX_MESSAGE)?;
        }
        Some(Kind::Share(share)) => share.ring.as_ref().map_or(Ok(()), check_memory)?,
        Some(Kind::Shared(shared)) => {
            check_text("the reason for not sharing memory", &shared.reason, MAX_REASON)?;
        }
        Some(Kind::Memory(memory)) => check_memory(memory)?,
        Some(Kind::Opened(opened)) => {
            check_text("the reason for not opening memory", &opened.reason, MAX_REASON)?;
        }
        Some(Kind::Challenge(challenge)) => check_proof("a challenge", &challenge.challenge)?,
        Some(Kind::Proof(proof)) => check_proof("a proof", &proof.proof)?,
        Some(Kind::Sealed(sealed)) => check_proof("the proof of a sealed message", &sealed.proof)?,
        Some(Kind::Ping(_) | Kind::Pong(_) | Kind::Ack(_) | Kind::Latency(_) | Kind::MemoryGone(_))
        | None => {}
    }
    Ok(message.kind)
}

/// An event as it stands in a [record](crate::RecordHead).
pub fn encode_event(event: &StreamEvent) -> Vec<u8> {
    event.encode_to_vec()
}

/// Reads an event from a record, with the limits of [`decode_message`].
pub fn decode_event(bytes: &[u8]) -> Result<StreamEvent, DecodeError> {
    check_length("an event", bytes.len(), MAX_MESSAGE)?;
    let event =
        StreamEvent::decode(bytes).map_err(|cause| DecodeError::Malformed { what: "an event", cause })?;
    check_event(&event)?;
    Ok(event)
}

/// Length of an event on the wire, in bytes.
pub fn event_len(event: &StreamEvent) -> u64 {
    event.encoded_len() as u64
}

fn check_hello(hello: &Hello) -> Result<(), DecodeError> {
    check_text("the software name in a hello", &hello.software, MAX_HELLO_TEXT)?;
    check_text("the UCX version in a hello", &hello.ucx_version, MAX_HELLO_TEXT)?;
    check_text("the host in a hello", &hello.host, MAX_HELLO_TEXT)?;
    check_text("the devices in a hello", &hello.devices, MAX_HELLO_TEXT)?;
    if hello.challenge.is_empty() {
        Ok(())
    } else {
        check_proof("the challenge in a hello", &hello.challenge)
    }
}

fn check_proof(what: &'static str, bytes: &[u8]) -> Result<(), DecodeError> {
    check_length(what, bytes.len(), PROOF_LEN)?;
    if bytes.len() < PROOF_LEN {
        return Err(DecodeError::Short { what, len: bytes.len(), needed: PROOF_LEN });
    }
    Ok(())
}

fn check_memory(memory: &SharedMemory) -> Result<(), DecodeError> {
    check_length("the key of shared memory", memory.key.len(), MAX_KEY)
}

fn check_event(event: &StreamEvent) -> Result<(), DecodeError> {
    match &event.event {
        Some(Event::StreamStart(start)) => check_text("a stream id", &start.stream_id, MAX_MESSAGE),
        Some(Event::Caps(caps)) => check_text("caps", caps, MAX_MESSAGE),
        Some(Event::Segment(segment)) => check_segment(segment),
        Some(Event::Structured(event)) => {
            check_text("the structure of an event", &event.structure, MAX_MESSAGE)
        }
        Some(Event::Gap(_) | Event::Eos(_) | Event::Flush(_) | Event::Ring(_) | Event::RunningTime(_))
        | None => Ok(()),
    }
}

fn check_segment(segment: &Segment) -> Result<(), DecodeError> {
    let rates =
        [("the rate of a segment", segment.rate), ("the applied rate of a segment", segment.applied_rate)];
    for (what, value) in rates {
        if !value.is_finite() || value == 0.0 {
            return Err(DecodeError::Rate { what, value });
        }
    }
    Ok(())
}

pub(crate) fn check_length(what: &'static str, len: usize, limit: usize) -> Result<(), DecodeError> {
    if len > limit {
        return Err(DecodeError::TooLong { what, len: len as u64, limit: limit as u64 });
    }
    Ok(())
}

pub(crate) fn check_text(what: &'static str, text: &str, limit: usize) -> Result<(), DecodeError> {
    check_length(what, text.len(), limit)?;
    if text.contains('\0') {
        return Err(DecodeError::Nul { what });
    }
    Ok(())
}
