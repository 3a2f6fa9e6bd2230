//! Every fuzz target, for a while.

use anyhow::{Context as _, bail};

use crate::setup::{self, For};
use crate::shell::{self, Workspace};

/// For each target.
pub(crate) const DEFAULT_SECONDS: u32 = 60;

const CARGO_FUZZ: &str = "0.13.2";
const FOLDER: &str = "fuzz";

/// Starts from the checked-in seeds; what it finds on the way goes to `fuzz/corpus`, what fails to `fuzz/artifacts`.
pub(crate) fn run(workspace: &Workspace, seconds: u32) -> anyhow::Result<()> {
    setup::ensure(&[For::Building, For::Fuzzing], false)?;
    let targets = targets(workspace)?;
    let program = workspace.tool("cargo-fuzz", CARGO_FUZZ)?;
    for target in &targets {
        let corpus = format!("{FOLDER}/corpus/{target}");
        let seeds = format!("{FOLDER}/seeds/{target}");
        std::fs::create_dir_all(workspace.root.join(&corpus))
            .with_context(|| format!("cannot create {corpus}"))?;
        let mut fuzz = std::process::Command::new(&program);
        // The sanitizers are nightly options of a compiler that has them all along.
        fuzz.current_dir(&workspace.root).env("RUSTC_BOOTSTRAP", "1").args(["run", target, &corpus]);
        if workspace.root.join(&seeds).is_dir() {
            fuzz.arg(&seeds);
        }
        let time = format!("-max_total_time={seconds}");
        shell::run(fuzz.args(["--", &time, "-verbosity=0", "-print_final_stats=1"])).with_context(|| {
            format!("fuzz target {target} failed; what made it fail is in {FOLDER}/artifacts/{target}")
        })?;
    }
    println!("fuzzed {} targets, {seconds} s each: {}", targets.len(), targets.join(", "));
    Ok(())
}

/// One file, one target.
fn targets(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let folder = workspace.root.join(FOLDER).join("fuzz_targets");
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("no fuzz targets in {}", folder.display()))?;
    let mut targets = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if let Some(name) = path.extension().filter(|extension| *extension == "rs").and(path.file_stem()) {
            targets.push(name.to_string_lossy().into_owned());
        }
    }
    targets.sort();
    if targets.is_empty() {
        bail!("no fuzz targets in {}", folder.display());
    }
    Ok(targets)
}
