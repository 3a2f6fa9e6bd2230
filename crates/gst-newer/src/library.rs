//! Libraries of the running process, and functions in them.

use libloading::os::unix::{Library, RTLD_LAZY, RTLD_LOCAL, RTLD_NOW};

/// Opens the library `name`, for good.
pub(crate) fn open(name: &str) -> Option<&'static Library> {
    // SAFETY: the libraries that are opened here are GStreamer's, whose initialisers do nothing but what every
    // program linked with them has done to it.
    let library = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL) }.ok()?;
    Some(Box::leak(Box::new(library)))
}

/// The library `name`, if the process has it loaded already.
pub(crate) fn loaded(name: &str) -> Option<&'static Library> {
    // SAFETY: nothing is loaded, so that no initialiser runs.
    let library = unsafe { Library::open(Some(name), RTLD_LAZY | libc::RTLD_NOLOAD) }.ok()?;
    Some(Box::leak(Box::new(library)))
}

/// The address of the function `name`, which ends with a NUL.
///
/// # Safety
///
/// `F` is the type of a pointer to that function.
pub(crate) unsafe fn function<F: Copy>(library: &'static Library, name: &'static str) -> Option<F> {
    // SAFETY: as for this function.
    unsafe { library.get::<F>(name.as_bytes()) }.ok().map(|symbol| *symbol)
}
