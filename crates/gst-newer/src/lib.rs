//! What releases of GStreamer after 1.22 add, found at run time, and what protects GStreamer's C from text and bytes
//! of a peer.
//!
//! * [`analytics`]: the things that analytics elements find in a frame, as plain Rust values (1.24 and newer);
//! * [`serialize`]: metas in GStreamer's own serialisation (1.24 and newer);
//! * [`custom_meta`]: registration of custom metas that cannot go wrong, whatever the name;
//! * [`text`]: a check of structures and caps in text form, for GStreamer's parser recurses without a limit;
//! * [`value`]: numbers set where they are, which the bindings cannot.
//!
//! The program is linked with GStreamer 1.22 alone. Newer functions are looked up by name in the libraries that the
//! running process uses; where one is absent the answer is `None`, or [`Error::NotThere`].
//!
//! # Who owns what
//!
//! * Libraries that were opened stay so for as long as the process lives: they register types, which GLib cannot
//!   forget, and the function pointers taken from them are handed out as `'static`.
//! * A meta belongs to its buffer. It is read through a reference to the buffer, and added through a `&mut`, which
//!   only the single owner of a buffer has; nothing here keeps a pointer to it.
//! * Values are copied: what [`analytics::read`] gives does not refer to the buffer.
//! * Labels become GLib quarks, which are never freed: their number is limited by [`analytics::MAX_NEW_LABELS`].

pub mod analytics;
pub mod custom_meta;
mod error;
mod library;
pub mod serialize;
pub mod text;
pub mod value;

pub use error::Error;
