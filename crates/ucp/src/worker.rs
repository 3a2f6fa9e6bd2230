//! Workers: the progress engine.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::fmt;
use std::mem;
use std::os::fd::{BorrowedFd, RawFd};
use std::ptr;
use std::rc::{Rc, Weak};
use std::slice;
use std::time::{Duration, Instant};

use ucp_sys::*;

use crate::event::{Data, Descriptor, Event, HeldData, Message, Rendezvous};
use crate::operation::guard;
use crate::{Context, Status};

/// Data up to this length is copied out of UCX's memory at once, which costs less than holding on to it.
const COPY_LIMIT: usize = 1024;

/// A worker, for the thread that made it alone.
#[derive(Debug)]
pub struct Worker {
    handle: Rc<WorkerHandle>,
    event_fd: RawFd,
    max_header: usize,
    // UCX holds the addresses of the elements until the worker is destroyed.
    _handlers: Box<[HandlerContext]>,
}

/// The worker itself and the queue its callbacks fill.
pub(crate) struct WorkerHandle(pub(crate) ucp_worker_h, pub(crate) Rc<Queue>, pub(crate) Context);

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        // SAFETY: made in `Worker::new`; endpoints, listeners, operations and descriptors hold an Rc, so all are gone.
        unsafe { ucp_worker_destroy(self.0) };
    }
}

impl fmt::Debug for WorkerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkerHandle").field(&self.0).finish()
    }
}

/// Where callbacks leave what happened.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    events: RefCell<VecDeque<Event>>,
    operations: Cell<usize>,
}

impl Queue {
    pub(crate) fn push(&self, event: Event) {
        self.events.borrow_mut().push_back(event);
    }

    pub(crate) fn operation_posted(&self) {
        self.operations.set(self.operations.get() + 1);
    }

    pub(crate) fn operation_ended(&self) {
        self.operations.set(self.operations.get() - 1);
    }
}

struct HandlerContext {
    id: u16,
    queue: Rc<Queue>,
    worker: Weak<WorkerHandle>,
}

impl fmt::Debug for HandlerContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandlerContext").field(&self.id).finish()
    }
}

impl Worker {
    /// Makes a worker that takes active messages with the given ids. `client_id` is shown to listeners it connects to.
    ///
    /// # Errors
    /// When UCX cannot open its transports.
    pub fn new(context: &Context, client_id: u64, message_ids: &[u16]) -> Result<Self, Status> {
        // SAFETY: all zeroes are valid for the plain C struct; only the masked fields are read.
        let mut params: ucp_worker_params_t = unsafe { mem::zeroed() };
        params.field_mask = u64::from(UCP_WORKER_PARAM_FIELD_THREAD_MODE | UCP_WORKER_PARAM_FIELD_CLIENT_ID);
        params.thread_mode = UCS_THREAD_MODE_SINGLE;
        params.client_id = client_id;
        let mut handle = ptr::null_mut();
        // SAFETY: the context is alive and the parameters valid for the call.
        Status::check(unsafe { ucp_worker_create(context.handle(), &raw const params, &raw mut handle) })?;
        let handle = Rc::new(WorkerHandle(handle, Rc::default(), context.clone()));

        let mut event_fd = -1;
        // SAFETY: the worker is alive.
        Status::check(unsafe { ucp_worker_get_efd(handle.0, &raw mut event_fd) })?;

        // SAFETY: all zeroes are valid for the plain C struct.
        let mut attr: ucp_worker_attr_t = unsafe { mem::zeroed() };
        attr.field_mask = u64::from(UCP_WORKER_ATTR_FIELD_MAX_AM_HEADER);
        // SAFETY: the worker is alive.
        Status::check(unsafe { ucp_worker_query(handle.0, &raw mut attr) })?;

        let context =
            |&id: &u16| HandlerContext { id, queue: Rc::clone(&handle.1), worker: Rc::downgrade(&handle) };
        let handlers: Box<[_]> = message_ids.iter().map(context).collect();
        for handler in &handlers {
            // SAFETY: all zeroes are valid for the plain C struct; only the masked fields are read.
            let mut params: ucp_am_handler_param_t = unsafe { mem::zeroed() };
            params.field_mask = u64::from(
                UCP_AM_HANDLER_PARAM_FIELD_ID
                    | UCP_AM_HANDLER_PARAM_FIELD_FLAGS
                    | UCP_AM_HANDLER_PARAM_FIELD_CB
                    | UCP_AM_HANDLER_PARAM_FIELD_ARG,
            );
            params.id = handler.id.into();
            params.flags = UCP_AM_FLAG_WHOLE_MSG | UCP_AM_FLAG_PERSISTENT_DATA;
            params.cb = Some(on_message);
            params.arg = (&raw const *handler).cast_mut().cast();
            // SAFETY: the worker is alive, and the boxed contexts live as long as `Worker`, the only one to call progress.
            Status::check(unsafe { ucp_worker_set_am_recv_handler(handle.0, &raw const params) })?;
        }
        Ok(Self { handle, event_fd, max_header: attr.max_am_header, _handlers: handlers })
    }

