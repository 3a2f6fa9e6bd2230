//! The workspace, and programs run in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::setup::{self, For};

/// Environment variables that are paths.
pub(crate) type Environment = Vec<(&'static str, PathBuf)>;

/// Where GStreamer looks for plugins first.
pub(crate) const PLUGIN_PATH: &str = "GST_PLUGIN_PATH";

/// Where things are.
pub(crate) struct Workspace {
    /// The folder of the workspace's Cargo.toml.
    pub(crate) root: PathBuf,
    /// Where cargo builds to.
    pub(crate) target: PathBuf,
    /// This is a bundle: both folders are its own, and there is nothing to build.
    bundled: bool,
}

/// Set by a bundle's `run`: its folder.
const BUNDLE: &str = "NVDSUCX_BUNDLE";

impl Workspace {
    pub(crate) fn locate() -> anyhow::Result<Self> {
        if let Some(bundle) = std::env::var_os(BUNDLE).map(PathBuf::from) {
            return Ok(Self { root: bundle.clone(), target: bundle, bundled: true });
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no folder around it")?;
        // This program lies in <target>/<profile>/, whatever settings chose <target>.
        let program = std::env::current_exe().context("where is this program?")?;
        let target = program.ancestors().nth(2).context("this program is not where cargo builds to")?;
        Ok(Self { root: root.to_owned(), target: target.to_owned(), bundled: false })
    }

    pub(crate) fn is_bundle(&self) -> bool {
        self.bundled
    }

    /// Installs what is wanted, and builds what is needed, unless this is a bundle, which has it.
    pub(crate) fn prepare(&self, wanted: &[For], packages: &[&str], offline: bool) -> anyhow::Result<()> {
        if self.bundled {
            let lacking = [For::Fetching, For::Detecting];
            ensure!(
                !wanted.iter().any(|what| lacking.contains(what)),
                "a bundle does not have what this needs"
            );
            return Ok(());
        }
        setup::ensure(wanted, offline)?;
        let packages = packages.iter().flat_map(|package| ["-p", package]);
        run(self.cargo_build(offline).arg("--release").args(packages))
    }

    /// A program of ours, as it was built by [`Self::prepare`].
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join(if self.bundled { "bin" } else { "release" }).join(name)
    }

    pub(crate) fn cargo_build(&self, offline: bool) -> Command {
        let mut build = self.cargo();
        build.arg("build");
        if offline {
            build.env("CARGO_NET_OFFLINE", "true");
        }
        build
    }

    /// The cargo that runs us, in the workspace's root.
    pub(crate) fn cargo(&self) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root);
        // What `cargo run` says about xtask is not true of what we start.
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
            {
                command.env_remove(name);
            }
        }
        command
    }

    /// A folder with the built plugins alone, for `GST_PLUGIN_PATH`: GStreamer would search all of `target`.
    pub(crate) fn plugin_folder(&self, profile: &str) -> anyhow::Result<PathBuf> {
        self.link_plugin(profile, "libgstnvdsucx.so")
    }

    /// Puts a built plugin into that folder.
    pub(crate) fn link_plugin(&self, profile: &str, file: &str) -> anyhow::Result<PathBuf> {
        let built = self.target.join(profile).join(file);
        if !built.exists() {
            bail!("{} was not built", built.display());
        }
        let folder = self.target.join("gst").join(profile);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let link = folder.join(file);
        if link.symlink_metadata().is_ok() {
            std::fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
        }
        std::os::unix::fs::symlink(&built, &link)
            .with_context(|| format!("cannot create {}", link.display()))?;
        Ok(folder)
    }

    /// The settings with which GStreamer finds the plugin, and leaves the user's registry alone. A bundle has set them.
    pub(crate) fn gstreamer_environment(&self, profile: &str) -> anyhow::Result<Environment> {
        if self.bundled {
            return Ok(Vec::new());
        }
        let plugins = self.plugin_folder(profile)?;
        Ok(vec![(PLUGIN_PATH, plugins), ("GST_REGISTRY", self.registry(profile)?)])
    }

    /// A registry for GStreamer, in the place of the user's.
    pub(crate) fn registry(&self, profile: &str) -> anyhow::Result<PathBuf> {
        let folder = self.target.join("gst");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder.join(format!("registry-{profile}.bin")))
    }

    /// `path` as one would type it in the workspace's root.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// A cargo subcommand's program: `cargo install`s it under `target/` unless it is there already.
    pub(crate) fn tool(&self, name: &str, version: &str) -> anyhow::Result<PathBuf> {
        if succeeds(Command::new(name).arg("--version")) {
            return Ok(name.into());
        }
        let tools = self.target.join("tools");
        let program = tools.join("bin").join(name);
        if !succeeds(Command::new(&program).arg("--version")) {
            // The debug profile: it builds in half the time, and the program has little to do. Nobody will debug it.
            run(self
                .cargo()
                .envs([("CARGO_PROFILE_DEV_DEBUG", "false"), ("CARGO_INCREMENTAL", "0")])
                .args(["install", "--locked", "--debug", "--version", version, "--root"])
                .arg(&tools)
                .arg(name))?;
        }
        Ok(program)
    }
}

/// Shows a command, runs it and wants it to succeed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = line_of(command);
    eprintln!("$ {line}");
    let status = command.status().with_context(|| format!("`{line}` does not start"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}

/// Like [`run`], but ends the command when it takes longer.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> anyhow::Result<()> {
    let line = line_of(command);
    eprintln!("$ {line}");
    let mut child = command.spawn().with_context(|| format!("`{line}` does not start"))?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            if !status.success() {
                bail!("`{line}` failed: {status}");
            }
            return Ok(());
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("`{line}` took longer than {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a command runs and succeeds; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// What a command prints, whether it succeeds or not; `None` if it does not start.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What is in a folder.
pub(crate) fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    Ok(entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?)
}

pub(crate) fn make_executable(file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} a program", file.display()))
}

/// A command as a user would type it.
pub(crate) fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
