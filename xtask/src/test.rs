//! All tests, with what they need around them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::fetch::NEWEST_UCX;
use crate::shell::{Workspace, line_of};
use crate::{deepstream, newest, rdma, setup, stand_in};

/// Where the tests find the newest UCX; its modules are in `ucx/` below.
const UCX_NEW: &str = "NVDSUCX_UCX_NEW";
/// Where DeepStream's libraries are, for the tests and for users.
const DEEPSTREAM_FOLDER: &str = "NVDSUCX_DEEPSTREAM";
/// Where the tests find the root of a newer system.
const TESTING_ROOT: &str = "NVDSUCX_TESTING_ROOT";

/// What `cargo xtask test` was asked for.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) filter: Option<String>,
    /// Only those with a network that fails.
    pub(crate) hosts: bool,
    /// Only those over RDMA verbs.
    pub(crate) rdma: bool,
    /// Also with a newer system beside this one.
    pub(crate) newest: bool,
    pub(crate) offline: bool,
}

/// Runs all tests that this machine can run, and says which it does not run, and why.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    setup::ensure(setup::EVERYTHING, options.offline)?;
    let mut totals = Totals::default();
    if !options.rdma {
        run_here(workspace, options, &mut totals)?;
    }
    if options.rdma {
        rdma::run(workspace, options, &mut totals)?;
    } else if options.filter.is_some() || options.hosts {
        totals.skip("over RDMA verbs", "some tests were asked for; --rdma runs those");
    } else if let Some(reason) = rdma::impossible(workspace, options.offline) {
        totals.skip("over RDMA verbs", &reason);
    } else {
        rdma::run(workspace, options, &mut totals)?;
    }
    totals.check(options.filter.as_deref())
}

/// Those that need no other machine.
fn run_here(workspace: &Workspace, options: &Options, totals: &mut Totals) -> anyhow::Result<()> {
    let offline = options.offline;
    // The user may have one already.
    let testing_root = match std::env::var_os(TESTING_ROOT) {
        Some(root) => Some(root.into()),
        None if options.newest => Some(newest::root(workspace, offline)?),
        None => {
            totals
                .skip("with a newer system", "a Debian testing takes 500 MB in target/; --newest makes one");
            None
        }
    };
    let mut fetched = |path: anyhow::Result<PathBuf>, what: &str| match path {
        Ok(path) => Ok(Some(path)),
        Err(error) if offline => {
            totals.skip(what, &format!("{error:#}"));
            Ok(None)
        }
        Err(error) => Err(error),
    };
    let newest_ucx = fetched(NEWEST_UCX.fetch(workspace, offline), "with the newest UCX")?;
    let deepstream = match std::env::var_os(DEEPSTREAM_FOLDER) {
        Some(folder) => Some(folder.into()),
        None if cfg!(target_arch = "x86_64") => {
            fetched(deepstream::libraries(workspace, offline), "with DeepStream's libraries")?
        }
        None => None,
    };

    let mut test = build_command(workspace, offline);
    if options.hosts {
        test.args(["--test", "hosts"]);
    }
    test.arg("--no-fail-fast").args(&options.filter).env("GST_REGISTRY", workspace.registry("debug")?);
    // Without them these tests see to it that nothing breaks.
    test.envs(deepstream.map(|folder| (DEEPSTREAM_FOLDER, folder)));
    // Tests that are skipped say why.
    test.args(["--", "--show-output", "--skip", "rdma"]);
    // The tests that need them have the words in their names.
    for (variable, path, word) in
        [(UCX_NEW, newest_ucx.clone(), "newest"), (TESTING_ROOT, testing_root.clone(), "testing")]
    {
        match path {
            Some(path) => test.env(variable, path),
            None => test.env_remove(variable).args(["--skip", word]),
        };
    }
    run_and_count(&mut test, totals)?;
    match newest_ucx {
        Some(ucx) if !options.hosts => {
            let build = || build_command(workspace, offline);
            let (filter, newer) = (options.filter.as_deref(), testing_root.as_deref());
            stand_in::run(workspace, build, filter, &ucx, newer, totals)
        }
        // Without a UCX that knows CUDA there are no tests with a stand-in, and they are told as skipped.
        _ => Ok(()),
    }
}

/// Cargo, to build the tests of the whole workspace and the plugin that they load. Always the whole: of a part of it other
/// features are used, and most would be built twice.
pub(crate) fn build_command(workspace: &Workspace, offline: bool) -> Command {
    let mut cargo = workspace.cargo();
    if offline {
        cargo.env("CARGO_NET_OFFLINE", "true");
    }
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        cargo.env("RUST_BACKTRACE", "1");
    }
    cargo.args(["test", "--workspace"]);
    cargo
}

/// What came of all tests together.
#[derive(Default)]
pub(crate) struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Something that ran them failed.
    pub(crate) broken: bool,
    /// What was not run, and why: which tests, where that is known.
    skipped: BTreeMap<String, Vec<String>>,
    /// All that were started.
    started: BTreeSet<String>,
    /// The test whose output is read.
    current: String,
    /// What is to be said of some of those that passed.
    remarks: Vec<String>,
}

