//! Where the plugin under test and our own programs are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs, process};

/// Names a folder with the plugin, instead of the one that Cargo has built for these tests.
pub const PLUGIN_PATH: &str = "NVDSUCX_PLUGIN_PATH";
/// Names the folder with another release's `libucp.so.0`, and its modules in `ucx/` below it.
pub const UCX_NEW: &str = "NVDSUCX_UCX_NEW";
/// Names the folder with what stands in for CUDA's driver, if that is the driver here.
pub const CUDA_STAND_IN: &str = "NVDSUCX_CUDA_STAND_IN";

const PLUGIN_FILE: &str = "libgstnvdsucx.so";

/// What a process with the plugin under test needs.
#[derive(Debug)]
pub struct Environment {
    /// Program that runs one pipeline.
    pub peer: PathBuf,
    /// Folder with the plugin and nothing else.
    pub plugins: PathBuf,
    /// GStreamer's registry, with the plugin in it.
    pub registry: PathBuf,
}

impl Environment {
    /// The environment variables that make GStreamer find the plugin.
    pub fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [("GST_PLUGIN_PATH", self.plugins.clone()), ("GST_REGISTRY", self.registry.clone())]
    }
}

/// Finds everything, once for each test program.
pub fn get() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(set_up)
}

/// The folder in [`UCX_NEW`].
pub fn newest_ucx() -> PathBuf {
    let folder = env::var_os(UCX_NEW).map(PathBuf::from).unwrap_or_else(|| {
        panic!("{UCX_NEW} is not set, so there is no second release of UCX to test with: run `cargo xtask test`, which sets it up")
    });
    assert!(folder.join("libucp.so.0").exists(), "{UCX_NEW}={}: no libucp.so.0 in it", folder.display());
    folder
}

fn set_up() -> Environment {
    let exe = env::current_exe().expect("the test program knows where it is");
    let deps = exe.parent().expect("the test program lies in a folder");
    let profile = deps.parent().expect("deps/ lies in a folder");

    let peer = profile.join("nvdsucx-peer");
    assert!(peer.exists(), "no {}: run `cargo build -p nvdsucx-tests`", peer.display());

    // A folder of our own: GStreamer would search every file below target/.
    let plugins = profile.join("nvdsucx-tests/plugins");
    fs::create_dir_all(&plugins).expect("a folder in target/");
    copy(&plugin(deps, profile), &plugins.join(PLUGIN_FILE));
    // GStreamer remembers that without a driver there are no elements for CUDA, and each release has its own.
    let driver = if env::var_os(CUDA_STAND_IN).is_some() { "-cuda-stand-in" } else { "" };
    let (major, minor, ..) = gst::version();
    let registry = profile.join(format!("nvdsucx-tests/registry-{major}.{minor}{driver}.bin"));
    let environment = Environment { peer, plugins, registry };
    register(&environment);
    environment
}

fn plugin(deps: &Path, profile: &Path) -> PathBuf {
    let folders = match env::var_os(PLUGIN_PATH) {
        Some(folder) => vec![PathBuf::from(folder)],
        None => vec![deps.to_owned(), profile.to_owned()],
    };
    folders
        .iter()
        .map(|folder| folder.join(PLUGIN_FILE))
        .find(|file| file.exists())
        .unwrap_or_else(|| panic!("no {PLUGIN_FILE} in {folders:?}: run `cargo build -p gst-plugin-nvdsucx`"))
}

/// Copies `file` to `at`, in one step: a build may replace the one while tests run, and other test programs may be using the
/// other. A copy that is there stays: GStreamer would look into a new one.
fn copy(file: &Path, at: &Path) {
    let content = fs::read(file).expect("the plugin can be read");
    if fs::read(at).is_ok_and(|there| there == content) {
        return;
    }
    let new = at.with_extension(format!("{}", process::id()));
    fs::write(&new, content).expect("target/ can be written");
    fs::rename(&new, at).expect("both lie in one folder");
}

/// Puts the plugin into the registry, so that no process under test has to search for plugins.
fn register(environment: &Environment) {
    let inspect = Command::new("gst-inspect-1.0")
        .arg("nvdsucxserversink")
        .envs(environment.variables())
        .output()
        .expect("gst-inspect-1.0 is installed");
    assert!(
        inspect.status.success(),
        "GStreamer does not load the plugin:\n{}{}",
        String::from_utf8_lossy(&inspect.stdout),
        String::from_utf8_lossy(&inspect.stderr)
    );
}
