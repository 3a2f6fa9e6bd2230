//! Libraries that are opened for good, and functions in them.

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::Error;

/// Opens the library `name`, for good; `hint` says what to do if that fails.
pub(crate) fn open(name: &'static str, hint: &'static str) -> Result<&'static Library, Error> {
    // SAFETY: initialisers of CUDA's driver and of GStreamer's libraries only prepare these.
    match unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL) } {
        Ok(library) => Ok(Box::leak(Box::new(library))),
        Err(error) => Err(Error::Load { words: words(&error), hint }),
    }
}

/// The address of the function `name`.
///
/// # Safety
///
/// `F` is the type of a pointer to that function.
pub(crate) unsafe fn function<F: Copy>(library: &'static Library, name: &str) -> Option<F> {
    // SAFETY: as for this function.
    unsafe { library.get::<F>(name.as_bytes()) }.ok().map(|symbol| *symbol)
}

/// What dlopen said, which names the file.
fn words(error: &libloading::Error) -> String {
    match error {
        libloading::Error::DlOpen { desc } => format!("{desc:?}").trim_matches('"').to_owned(),
        other => other.to_string(),
    }
}
