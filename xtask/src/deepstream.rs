//! DeepStream's libraries for the tests, so that they can be loaded where there is no CUDA, too.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::fetch::{CUDA_RUNTIME, DEEPSTREAM};
use crate::shell::{Workspace, run};

const DRIVER: &str = "libcuda.so.1";

/// The folder of the libraries. What they need of CUDA lies beside them, where they look first: its runtime, and where there is
/// no driver an empty one, which is enough for surfaces in the CPU's memory.
pub(crate) fn libraries(workspace: &Workspace, offline: bool) -> anyhow::Result<PathBuf> {
    let folder = DEEPSTREAM.fetch(workspace, offline)?;
    let runtime = CUDA_RUNTIME.fetch(workspace, offline)?;
    let name = runtime.file_name().context("the runtime has no name")?;
    remove(&folder.join(name))?;
    std::os::unix::fs::symlink(&runtime, folder.join(name)).context("cannot link CUDA's runtime")?;
    let driver = folder.join(DRIVER);
    remove(&driver)?;
    if !has_driver() {
        make_driver(&driver).context("cannot make a library in place of CUDA's driver")?;
    }
    Ok(folder)
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Whether the loader finds CUDA's driver.
fn has_driver() -> bool {
    let listed = Command::new("/sbin/ldconfig").arg("-p").stderr(Stdio::null()).output();
    let folders = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    listed.is_ok_and(|listed| String::from_utf8_lossy(&listed.stdout).contains(DRIVER))
        || std::env::split_paths(&folders).any(|folder| folder.join(DRIVER).exists())
}

/// A driver that says there is no GPU, with the linker that Rust needs in any case.
fn make_driver(path: &Path) -> anyhow::Result<()> {
    let source = path.with_file_name("no-driver.c");
    // CUDA_ERROR_NO_DEVICE.
    std::fs::write(&source, "int cuInit(unsigned flags) { (void)flags; return 100; }\n")?;
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"]).arg(path).arg(&source);
    run(&mut compiler)
}
