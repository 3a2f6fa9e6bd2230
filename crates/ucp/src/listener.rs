//! Listeners: where clients connect to.

use std::cell::OnceCell;
use std::ffi::c_void;
use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::ptr;
use std::rc::{Rc, Weak};

use ucp_sys::*;

use crate::event::Event;
use crate::operation::guard;
use crate::worker::{Queue, WorkerHandle};
use crate::{Status, Worker, address};

/// A listening address. Each client that calls comes as [`Event::ConnectionRequest`].
#[derive(Debug)]
pub struct Listener(Rc<ListenerHandle>);

struct ListenerHandle {
    handle: ucp_listener_h,
    // UCX holds its address until the listener is destroyed.
    context: *mut ListenerContext,
    _worker: Rc<WorkerHandle>,
}

struct ListenerContext {
    queue: Rc<Queue>,
    listener: OnceCell<Weak<ListenerHandle>>,
}

impl Listener {
    /// Listens on `on`; port 0 lets the system choose one.
    ///
    /// # Errors
    /// When the address is not this host's ([`Status::INVALID_PARAM`] or an I/O error) or is taken ([`Status::BUSY`]).
    pub fn new(worker: &Worker, on: SocketAddr) -> Result<Self, Status> {
        let worker = worker.handle();
        let context = Box::into_raw(Box::new(ListenerContext {
            queue: Rc::clone(&worker.1),
            listener: OnceCell::new(),
        }));
        let on = address::to_c(on);
        // SAFETY: all zeroes are valid for the plain C struct; only the masked fields are read.
        let mut params: ucp_listener_params_t = unsafe { mem::zeroed() };
        params.field_mask =
            u64::from(UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER);
        params.sockaddr = on.as_ucs();
        params.conn_handler = ucp_listener_conn_handler_t { cb: Some(on_request), arg: context.cast() };
        let mut handle = ptr::null_mut();
        // SAFETY: the worker is alive, the parameters valid for the call, and the context lives until the listener is gone.
        let created =
            Status::check(unsafe { ucp_listener_create(worker.0, &raw const params, &raw mut handle) });
        if let Err(status) = created {
            // SAFETY: there is no listener that could use the context.
            drop(unsafe { Box::from_raw(context) });
            return Err(status);
        }
        let listener = Rc::new(ListenerHandle { handle, context, _worker: Rc::clone(worker) });
        // SAFETY: the context is alive; requests come only in `Worker::progress`, on this thread, so nobody reads it now.
        let _ = unsafe { &*context }.listener.set(Rc::downgrade(&listener));
        Ok(Self(listener))
    }

    /// The address and port in use.
    ///
    /// # Errors
    /// When UCX cannot tell.
    pub fn local_address(&self) -> Result<SocketAddr, Status> {
        // SAFETY: all zeroes are valid for the plain C struct.
        let mut attr: ucp_listener_attr_t = unsafe { mem::zeroed() };
        attr.field_mask = u64::from(UCP_LISTENER_ATTR_FIELD_SOCKADDR);
        // SAFETY: the listener is alive.
        Status::check(unsafe { ucp_listener_query(self.0.handle, &raw mut attr) })?;
        address::from_c(&attr.sockaddr).ok_or(Status::INVALID_PARAM)
    }
}

impl Drop for ListenerHandle {
    fn drop(&mut self) {
        // SAFETY: made in `Listener::new`; afterwards UCX does not call the handler, so that its context can go.
        unsafe {
            ucp_listener_destroy(self.handle);
            drop(Box::from_raw(self.context));
        }
    }
}

impl fmt::Debug for ListenerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ListenerHandle").field(&self.handle).finish()
    }
}

unsafe extern "C" fn on_request(request: ucp_conn_request_h, arg: *mut c_void) {
    // SAFETY: `arg` is the listener's context, freed only after the listener.
    let context = unsafe { &*arg.cast::<ListenerContext>() };
    guard(|| {
        // The listener is alive: it is its handler that runs.
        if let Some(listener) = context.listener.get().and_then(Weak::upgrade) {
            context.queue.push(Event::ConnectionRequest(ConnectionRequest { raw: request, listener }));
        }
    });
}

/// A client that waits to be accepted. Dropping it turns the client away.
#[derive(Debug)]
pub struct ConnectionRequest {
    raw: ucp_conn_request_h,
    listener: Rc<ListenerHandle>,
}

impl ConnectionRequest {
    /// The client's address, where the transport tells it.
    pub fn address(&self) -> Option<SocketAddr> {
        address::from_c(&self.query(UCP_CONN_REQUEST_ATTR_FIELD_CLIENT_ADDR)?.client_address)
    }

    /// The number the client gave itself; 0 if none.
    pub fn client_id(&self) -> u64 {
        self.query(UCP_CONN_REQUEST_ATTR_FIELD_CLIENT_ID).map_or(0, |attr| attr.client_id)
    }

    fn query(&self, field: ucp_conn_request_attr_field) -> Option<ucp_conn_request_attr_t> {
        // SAFETY: all zeroes are valid for the plain C struct.
        let mut attr: ucp_conn_request_attr_t = unsafe { mem::zeroed() };
        attr.field_mask = u64::from(field);
        // SAFETY: the request has been neither accepted nor rejected.
        Status::check(unsafe { ucp_conn_request_query(self.raw, &raw mut attr) }).ok()?;
        Some(attr)
    }

    pub(crate) fn into_raw(self) -> ucp_conn_request_h {
        let this = mem::ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped, and its share of the listener is taken out of it once.
        drop(unsafe { ptr::read(&raw const this.listener) });
        this.raw
    }
}

impl Drop for ConnectionRequest {
    fn drop(&mut self) {
        // SAFETY: the request has been neither accepted nor rejected, and its listener is alive.
        unsafe { ucp_listener_reject(self.listener.handle, self.raw) };
    }
}
