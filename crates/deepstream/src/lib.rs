//! DeepStream's metadata and memory, through its own libraries, found at run time.
//!
//! `libnvdsgst_meta.so` and `libnvds_meta.so` make, copy and free the metadata; this crate reads it into the values of
//! [`dsmeta`], and writes these. Nothing of DeepStream is needed to build it.
//!
//! * [`carries_batch`]: does a buffer have an `NvDsBatchMeta`? Asking loads nothing;
//! * [`nvmm`]: buffers in DeepStream's memory;
//! * [`DeepStream`]: the libraries for metadata. They are looked for, in this order: what the process has loaded already; the folder in
//!   the environment variable `NVDSUCX_DEEPSTREAM`, if that is set, and nowhere else then; where the loader looks
//!   (`LD_LIBRARY_PATH`, `ldconfig`); `/opt/nvidia/deepstream/deepstream/lib`.
//!
//! Structures differ between releases. Which release it is shows in the sizes of what is in the pools of a fresh batch
//! meta; others than known are refused. Known are 6.1 to 6.3, 8.0 and 9.0 to 9.1, as far as it is about metadata.
//!
//! Who owns what: the buffer owns its batch meta, and that owns all else, in memory of GLib. Values are copied in both
//! directions, under the lock of the batch meta; nothing of ours is referred to from there but two functions, and names that
//! are interned (at most 1024 of at most 127 bytes, empty otherwise: they are never freed). All `unsafe` code for
//! DeepStream is in this crate.

mod at;
mod attach;
mod batch;
mod error;
mod layout;
mod library;
mod meta;
pub mod nvmm;
mod osd;
mod payload;
mod raw;
mod read;
#[cfg(test)]
mod tests;
mod text;

use std::sync::OnceLock;

use batch::{Kind, Locked, New};
use library::Loaded;

pub use error::Error;
pub use layout::Sizes;
pub use library::FOLDER;

/// Whether `buffer` has an `NvDsBatchMeta`. This is cheap and loads nothing: if nothing in the process has registered the
/// meta, no buffer has it.
pub fn carries_batch(buffer: &gst::BufferRef) -> bool {
    meta::batch_of(buffer).is_some()
}

/// DeepStream's libraries.
pub struct DeepStream {
    loaded: Loaded,
}

impl DeepStream {
    /// The libraries, if they are there. They are looked for once; GStreamer has to be initialised.
    pub fn get() -> Option<&'static Self> {
        Self::load().ok()
    }

    /// The libraries, or why they cannot be used. They are looked for once; GStreamer has to be initialised.
    pub fn load() -> Result<&'static Self, &'static Error> {
        static LOADED: OnceLock<Result<DeepStream, Error>> = OnceLock::new();
        LOADED.get_or_init(|| Loaded::load().map(|loaded| Self { loaded })).as_ref()
    }

    /// The libraries, if `buffer` has an `NvDsBatchMeta`.
    pub fn of(buffer: &gst::BufferRef) -> Option<&'static Self> {
        carries_batch(buffer).then(Self::get).flatten()
    }

    /// The releases that have the structures of these libraries.
    pub fn release(&self) -> &'static str {
        self.loaded.layout.release
    }

    /// What the `NvDsBatchMeta` of `buffer` says; `None` if there is none.
    pub fn read(&'static self, buffer: &gst::BufferRef) -> Result<Option<dsmeta::Batch>, Error> {
        Locked::of(&self.loaded, buffer)?.map(|locked| read::batch(&locked)).transpose()
    }

    /// Writes `batch` into the `NvDsBatchMeta` of `buffer`.
    ///
    /// If there is none, or one without frames, the frames are made: the buffer has to have as many surfaces. Otherwise each
    /// frame of `batch` is written into the one at the same place, and what was found in it is added to what is there.
    /// Which surface of the buffer a frame is in is never taken from `batch` further than the buffer has frames.
    ///
    /// What is wrong with `batch` is found before anything is changed.
    pub fn attach(&'static self, buffer: &mut gst::BufferRef, batch: &dsmeta::Batch) -> Result<(), Error> {
        attach::check(batch)?;
        let (kind, max_frames) = attach::needs(batch);
        self.with_batch(buffer, kind, max_frames, |locked| {
            if locked.kind != kind {
                return Err(Error::Kind { is: locked.kind.name(), other: kind.name() });
            }
            attach::batch(locked, batch)
        })
    }

    /// Type and bytes of the first serialised metadata of `buffer`, as NVIDIA's `nvdsmetainsert` leaves it there.
    pub fn payload(&'static self, buffer: &gst::BufferRef) -> Option<(u32, Vec<u8>)> {
        payload::first(&Locked::of(&self.loaded, buffer).ok()??).ok()?
    }

    /// Adds serialised metadata to the `NvDsBatchMeta` of `buffer`, behind what is there. If it has no batch meta, it gets
    /// one without frames, for audio if `kind` says so.
    pub fn set_payload(
        &'static self,
        buffer: &mut gst::BufferRef,
        kind: u32,
        payload: &[u8],
    ) -> Result<(), Error> {
        let batch = if kind == dsmeta::PayloadKind::Audio.number() { Kind::Audio } else { Kind::Video };
        self.with_batch(buffer, batch, 1, |locked| payload::add(locked, kind, payload))
    }

    /// Removes all serialised metadata from `buffer`. False: there was none.
    pub fn remove_payload(&'static self, buffer: &mut gst::BufferRef) -> bool {
        let locked = Locked::of(&self.loaded, buffer);
        locked.ok().flatten().is_some_and(|locked| payload::remove(&locked) == Ok(true))
    }

    /// Calls `change` with the batch meta of `buffer`, or with a new one, which the buffer gets if that succeeds.
    fn with_batch(
        &'static self,
        buffer: &mut gst::BufferRef,
        kind: Kind,
        max_frames: u32,
        change: impl FnOnce(&Locked<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let Some(locked) = Locked::of(&self.loaded, buffer)? {
            return change(&locked);
        }
        let new = New::make(&self.loaded, kind, max_frames)?;
        change(&new.lock()?)?;
        new.attach(buffer)
    }
}
