//! Everything that is checked without running the code.

use std::process::Command;
use std::time::Duration;

use anyhow::bail;

use crate::setup::{self, For};
use crate::shell::{self, Workspace, succeeds};

const CARGO_DENY: &str = "0.20.2";
const ADVISORIES_WITHIN: Duration = Duration::from_secs(120);

/// Stops at the first fault.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    setup::ensure(&[For::Building, For::Linting], false)?;
    check_code(workspace)?;
    check_dependencies(workspace)
}

fn check_code(workspace: &Workspace) -> anyhow::Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !succeeds(workspace.cargo().args([subcommand, "--version"])) {
            bail!("`cargo {subcommand}` is missing: rustup component add {component}");
        }
    }
    shell::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    shell::run(workspace.cargo().args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))?;
    shell::run(workspace.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    shell::run(workspace.cargo().args(["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn check_dependencies(workspace: &Workspace) -> anyhow::Result<()> {
    let program = workspace.tool("cargo-deny", CARGO_DENY)?;
    let deny = || {
        let mut command = Command::new(&program);
        command.current_dir(&workspace.root);
        command
    };
    shell::run(deny().args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))?;
    // The advisories are on GitHub, which not every build machine reaches.
    if let Err(error) = shell::run_within(deny().args(["fetch", "db"]), ADVISORIES_WITHIN) {
        eprintln!("advisories NOT checked: their database cannot be fetched ({error:#})");
        return Ok(());
    }
    shell::run(deny().args(["check", "--disable-fetch", "advisories"]))
}
