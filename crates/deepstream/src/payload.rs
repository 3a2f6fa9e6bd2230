//! The serialised metadata that NVIDIA's elements hang on a batch meta: an NvDsUserMeta with an NVDS_CUSTOM_PAYLOAD.

use std::ffi::c_void;
use std::mem::size_of;
use std::ptr;
use std::slice;

use gst::glib::ffi::{g_free, g_malloc, g_malloc0};

use crate::at::At;
use crate::batch::Locked;
use crate::{Error, raw};

/// Most user metas of a batch that are looked at.
const MAX_USER_METAS: usize = 4096;

/// The type of the user meta. It is another in each process.
fn payload_type(locked: &Locked<'_>) -> i32 {
    // SAFETY: the library keeps the text, which lives for ever, and does not write to it.
    unsafe { (locked.loaded.functions.user_meta_type)(c"NVIDIA.USER.CUSTOM_META".as_ptr().cast_mut()) }
}

fn payload_metas<'l>(locked: &'l Locked<'_>) -> Result<Vec<At<'l, raw::User>>, Error> {
    let payload_type = payload_type(locked);
    let mut users = locked.batch().get().users.elements(locked, "user metas", MAX_USER_METAS)?;
    users.retain(|user| user.get().base.meta_type == payload_type);
    Ok(users)
}

/// Kind and bytes of the first payload.
pub(crate) fn first(locked: &Locked<'_>) -> Result<Option<(u32, Vec<u8>)>, Error> {
    let payloads = payload_metas(locked)?;
    Ok(payloads.iter().find_map(|user| {
        let payload = user.get().data.cast::<raw::CustomPayload>();
        if payload.is_null() {
            return None;
        }
        // SAFETY: a user meta of this type has such a structure, which says how many bytes there are.
        unsafe {
            let raw::CustomPayload { kind, size, data } = payload.read();
            if data.is_null() {
                return None;
            }
            Some((kind, slice::from_raw_parts(data.cast::<u8>(), size as usize).to_vec()))
        }
    }))
}

/// Adds a payload behind those that are there.
pub(crate) fn add(locked: &Locked<'_>, kind: u32, bytes: &[u8]) -> Result<(), Error> {
    let size = u32::try_from(bytes.len())
        .map_err(|_| Error::TooMany { what: "bytes of a payload", limit: u32::MAX as usize })?;
    let user = locked.acquire(|batch| batch.user_pool, |functions| functions.acquire_user)?;
    let payload_type = payload_type(locked);
    user.update(|user| {
        user.base.meta_type = payload_type;
        user.base.copy = Some(copy);
        user.base.release = Some(release);
        // SAFETY: `bytes` are so many.
        user.data =
            unsafe { allocate(raw::CustomPayload { kind, size, data: bytes.as_ptr().cast_mut().cast() }) };
    });
    // SAFETY: the element is one of this batch, and in no list yet. The function is the same for both kinds of batch.
    unsafe { (locked.loaded.functions.add_user)(locked.batch().as_ptr(), user.as_ptr()) };
    Ok(())
}

/// Removes all payloads. False: there were none.
pub(crate) fn remove(locked: &Locked<'_>) -> Result<bool, Error> {
    let payloads = payload_metas(locked)?;
    for user in &payloads {
        // SAFETY: it is in the list of this batch. The library calls its release function.
        unsafe { (locked.loaded.functions.remove_user)(locked.batch().as_ptr(), user.as_ptr()) };
    }
    Ok(!payloads.is_empty())
}

/// A copy of `payload`, from g_malloc.
///
/// # Safety
///
/// It has as many bytes as it says.
unsafe fn allocate(payload: raw::CustomPayload) -> *mut c_void {
    let size = payload.size as usize;
    // SAFETY: g_malloc gives as much, aligned for anything, or ends the process. An empty payload is not NULL.
    unsafe {
        let data = g_malloc(size.max(1));
        if !payload.data.is_null() {
            ptr::copy_nonoverlapping(payload.data.cast::<u8>(), data.cast::<u8>(), size);
        }
        let copy = g_malloc0(size_of::<raw::CustomPayload>());
        copy.cast::<raw::CustomPayload>().write(raw::CustomPayload { data, ..payload });
        copy
    }
}

/// Copy function of the user meta: `data` is the NvDsUserMeta, the result is for the `user_meta_data` of the copy.
unsafe extern "C" fn copy(data: *mut c_void, _: *mut c_void) -> *mut c_void {
    // SAFETY: the library calls it with a user meta that has it.
    unsafe {
        let payload = (*data.cast::<raw::User>()).data.cast::<raw::CustomPayload>();
        if payload.is_null() { ptr::null_mut() } else { allocate(payload.read()) }
    }
}

/// Release function of the user meta.
unsafe extern "C" fn release(data: *mut c_void, _: *mut c_void) {
    // SAFETY: the library calls it with a user meta that has it, whose payload is from `allocate`.
    unsafe {
        let user = data.cast::<raw::User>();
        let payload = ptr::replace(&raw mut (*user).data, ptr::null_mut()).cast::<raw::CustomPayload>();
        if !payload.is_null() {
            g_free((*payload).data);
            g_free(payload.cast());
        }
    }
}
