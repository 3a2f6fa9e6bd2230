//! Whether the disk has room for what is built.

use std::path::Path;

use crate::shell::Workspace;

/// What `target/` and `fuzz/target/` hold after everything was built and run from nothing, and some more.
const ENOUGH: u64 = 4 << 30;
/// Builds fail, and say something else.
const FULL: u64 = 256 << 20;

/// Says so if a build from nothing may not fit: it would end with a linker that dies of a bus error.
pub(crate) fn warn_if_small(workspace: &Workspace) {
    if let Some(free) = free(&workspace.target).filter(|free| *free < ENOUGH) {
        let (free, enough) = (gigabytes(free), gigabytes(ENOUGH));
        eprintln!(
            "WARNING: the disk has {free} free where {} is; to build and test from nothing takes up to {enough}",
            workspace.target.display()
        );
    }
}

/// Says so if this may be why something failed.
pub(crate) fn warn_if_full(workspace: &Workspace) {
    if let Some(free) = free(&workspace.target).filter(|free| *free < FULL) {
        eprintln!("the disk is full: {} free at {}", gigabytes(free), workspace.target.display());
    }
}

fn free(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail * disk.f_frsize)
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}
