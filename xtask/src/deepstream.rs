//! DeepStream's libraries for the tests, so that they can be loaded where there is no CUDA, too.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::fetch::{CUDA_RUNTIME, DEEPSTREAM};
use crate::shell::{self, Workspace, run};

const DRIVER: &str = "libcuda.so.1";

/// A folder with the libraries, and what they need of CUDA, for which they look beside themselves first: its runtime, and where
/// there is no driver an empty one, which is enough for surfaces in the CPU's memory.
pub(crate) fn libraries(workspace: &Workspace, offline: bool) -> anyhow::Result<PathBuf> {
    let wheel = DEEPSTREAM.fetch(workspace, offline)?;
    let runtime = CUDA_RUNTIME.fetch(workspace, offline)?;
    // Not the one that they were unpacked to: what is in that is NVIDIA's alone.
    let folder = workspace.target.join("deepstream-tests");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for file in shell::entries(&wheel)?.into_iter().chain([runtime]).filter(|file| file.is_file()) {
        let name = file.file_name().context("a file without a name")?;
        // No symbolic ones: whoever follows them has nothing beside the file.
        std::fs::hard_link(&file, folder.join(name))
            .with_context(|| format!("cannot link {}", file.display()))?;
    }
    if !has_driver() {
        make_driver(&folder.join(DRIVER)).context("cannot make a library in place of CUDA's driver")?;
    }
    Ok(folder)
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
