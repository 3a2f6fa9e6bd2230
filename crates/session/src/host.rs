//! Who can map our memory.

use std::fs;

/// Names those that could map each other's memory: the same boot of the same kernel, the same IPC and user namespaces, the same
/// user, the same kind of CPU. Empty if that cannot be told. What is named alike must still be proved by mapping.
pub(crate) fn identity() -> String {
    let read = || {
        let boot = boot()?;
        let ipc = fs::read_link("/proc/self/ns/ipc").ok()?;
        let users = fs::read_link("/proc/self/ns/user").ok()?;
        let user = rustix::process::geteuid().as_raw();
        let arch = std::env::consts::ARCH;
        Some(format!("{boot} {} {} {user} {arch}", ipc.display(), users.display()))
    };
    read().unwrap_or_default()
}

/// Names those that reach each other by every device: the same boot of the same kernel, the same network namespace. `None` if
/// that cannot be told.
pub(crate) fn devices() -> Option<String> {
    let net = fs::read_link("/proc/self/ns/net").ok()?;
    Some(format!("{} {}", boot()?, net.display()))
}

/// Whether there are RDMA devices, as far as the kernel shows them.
pub(crate) fn has_rdma() -> bool {
    fs::read_dir("/sys/class/infiniband").is_ok_and(|mut devices| devices.next().is_some())
}

fn boot() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(boot.trim().to_owned())
}
