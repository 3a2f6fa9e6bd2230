//! Places in DeepStream's memory.
//!
//! Who owns what: the buffer owns the batch meta, the batch meta owns its pools, and these own every element. What can be
//! reached from a batch lives as long as the batch, and is changed by others only under the batch's lock. A [`Locked`]
//! stands for both: the buffer is borrowed, and the lock is held. From there on it is followed as the library leaves it:
//! pointers are NULL or good, lists end. What the library alone does not promise is checked: NULL, the length of lists and
//! texts.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use gst::glib::ffi::{GList, g_malloc};

use crate::Error;
use crate::batch::Locked;
use crate::raw;

/// A type that can be read from, and written to, memory that C code owns.
///
/// # Safety
///
/// `repr(C)` or a number, and any bits are a value of it.
pub(crate) unsafe trait Plain: Copy {}

/// A structure that can be reached from a locked batch.
pub(crate) struct At<'a, T> {
    place: NonNull<T>,
    batch: PhantomData<&'a raw::Batch>,
}

impl<T> Clone for At<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for At<'_, T> {}

impl<'a, T: Plain> At<'a, T> {
    /// # Safety
    ///
    /// `place` is aligned, and good for reading and writing a `T` for all of `'a`, in which nobody else writes to it.
    pub(crate) unsafe fn new(place: NonNull<T>) -> Self {
        Self { place, batch: PhantomData }
    }

    pub(crate) fn as_ptr(self) -> *mut T {
        self.place.as_ptr()
    }

    pub(crate) fn get(self) -> T {
        // SAFETY: as `new` demands.
        unsafe { self.place.read() }
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: as `new` demands.
        unsafe { self.place.write(value) };
    }

    pub(crate) fn update(self, change: impl FnOnce(&mut T)) {
        let mut value = self.get();
        change(&mut value);
        self.set(value);
    }

    /// What is `offset` bytes further on in the same structure.
    ///
    /// # Safety
    ///
    /// A `U` is there.
    pub(crate) unsafe fn part<U: Plain>(self, offset: usize) -> At<'a, U> {
        // SAFETY: as demanded.
        unsafe { At::new(self.place.byte_add(offset).cast()) }
    }
}

/// A pointer in a structure of DeepStream's, to another or to an array.
#[repr(transparent)]
pub(crate) struct Link<T>(*mut T);

impl<T> Clone for Link<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Link<T> {}

impl<T: Plain> Link<T> {
    pub(crate) const NULL: Self = Self(ptr::null_mut());

    pub(crate) fn to(target: At<'_, T>) -> Self {
        Self(target.as_ptr())
    }

    pub(crate) fn as_ptr(self) -> *mut T {
        self.0
    }

    /// A number for comparing, not for following.
    pub(crate) fn address(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn follow<'a>(self, _: &'a Locked<'_>) -> Option<At<'a, T>> {
        // SAFETY: see the module's text.
        NonNull::new(self.0).map(|place| unsafe { At::new(place) })
    }
}

impl Link<f32> {
    /// A copy that the library frees.
    pub(crate) fn allocate(values: &[f32]) -> Self {
        if values.is_empty() {
            return Self::NULL;
        }
        // SAFETY: g_malloc gives as much, aligned for anything, or ends the process.
        unsafe {
            let copy = g_malloc(size_of_val(values)).cast::<f32>();
            ptr::copy_nonoverlapping(values.as_ptr(), copy, values.len());
            Self(copy)
        }
    }

    /// The array of `len` values; the structure with the pointer says how many there are.
    pub(crate) fn values(self, _: &Locked<'_>, len: usize) -> Vec<f32> {
        if self.0.is_null() {
            return Vec::new();
        }
        // SAFETY: see the module's text.
        (0..len).map(|index| unsafe { self.0.add(index).read() }).collect()
    }
}

/// A `GList` in a structure of DeepStream's.
#[repr(transparent)]
pub(crate) struct List<T>(*mut GList, PhantomData<*mut T>);

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<T> {}

impl<T: Plain> List<T> {
    /// Its elements in order, of which there are `limit` at most; `what` they are.
    pub(crate) fn elements<'a>(
        self,
        _: &'a Locked<'_>,
        what: &'static str,
        limit: usize,
    ) -> Result<Vec<At<'a, T>>, Error> {
        let mut elements = Vec::new();
        let mut node = self.0;
        while !node.is_null() {
            if elements.len() == limit {
                return Err(Error::TooMany { what, limit });
            }
            // SAFETY: see the module's text.
            unsafe {
                elements.extend(NonNull::new((*node).data.cast()).map(|place| At::new(place)));
                node = (*node).next;
            }
        }
        Ok(elements)
    }
}
