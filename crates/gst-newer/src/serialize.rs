//! Metas in GStreamer's own serialisation, which came with 1.24.
//!
//! A serialised meta is a frame, all numbers of it little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0 to 3 | length of the frame, in bytes |
//! | 4 to 7 | length of the name, in bytes |
//! | 8 ... | the name, and a NUL |
//! | then 1 | version of the payload |
//! | the rest | payload |
//!
//! GStreamer adds these lengths up in 32 bits and trusts the payload: what comes from a peer would make it read outside
//! of the frame, or abort. So a frame is taken apart here first, and the payloads of GStreamer's own readers are checked,
//! too:
//!
//! * custom metas that are registered: the text of a structure;
//! * `GstReferenceTimestampMeta`: two times, the text of caps, and with 1.28 the text of a structure.
//!
//! GStreamer serialises two more kinds, `GstVideoMeta` and `GstAudioMeta`. They are refused: their numbers lead into the
//! frame's memory, so that they need a reader that knows the frame; and the audio one cannot be written for
//! interleaved samples, where GStreamer follows a null pointer.
//!
//! The payload of any other kind is for the reader that whoever registered that kind has registered with it. It gets the
//! payload and its length, which are right, and has to know what to think of the bytes.

use std::str::FromStr;
use std::sync::OnceLock;

use crate::error::quoted;
use crate::{Error, library, text};
use gst::glib::ffi::{GByteArray, GTRUE, gboolean};

/// Longest frame, in bytes.
pub const MAX_FRAME: usize = 1 << 20;

/// Longest name, in bytes: GStreamer writes the length of what is in front of the payload into 8 bits.
pub const MAX_NAME: usize = 255 - HEAD_LEN - 2;

/// Both lengths.
const HEAD_LEN: usize = 8;

const REFERENCE_TIMESTAMP: &str = "GstReferenceTimestampMeta";

/// What only a reader that knows the frame can read.
const REFUSED: [&str; 2] = ["GstVideoMeta", "GstAudioMeta"];

/// A serialised meta, its lengths checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What meta it is.
    pub name: &'a str,
    /// Version of the payload.
    pub version: u8,
    /// What the meta says.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes a frame apart. It has to be all of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let what = "a serialised meta";
        if bytes.len() > MAX_FRAME {
            return Err(Error::TooLong { what, len: bytes.len(), limit: MAX_FRAME });
        }
        let too_short = || Error::Malformed { what };
        let (total, rest) = bytes.split_first_chunk().ok_or_else(too_short)?;
        let (name_len, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
        let (total, name_len) = (u32::from_le_bytes(*total), u32::from_le_bytes(*name_len) as usize);
        if total as usize != bytes.len() {
            return Err(Error::Length { what, len: bytes.len() as u64, needed: total.into() });
        }
        if name_len > MAX_NAME {
            return Err(Error::TooLong {
                what: "the name of a serialised meta",
                len: name_len,
                limit: MAX_NAME,
            });
        }
        let (name, rest) = rest.split_at_checked(name_len).ok_or_else(too_short)?;
        let name =
            str::from_utf8(name).map_err(|_| Error::NotText { what: "the name of a serialised meta" })?;
        let [0, version, payload @ ..] = rest else { return Err(too_short()) };
        if name.contains('\0') {
            return Err(Error::Nul { what: "the name of a serialised meta" });
        }
        Ok(Self { name, version: *version, payload })
    }

    /// Whether GStreamer can be given the frame.
    fn check(&self) -> Result<(), Error> {
        if self.name == REFERENCE_TIMESTAMP {
            check_reference_timestamp(self.payload)?;
        } else if crate::custom_meta::is_registered(self.name) {
            let structure = texts(self.payload, "the structure of a custom meta")?;
            let [structure] = structure[..] else { return Err(Error::Malformed { what: "a custom meta" }) };
            check_structure("the structure of a custom meta", structure)?;
        } else if REFUSED.contains(&self.name) || !crate::custom_meta::is_known(self.name) {
            return Err(Error::Kind { name: quoted(self.name) });
        }
        Ok(())
    }
}

/// The frame of a meta; `None` if it is one of those that are refused, cannot be serialised, or GStreamer is older than
/// 1.24.
pub fn serialize(meta: &gst::MetaRef<'_, gst::Meta>) -> Option<Vec<u8>> {
    let functions = Functions::get()?;
    let name = meta.type_().name();
    if REFUSED.contains(&name) || name.len() > MAX_NAME {
        return None;
    }
    // SAFETY: the meta lives, as its buffer is borrowed; the array is ours until it is freed, and has as many bytes as
    // it says.
    let frame = unsafe {
        let array = gst::glib::ffi::g_byte_array_new();
        let done = (functions.serialize)(meta.as_ptr(), array);
        let (data, len) = ((*array).data, (*array).len as usize);
        let frame = (done == GTRUE && len != 0).then(|| std::slice::from_raw_parts(data, len).to_vec());
        gst::glib::ffi::g_byte_array_unref(array);
        frame?
    };
    (frame.len() <= MAX_FRAME).then_some(frame)
}

