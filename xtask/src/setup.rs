//! Installs what is missing on Debian and Ubuntu; elsewhere says what is needed.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::shell::{line_of, output_of, run, succeeds};

/// What a package is needed for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    Building,
    Running,
    Testing,
    Linting,
    Fuzzing,
    Sanitizing,
    Fetching,
    Detecting,
    Bootstrapping,
    Bundling,
}

/// All of it, but for what a single example or `--newest` takes.
pub(crate) const EVERYTHING: &[For] =
    &[For::Building, For::Running, For::Testing, For::Linting, For::Fuzzing, For::Fetching];

const DEBIAN: &[(For, &str)] = &[
    (For::Building, "pkg-config"),
    (For::Building, "libgstreamer1.0-dev"),
    (For::Building, "libgstreamer-plugins-base1.0-dev"),
    (For::Building, "libucx-dev"),
    (For::Running, "gstreamer1.0-tools"),
    (For::Running, "gstreamer1.0-plugins-base"),
    (For::Running, "gstreamer1.0-plugins-good"),
    (For::Running, "gstreamer1.0-plugins-bad"),
    (For::Running, "gstreamer1.0-plugins-ugly"),
    (For::Running, "gstreamer1.0-libav"),
    (For::Running, "ucx-utils"),
    (For::Testing, "iproute2"),
    (For::Testing, "python3-protobuf"),
    // cargo-deny fetches the advisories with it.
    (For::Linting, "git"),
    (For::Fuzzing, "g++"),
    (For::Sanitizing, "valgrind"),
    (For::Fetching, "python3-pip"),
    (For::Detecting, "python3-opencv"),
    (For::Detecting, "opencv-data"),
    (For::Bootstrapping, "debootstrap"),
    (For::Bootstrapping, "debian-archive-keyring"),
    // They read and shorten programs and libraries.
    (For::Bundling, "binutils"),
    (For::Bundling, "xz-utils"),
    // The decoder of NVIDIA's needs it.
    (For::Bundling, "libv4l-0"),
];

/// For people, not for us to install.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "Fedora",
        "pkgconf-pkg-config gstreamer1-devel gstreamer1-plugins-base-devel ucx-devel gstreamer1-plugins-base-tools \
         gstreamer1-plugins-good gstreamer1-plugins-bad-free gstreamer1-plugins-ugly-free gstreamer1-plugin-openh264 \
         gstreamer1-plugin-libav ucx iproute iproute-tc git gcc-c++ python3-pip python3-protobuf python3-opencv \
         opencv-data",
    ),
    (
        "Arch",
        "pkgconf gstreamer gst-plugins-base gst-plugins-good gst-plugins-bad gst-plugins-ugly gst-libav openucx \
         iproute2 git gcc python-pip python-protobuf python-opencv",
    ),
];

/// What pkg-config must find, and the oldest release that works.
const LIBRARIES: &[(&str, &str)] = &[
    ("gstreamer-1.0", "1.22"),
    ("gstreamer-base-1.0", "1.22"),
    ("gstreamer-video-1.0", "1.22"),
    ("ucx", "1.13"),
];

const UPDATE_ATTEMPTS: u32 = 4;

/// Makes sure that everything is there; asks the network only when something is missing.
pub(crate) fn ensure(wanted: &[For], offline: bool) -> anyhow::Result<()> {
    if is_debian() {
        install_missing(wanted, offline)?;
    } else if !libraries_found() {
        eprintln!(
            "This is neither Debian nor Ubuntu: please install GStreamer >= 1.22 and UCX >= 1.13 yourself."
        );
        for (distribution, packages) in ELSEWHERE {
            eprintln!("  on {distribution}: {packages}");
        }
    }
    for (library, oldest) in LIBRARIES {
        check_library(library, oldest)?;
    }
    Ok(())
}

fn is_debian() -> bool {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let is = |line: &str| {
        let value = line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE="));
        value.is_some_and(|ids| {
            ids.trim_matches('"').split_whitespace().any(|id| id == "debian" || id == "ubuntu")
        })
    };
    release.lines().any(is)
}

