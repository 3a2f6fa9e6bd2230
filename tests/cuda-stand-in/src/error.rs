//! What calls fail with: `CUresult`.

use std::ffi::{CStr, c_int};

pub(crate) type Result<T> = std::result::Result<T, Error>;

macro_rules! errors {
    ($($variant:ident = $code:literal $name:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(i32)]
        pub(crate) enum Error {
            $($variant = $code,)*
        }

        /// How CUDA's documentation calls a result.
        pub(crate) fn name_of(result: c_int) -> Option<&'static CStr> {
            match result {
                0 => Some(c"CUDA_SUCCESS"),
                $($code => Some($name),)*
                _ => None,
            }
        }
    };
}

errors! {
    InvalidValue = 1 c"CUDA_ERROR_INVALID_VALUE",
    OutOfMemory = 2 c"CUDA_ERROR_OUT_OF_MEMORY",
    NotInitialized = 3 c"CUDA_ERROR_NOT_INITIALIZED",
    NoDevice = 100 c"CUDA_ERROR_NO_DEVICE",
    InvalidDevice = 101 c"CUDA_ERROR_INVALID_DEVICE",
    InvalidContext = 201 c"CUDA_ERROR_INVALID_CONTEXT",
    InvalidHandle = 400 c"CUDA_ERROR_INVALID_HANDLE",
    NotFound = 500 c"CUDA_ERROR_NOT_FOUND",
    ContextIsDestroyed = 709 c"CUDA_ERROR_CONTEXT_IS_DESTROYED",
    NotSupported = 801 c"CUDA_ERROR_NOT_SUPPORTED",
}

/// As C wants it.
pub(crate) fn code_of(result: Result<()>) -> c_int {
    result.map_or_else(|error| error as c_int, |()| 0)
}
