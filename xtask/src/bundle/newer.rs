//! GStreamer's packages of a newer Debian, unpacked below `target/`, not installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::newest::MIRROR;
use crate::setup;
use crate::shell::{self, Workspace, run};

const SUITE: &str = "trixie";
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// GStreamer, and of what it needs that which is newer than this system's, or not here.
const PACKAGES: &[&str] = &[
    // For the check of the bundle alone.
    "libc6",
    "gstreamer1.0-plugins-bad",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-ugly",
    "gstreamer1.0-tools",
    "gstreamer1.0-x",
    "libblkid1",
    "libdrm2",
    "libdw1t64",
    "libelf1t64",
    "libffi8",
    "libgbm1",
    "libgcc-s1",
    "libglib2.0-0t64",
    "libglu1-mesa",
    "libgraphene-1.0-0",
    "libgstreamer-gl1.0-0",
    "libgstreamer-plugins-bad1.0-0",
    "libgstreamer-plugins-base1.0-0",
    "libgstreamer1.0-0",
    "libgudev-1.0-0",
    "libjpeg62-turbo",
    "liblzma5",
    "libmount1",
    "libopenh264-8",
    "liborc-0.4-0t64",
    "libpcre2-8-0",
    "libselinux1",
    "libstdc++6",
    "libunwind8",
    "libwayland-client0",
    "libwayland-cursor0",
    "libwayland-egl1",
    "libx264-164",
    "libzstd1",
];

/// As Debian calls the folders of this machine's libraries.
pub(super) fn triplet() -> String {
    format!("{}-linux-gnu", std::env::consts::ARCH)
}

/// The root of its files, and GStreamer's release; fetched unless they are there.
pub(super) fn fetch(workspace: &Workspace, offline: bool) -> anyhow::Result<(PathBuf, String)> {
    let folder = workspace.target.join(format!("bundle/{SUITE}"));
    let list = folder.join("list");
    // Written last; another list of packages needs another root.
    let written = std::fs::read_to_string(&list).unwrap_or_default();
    let (packages, release) = written.split_once('\n').unwrap_or_default();
    if packages == PACKAGES.join(" ") {
        return Ok((folder.join("root"), release.to_owned()));
    }
    if offline {
        bail!("GStreamer's packages of Debian {SUITE} were not fetched yet, and --offline forbids it");
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let release = download_and_unpack(&folder)
        .with_context(|| format!("GStreamer's packages of Debian {SUITE} cannot be fetched"))?;
    std::fs::write(&list, format!("{}\n{release}", PACKAGES.join(" ")))?;
    Ok((folder.join("root"), release))
}

fn download_and_unpack(folder: &Path) -> anyhow::Result<String> {
    let (root, packages) = (folder.join("root"), folder.join("packages"));
    for folder in [&root, &packages, &folder.join("lists/partial"), &folder.join("cache/archives/partial")] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let sources = folder.join("sources.list");
    std::fs::write(&sources, format!("deb [signed-by={KEYS}] {MIRROR} {SUITE} main\n"))?;
    // With lists and a state of its own: this system's packages are none of its business.
    let settings = [
        ("Dir::Etc::sourcelist", sources),
        ("Dir::Etc::sourceparts", "-".into()),
        ("Dir::State::lists", folder.join("lists")),
        ("Dir::Cache", folder.join("cache")),
    ];
    let apt_get = || {
        let mut apt_get = setup::apt_get();
        apt_get.args(["-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=1"]);
        for (name, value) in &settings {
            apt_get.arg("-o").arg(format!("{name}={}", value.display()));
        }
        apt_get
    };
    run(apt_get().args(["-o", "APT::Update::Error-Mode=any", "--quiet", "update"]))?;
    run(apt_get().current_dir(&packages).args(["--quiet", "download"]).args(PACKAGES))?;
    let mut release = None;
    for package in shell::entries(&packages)? {
        run(Command::new("dpkg-deb").arg("-x").args([&package, &root]))?;
        let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(version) = name.strip_prefix("libgstreamer1.0-0_") {
            release = version.split('-').next().map(str::to_owned);
        }
    }
    std::fs::remove_dir_all(&packages).with_context(|| format!("cannot remove {}", packages.display()))?;
    release.context("apt-get left no libgstreamer1.0-0")
}
