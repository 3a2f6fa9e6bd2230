//! `cargo xtask bundle`: a folder that runs pipelines with our elements on a host that has nothing but glibc.

mod check;
mod gstreamer;
mod libraries;
mod newer;
mod testing;
mod ucx;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use self::gstreamer::GStreamer;
use self::libraries::Libraries;
pub(crate) use self::testing::run as run_tests;
pub(crate) use self::ucx::Ucx;
use crate::fetch::{CLIP, DEEPSTREAM};
use crate::setup::{self, For};
use crate::shell::{self, Workspace, output_of};

/// What the user asked for.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) output: Option<PathBuf>,
    pub(crate) ucx: Ucx,
    /// NVIDIA's libraries for `memory:NVMM`, too.
    pub(crate) deepstream: bool,
    /// GStreamer from a newer Debian.
    pub(crate) newer: bool,
    pub(crate) tests: bool,
    /// More of GStreamer's plugins.
    pub(crate) plugins: Vec<String>,
    /// Runs it where there is nothing else.
    pub(crate) check: bool,
    pub(crate) offline: bool,
}

/// Programs of ours, and the packages they are in.
const PROGRAMS: &[(&str, &str)] =
    &[("xtask", "xtask"), ("bench-side", "nvdsucx-bench"), ("pipe-side", "nvdsucx-examples")];
const PLUGINS: &[(&str, &str)] =
    &[("libgstnvdsucx.so", "gst-plugin-nvdsucx"), ("libgstnvdsmetautils.so", "gst-plugin-nvdsmetautils")];

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    ensure!(
        !options.deepstream || cfg!(target_arch = "x86_64"),
        "--deepstream: NVIDIA's libraries are on PyPI for x86-64 alone"
    );
    setup::ensure(&[For::Building, For::Running, For::Fetching, For::Bundling], options.offline)?;
    let gstreamer = match options.newer {
        true => GStreamer::newer(workspace, options.offline)?,
        false => GStreamer::of_system()?,
    };
    build(workspace, options.offline)?;
    let bundle = Bundle::create(workspace, options)?;
    let mut files = Libraries::new(&gstreamer);
    for (file, _) in PLUGINS {
        files.put_ours(&workspace.target.join("release").join(file), &bundle.folder("gst")?)?;
    }
    for (program, _) in PROGRAMS {
        files.put_ours(&workspace.target.join("release").join(program), &bundle.folder("bin")?)?;
    }
    gstreamer.put(&bundle, &mut files, &options.plugins, options.tests)?;
    let ucx = options.ucx.put(&bundle, &mut files, workspace, options.offline)?;
    if options.deepstream {
        bundle.put_deepstream(&mut files, workspace, options.offline)?;
    }
    if options.tests {
        testing::put(&bundle, &mut files, workspace, options.offline)?;
    }
    bundle.put_clip(workspace, options.offline)?;
    files.complete(&bundle.folder("lib")?)?;
    files.licences(&bundle.folder("licences")?)?;
    bundle.write("run", include_str!("run.sh"))?;
    shell::make_executable(&bundle.folder.join("run"))?;
    bundle.copy(&workspace.root.join("LICENSE"), "LICENSE")?;
    let glibc = libraries::glibc_needed(&bundle.folder)?;
    bundle.write("README.md", &readme(options, &gstreamer, &ucx, &glibc))?;

    let packed = bundle.pack()?;
    for (path, what) in [(&bundle.folder, "the folder"), (&packed, "packed")] {
        println!("{:>5} MiB  {} ({what})", mebibytes(path)?, workspace.shown(path));
    }
    println!("  for glibc {glibc} and newer; there: tar xJf {0}.tar.xz && {0}/run COMMAND", bundle.name());
    if options.check {
        check::run(workspace, &gstreamer, &packed, &bundle.name())?;
    }
    Ok(())
}

fn build(workspace: &Workspace, offline: bool) -> anyhow::Result<()> {
    let mut build = workspace.cargo_build(offline);
    for (_, package) in PLUGINS.iter().chain(PROGRAMS) {
        build.args(["-p", package]);
    }
    shell::run(build.arg("--release"))
}

/// The folder that is made.
pub(super) struct Bundle {
    folder: PathBuf,
}

