//! A Debian testing beside this system: newer releases of GStreamer and UCX, which run the plugin that is built here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::environment;
use crate::room::{Keeper, Room};

/// Names the folder with the root of the file system.
pub const TESTING_ROOT: &str = "NVDSUCX_TESTING_ROOT";

/// The root of another system, for processes on this kernel. They share memory with all others in the room. Needs root.
#[derive(Debug)]
pub struct Testing {
    keeper: Keeper,
    registry: PathBuf,
    /// Its release of GStreamer: `1.28`.
    pub gstreamer: String,
}

impl Testing {
    /// Enters the folder in [`TESTING_ROOT`] from `room`.
    pub fn new(room: &Room) -> Self {
        let root = env::var_os(TESTING_ROOT).map(PathBuf::from).unwrap_or_else(|| {
            panic!("{TESTING_ROOT} is not set, so there is no newer GStreamer to test with: run `cargo xtask test --newest`, which makes one")
        });
        assert!(
            root.join("usr/bin/gst-inspect-1.0").exists(),
            "{TESTING_ROOT}={}: no GStreamer in it",
            root.display()
        );
        let environment = environment::get();
        // What is built here is seen at the same place in there.
        let built = environment.peer.parent().expect("the program lies in a folder");
        let place = root.join(built.strip_prefix("/").expect("a path from the root"));
        fs::create_dir_all(&place).unwrap_or_else(|e| panic!("{}: {e}", place.display()));
        let keeper = Keeper::new(&mut enter(&room.by(), &root, built, &place));
        let registry = environment.registry.with_file_name(format!("registry-testing-{}.bin", keeper.pid()));
        let mut testing = Self { keeper, registry, gstreamer: String::new() };
        testing.gstreamer = testing.register();
        testing
    }

    /// The command that runs another one in it, see [`Launch::by`](crate::Launch::by).
    pub fn by(&self) -> Vec<String> {
        // Each release of GStreamer has a registry of its own.
        let mut command = self.keeper.by();
        command.extend(["env".into(), format!("GST_REGISTRY={}", self.registry.display())]);
        command
    }

    /// Puts the plugin into the registry. Returns the release of GStreamer.
    fn register(&self) -> String {
        self.run(&["gst-inspect-1.0", "nvdsucxserversink"]);
        let version = self.run(&["gst-inspect-1.0", "--gst-version"]);
        let number = version.split_whitespace().last().unwrap_or_default();
        number.split('.').take(2).collect::<Vec<_>>().join(".")
    }

    fn run(&self, command: &[&str]) -> String {
        let by = self.by();
        let mut run = Command::new(&by[0]);
        run.args(&by[1..]).args(command).env("GST_PLUGIN_PATH", &environment::get().plugins);
        let output = run.output().expect("nsenter is installed");
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
        stdout.into_owned()
    }
}

impl Drop for Testing {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.registry);
    }
}

fn enter(room: &[String], root: &Path, built: &Path, place: &Path) -> Command {
    const SCRIPT: &str = "for folder in dev proc sys; do mount --rbind /$folder \"$1/$folder\"; done
                          mount --bind \"$2\" \"$3\"
                          exec chroot \"$1\" sh -ec 'cd /; echo ready; exec cat'";
    let mut command = Command::new(&room[0]);
    command.args(&room[1..]).args(["unshare", "--mount", "sh", "-ec", SCRIPT, "sh"]);
    command.args([root, built, place]);
    command
}
