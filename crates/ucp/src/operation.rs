//! Posted operations: each owns what it touches until it is complete.

use std::ffi::c_void;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use ucp_sys::*;

use crate::event::{Event, Rendezvous};
use crate::worker::{Queue, WorkerHandle};
use crate::{MemoryKind, Region, RegionMut, Status};

/// How the data of a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendMode {
    /// As UCX finds best for the size.
    Auto,
    /// With the message, whatever the size.
    Eager,
}

/// Runs `callback` and keeps a panic from crossing into C. What the callbacks of this crate do cannot panic but for want
/// of memory, so the panic's message on standard error has to do.
pub(crate) fn guard(callback: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(callback));
}

struct Send {
    queue: Rc<Queue>,
    cookie: u64,
    header: Vec<u8>,
    regions: Vec<Region>,
    vector: Vec<ucp_dt_iov_t>,
}

struct Receive {
    queue: Rc<Queue>,
    cookie: u64,
    region: RegionMut,
    _worker: Rc<WorkerHandle>,
}

trait Operation: Sized {
    /// What is queued at the end.
    fn complete(self, result: Result<(), Status>);

    /// # Safety
    /// `user_data` comes from `Box::into_raw` of a `Self` and is not used again.
    unsafe fn finish(user_data: *mut c_void, result: Result<(), Status>) {
        // SAFETY: the caller's promise.
        let operation = unsafe { Box::from_raw(user_data.cast::<Self>()) };
        operation.complete(result);
    }
}

impl Operation for Send {
    fn complete(self, result: Result<(), Status>) {
        let Self { queue, cookie, regions, .. } = self;
        queue.operation_ended();
        queue.push(Event::Sent { cookie, regions, result });
    }
}

impl Operation for Receive {
    fn complete(self, result: Result<(), Status>) {
        let Self { queue, cookie, region, .. } = self;
        queue.operation_ended();
        queue.push(Event::Received { cookie, region, result });
    }
}

/// The three ways out of a call that posts an operation: done at once, refused, or under way (then UCX calls back).
///
/// # Safety
/// `user_data` comes from `Box::into_raw` of an `O`, and the call that returned `request` was given it.
unsafe fn posted<O: Operation>(request: ucs_status_ptr_t, user_data: *mut c_void) {
    if request.is_null() {
        // SAFETY: done at once: UCX does not call back.
        unsafe { O::finish(user_data, Ok(())) };
    } else if let Some(status) = Status::from_pointer(request) {
        // SAFETY: refused: UCX does not call back.
        unsafe { O::finish(user_data, Err(status)) };
    }
}

unsafe extern "C" fn send_complete(request: *mut c_void, status: ucs_status_t, user_data: *mut c_void) {
    // SAFETY: UCX hands back the operation's user data, once.
    guard(|| unsafe { Send::finish(user_data, Status::check(status)) });
    // SAFETY: the request is complete and not used again.
    unsafe { ucp_request_free(request) };
}

unsafe extern "C" fn receive_complete(
    request: *mut c_void,
    status: ucs_status_t,
    _length: usize,
    user_data: *mut c_void,
) {
    // SAFETY: UCX hands back the operation's user data, once.
    guard(|| unsafe { Receive::finish(user_data, Status::check(status)) });
    // SAFETY: the request is complete and not used again.
    unsafe { ucp_request_free(request) };
}

pub(crate) struct Outgoing {
    pub(crate) id: u16,
    pub(crate) header: Vec<u8>,
    pub(crate) regions: Vec<Region>,
    pub(crate) mode: SendMode,
    pub(crate) cookie: u64,
}

