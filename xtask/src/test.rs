//! All tests, with what they need around them.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::fetch::NEWEST_UCX;
use crate::shell::{self, Workspace, line_of};
use crate::{deepstream, newest, setup};

/// Where the tests find the newest UCX; its modules are in `ucx/` below.
const UCX_NEW: &str = "NVDSUCX_UCX_NEW";
/// Where DeepStream's libraries are, for the tests and for users.
const DEEPSTREAM_FOLDER: &str = "NVDSUCX_DEEPSTREAM";
/// Where the tests find the root of a newer system.
const TESTING_ROOT: &str = "NVDSUCX_TESTING_ROOT";

/// Builds the plugin and runs the workspace's tests, with `newest` those with a newer system beside this one, too,
/// with `hosts` those with a network that fails.
pub(crate) fn run(
    workspace: &Workspace,
    filter: Option<&str>,
    newest: bool,
    hosts: bool,
    offline: bool,
) -> anyhow::Result<()> {
    setup::ensure(setup::EVERYTHING, offline)?;
    // The user may have one already.
    let testing_root = match std::env::var_os(TESTING_ROOT) {
        Some(root) => Some(root.into()),
        None if newest => Some(newest::root(workspace, offline)?),
        None => {
            eprintln!("tests with a newer system are SKIPPED: they take --newest");
            None
        }
    };
    if !hosts {
        eprintln!("tests with a network that fails are SKIPPED: they take --hosts");
    }
    let fetched = |path: anyhow::Result<PathBuf>, what: &str| match path {
        Ok(path) => Ok(Some(path)),
        Err(error) if offline => {
            eprintln!("tests with {what} are SKIPPED: {error:#}");
            Ok(None)
        }
        Err(error) => Err(error),
    };
    let newest_ucx = fetched(NEWEST_UCX.fetch(workspace, offline), "the newest UCX")?;
    let deepstream = match std::env::var_os(DEEPSTREAM_FOLDER) {
        Some(folder) => Some(folder.into()),
        None if cfg!(target_arch = "x86_64") => {
            fetched(deepstream::libraries(workspace, offline), "DeepStream's libraries")?
        }
        None => None,
    };

    let cargo = || {
        let mut cargo = workspace.cargo();
        if offline {
            cargo.env("CARGO_NET_OFFLINE", "true");
        }
        cargo
    };
    shell::run(cargo().args(["build", "-p", "gst-plugin-nvdsucx"]))?;

    let mut test = cargo();
    test.args(["test", "--workspace", "--no-fail-fast"]).args(filter);
    test.envs(workspace.gstreamer_environment("debug")?);
    // Without them these tests see to it that nothing breaks.
    test.envs(deepstream.map(|folder| (DEEPSTREAM_FOLDER, folder)));
    eprintln!("tests over RDMA verbs are SKIPPED: `cargo xtask test --rdma` runs them");
    test.args(["--", "--skip", "rdma"]);
    // The tests that need them have the words in their names.
    for (variable, path, word) in [(UCX_NEW, newest_ucx, "newest"), (TESTING_ROOT, testing_root, "testing")] {
        match path {
            Some(path) => test.env(variable, path),
            None => test.env_remove(variable).args(["--skip", word]),
        };
    }
    if !hosts {
        test.args(["--skip", "hosts"]);
    }
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        test.env("RUST_BACKTRACE", "1");
    }
    let mut totals = Totals::new();
    run_and_count(&mut test, &mut totals)?;
    totals.check(filter)
}

/// What came of all tests together.
#[derive(Default)]
pub(crate) struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// The programs that ran them said so.
    pub(crate) succeeded: bool,
}

impl Totals {
    /// Of programs that all have to succeed.
    pub(crate) fn new() -> Self {
        Self { succeeded: true, ..Self::default() }
    }

    /// Adds the numbers in a line of the tests' output, if it has some.
    pub(crate) fn add(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
            self.ignored += number_before(result, " ignored");
        }
    }

    /// Prints the sums; an error if a test failed or none ran.
    pub(crate) fn check(&self, filter: Option<&str>) -> anyhow::Result<()> {
        println!("\n{} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored);
        if self.failed > 0 || !self.succeeded {
            bail!("the tests failed");
        }
        if self.passed == 0 {
            bail!(
                "no test ran{}",
                filter.map_or_else(String::new, |filter| format!(": none is called like `{filter}`"))
            );
        }
        Ok(())
    }
}

/// Passes the output on as it comes, and adds up the results in it.
pub(crate) fn run_and_count(test: &mut Command, totals: &mut Totals) -> anyhow::Result<()> {
    let line = line_of(test);
    eprintln!("$ {line}");
    let mut child =
        test.stdout(Stdio::piped()).spawn().with_context(|| format!("`{line}` does not start"))?;
    let stdout = child.stdout.take().context("the tests have no output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("the tests' output cannot be read")?;
        println!("{line}");
        totals.add(&line);
    }
    totals.succeeded &= child.wait().with_context(|| format!("`{line}` is lost"))?.success();
    Ok(())
}

/// The `7` of `ok. 7 passed; ...`.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().filter(|before| before.len() < text.len());
    before.and_then(|before| before.rsplit(' ').next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::number_before;

    #[test]
    fn numbers_of_a_result_line_are_found() {
        let line = "FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.01s";
        assert_eq!(number_before(line, " passed"), 12);
        assert_eq!(number_before(line, " failed"), 3);
        assert_eq!(number_before(line, " ignored"), 0);
        assert_eq!(number_before(line, " skipped"), 0);
    }
}
