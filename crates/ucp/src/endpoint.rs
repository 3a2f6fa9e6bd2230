//! Endpoints: connections to peers.

use std::ffi::{CStr, c_void};
use std::mem;
use std::net::SocketAddr;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use ucp_sys::*;

use crate::event::Event;
use crate::operation::{Outgoing, guard, post_send, request_param};
use crate::worker::{Queue, WorkerHandle};
use crate::{ConnectionRequest, Context, Region, SendMode, Status, Worker, address};

/// Tells endpoints apart; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(u64);

impl EndpointId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A connection to a peer, with UCX's error handling between peers.
///
/// Dropping it closes the connection at once: operations under way end with [`Status::CANCELED`].
#[derive(Debug)]
pub struct Endpoint {
    id: EndpointId,
    handle: ucp_ep_h,
    worker: Rc<WorkerHandle>,
    // UCX holds its address; freed when the endpoint is closed.
    context: *mut ErrorContext,
}

struct ErrorContext {
    id: EndpointId,
    queue: Rc<Queue>,
    /// Keeps the worker from being destroyed while the endpoint closes.
    worker: Rc<WorkerHandle>,
}

unsafe extern "C" fn on_error(arg: *mut c_void, _endpoint: ucp_ep_h, status: ucs_status_t) {
    // SAFETY: `arg` is the endpoint's ErrorContext, freed only when the endpoint is closed.
    let context = unsafe { &*arg.cast::<ErrorContext>() };
    if let Err(status) = Status::check(status) {
        guard(|| context.queue.push(Event::Failed { endpoint: context.id, status }));
    }
}

impl Endpoint {
    /// Begins to connect to a listener. Errors of the connection come as [`Event::Failed`]. `client_id` is shown to the
    /// listener with the request, if it was given to [`Worker::new`].
    ///
    /// # Errors
    /// When no transport can reach the address.
    pub fn connect(worker: &Worker, to: SocketAddr) -> Result<Self, Status> {
        let to = address::to_c(to);
        Self::create(worker, |params| {
            params.field_mask |= u64::from(UCP_EP_PARAM_FIELD_SOCK_ADDR | UCP_EP_PARAM_FIELD_FLAGS);
            params.flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER | UCP_EP_PARAMS_FLAGS_SEND_CLIENT_ID;
            params.sockaddr = to.as_ucs();
        })
    }

    /// Accepts a client.
    ///
    /// # Errors
    /// When the client is gone already, or no transport reaches it.
    pub fn accept(worker: &Worker, request: ConnectionRequest) -> Result<Self, Status> {
        let request = request.into_raw();
        Self::create(worker, |params| {
            params.field_mask |= u64::from(UCP_EP_PARAM_FIELD_CONN_REQUEST);
            params.conn_request = request;
        })
    }

    fn create(worker: &Worker, fill: impl FnOnce(&mut ucp_ep_params_t)) -> Result<Self, Status> {
        let worker = worker.handle();
        let queue = &worker.1;
        let id = EndpointId::next();
        let context =
            Box::into_raw(Box::new(ErrorContext { id, queue: Rc::clone(queue), worker: Rc::clone(worker) }));
        // SAFETY: all zeroes are valid for the plain C struct; only the masked fields are read.
        let mut params: ucp_ep_params_t = unsafe { mem::zeroed() };
        params.field_mask = u64::from(UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER);
        params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
        params.err_handler = ucp_err_handler_t { cb: Some(on_error), arg: context.cast() };
        fill(&mut params);
        let mut handle = ptr::null_mut();
        // SAFETY: the worker is alive, the parameters valid for the call, and the context lives until the endpoint closes.
        let created = Status::check(unsafe { ucp_ep_create(worker.0, &raw const params, &raw mut handle) });
        if let Err(status) = created {
            // SAFETY: there is no endpoint that could use the context.
            drop(unsafe { Box::from_raw(context) });
            return Err(status);
        }
        Ok(Self { id, handle, worker: Rc::clone(worker), context })
    }

    pub(crate) fn context(&self) -> &Context {
        &self.worker.2
    }

    /// What [`Event`]s and [`Message`](crate::Message)s call this endpoint.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// Sends an active message. [`Event::Sent`] with `cookie` reports its end: for data that travels by rendezvous the
    /// peer has fetched it then, otherwise it has only left.
    pub fn send(&self, id: u16, header: Vec<u8>, regions: Vec<Region>, mode: SendMode, cookie: u64) {
        let message = Outgoing { id, header, regions, mode, cookie };
        // SAFETY: the endpoint is not closed: closing consumes it.
        unsafe { post_send(self.handle, &self.worker.1, message) };
    }