    pub(crate) fn handle(&self) -> &Rc<WorkerHandle> {
        &self.handle
    }

    /// Longest header an active message may have, in bytes.
    pub fn max_header(&self) -> usize {
        self.max_header
    }

    /// Lets UCX work. Returns whether there was something to do.
    pub fn progress(&self) -> bool {
        // SAFETY: the worker is alive, and used by this thread alone.
        unsafe { ucp_worker_progress(self.handle.0) != 0 }
    }

    /// The oldest event not yet fetched.
    pub fn next_event(&self) -> Option<Event> {
        self.handle.1.events.borrow_mut().pop_front()
    }

    /// Whether there are events to fetch.
    pub fn has_events(&self) -> bool {
        !self.handle.1.events.borrow().is_empty()
    }

    /// Operations (sends, receives, closes) that have not come to their end.
    pub fn operations(&self) -> usize {
        self.handle.1.operations.get()
    }

    /// Readable when there is something to do, after [`arm`](Self::arm).
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor belongs to the worker and stays open as long as it.
        unsafe { BorrowedFd::borrow_raw(self.event_fd) }
    }

    /// Prepares to sleep on [`event_fd`](Self::event_fd). `false`: there is work, progress first.
    ///
    /// # Errors
    /// When the event mechanism fails.
    pub fn arm(&self) -> Result<bool, Status> {
        // SAFETY: the worker is alive.
        match Status::check(unsafe { ucp_worker_arm(self.handle.0) }) {
            Ok(()) => Ok(true),
            Err(Status::BUSY) => Ok(false),
            Err(status) => Err(status),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Events hold shares of the worker; closing the endpoints they may hold makes more of them. What is still under way
        // ends with CANCELED; half a second is far more than that takes.
        let deadline = Instant::now() + Duration::from_millis(500);
        loop {
            let events = mem::take(&mut *self.handle.1.events.borrow_mut());
            let idle = events.is_empty() && self.operations() == 0;
            drop(events);
            if idle || Instant::now() > deadline {
                break;
            }
            self.progress();
        }
    }
}

unsafe extern "C" fn on_message(
    arg: *mut c_void,
    header: *const c_void,
    header_len: usize,
    data: *mut c_void,
    len: usize,
    param: *const ucp_am_recv_param_t,
) -> ucs_status_t {
    // SAFETY: `arg` is the handler's context, which outlives the worker's last progress.
    let context = unsafe { &*arg.cast::<HandlerContext>() };
    // SAFETY: UCX's parameters are valid for the call.
    let param = unsafe { &*param };
    let has = |flag: ucp_am_recv_attr_t| param.recv_attr & u64::from(flag) != 0;
    let mut status = UCS_OK;
    guard(|| {
        let Some(worker) = context.worker.upgrade() else { return };
        let header = if header_len == 0 {
            Vec::new()
        } else {
            // SAFETY: UCX gives `header_len` bytes for the length of the call.
            unsafe { slice::from_raw_parts(header.cast::<u8>(), header_len) }.to_vec()
        };
        let data = if has(UCP_AM_RECV_ATTR_FLAG_RNDV) {
            status = UCS_INPROGRESS;
            Data::Rendezvous(Rendezvous(Descriptor { data, len, worker }))
        } else if has(UCP_AM_RECV_ATTR_FLAG_DATA) && len > COPY_LIMIT {
            status = UCS_INPROGRESS;
            Data::Held(HeldData { descriptor: Descriptor { data, len, worker } })
        } else if len == 0 {
            Data::Copied(Vec::new())
        } else {
            // SAFETY: UCX gives `len` bytes for the length of the call.
            Data::Copied(unsafe { slice::from_raw_parts(data.cast::<u8>(), len) }.to_vec())
        };
        context.queue.push(Event::Message(Message { id: context.id, header, data }));
    });
    status
}
