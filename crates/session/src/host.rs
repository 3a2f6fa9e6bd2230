//! Who can map our memory.

use std::fs;

/// Names those that could map each other's memory: the same boot of the same kernel, the same IPC and user namespaces, the same
/// user, the same kind of CPU. Empty if that cannot be told. What is named alike must still be proved by mapping.
pub(crate) fn identity() -> String {
    let read = || {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let ipc = fs::read_link("/proc/self/ns/ipc").ok()?;
        let users = fs::read_link("/proc/self/ns/user").ok()?;
        let user = rustix::process::geteuid().as_raw();
        let arch = std::env::consts::ARCH;
        Some(format!("{} {} {} {user} {arch}", boot.trim(), ipc.display(), users.display()))
    };
    read().unwrap_or_default()
}
