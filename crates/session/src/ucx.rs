//! UCX, brought up: with the device that a connection comes by, or with all that it finds.

use nvdsucx_wire as wire;
use ucp::{Context, MemoryKind, Setting, Status, Worker};

use crate::{Config, host};

const CM_USE_ALL_DEVICES: &str = "CM_USE_ALL_DEVICES";

pub(crate) struct Ucx {
    // Before the context, which it is of.
    pub(crate) worker: Worker,
    pub(crate) context: Context,
}

impl Ucx {
    /// Connections keep to the interface that they come by: the one that the user named. Any two releases of UCX connect.
    pub(crate) fn new(config: &Config, client_id: u64) -> Result<Self, Status> {
        Self::with(config, client_id, &[Setting { name: CM_USE_ALL_DEVICES, value: "n", force: false }])
    }

    /// Connections use every device, those between GPUs as well. Both ends must have it so, and the same release.
    pub(crate) fn with_all_devices(config: &Config, client_id: u64) -> Result<Self, Status> {
        // Of two interfaces of one host none is faster than the other.
        let one_rail = Setting { name: "MAX_RNDV_RAILS", value: "1", force: false };
        let all_devices = Setting { name: CM_USE_ALL_DEVICES, value: "y", force: false };
        Self::with(config, client_id, &[all_devices, one_rail])
    }

    fn with(config: &Config, client_id: u64, settings: &[Setting<'_>]) -> Result<Self, Status> {
        let mut settings = settings.to_vec();
        if !config.high_performance {
            settings.push(Setting { name: "TLS", value: "tcp,cuda", force: true });
        } else if std::env::var_os("UCX_POSIX_ERROR_HANDLING").is_none() {
            // Without error handling it is not used between peers, and if the process is killed while it starts its files
            // stay in /dev/shm.
            settings.push(Setting { name: "TLS", value: "^posix", force: false });
        }
        let context = Context::new(&config.name, &settings)?;
        let worker = Worker::new(&context, client_id, &[wire::AM_CONTROL, wire::AM_FRAME])?;
        Ok(Self { worker, context })
    }

    /// Names those that may use [all devices](Self::with_all_devices) with this process. Empty if it has no GPU, for which that
    /// is worth while, or the user has settled which devices UCX uses.
    pub(crate) fn devices(&self, config: &Config) -> String {
        let settled = std::env::var_os(format!("UCX_{CM_USE_ALL_DEVICES}")).is_some();
        if settled || !config.high_performance || !self.context.knows(MemoryKind::Cuda) {
            return String::new();
        }
        host::devices().unwrap_or_default()
    }
}
