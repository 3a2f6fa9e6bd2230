//! A Debian testing in a folder below `target/`, made once: newer releases of GStreamer and UCX for tests beside the system's.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::setup::{self, For};
use crate::shell::{Workspace, output_of, run, succeeds};

const FOLDER: &str = "testing-root";
pub(crate) const MIRROR: &str = "http://deb.debian.org/debian";
/// The last argument of debootstrap, for releases that are newer than it.
const RECIPE: &str = "/usr/share/debootstrap/scripts/sid";

/// What runs there: the plugin, pipelines of test sources, and metas of analytics.
const PACKAGES: &[&str] = &[
    "gstreamer1.0-tools",
    "gstreamer1.0-plugins-base",
    // It has libgstanalytics.
    "libgstreamer-plugins-bad1.0-0",
    "libucx0",
];

const APT_GET: &str = "apt-get -o Acquire::Retries=5";

/// GStreamer's elements for CUDA, out of a package that needs two hundred others for the rest of what it has.
const FETCH_NVCODEC: &str = "cd /tmp; apt-get -o APT::Sandbox::User= download gstreamer1.0-plugins-bad
dpkg-deb --fsys-tarfile gstreamer1.0-plugins-bad_*.deb | tar -x -C / --wildcards '*/libgstnvcodec.so'
rm gstreamer1.0-plugins-bad_*.deb";

/// Runs a script in the folder, with the kernel's file systems, which are gone with it.
const INSIDE: &str = "for folder in dev proc sys; do mount --rbind /$folder \"$1/$folder\"; done
exec chroot \"$1\" /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp LC_ALL=C.UTF-8 \
DEBIAN_FRONTEND=noninteractive sh -ec \"$2\"";

/// The folder with the root of its file system. Makes it unless it is there.
pub(crate) fn root(workspace: &Workspace, offline: bool) -> anyhow::Result<PathBuf> {
    let folder = workspace.target.join(FOLDER);
    if folder.exists() {
        println!(
            "Debian testing as of when {} was made; remove it for a newer one",
            workspace.shown(&folder)
        );
        return Ok(folder);
    }
    if offline {
        bail!("Debian testing was not fetched yet, and --offline forbids it");
    }
    if output_of(Command::new("id").arg("-u")).is_none_or(|id| id.trim() != "0") {
        bail!("a second system takes mounts and chroot: run this as root");
    }
    setup::ensure(&[For::Bootstrapping], offline)?;
    let part = workspace.target.join(format!("{FOLDER}.part"));
    run(Command::new("rm").args(["-rf", "--one-file-system"]).arg(&part))?;
    make(&part).context("Debian testing cannot be set up")?;
    // Only a complete folder gets its name.
    std::fs::rename(&part, &folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

fn make(folder: &Path) -> anyhow::Result<()> {
    // In mounts of its own, of which it may forget some.
    let mut bootstrap = Command::new("unshare");
    bootstrap.args(["--mount", "debootstrap", "--variant=minbase", "testing"]);
    let bootstrapped = run(bootstrap.arg(folder).args([MIRROR, RECIPE]));
    if let Err(error) = bootstrapped {
        // In a container it may lack the devices and the processes that some packages want when they are configured.
        if !folder.join("usr/bin/apt-get").exists() {
            return Err(error);
        }
        eprintln!("{error:#}; going on with /dev and /proc");
        inside(folder, "dpkg --force-depends --configure -a || true")?;
    }
    let sources = folder.join("etc/apt/sources.list");
    std::fs::write(&sources, format!("deb {MIRROR} testing main\n"))
        .with_context(|| format!("cannot write {}", sources.display()))?;
    // As debootstrap, it takes what is signed, however old it is: mirrors lag behind.
    let update = "-o APT::Update::Error-Mode=any -o Acquire::Check-Valid-Until=false update";
    inside(folder, &format!("{APT_GET} {update}"))?;
    inside(folder, &format!("{APT_GET} -y --no-install-recommends -f install {}", PACKAGES.join(" ")))?;
    inside(folder, FETCH_NVCODEC)?;
    inside(folder, "dpkg --configure -a; apt-get clean")?;
    inside(
        folder,
        "rm -rf /debootstrap /var/lib/apt/lists/* /usr/share/doc /usr/share/locale /usr/share/man",
    )?;
    if !succeeds(&mut command_inside(folder, "gst-inspect-1.0 videotestsrc")) {
        bail!("its GStreamer does not run: try `chroot {} gst-inspect-1.0`", folder.display());
    }
    Ok(())
}

/// Runs a program in the folder, where it sees two others at their places, in the folder that this is called from.
const RUN: &str = "root=$1; here=$PWD
for folder in dev proc sys; do mount --rbind /$folder \"$root/$folder\"; done
for folder in \"$2\" \"$3\"; do mkdir -p \"$root$folder\"; mount --bind \"$folder\" \"$root$folder\"; done
shift 3
exec chroot \"$root\" sh -ec 'cd \"$1\"; shift; exec \"$@\"' sh \"$here\" \"$@\"";

/// The setting of Cargo's with which it runs the tests in there.
pub(crate) fn as_runner(root: &Path, workspace: &Workspace) -> String {
    let command = ["unshare", "--mount", "sh", "-ec", RUN, "sh"].map(str::to_owned);
    let folders = [root, &workspace.root, &workspace.target].map(|path| path.display().to_string());
    // As TOML has it, too.
    let command: Vec<_> = command.iter().chain(&folders).map(|part| format!("{part:?}")).collect();
    format!("target.{}-unknown-linux-gnu.runner=[{}]", std::env::consts::ARCH, command.join(","))
}

/// Whether it has GStreamer's elements for CUDA.
pub(crate) fn has_nvcodec(root: &Path) -> bool {
    let file = format!("usr/lib/{}-linux-gnu/gstreamer-1.0/libgstnvcodec.so", std::env::consts::ARCH);
    root.join(file).exists()
}

fn inside(folder: &Path, script: &str) -> anyhow::Result<()> {
    eprintln!("$ chroot {} sh -c '{script}'", folder.display());
    let status =
        command_inside(folder, script).status().context("`unshare` (of util-linux) does not start")?;
    if !status.success() {
        bail!("`{script}` failed in {}: {status}", folder.display());
    }
    Ok(())
}

fn command_inside(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", INSIDE, "sh"]).arg(folder).arg(script);
    command
}
