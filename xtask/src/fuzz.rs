//! Every fuzz target, for a while; as many at once as there are processors.

use std::num::NonZero;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::setup::{self, For};
use crate::shell::{self, Workspace, line_of};

/// For each target.
pub(crate) const DEFAULT_SECONDS: u32 = 60;

const CARGO_FUZZ: &str = "0.13.2";
const FOLDER: &str = "fuzz";
/// Comes before their number.
const EXECUTIONS: &str = "stat::number_of_executed_units:";

/// Starts from the checked-in seeds; what it finds on the way goes to `fuzz/corpus`, what fails to `fuzz/artifacts`.
pub(crate) fn run(workspace: &Workspace, seconds: u32) -> anyhow::Result<()> {
    setup::ensure(&[For::Building, For::Fuzzing], false)?;
    let targets = targets(workspace)?;
    let program = workspace.tool("cargo-fuzz", CARGO_FUZZ)?;
    let fuzz = |command: &str| {
        let mut fuzz = Command::new(&program);
        // The sanitizers are nightly options of a compiler that has them all along.
        fuzz.current_dir(&workspace.root).env("RUSTC_BOOTSTRAP", "1").arg(command);
        fuzz
    };
    shell::run(&mut fuzz("build"))?;
    let at_once = std::thread::available_parallelism().map_or(1, NonZero::get);
    for some in targets.chunks(at_once) {
        let results: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = some
                .iter()
                .map(|target| {
                    let fuzz = fuzz("run");
                    scope.spawn(move || run_one(workspace, fuzz, target, seconds))
                })
                .collect();
            running.into_iter().map(|one| one.join().expect("it does not panic")).collect()
        });
        results.into_iter().collect::<anyhow::Result<()>>()?;
    }
    println!("fuzzed {} targets, {seconds} s each, without a finding", targets.len());
    Ok(())
}

fn run_one(workspace: &Workspace, mut fuzz: Command, target: &str, seconds: u32) -> anyhow::Result<()> {
    let corpus = format!("{FOLDER}/corpus/{target}");
    let seeds = format!("{FOLDER}/seeds/{target}");
    std::fs::create_dir_all(workspace.root.join(&corpus))
        .with_context(|| format!("cannot create {corpus}"))?;
    fuzz.args([target, &corpus]);
    if workspace.root.join(&seeds).is_dir() {
        fuzz.arg(&seeds);
    }
    let time = format!("-max_total_time={seconds}");
    fuzz.args(["--", &time, "-verbosity=0", "-print_final_stats=1"]);
    eprintln!("$ {}", line_of(&fuzz));
    let output = fuzz.stdin(Stdio::null()).output().context("cargo-fuzz does not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprint!("{}{said}", String::from_utf8_lossy(&output.stdout));
        bail!("fuzz target {target} failed; what made it fail is in {FOLDER}/artifacts/{target}");
    }
    let executions = said.lines().find_map(|line| line.strip_prefix(EXECUTIONS)).unwrap_or("?");
    println!("{target}: {} executions", executions.trim());
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
