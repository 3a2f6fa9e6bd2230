//! Contexts: a process's use of UCX's transports.

use std::any::Any;
use std::cell::OnceCell;
use std::ffi::{CStr, CString, c_void};
use std::mem;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use ucp_sys::*;

use crate::{MemoryKind, RegionMut, Status};

/// The release of UCX in use, `1.13.1`.
pub fn version() -> String {
    // SAFETY: returns a static string.
    unsafe { CStr::from_ptr(ucp_get_version_string()) }.to_string_lossy().into_owned()
}

/// A UCP context with active messages and wake-up.
#[derive(Clone, Debug)]
pub struct Context(Rc<ContextHandle>);

#[derive(Debug)]
struct ContextHandle {
    handle: ucp_context_h,
    /// Whether UCX has shared memory, once it was tried.
    can_share: OnceCell<bool>,
}

impl Drop for ContextHandle {
    fn drop(&mut self) {
        // SAFETY: made by ucp_init, and whatever was made from it holds an Rc and is gone.
        unsafe { ucp_cleanup(self.handle) };
    }
}

impl Context {
    /// Brings UCX up. `settings` are UCX's configuration variables without the prefix (`("TLS", "tcp")`). Those that the
    /// user has set in the environment (`UCX_TLS`) are left alone unless `force` is true for them; those that this
    /// release does not know are passed over.
    ///
    /// # Errors
    /// When no transport can be used, or UCX is older than 1.13.
    pub fn new(name: &str, settings: &[Setting<'_>]) -> Result<Self, Status> {
        let config = Config::read()?;
        for setting in settings {
            let by_user = std::env::var_os(format!("UCX_{}", setting.name)).is_some();
            if setting.force || !by_user {
                config.set(setting.name, setting.value);
            }
        }
        let name = CString::new(name.replace('\0', "")).unwrap_or_default();
        // SAFETY: all zeroes are valid for the plain C struct; only the masked fields are read.
        let mut params: ucp_params_t = unsafe { mem::zeroed() };
        params.field_mask = u64::from(UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME);
        params.features = u64::from(UCP_FEATURE_AM | UCP_FEATURE_WAKEUP);
        params.name = name.as_ptr();
        let mut context = ptr::null_mut();
        // SAFETY: the parameters and the configuration are valid for the call.
        Status::check(unsafe {
            ucp_init_version(UCP_API_MAJOR, UCP_API_MINOR, &raw const params, config.0, &raw mut context)
        })?;
        Ok(Self(Rc::new(ContextHandle { handle: context, can_share: OnceCell::new() })))
    }

    /// Whether UCX can send and receive memory of that kind: a UCX without CUDA takes a GPU's memory for the CPU's, and crashes.
    pub fn knows(&self, kind: MemoryKind) -> bool {
        // SAFETY: all zeroes are valid for the plain C struct; only the masked fields are filled in.
        let mut attr: ucp_context_attr_t = unsafe { mem::zeroed() };
        attr.field_mask = u64::from(UCP_ATTR_FIELD_MEMORY_TYPES);
        // SAFETY: the context is alive.
        let status = unsafe { ucp_context_query(self.0.handle, &raw mut attr) };
        Status::check(status).is_ok() && attr.memory_types & (1 << kind.as_ucs()) != 0
    }

    pub(crate) fn handle(&self) -> ucp_context_h {
        self.0.handle
    }

    pub(crate) fn can_share(&self) -> bool {
        *self.0.can_share.get_or_init(|| self.share(1).is_ok())
    }

    /// Registers memory with every transport that wants it (pinning it for RDMA), so that nothing is registered when data
    /// lands in it. The memory stays mapped for as long as the registration.
    ///
    /// # Errors
    /// When a transport cannot register it, often for the limit on locked memory (`ulimit -l`).
    pub fn register(&self, region: &RegionMut) -> Result<Registration, Status> {
        // SAFETY: all zeroes are valid for the plain C struct; only the masked fields are read.
        let mut params: ucp_mem_map_params_t = unsafe { mem::zeroed() };
        params.field_mask = u64::from(
            UCP_MEM_MAP_PARAM_FIELD_ADDRESS
                | UCP_MEM_MAP_PARAM_FIELD_LENGTH
                | UCP_MEM_MAP_PARAM_FIELD_MEMORY_TYPE,
        );
        params.address = region.as_ptr().cast_mut().cast::<c_void>();
        params.length = region.len();
        params.memory_type = region.kind().as_ucs();
        let mut handle = ptr::null_mut();
        // SAFETY: the region's memory is mapped, and its owner kept until it is unmapped.
        Status::check(unsafe { ucp_mem_map(self.handle(), &raw const params, &raw mut handle) })?;
        Ok(Registration { handle, context: self.clone(), _owner: Arc::clone(region.owner()) })
    }
}

/// A configuration variable of UCX.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// Without the `UCX_` prefix.
    pub name: &'a str,
    /// As it would stand in the environment.
    pub value: &'a str,
    /// Even when the environment says otherwise.
    pub force: bool,
}

/// Registered memory.
#[derive(Debug)]
pub struct Registration {
    handle: ucp_mem_h,
    context: Context,
    _owner: Arc<dyn Any + Send + Sync>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: mapped in `Context::register`, and the context is alive. A failure leaves nothing to do.
        unsafe { ucp_mem_unmap(self.context.handle(), self.handle) };
    }
}

impl MemoryKind {
    pub(crate) fn as_ucs(self) -> ucs_memory_type_t {
        match self {
            Self::Host => UCS_MEMORY_TYPE_HOST,
            Self::Cuda => UCS_MEMORY_TYPE_CUDA,
            Self::CudaManaged => UCS_MEMORY_TYPE_CUDA_MANAGED,
        }
    }
}

struct Config(*mut ucp_config_t);

impl Config {
    fn read() -> Result<Self, Status> {
        let mut config = ptr::null_mut();
        // SAFETY: null stands for the usual prefix and file.
        Status::check(unsafe { ucp_config_read(ptr::null(), ptr::null(), &raw mut config) })?;
        Ok(Self(config))
    }

    fn set(&self, name: &str, value: &str) {
        let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) else { return };
        // SAFETY: both strings end in NUL and are copied. The status is of no use: an unknown name is passed over.
        unsafe { ucp_config_modify(self.0, name.as_ptr(), value.as_ptr()) };
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: made by ucp_config_read.
        unsafe { ucp_config_release(self.0) };
    }
}