/// # Safety
/// The endpoint is one of the worker that `queue` belongs to, and not closed.
pub(crate) unsafe fn post_send(endpoint: ucp_ep_h, queue: &Rc<Queue>, message: Outgoing) {
    let Outgoing { id, header, regions, mode, cookie } = message;
    let kind = regions.first().map_or(MemoryKind::Host, Region::kind);
    let mixed = regions.iter().any(|region| region.kind() != kind);
    let vector = match regions.as_slice() {
        [] | [_] => Vec::new(),
        several => several
            .iter()
            .map(|region| ucp_dt_iov_t { buffer: region.as_ptr().cast_mut().cast(), length: region.len() })
            .collect(),
    };
    queue.operation_posted();
    let operation = Box::new(Send { queue: Rc::clone(queue), cookie, header, regions, vector });
    if mixed {
        return operation.complete(Err(Status::INVALID_PARAM));
    }
    let mut param = request_param();
    param.op_attr_mask |=
        UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_MEMORY_TYPE | UCP_OP_ATTR_FIELD_DATATYPE;
    param.cb.send = Some(send_complete);
    param.memory_type = kind.as_ucs();
    if mode == SendMode::Eager {
        param.flags |= UCP_AM_SEND_FLAG_EAGER;
    }
    let (buffer, count) = match operation.regions.as_slice() {
        [] => (ptr::null(), 0),
        [region] => (region.as_ptr().cast::<c_void>(), region.len()),
        _ => {
            param.datatype = u64::from(UCP_DATATYPE_IOV);
            (operation.vector.as_ptr().cast::<c_void>(), operation.vector.len())
        }
    };
    if operation.regions.len() < 2 {
        param.datatype = CONTIGUOUS_BYTES;
    }
    let (header, header_len) = (operation.header.as_ptr(), operation.header.len());
    let user_data = Box::into_raw(operation).cast::<c_void>();
    param.user_data = user_data;
    // SAFETY: the endpoint is valid; header, vector and the memory they point to belong to the operation, which lives until
    // it completes.
    unsafe {
        let request =
            ucp_am_send_nbx(endpoint, id.into(), header.cast(), header_len, buffer, count, &raw const param);
        posted::<Send>(request, user_data);
    }
}

/// Fetches the data of a rendezvous into `region`, which is long enough.
pub(crate) fn post_receive(rendezvous: Rendezvous, mut region: RegionMut, cookie: u64) {
    // From here on the descriptor is UCX's, and its share of the worker the operation's.
    let descriptor = mem::ManuallyDrop::new(rendezvous.0);
    let (data, len) = (descriptor.data, descriptor.len);
    // SAFETY: read once, and the descriptor is never dropped.
    let worker = unsafe { ptr::read(&raw const descriptor.worker) };
    let queue = Rc::clone(&worker.1);
    let mut param = request_param();
    param.op_attr_mask |= UCP_OP_ATTR_FIELD_MEMORY_TYPE | UCP_OP_ATTR_FIELD_DATATYPE;
    param.cb.recv_am = Some(receive_complete);
    param.memory_type = region.kind().as_ucs();
    param.datatype = CONTIGUOUS_BYTES;
    let (handle, buffer) = (worker.0, region.as_mut_ptr());
    queue.operation_posted();
    let user_data =
        Box::into_raw(Box::new(Receive { queue, cookie, region, _worker: worker })).cast::<c_void>();
    param.user_data = user_data;
    // SAFETY: the descriptor is a rendezvous that nobody has received; the region has room for `len` bytes and belongs to
    // the operation, which lives until it completes.
    unsafe {
        let request = ucp_am_recv_data_nbx(handle, data, buffer.cast(), len, &raw const param);
        posted::<Receive>(request, user_data);
    }
}

/// `ucp_dt_make_contig(1)`.
const CONTIGUOUS_BYTES: u64 = (1 << UCP_DATATYPE_SHIFT) | UCP_DATATYPE_CONTIG as u64;

pub(crate) fn request_param() -> ucp_request_param_t {
    // SAFETY: all zeroes are valid for the plain C struct; only the masked fields are read.
    let mut param: ucp_request_param_t = unsafe { mem::zeroed() };
    param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
    param
}
