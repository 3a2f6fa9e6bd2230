//! The tests that need CUDA, where there is no driver: again, with what stands in for it (`tests/cuda-stand-in`).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::newest;
use crate::shell::Workspace;
use crate::test::{Totals, run_and_count};

/// How tests say that they are skipped for want of it.
const NO_DRIVER: &str = "cannot load libcuda.so.1";
/// The tests' programs, of any package, that it makes a difference to.
const PROGRAMS: &[&str] = &["absent", "gpu", "gpu_full", "gpu_leaks", "ipc", "leaks"];
/// Tells tests where it is.
const CUDA_STAND_IN: &str = "NVDSUCX_CUDA_STAND_IN";
/// The libraries that it is loaded as.
const LIBRARIES: &[&str] = &["libcuda.so.1", "libnvcuvid.so.1", "libnvidia-ml.so.1"];

/// Runs them with a UCX that knows CUDA, if `totals` say that some were skipped for want of the driver; and once more with the
/// GStreamer in `newer`, the root of a Debian testing. `build` starts their build as before; of them, only those called like
/// `filter`.
pub(crate) fn run(
    workspace: &Workspace,
    build: impl Fn() -> Command,
    filter: Option<&str>,
    ucx: &Path,
    newer: Option<&Path>,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    if !totals.skips(NO_DRIVER) {
        return Ok(());
    }
    let folder = folder(workspace)?;
    println!(
        "\nThere is no CUDA driver here: what stands in for it runs the tests that need one. It shows no speed, and nothing of \
         how a real GPU behaves."
    );
    let others = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let others = std::env::split_paths(&others).filter(|folder| !folder.as_os_str().is_empty());
    let folders = std::env::join_paths([folder.clone(), ucx.to_owned()].into_iter().chain(others))
        .context("a folder's name has a colon in it")?;
    let test = |runner: Option<String>, registry: &str| {
        let mut test = build();
        test.args(runner.iter().flat_map(|runner| ["--config", runner]));
        test.args(PROGRAMS.iter().flat_map(|program| ["--test", program])).arg("--no-fail-fast").args(filter);
        test.args(["--", "--show-output"]);
        test.env("LD_LIBRARY_PATH", &folders).env("UCX_MODULE_DIR", ucx.join("ucx"));
        // GStreamer remembers what it found without a driver.
        test.env("GST_REGISTRY", workspace.registry(registry)?).env(CUDA_STAND_IN, &folder);
        anyhow::Ok(test)
    };
    let mut again = Totals::default();
    run_and_count(&mut test(None, "cuda-stand-in")?, &mut again)?;
    totals.replace(NO_DRIVER, again, "ran with a stand-in for CUDA's driver, which is not a real GPU");
    match newer {
        Some(root) if newest::has_nvcodec(root) => {
            println!("\nThe same with the GStreamer of Debian testing.");
            run_and_count(&mut test(Some(newest::as_runner(root, workspace)), "cuda-testing")?, totals)?;
        }
        Some(root) => totals.skip(
            "CUDA with a newer GStreamer",
            &format!("{} is older than these tests: remove it", workspace.shown(root)),
        ),
        None => {}
    }
    Ok(())
}

/// A folder with the library, which was built with the tests, under each of its names.
fn folder(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let built = workspace.target.join("debug/deps/libcuda_stand_in.so");
    ensure!(built.exists(), "{} was not built", built.display());
    let folder = workspace.target.join("cuda-stand-in");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for name in LIBRARIES {
        let link = folder.join(name);
        if link.symlink_metadata().is_ok() {
            std::fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
        }
        // No symbolic one: the name that is loaded is the one in the lists of mappings, where tests look.
        std::fs::hard_link(&built, &link).with_context(|| format!("cannot create {}", link.display()))?;
    }
    Ok(folder)
}
