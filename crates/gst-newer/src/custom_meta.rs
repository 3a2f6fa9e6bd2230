//! Registration of custom metas whose names come from elsewhere. The rest of [`gst::meta::CustomMeta`] is safe as it
//! is.
//!
//! All functions panic if GStreamer is not initialised.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use gst::glib::{self, translate::*};
use gst::meta::CustomMeta;

use crate::Error;
use crate::error::quoted;

/// Longest name.
pub const MAX_NAME: usize = 64;

/// Most metas that [`register`] registers: a registration lasts as long as the process.
pub const MAX_NEW: usize = 256;

/// The tags that GStreamer defines. Others are refused: a tag becomes a key of data that GLib keeps with the type,
/// and GStreamer keeps addresses there, too.
pub const TAGS: [&str; 9] =
    ["audio", "channels", "colorspace", "memory", "memory-reference", "orientation", "rate", "size", "video"];

static NEW: AtomicUsize = AtomicUsize::new(0);

/// Registers a custom meta, if there is none of this name. If there is, it stays as it is, with its own tags.
pub fn register(name: &str, tags: &[&str]) -> Result<(), Error> {
    static REGISTRATION: Mutex<()> = Mutex::new(());
    check_name(name)?;
    let _one_at_a_time = REGISTRATION.lock().unwrap_or_else(PoisonError::into_inner);
    if is_registered(name) {
        return Ok(());
    }
    if let Some(tag) = tags.iter().find(|tag| !TAGS.contains(tag)) {
        return Err(Error::Tag { tag: quoted(tag) });
    }
    // GLib has one list of names for all types.
    if [name, &format!("{name}-api")].into_iter().any(|name| glib::Type::from_name(name).is_some()) {
        return Err(Error::Taken { name: name.to_owned() });
    }
    let full = Error::TooMany { what: "new custom metas", count: MAX_NEW + 1, limit: MAX_NEW };
    NEW.fetch_update(Relaxed, Relaxed, |count| (count < MAX_NEW).then_some(count + 1)).map_err(|_| full)?;
    CustomMeta::register(name, tags);
    if is_registered(name) { Ok(()) } else { Err(Error::Refused { what: "a custom meta" }) }
}

/// Whether there is a custom meta of this name.
pub fn is_registered(name: &str) -> bool {
    info(name).is_some()
}

/// The tags of a custom meta; `None` if there is none of this name.
pub fn tags(name: &str) -> Option<Vec<String>> {
    let info = info(name)?;
    // SAFETY: the type was registered, with the meta.
    let api: glib::Type = unsafe { from_glib(info.api) };
    Some(gst::meta::meta_api_type_get_tags(api).iter().map(|tag| tag.as_str().to_owned()).collect())
}

/// Whether there is a meta of this name, custom or not.
pub(crate) fn is_known(name: &str) -> bool {
    any_info(name).is_some()
}

/// What is registered of a custom meta.
fn info(name: &str) -> Option<&'static gst::ffi::GstMetaInfo> {
    // SAFETY: it is one that GStreamer knows.
    any_info(name).filter(|info| unsafe { gst::ffi::gst_meta_info_is_custom(*info) } != glib::ffi::GFALSE)
}

/// What is registered of a meta.
fn any_info(name: &str) -> Option<&'static gst::ffi::GstMetaInfo> {
    gst::assert_initialized();
    if name.contains('\0') {
        return None;
    }
    // SAFETY: the name is a text that ends with a NUL. What is registered stays, and does not change.
    unsafe { gst::ffi::gst_meta_get_info(name.to_glib_none().0).as_ref() }
}

/// Whether GLib takes the name for a type, and GStreamer for a structure, which a custom meta has.
fn check_name(name: &str) -> Result<(), Error> {
    let first = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let rest = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if first && rest && (3..=MAX_NAME).contains(&name.len()) {
        Ok(())
    } else {
        Err(Error::Name { name: quoted(name), limit: MAX_NAME })
    }
}
