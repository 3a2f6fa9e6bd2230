//! UCX's status codes.

use std::ffi::CStr;
use std::fmt;

use ucp_sys::*;

/// A status other than success, in UCX's own words. Codes that this crate does not know are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(ucs_status_t);

impl Status {
    /// The operation was cancelled.
    pub const CANCELED: Self = Self(UCS_ERR_CANCELED);
    /// The address is taken.
    pub const BUSY: Self = Self(UCS_ERR_BUSY);
    /// The server did not accept the connection.
    pub const REJECTED: Self = Self(UCS_ERR_REJECTED);
    /// The peer closed or lost the connection.
    pub const CONNECTION_RESET: Self = Self(UCS_ERR_CONNECTION_RESET);
    /// A parameter was not acceptable.
    pub const INVALID_PARAM: Self = Self(UCS_ERR_INVALID_PARAM);
    /// An address or a length was not acceptable.
    pub const INVALID_ADDR: Self = Self(UCS_ERR_INVALID_ADDR);
    /// There is not that much memory.
    pub const NO_MEMORY: Self = Self(UCS_ERR_NO_MEMORY);
    /// There is no way to it.
    pub const UNREACHABLE: Self = Self(UCS_ERR_UNREACHABLE);
    /// It cannot be done here.
    pub const UNSUPPORTED: Self = Self(UCS_ERR_UNSUPPORTED);

    /// `Ok` for success, the status otherwise.
    pub(crate) fn check(status: ucs_status_t) -> Result<(), Self> {
        if status == UCS_OK { Ok(()) } else { Err(Self(status)) }
    }

    /// The error in a request pointer, if it holds one.
    pub(crate) fn from_pointer(pointer: *mut std::ffi::c_void) -> Option<Self> {
        // UCS_PTR_IS_ERR: the last UCS_ERR_LAST (-100) addresses stand for errors.
        let code = ucs_status_t::try_from(pointer as isize).ok()?;
        (UCS_ERR_LAST..UCS_OK).contains(&code).then_some(Self(code))
    }

    /// UCX's number for it.
    pub fn code(self) -> i32 {
        self.0.into()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the function takes any number and returns a static string, or its own buffer for unknown ones.
        let text = unsafe { CStr::from_ptr(ucs_status_string(self.0)) };
        f.write_str(&text.to_string_lossy())
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({}: {self})", self.0)
    }
}

impl std::error::Error for Status {}
