//! GPU memory: CUDA's driver and GStreamer's library for it (`libgstcuda`), both found at run time.
//!
//! Nothing of CUDA is needed to build this, and nothing is loaded before it is asked for. Where there is no GPU, no driver or
//! no `libgstcuda`, an [`Error`] says which.
//!
//! * [`available`], [`devices`]: can CUDA be used here?
//! * [`Context`]: what allocations and copies belong to. Elements of a pipeline share one ([`Context::for_element`],
//!   [`handle_set_context`], [`handle_context_query`]);
//! * [`is_cuda`], [`export`], [`Writing`], [`Context::wrap`], [`Context::pool`]: memories of GStreamer;
//! * [`download`], [`download_head`], [`upload`], [`Writing::upload_head`], [`Context::copy_planes`]: copies, all awaited;
//! * [`allocation_of`], [`handle_of`], [`Opened`]: allocations that another process of this host opens.
//!
//! # Who owns what
//!
//! * Libraries that were opened stay so for as long as the process lives.
//! * A [`Context`] is a counted reference to GStreamer's. What is allocated in it keeps one. A GPU's primary context, which new
//!   ones are and in which other processes' memory is opened, stays for as long as the process lives.
//! * A region of an exported memory keeps the memory mapped, and its buffer from its pool; a region of an opened allocation
//!   keeps that open.
//! * All functions work from any thread: they make the CUDA context that they need current, and afterwards the one that was.
//!
//! It works with GStreamer 1.22 and newer. Memory of others is wrapped ([`Context::wrap`]) with 1.24 and newer.

mod context;
mod copy;
mod driver;
mod element;
mod error;
mod gstcuda;
mod ipc;
mod library;
mod memory;

use std::sync::OnceLock;

pub use context::{Context, Entered};
pub use copy::{Place, PlaneCopy, download, download_head, upload};
pub use element::{CONTEXT_TYPE, handle_context_query, handle_set_context};
pub use error::Error;
pub use ipc::{Allocation, HANDLE_LEN, Opened, allocation_of, handle_of};
pub use memory::{Writing, can_wrap, export, is_cuda};

/// How many GPUs there are.
pub fn device_count() -> Result<u32, Error> {
    driver::Driver::get()?.device_count()
}

/// Whether there are `libgstcuda`, CUDA's driver, and at least one GPU; or what of it is missing. It is looked for once;
/// GStreamer has to be initialised.
pub fn available() -> Result<(), Error> {
    static AVAILABLE: OnceLock<Result<(), Error>> = OnceLock::new();
    let look = || match device_count()? {
        0 => Err(Error::NoDevice),
        _ => gstcuda::GstCuda::get().map(drop),
    };
    AVAILABLE.get_or_init(look).clone()
}

/// How many GPUs there are.
pub fn devices() -> Result<u32, Error> {
    driver::Driver::get()?.device_count()
}