impl Bundle {
    /// An empty one. Only what was a bundle before is replaced.
    fn create(workspace: &Workspace, options: &Options) -> anyhow::Result<Self> {
        let folder = options.output.clone().unwrap_or_else(|| workspace.target.join("nvdsucx-bundle"));
        let folder = std::path::absolute(&folder).with_context(|| folder.display().to_string())?;
        ensure!(folder.file_name().is_some(), "{} is no name for a folder", folder.display());
        if folder.exists() {
            let empty = std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_none());
            let ours = std::fs::read_to_string(folder.join("run"))
                .is_ok_and(|script| script.contains("NVDSUCX_BUNDLE"));
            ensure!(empty || ours, "{} is there already, and is no bundle", folder.display());
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self { folder })
    }

    fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A folder in it, which is made unless it is there.
    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn copy(&self, from: &Path, name: &str) -> anyhow::Result<()> {
        copy(from, &self.folder.join(name))
    }

    /// Their files stay as they are: NVIDIA's licence allows no others.
    fn put_deepstream(
        &self,
        files: &mut Libraries,
        workspace: &Workspace,
        offline: bool,
    ) -> anyhow::Result<()> {
        let from = DEEPSTREAM.fetch(workspace, offline)?;
        let libraries = self.folder("deepstream")?;
        for file in shell::entries(&from)? {
            let Some(name) = file.file_name().and_then(|name| name.to_str()) else { continue };
            match name {
                "v4l_plugins" => {
                    let plugins = self.folder("deepstream/v4l_plugins")?;
                    for plugin in shell::entries(&file)? {
                        files.put(&plugin, &plugins)?;
                    }
                }
                "libgstnvvideo4linux2.so" | "libgstnvvideoconvert.so" => {
                    files.put(&file, &self.folder("gst")?)?;
                }
                // The same file as libv4l2.so.0.
                "libnvv4l2.so" => {}
                _ => {
                    files.put(&file, &libraries)?;
                }
            }
        }
        let licence = DEEPSTREAM.licence(workspace)?;
        copy(&licence, &self.folder("licences/deepstream")?.join("LICENSE"))
    }

    /// Where the demo looks for it.
    fn put_clip(&self, workspace: &Workspace, offline: bool) -> anyhow::Result<()> {
        let clip = CLIP.fetch(workspace, offline)?;
        let place = CLIP.place(&self.folder);
        let folder = place.parent().context("the clip has no folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        copy(&clip, &place)
    }

    /// Beside the folder.
    fn pack(&self) -> anyhow::Result<PathBuf> {
        let packed = self.folder.with_file_name(format!("{}.tar.xz", self.name()));
        let parent = self.folder.parent().context("the folder has no folder around it")?;
        let mut tar = Command::new("tar");
        // Test programs resemble one another: within a window of 64 MiB are some of them.
        tar.args([
            "--sort=name",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "-I",
            "xz --lzma2=preset=6,dict=64MiB",
            "-c",
            "-f",
        ]);
        shell::run(tar.arg(&packed).arg("-C").arg(parent).arg(self.name()))?;
        Ok(packed)
    }
}

pub(super) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn mebibytes(path: &Path) -> anyhow::Result<String> {
    let told = output_of(Command::new("du").args(["-s", "--block-size=1M"]).arg(path)).unwrap_or_default();
    match told.split_whitespace().next() {
        Some(size) => Ok(size.to_owned()),
        None => bail!("`du` does not tell the size of {}", path.display()),
    }
}

/// For whoever gets the folder.
fn readme(options: &Options, gstreamer: &GStreamer, ucx: &str, glibc: &str) -> String {
    let mut text = format!(
        "# nvdsucx {}, with all it needs\n\n\
         For Linux on {} with glibc {glibc} or newer. Unpack it anywhere; nothing is installed.\n\n    \
         ./run gst-inspect-1.0 nvdsucxserversink\n    \
         ./run gst-launch-1.0 videotestsrc num-buffers=100 ! nvdsucxserversink\n    \
         ./run xtask demo                         # sends a clip to another process, and compares\n    \
         ./run xtask bench                        # measures on this host\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
    );
    if options.tests {
        text.push_str("    ./run xtask test [--filter TEXT]          # the tests\n");
    }
    // A text in memory takes it all.
    let _ = writeln!(
        text,
        "\n* GStreamer {}: `gst-launch-1.0`, `gst-inspect-1.0`, and the plugins in `gst/`\n* UCX {ucx}: \
         `ucx_info`, `ucx_perftest`",
        gstreamer.release
    );
    if options.deepstream {
        text.push_str(
            "* NVIDIA's libraries for `memory:NVMM`, `nvv4l2decoder` and `nvvideoconvert`. **They are under NVIDIA's licence \
             (licences/deepstream/LICENSE): for your own use, and not to be passed on with this folder.** They need CUDA 13's \
             libnppig and libnppidei on the host.\n",
        );
    }
    text.push_str(
        "\nThis project's files are under the MPL 2.0 (LICENSE). Each of the others is under the licence of the package it comes from, \
         see `licences/`; among them are programs and libraries under the LGPL and, for x264, the GPL. Whoever passes the \
         folder on has to keep to all of them.\n",
    );
    text
}
