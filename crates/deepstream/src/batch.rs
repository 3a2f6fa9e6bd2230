//! Batch metas: locking one that a buffer has, making one.

use std::marker::PhantomData;
use std::mem::size_of;
use std::ptr::{self, NonNull};

use crate::at::{At, Link, Plain};
use crate::library::{Functions, Loaded};
use crate::{Error, meta, raw};

/// What a batch meta is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Video,
    Audio,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}

/// A batch meta whose lock is held. See [`at`](crate::at) for what this means.
pub(crate) struct Locked<'b> {
    pub(crate) loaded: &'static Loaded,
    pub(crate) kind: Kind,
    batch: NonNull<raw::Batch>,
    buffer: PhantomData<&'b gst::BufferRef>,
}

impl<'b> Locked<'b> {
    /// Locks the batch meta of `buffer`, if it has one.
    pub(crate) fn of(loaded: &'static Loaded, buffer: &'b gst::BufferRef) -> Result<Option<Self>, Error> {
        let Some(batch) = meta::batch_of(buffer) else { return Ok(None) };
        // SAFETY: the batch lives as long as the buffer does, which is borrowed.
        unsafe { Self::new(loaded, batch).map(Some) }
    }

    /// # Safety
    ///
    /// The batch was made by the library, and lives for all of `'b`.
    unsafe fn new(loaded: &'static Loaded, batch: NonNull<raw::Batch>) -> Result<Self, Error> {
        // SAFETY: as demanded; the type never changes.
        let kind = match unsafe { (*batch.as_ptr()).base.meta_type } {
            raw::BATCH_META => Kind::Video,
            audio if audio == loaded.audio_batch => Kind::Audio,
            _ => return Err(Error::Batch("is neither for video nor for audio")),
        };
        // SAFETY: as demanded; unlocked when this is dropped.
        unsafe { (loaded.functions.lock)(batch.as_ptr()) };
        Ok(Self { loaded, kind, batch, buffer: PhantomData })
    }

    pub(crate) fn batch(&self) -> At<'_, raw::Batch> {
        // SAFETY: the batch lives, and is locked.
        unsafe { At::new(self.batch) }
    }

    /// A fresh element of `pool`, all zero after its base.
    pub(crate) fn acquire<T: Plain>(
        &self,
        pool: impl FnOnce(&raw::Batch) -> Link<raw::Pool>,
        acquire: impl FnOnce(&Functions) -> unsafe extern "C" fn(*mut raw::Batch) -> *mut T,
    ) -> Result<At<'_, T>, Error> {
        let pool = pool(&self.batch().get()).follow(self).ok_or(Error::Batch("lacks a pool"))?.get();
        let size = pool.element_size as usize;
        // The library would follow NULL: a pool grows by a multiple of what it has.
        if pool.max_elements == 0 || size < size_of::<T>() {
            return Err(Error::Batch("has a pool that cannot grow"));
        }
        // SAFETY: the batch lives, and its pool has elements or makes some.
        let place = unsafe { acquire(&self.loaded.functions)(self.batch.as_ptr()) };
        let place = NonNull::new(place).ok_or(Error::Batch("has a pool that gives nothing"))?;
        // SAFETY: an element has `size` bytes, and begins with a base. It is in no list yet. The library clears neither
        // the context nor the rest of an element that was used before.
        unsafe {
            let base = place.cast::<raw::Base>();
            (*base.as_ptr()).context = ptr::null_mut();
            ptr::write_bytes(base.add(1).cast::<u8>().as_ptr(), 0, size - size_of::<raw::Base>());
            Ok(At::new(place))
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread has locked it.
        unsafe { (self.loaded.functions.unlock)(self.batch.as_ptr()) };
    }
}

/// A batch meta that no buffer has yet. Dropped, it is destroyed.
pub(crate) struct New {
    loaded: &'static Loaded,
    kind: Kind,
    batch: NonNull<raw::Batch>,
}

impl New {
    /// With room for `max_frames`, at least for one: copying a batch meta that has no room makes the library crash.
    pub(crate) fn make(loaded: &'static Loaded, kind: Kind, max_frames: u32) -> Result<Self, Error> {
        let max_frames = max_frames.max(1);
        let create = match kind {
            Kind::Video => loaded.functions.create_batch,
            Kind::Audio => loaded.functions.create_audio_batch,
        };
        // SAFETY: any number will do.
        let batch = NonNull::new(unsafe { create(max_frames) }).ok_or(Error::Batch("cannot be made"))?;
        // SAFETY: nobody else has it yet.
        unsafe { (*batch.as_ptr()).max_frames = max_frames };
        Ok(Self { loaded, kind, batch })
    }

    #[cfg(test)]
    pub(crate) fn of(loaded: &'static Loaded, kind: Kind, batch: NonNull<raw::Batch>) -> Self {
        Self { loaded, kind, batch }
    }

    pub(crate) fn lock(&self) -> Result<Locked<'_>, Error> {
        // SAFETY: it lives as long as this, which is borrowed.
        unsafe { Locked::new(self.loaded, self.batch) }
    }

    /// Gives it to `buffer`.
    pub(crate) fn attach(self, buffer: &mut gst::BufferRef) -> Result<(), Error> {
        let functions = &self.loaded.functions;
        let (copy, release) = match self.kind {
            Kind::Video => (functions.copy_batch, functions.release_batch),
            Kind::Audio => (functions.copy_audio_batch, functions.release_audio_batch),
        };
        // SAFETY: the buffer is writable, and the functions are those for this kind of batch, which from here on belongs to
        // the meta.
        unsafe {
            let data = self.batch.as_ptr().cast();
            let meta =
                (functions.add_meta)(buffer.as_mut_ptr(), data, ptr::null_mut(), Some(copy), Some(release));
            if meta.is_null() {
                return Err(Error::Batch("cannot be added to the buffer"));
            }
            (*meta).meta_type = raw::BATCH_GST_META;
        }
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for New {
    fn drop(&mut self) {
        let destroy = match self.kind {
            Kind::Video => self.loaded.functions.destroy_batch,
            Kind::Audio => self.loaded.functions.destroy_audio_batch,
        };
        // SAFETY: nobody else has it, and it is not locked: a lock borrows this.
        unsafe { destroy(self.batch.as_ptr()) };
    }
}
