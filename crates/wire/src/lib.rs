//! The nvdsucx protocol: bytes in, values out, no I/O.
//!
//! * the schema's messages ([`Message`], [`Hello`], [`StreamEvent`], [`FrameHeader`], ...), generated from
//!   `proto/nvdsucx.proto`;
//! * what goes in front of them: the [`Prefix`] of an active message header and the [client id](client_id) of a
//!   connection request;
//! * bytes to values, every limit checked: [`decode_message`], [`decode_frame`], [`decode_trailer`], [`decode_meta`]; and
//!   back: [`encode_message`], [`FrameHeader::encode_for`], [`encode_meta`];
//! * the same for the [records](RecordHead) of a ring in shared memory;
//! * decisions: [`accept`], [`keys_agree`], [`ucx_compatible`], [`devices_in_common`];
//! * the state that a sender repeats to each peer that joins: [`StickyEvents`].
//!
//! Nothing here trusts what it reads: whatever the bytes, the outcome is a checked value or a [`DecodeError`].
#![forbid(unsafe_code)]

mod codec;
mod error;
mod frame;
mod greeting;
mod metas;
mod negotiate;
mod prefix;
mod record;
mod region;
mod sticky;

mod schema {
    #![allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
    include!(concat!(env!("OUT_DIR"), "/nvdsucx.v1.rs"));
}

pub use schema::*;

pub use codec::{
    MAX_HELLO_TEXT, MAX_KEY, MAX_MESSAGE, MAX_REASON, PROOF_LEN, decode_event, decode_message, encode_event,
    encode_message, event_len,
};
pub use error::DecodeError;
pub use frame::{
    EncodedHeader, FrameArrival, MAX_HEADER, MAX_MEMORIES, MAX_METAS, decode_frame, decode_trailer,
};
pub use greeting::{Greeting, MAX_GREETING, PREAMBLE, decode_greeting, encode_greeting};
pub use metas::{
    MAX_BATCH, MAX_CHANNELS, MAX_DIMENSION, MAX_FIELDS, MAX_FORMAT_NAME, MAX_LABEL, MAX_LINKS, MAX_META_NAME,
    MAX_PARAMS, MAX_PLANES, MAX_TAGS, MAX_THINGS, decode_meta, encode_meta,
};
pub use negotiate::{accept, devices_in_common, keys_agree, keys_differ, ucx_compatible};
pub use prefix::{
    AM_CONTROL, AM_FRAME, CLIENT_ID_MAGIC, OLDEST_VERSION, Prefix, VERSION, client_id, is_native_client_id,
};
pub use record::{MAX_SPANS, RecordHead, RecordKind, Span};
pub use region::{FieldValue, Param, ParamWriter, Region, RegionWriter, Shape, ShapeValues};
pub use sticky::{MAX_STICKY, StickyEvents, is_sticky};
