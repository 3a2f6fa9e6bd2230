//! The tests, as they were built: put into a bundle, and run in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::Bundle;
use super::libraries::Libraries;
use crate::shell::{self, Workspace, output_of};
use crate::test::{Totals, run_and_count};

/// Packages whose tests a GPU, another GStreamer or another UCX may make fail.
const PACKAGES: &[&str] = &[
    "cuda",
    "deepstream",
    "gst-newer",
    "gst-plugin-nvdsmetautils",
    "gst-plugin-nvdsucx",
    "nvdsucx-session",
    "nvdsucx-tests",
    "ucp",
];
/// Those need a virtual machine, network namespaces, a second UCX or a second system, which a bundle has not.
const LEFT_OUT: &[&str] = &["rdma", "hosts", "newest", "testing"];
/// How many tests there are at a time, unless the user says: hosts with GPUs have many cores, but each process that starts CUDA there
/// takes seconds, in which the others wait for it.
const TEST_THREADS: &str = "RUST_TEST_THREADS";
const AT_A_TIME: &str = "4";
/// Where tests look for the plugin.
const PLUGIN_PATH: &str = "NVDSUCX_PLUGIN_PATH";

/// Builds them. Programs that tests start lie beside the folder of the tests, as cargo has it.
pub(super) fn put(
    bundle: &Bundle,
    files: &mut Libraries,
    workspace: &Workspace,
    offline: bool,
) -> anyhow::Result<()> {
    let cargo = || {
        let mut cargo = workspace.cargo();
        if offline {
            cargo.env("CARGO_NET_OFFLINE", "true");
        }
        cargo.args(["test", "--no-run"]).args(PACKAGES.iter().flat_map(|package| ["-p", package]));
        cargo
    };
    shell::run(&mut cargo())?;
    let told = output_of(cargo().arg("--message-format=json")).context("cargo does not start")?;
    let (programs, tests) = (bundle.folder("tests")?, bundle.folder("tests/deps")?);
    let mut count = 0;
    for line in told.lines() {
        let Some((executable, is_test)) = executable(line) else { continue };
        let name = executable.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Of a test program whose tests are all left out nothing is left.
        if is_test && LEFT_OUT.iter().any(|word| name.starts_with(&format!("{word}-"))) {
            continue;
        }
        files.put_ours(&executable, if is_test { &tests } else { &programs })?;
        count += u32::from(is_test);
    }
    ensure!(count > 0, "cargo does not tell where the tests are");
    Ok(())
}

/// What a line of cargo's says was built, if it is a program, and whether it is one of tests.
fn executable(line: &str) -> Option<(PathBuf, bool)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message["executable"].as_str()?);
    let is_test = message["profile"]["test"].as_bool()?;
    // Examples are built along with the tests; nobody starts them.
    let is_example = message["target"]["kind"][0] == "example";
    (!is_example).then_some((path, is_test))
}

/// Runs those in a bundle.
pub(crate) fn run(bundle: &Path, filter: Option<&str>) -> anyhow::Result<()> {
    let folder = bundle.join("tests/deps");
    ensure!(folder.is_dir(), "this bundle has no tests: make one with --tests");
    let mut tests = shell::entries(&folder)?;
    tests.sort();
    let mut totals = Totals::default();
    for test in tests {
        let mut test = Command::new(test);
        test.current_dir(bundle.join("tests")).args(filter).env(PLUGIN_PATH, bundle.join("gst"));
        test.args(LEFT_OUT.iter().flat_map(|word| ["--skip", word]));
        if std::env::var_os(TEST_THREADS).is_none() {
            test.env(TEST_THREADS, AT_A_TIME);
        }
        run_and_count(&mut test, &mut totals)?;
    }
    totals.check(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_programs_are_told_apart() {
        let line = |kind: &str, test: bool| {
            format!(r#"{{"target":{{"kind":["{kind}"]}},"profile":{{"test":{test}}},"executable":"/t/x-1"}}"#)
        };
        let path = PathBuf::from("/t/x-1");
        assert_eq!(executable(&line("test", true)), Some((path.clone(), true)));
        assert_eq!(executable(&line("bin", false)), Some((path, false)));
        assert_eq!(executable(&line("example", false)), None);
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(executable("Finished"), None);
    }
}
