//! The crates that speak to UCX, with every access to memory watched: by sanitizers, and by valgrind where the toolchain has not
//! all that these take.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::setup::{self, For};
use crate::shell::{self, Workspace, output_of};

const PACKAGES: [&str; 4] = ["-p", "ucp", "-p", "nvdsucx-session"];
/// UCX changes the code of functions, of which the sanitizers have their own.
const HOOKS: (&str, &str) = ("UCX_MEM_MMAP_HOOK_MODE", "none");
/// `shared` looks at the process's mappings, and starts its program again: under valgrind both are valgrind's. In `killed` the
/// sender is gone before UCX here, slowed down, has let it send all.
const NOT_UNDER_VALGRIND: [&str; 2] = ["shared-", "killed-"];
/// UCX is not built with ThreadSanitizer, which would take what it does for races.
const NOT_OURS: (&str, &str) = ("TSAN_OPTIONS", "ignore_noninstrumented_modules=1");
const VALGRIND: [&str; 5] =
    ["valgrind", "--quiet", "--error-exitcode=99", "--fair-sched=yes", "--num-callers=30"];

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    setup::ensure(&[For::Building], false)?;
    shell::run(&mut test_with("address", workspace))?;
    if standard_library().is_some_and(|source| source.exists()) {
        // With a standard library that it does not see into, each wait for a lock would be a race to it.
        shell::run(test_with("thread", workspace).arg("-Zbuild-std"))?;
        println!("AddressSanitizer and ThreadSanitizer found nothing");
        return Ok(());
    }
    setup::ensure(&[For::Sanitizing], false)?;
    let suppressions = workspace.root.join("xtask/src/valgrind.supp");
    for program in programs(workspace)? {
        let folder = program.folder;
        let name = program.path.file_name().unwrap_or_default().to_string_lossy();
        if NOT_UNDER_VALGRIND.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        let mut valgrind = Command::new(VALGRIND[0]);
        valgrind.args(&VALGRIND[1..]).arg(format!("--suppressions={}", suppressions.display()));
        shell::run(valgrind.arg(program.path).current_dir(folder))?;
    }
    println!("AddressSanitizer and valgrind found nothing");
    println!(
        "SKIPPED ThreadSanitizer: it takes the standard library's source (rustup component add rust-src); and with valgrind \
         ucp's `shared`, whose mappings it hides, and session's `killed`, for which it is too slow"
    );
    Ok(())
}

/// Builds and runs the tests with a sanitizer.
fn test_with(sanitizer: &str, workspace: &Workspace) -> Command {
    let mut test = tests(workspace);
    // A nightly option of a compiler that has it all along.
    test.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}"));
    test.envs([HOOKS, NOT_OURS]);
    // With a target given, what runs while building is not concerned.
    test.arg("--target").arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH));
    test.arg("--target-dir").arg(workspace.target.join("sanitize").join(sanitizer));
    test
}

fn tests(workspace: &Workspace) -> Command {
    let mut test = workspace.cargo();
    test.arg("test").args(PACKAGES).args(["--lib", "--tests"]);
    test
}

/// Where the source of the standard library is, if it is installed.
fn standard_library() -> Option<PathBuf> {
    let sysroot = output_of(Command::new("rustc").args(["--print", "sysroot"]))?;
    Some(Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock"))
}

/// A test program.
struct Program {
    path: PathBuf,
    /// Of its package: cargo runs it there.
    folder: PathBuf,
}

fn programs(workspace: &Workspace) -> anyhow::Result<Vec<Program>> {
    shell::run(tests(workspace).arg("--no-run"))?;
    let told = output_of(tests(workspace).args(["--no-run", "--message-format=json"]));
    let told = told.context("cargo does not start")?;
    let programs = told.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let path = message["executable"].as_str()?.into();
        let folder = Path::new(message["manifest_path"].as_str()?).parent()?.into();
        Some(Program { path, folder })
    });
    Ok(programs.collect())
}
