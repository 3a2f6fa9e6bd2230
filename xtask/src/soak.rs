//! Streams between real processes for a long time, whatever happens to them.

use std::process::Command;

use anyhow::ensure;

use crate::setup::{self, For};
use crate::shell::{self, Workspace, succeeds};

pub(crate) const DEFAULT_MINUTES: u64 = 10;

/// Builds with what only a debug build checks, and runs `nvdsucx-soak`, which has its own report.
pub(crate) fn run(workspace: &Workspace, minutes: u64, seed: Option<u64>) -> anyhow::Result<()> {
    ensure!(minutes > 0, "--minutes must not be 0");
    setup::ensure(&[For::Building, For::Running, For::Testing], false)?;
    shell::run(workspace.cargo().args(["build", "-p", "gst-plugin-nvdsucx", "-p", "nvdsucx-tests"]))?;
    let environment = workspace.gstreamer_environment("debug")?;
    // Its processes start all at once, and find the plugin in the registry.
    let mut inspect = Command::new("gst-inspect-1.0");
    ensure!(
        succeeds(inspect.arg("nvdsucxserversink").envs(environment.clone())),
        "GStreamer does not load the plugin: see `GST_PLUGIN_PATH={} gst-inspect-1.0 nvdsucx`",
        environment[0].1.display()
    );
    let mut soak = Command::new(workspace.target.join("debug/nvdsucx-soak"));
    soak.arg((60 * minutes).to_string()).args(seed.map(|seed| seed.to_string()));
    shell::run(soak.envs(environment))
}