/// Adds the meta in `frame` to the buffer, whatever the bytes.
pub fn deserialize(buffer: &mut gst::BufferRef, frame: &[u8]) -> Result<(), Error> {
    Frame::parse(frame)?.check()?;
    let functions = Functions::get()
        .ok_or(Error::NotThere { what: "a serialised meta", needed: "GStreamer 1.24 or newer" })?;
    // SAFETY: registers the meta, if that was not done yet.
    unsafe { gst::ffi::gst_reference_timestamp_meta_get_info() };
    let mut consumed = 0;
    // SAFETY: nobody else has the buffer. The frame has as many bytes as it says, and its payload was checked.
    let meta =
        unsafe { (functions.deserialize)(buffer.as_mut_ptr(), frame.as_ptr(), frame.len(), &mut consumed) };
    if meta.is_null() { Err(Error::Refused { what: "a serialised meta" }) } else { Ok(()) }
}

/// What GStreamer 1.28 and newer know of a reference timestamp beside its times, as the text of a structure; `None` if there
/// is nothing.
pub fn timestamp_info(meta: &gst::MetaRef<'_, gst::Meta>) -> Option<String> {
    if !has_timestamp_info() || meta.type_().name() != REFERENCE_TIMESTAMP {
        return None;
    }
    let frame = serialize(meta)?;
    let texts = texts(Frame::parse(&frame).ok()?.payload.get(16..)?, REFERENCE_TIMESTAMP).ok()?;
    texts.get(1).map(|info| (*info).to_owned())
}

/// Adds a reference timestamp with the structure in `info`, as [`timestamp_info`] gives it, whatever the texts. GStreamer
/// before 1.28 has no place for it.
pub fn attach_timestamp(
    buffer: &mut gst::BufferRef,
    reference: &str,
    timestamp: u64,
    duration: Option<u64>,
    info: &str,
) -> Result<(), Error> {
    if !has_timestamp_info() {
        let needed = "GStreamer 1.28 or newer";
        return Err(Error::NotThere { what: "the info of a reference timestamp", needed });
    }
    let mut rest = [REFERENCE_TIMESTAMP.as_bytes(), &[0, 0]].concat();
    rest.extend(timestamp.to_le_bytes());
    rest.extend(duration.unwrap_or(u64::MAX).to_le_bytes());
    for text in [reference, info] {
        rest.extend(text.as_bytes());
        rest.push(0);
    }
    let len = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let lengths = [len(HEAD_LEN + rest.len()), len(REFERENCE_TIMESTAMP.len())];
    deserialize(buffer, &[lengths.as_flattened(), &rest].concat())
}

fn has_timestamp_info() -> bool {
    gst::version() >= (1, 28, 0, 0)
}

/// Whether the running GStreamer serialises metas.
pub fn is_there() -> bool {
    Functions::get().is_some()
}

/// Two times, the text of caps, and perhaps that of a structure.
fn check_reference_timestamp(payload: &[u8]) -> Result<(), Error> {
    let what = "the reference of a timestamp";
    let (timestamp, rest) = payload.split_first_chunk().ok_or(Error::Malformed { what })?;
    let (_duration, rest) = rest.split_first_chunk::<8>().ok_or(Error::Malformed { what })?;
    if *timestamp == u64::MAX.to_le_bytes() {
        return Err(Error::Malformed { what: "a timestamp" });
    }
    let texts = texts(rest, what)?;
    let (caps, info) = match texts[..] {
        [caps] => (caps, None),
        [caps, info] => (caps, Some(info)),
        _ => return Err(Error::Malformed { what }),
    };
    text::check(what, caps)?;
    gst::Caps::from_str(caps).map_err(|_| Error::Malformed { what })?;
    info.map_or(Ok(()), |info| check_structure("what is known of a timestamp", info))
}

/// Texts that end with a NUL each.
fn texts<'a>(bytes: &'a [u8], what: &'static str) -> Result<Vec<&'a str>, Error> {
    let all = str::from_utf8(bytes).map_err(|_| Error::NotText { what })?;
    let all = all.strip_suffix('\0').ok_or(Error::Malformed { what })?;
    // A few more than anybody looks at.
    Ok(all.splitn(4, '\0').collect())
}

fn check_structure(what: &'static str, structure: &str) -> Result<(), Error> {
    text::check(what, structure)?;
    gst::Structure::from_str(structure).map(drop).map_err(|_| Error::Malformed { what })
}

/// What GStreamer 1.24 has.
struct Functions {
    serialize: unsafe extern "C" fn(*const gst::ffi::GstMeta, *mut GByteArray) -> gboolean,
    deserialize:
        unsafe extern "C" fn(*mut gst::ffi::GstBuffer, *const u8, usize, *mut u32) -> *mut gst::ffi::GstMeta,
}

impl Functions {
    fn get() -> Option<&'static Self> {
        static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
        FUNCTIONS.get_or_init(Self::find).as_ref()
    }

    fn find() -> Option<Self> {
        let library = library::loaded("libgstreamer-1.0.so.0")?;
        // SAFETY: these are the types that the library's headers declare.
        unsafe {
            Some(Self {
                serialize: library::function(library, "gst_meta_serialize_simple\0")?,
                deserialize: library::function(library, "gst_meta_deserialize\0")?,
            })
        }
    }
}