impl Totals {
    /// Adds the numbers in a line of the tests' output, if it has some.
    pub(crate) fn add(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
            self.ignored += number_before(result, " ignored");
        } else if let Some((test, _)) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... ")) {
            self.started.insert(test.to_owned());
        } else if let Some(test) =
            line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----"))
        {
            test.clone_into(&mut self.current);
        } else if let Some((_, reason)) = line.split_once(": skipped, ") {
            self.skipped.entry(reason.to_owned()).or_default().push(self.current.clone());
        }
    }

    /// Notes tests that are not run.
    pub(crate) fn skip(&mut self, which: &str, reason: &str) {
        self.skipped.insert(format!("all {which}: {reason}"), Vec::new());
    }

    /// Whether tests were skipped for a reason that begins so.
    pub(crate) fn skips(&self, reason: &str) -> bool {
        self.skipped.keys().any(|skipped| skipped.starts_with(reason))
    }

    /// Adds what came of tests that were skipped for a reason that begins so, and were run again in another way: `how`, in
    /// words.
    pub(crate) fn replace(&mut self, reason: &str, again: Self, how: &str) {
        for (_, tests) in self.skipped.iter_mut().filter(|(skipped, _)| skipped.starts_with(reason)) {
            let skipped = tests.len();
            tests.retain(|test| !again.started.contains(test));
            self.passed -= (skipped - tests.len()) as u64;
        }
        self.skipped.retain(|skipped, tests| !skipped.starts_with(reason) || !tests.is_empty());
        let skipped: usize = again.skipped.values().map(Vec::len).sum();
        self.remarks
            .push(format!("{} of those that passed {how}", again.passed.saturating_sub(skipped as u64)));
        self.passed += again.passed;
        self.failed += again.failed;
        self.ignored += again.ignored;
        self.broken |= again.broken;
        for (reason, tests) in again.skipped {
            self.skipped.entry(reason).or_default().extend(tests);
        }
    }

    /// Prints the sums and what was skipped; an error if a test failed or none ran.
    pub(crate) fn check(&self, filter: Option<&str>) -> anyhow::Result<()> {
        println!("\n{} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored);
        for remark in &self.remarks {
            println!("{remark}");
        }
        for (reason, tests) in &self.skipped {
            let count = match tests.len() {
                0 => String::new(),
                count => format!("{count} of those that passed: "),
            };
            println!("SKIPPED {count}{reason}");
        }
        if self.failed > 0 || self.broken {
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

/// Passes the output on as it comes, but for what tests said that passed, and adds up the results in it.
pub(crate) fn run_and_count(test: &mut Command, totals: &mut Totals) -> anyhow::Result<()> {
    let line = line_of(test);
    eprintln!("$ {line}");
    let mut child =
        test.stdout(Stdio::piped()).spawn().with_context(|| format!("`{line}` does not start"))?;
    let stdout = child.stdout.take().context("the tests have no output")?;
    let mut of_success = false;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("the tests' output cannot be read")?;
        of_success = match line.as_str() {
            "successes:" => true,
            "failures:" => false,
            line => of_success && !line.starts_with("test result: "),
        };
        if !of_success {
            println!("{line}");
        }
        totals.add(&line);
    }
    totals.broken |= !child.wait().with_context(|| format!("`{line}` is lost"))?.success();
    Ok(())
}

/// The `7` of `ok. 7 passed; ...`.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().filter(|before| before.len() < text.len());
    before.and_then(|before| before.rsplit(' ').next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Totals, number_before};

    #[test]
    fn numbers_of_a_result_line_are_found() {
        let line = "FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.01s";
        assert_eq!(number_before(line, " passed"), 12);
        assert_eq!(number_before(line, " failed"), 3);
        assert_eq!(number_before(line, " ignored"), 0);
        assert_eq!(number_before(line, " skipped"), 0);
    }

    fn totals(output: &str) -> Totals {
        let mut totals = Totals::default();
        output.lines().for_each(|line| totals.add(line));
        totals
    }

    #[test]
    fn tests_that_run_again_count_once() {
        let mut first = totals(
            "test a ... ok\ntest b ... ok\ntest m::c ... ok\ntest d ... ok\n---- a stdout ----\na: skipped, no driver: none\n\
             ---- m::c stdout ----\nc: skipped, no driver: none\n---- d stdout ----\nd: skipped, no driver: none\n\
             test result: ok. 4 passed; 0 failed; 0 ignored",
        );
        assert!(first.skips("no driver") && !first.skips("driver"));
        let again = totals(
            "test a ... FAILED\ntest m::c ... ok\ntest e ... ok\n---- m::c stdout ----\nc: skipped, too little\n\
             test result: FAILED. 2 passed; 1 failed; 0 ignored",
        );
        first.replace("no driver", again, "ran again");
        // b, d, c, e; a.
        assert_eq!((first.passed, first.failed), (4, 1));
        assert_eq!(first.remarks, ["1 of those that passed ran again"]);
        let skipped: Vec<_> =
            first.skipped.iter().map(|(reason, tests)| (reason.as_str(), tests.len())).collect();
        assert_eq!(skipped, [("no driver: none", 1), ("too little", 1)]);
    }
}