    /// The peer's address, where UCX knows it.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        // SAFETY: all zeroes are valid for the plain C struct.
        let mut attr: ucp_ep_attr_t = unsafe { mem::zeroed() };
        attr.field_mask = u64::from(UCP_EP_ATTR_FIELD_REMOTE_SOCKADDR);
        // SAFETY: the endpoint is not closed.
        Status::check(unsafe { ucp_ep_query(self.handle, &raw mut attr) }).ok()?;
        address::from_c(&attr.remote_sockaddr)
    }

    /// The lanes in use, as UCX names them (`tcp/eth0`), without repetition.
    pub fn lanes(&self) -> Vec<String> {
        parse_lanes(&self.describe())
    }

    /// UCX's own description of the endpoint. (The transports attribute of `ucp_ep_query` came after 1.13.)
    fn describe(&self) -> String {
        let (mut text, mut len) = (ptr::null_mut(), 0);
        // SAFETY: a memory stream is opened, printed to, closed and its buffer freed; the buffer is read only after the
        // close has filled it in and ended it with NUL.
        unsafe {
            let stream = libc::open_memstream(&raw mut text, &raw mut len);
            if stream.is_null() {
                return String::new();
            }
            ucp_ep_print_info(self.handle, stream);
            libc::fclose(stream);
            let description = CStr::from_ptr(text).to_string_lossy().into_owned();
            libc::free(text.cast());
            description
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let mut param = request_param();
        param.op_attr_mask |= UCP_OP_ATTR_FIELD_FLAGS;
        param.flags = UCP_EP_CLOSE_FLAG_FORCE;
        param.cb.send = Some(on_closed);
        param.user_data = self.context.cast();
        self.worker.1.operation_posted();
        // SAFETY: the endpoint is alive and closed only here; its context is freed in `closed`, which is reached once:
        // from here, or from the callback.
        unsafe {
            let request = ucp_ep_close_nbx(self.handle, &raw const param);
            if request.is_null() || Status::from_pointer(request).is_some() {
                closed(self.context);
            }
        }
    }
}

unsafe extern "C" fn on_closed(request: *mut c_void, _status: ucs_status_t, user_data: *mut c_void) {
    // SAFETY: the user data is the endpoint's context, and the close is reported once.
    guard(|| unsafe { closed(user_data.cast()) });
    // SAFETY: the request is complete and not used again.
    unsafe { ucp_request_free(request) };
}

/// # Safety
/// `context` belongs to an endpoint that is gone, and is not used again.
unsafe fn closed(context: *mut ErrorContext) {
    // SAFETY: the caller's promise.
    let context = unsafe { Box::from_raw(context) };
    let ErrorContext { queue, worker, .. } = *context;
    queue.operation_ended();
    drop(worker);
}

fn parse_lanes(description: &str) -> Vec<String> {
    let mut lanes: Vec<String> = Vec::new();
    for line in description.lines() {
        // "#   lane[0]:  1:tcp/lo.0 md[1]  -> addr[0].md[1]/tcp/sysdev[255]  am am_bw#0"
        let Some((_, rest)) = line.split_once("lane[") else { continue };
        let Some((_, rest)) = rest.split_once("]:") else { continue };
        let Some((_, name)) = rest.split_whitespace().next().and_then(|word| word.split_once(':')) else {
            continue;
        };
        // ".0" is the number of the path on the device.
        let name = match name.rsplit_once('.') {
            Some((name, path)) if path.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => name,
        };
        if !lanes.iter().any(|lane| lane == name) {
            lanes.push(name.to_owned());
        }
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_named_once_each() {
        let description = "#\n# UCP endpoint\n#   lane[0]:  1:tcp/lo.0 md[1]    -> addr[0].md[1]/tcp/sysdev[255]  am\n\
            #   lane[1]:  4:rc_verbs/mlx5_0:1.1 md[2] -> rma_bw#0\n#   lane[2]:  1:tcp/lo.0 md[1] -> am_bw#1\n";
        assert_eq!(parse_lanes(description), ["tcp/lo", "rc_verbs/mlx5_0:1"]);
    }
}
