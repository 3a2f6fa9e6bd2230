//! UCX, brought up: with the device that a connection comes by, or with all that it finds.

use std::os::fd::BorrowedFd;

use nvdsucx_wire as wire;
use ucp::{Context, Event, MemoryKind, Setting, Status, Worker};

use crate::{Config, host};

const CM_USE_ALL_DEVICES: &str = "CM_USE_ALL_DEVICES";
/// While the worker with all devices is busy, the other has its turn in one of so many rounds, of some microseconds each.
const ROUNDS: u32 = 8;

/// UCX for one way of choosing devices.
struct Instance {
    // Before the context, which it is of.
    worker: Worker,
    context: Context,
}

/// Connections keep to the interface that they come by: the one that the user named. Any two releases of UCX connect.
/// Between two processes with a GPU that is not enough, so there may be a second worker, which uses all devices.
///
/// Neither has UCX's shared memory carry messages, which it does if `UCX_SYSV_ERROR_HANDLING` is set: a peer that is killed
/// while it writes one stops the queue that all write to (1.22), for ever.
pub(crate) struct Ucx {
    own: Instance,
    with_all_devices: Option<Instance>,
    /// Rounds since the own worker was last looked at.
    rounds: u32,
}

impl Ucx {
    pub(crate) fn new(config: &Config, client_id: u64) -> Result<Self, Status> {
        let mut settings = vec![Setting { name: CM_USE_ALL_DEVICES, value: "n", force: false }];
        if !config.high_performance || !host::has_rdma() {
            // Newer releases of UCX (1.22) take that to be slower over TCP than copies of 8 KiB each. It is four times as fast.
            settings.push(Setting { name: "RNDV_SCHEME", value: "put_zcopy", force: false });
        }
        let own = Instance::new(config, client_id, &settings)?;
        Ok(Self { own, with_all_devices: None, rounds: 0 })
    }

    /// From now on there is a worker that uses every device, those between GPUs as well: for peers that have it so, too, and
    /// run the same release.
    pub(crate) fn use_all_devices(&mut self, config: &Config, client_id: u64) -> Result<(), Status> {
        if self.with_all_devices.is_none() {
            let settings = [
                Setting { name: CM_USE_ALL_DEVICES, value: "y", force: false },
                // Of two interfaces of one host none is faster than the other; and each that is used takes a few system calls
                // in every round.
                Setting { name: "MAX_RNDV_RAILS", value: "1", force: false },
                Setting { name: "MULTI_LANE_MAX_RATIO", value: "1", force: false },
            ];
            self.with_all_devices = Some(Instance::new(config, client_id, &settings)?);
        }
        Ok(())
    }

    fn workers(&self) -> impl Iterator<Item = &Worker> {
        [Some(&self.own), self.with_all_devices.as_ref()].into_iter().flatten().map(|ucx| &ucx.worker)
    }

    pub(crate) fn worker(&self, all_devices: bool) -> &Worker {
        &self.with_all_devices.as_ref().filter(|_| all_devices).unwrap_or(&self.own).worker
    }

    /// What memory is shared and registered in.
    pub(crate) fn context(&self) -> &Context {
        &self.own.context
    }

    /// Lets UCX work. Returns whether there was something to do.
    pub(crate) fn progress(&mut self) -> bool {
        let busy = self.with_all_devices.as_ref().is_some_and(|ucx| ucx.worker.progress());
        // Each look is a few system calls.
        self.rounds += 1;
        if busy && self.rounds < ROUNDS {
            return true;
        }
        self.rounds = 0;
        self.own.worker.progress() | busy
    }

    pub(crate) fn next_event(&self) -> Option<Event> {
        self.workers().find_map(Worker::next_event)
    }

    /// Whether anything is under way to or from those that use all devices, which GPUs copy.
    pub(crate) fn is_copying(&self) -> bool {
        self.with_all_devices.as_ref().is_some_and(|ucx| ucx.worker.operations() > 0)
    }

    /// What to sleep on; one of them twice, if it is the only one.
    pub(crate) fn event_fds(&self) -> [BorrowedFd<'_>; 2] {
        [false, true].map(|all_devices| self.worker(all_devices).event_fd())
    }

    /// Prepares for a sleep. If it cannot be armed there is work, or an error that the next round reports.
    pub(crate) fn arm(&self) -> bool {
        self.workers().all(|worker| matches!(worker.arm(), Ok(true)))
    }

    /// Longest header that every worker can send.
    pub(crate) fn max_header(&self) -> usize {
        self.worker(false).max_header().min(self.worker(true).max_header())
    }

    /// Names those that may use [all devices](Self::use_all_devices) with this process. Empty if it has no GPU, for which that
    /// is worth while, or the user has settled which devices UCX uses.
    pub(crate) fn devices(&self, config: &Config) -> String {
        let settled = std::env::var_os(format!("UCX_{CM_USE_ALL_DEVICES}")).is_some();
        if settled || !config.high_performance || !self.own.context.knows(MemoryKind::Cuda) {
            return String::new();
        }
        host::devices().unwrap_or_default()
    }
}

impl Instance {
    fn new(config: &Config, client_id: u64, settings: &[Setting<'_>]) -> Result<Self, Status> {
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
}