fn install_missing(wanted: &[For], offline: bool) -> anyhow::Result<()> {
    let packages = DEBIAN.iter().filter(|(what, _)| wanted.contains(what)).map(|(_, package)| *package);
    let mut missing = missing_packages(&packages.collect::<Vec<_>>());
    if missing.contains("python3-pip") && crate::fetch::python_with_pip().is_some() {
        missing.remove("python3-pip");
    }
    // OpenCV's wheel has both.
    if missing.contains("python3-opencv") && crate::fetch::python_with(&["-c", "import cv2.data"]).is_some() {
        missing.remove("python3-opencv");
        missing.remove("opencv-data");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut install = apt_get();
    // What stands in the way is for the user to remove.
    install.args(["install", "-y", "--no-install-recommends", "--no-remove"]).args(&missing);
    if offline {
        bail!("missing, and --offline forbids to fetch them; install them with: {}", line_of(&install));
    }
    let Some(become_root) = become_root() else {
        bail!("missing packages, and no right to install them; please run as root: {}", line_of(&install));
    };
    update(become_root)?;
    run(&mut as_root(become_root, &install))
}

/// Asks Debian for its lists of packages.
pub(crate) fn update_lists() -> anyhow::Result<()> {
    update(become_root().context("the lists of packages are old; please run as root: apt-get update")?)
}

/// Package indexes come over the network, which may fail for a moment.
fn update(become_root: &[&str]) -> anyhow::Result<()> {
    let mut update = apt_get();
    update.args(["-o", "APT::Update::Error-Mode=any", "update"]);
    for attempt in 1.. {
        match run(&mut as_root(become_root, &update)) {
            Ok(()) => break,
            Err(error) if attempt == UPDATE_ATTEMPTS => return Err(error),
            Err(error) => {
                eprintln!("{error:#}; trying again ({attempt} of {})", UPDATE_ATTEMPTS - 1);
                std::thread::sleep(Duration::from_secs(5 * u64::from(attempt)));
            }
        }
    }
    Ok(())
}

fn missing_packages<'a>(packages: &[&'a str]) -> BTreeSet<&'a str> {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${Package} ${db:Status-Status}\n"]).args(packages);
    let known = output_of(&mut query).unwrap_or_default();
    let installed: BTreeSet<_> = known.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    packages.iter().copied().filter(|package| !installed.contains(package)).collect()
}

pub(crate) fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.args(["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]);
    command
}

/// The words to put before a command: none for root, else sudo where it can be used.
fn become_root() -> Option<&'static [&'static str]> {
    if output_of(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0") {
        return Some(&[]);
    }
    let without_asking = succeeds(Command::new("sudo").args(["-n", "true"]));
    let can_ask = std::io::stdin().is_terminal() && succeeds(Command::new("sudo").arg("-V"));
    (without_asking || can_ask).then_some(&["sudo"])
}

fn as_root(become_root: &[&str], command: &Command) -> Command {
    // `env` inside, because sudo drops the environment.
    let words: Vec<_> =
        become_root.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive"]).collect();
    let mut full = Command::new(words[0]);
    full.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    full
}

fn libraries_found() -> bool {
    LIBRARIES.iter().all(|(library, oldest)| check_library(library, oldest).is_ok())
}

fn check_library(library: &str, oldest: &str) -> anyhow::Result<()> {
    let pkg_config = || Command::new("pkg-config");
    if !succeeds(pkg_config().arg("--version")) {
        bail!("pkg-config is not installed");
    }
    if succeeds(pkg_config().arg(format!("--atleast-version={oldest}")).arg(library)) {
        return Ok(());
    }
    let found = output_of(pkg_config().args(["--modversion", library])).unwrap_or_default();
    match found.trim() {
        "" => bail!(
            "pkg-config does not find {library} (>= {oldest} is needed); if it is installed, set PKG_CONFIG_PATH"
        ),
        found => bail!("{library} is {found}, but {oldest} or newer is needed"),
    }
}
