//! GStreamer: the system's, or that of a newer Debian.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::Bundle;
use super::libraries::Libraries;
use super::newer;
use crate::shell::{Workspace, output_of};

/// Those that pipelines, the examples, the measurements and the tests are made of. What a release does not have is left out,
/// but for the first.
const PLUGINS: &[&str] = &[
    "coreelements",
    "app",
    "audioconvert",
    "audioparsers",
    "audioresample",
    "audiotestsrc",
    "autoconvert",
    "compositor",
    "coretracers",
    "debug",
    "debugutilsbad",
    "gdp",
    "ipcpipeline",
    "isomp4",
    "jpeg",
    "level",
    "matroska",
    "multifile",
    "nvcodec",
    "openh264",
    // Not elements: types in caps.
    "pbtypes",
    "playback",
    "rawparse",
    "rtp",
    "rtpmanager",
    "shm",
    "subparse",
    "tcp",
    "timecode",
    "typefindfunctions",
    "udp",
    "unixfd",
    "video4linux2",
    "videoconvertscale",
    "videocrop",
    "videofilter",
    "videoparsersbad",
    "videorate",
    "videotestsrc",
    "volume",
    "wavenc",
    "wavparse",
    "x264",
    "y4menc",
];
/// The tests alone need these.
const FOR_TESTS: &[&str] = &["imagefreeze", "vpx"];
const TOOLS: &[&str] = &["gst-launch-1.0", "gst-inspect-1.0"];
/// No plugin needs it; our elements find it at run time.
const FOUND_AT_RUN_TIME: &[&str] = &["libgstanalytics-1.0.so.0"];

pub(super) struct GStreamer {
    pub(super) release: String,
    /// Where its packages are unpacked, unless they are installed.
    root: Option<PathBuf>,
    plugins: PathBuf,
    scanner: PathBuf,
}

impl GStreamer {
    pub(super) fn of_system() -> anyhow::Result<Self> {
        let variable = |name: &str| {
            let told = output_of(Command::new("pkg-config").args(["--variable", name, "gstreamer-1.0"]));
            let path = told.map(|told| PathBuf::from(told.trim())).filter(|path| path.is_dir());
            path.with_context(|| format!("pkg-config does not tell GStreamer's {name}"))
        };
        let release = output_of(Command::new("pkg-config").args(["--modversion", "gstreamer-1.0"]));
        Ok(Self {
            release: release.unwrap_or_default().trim().to_owned(),
            root: None,
            plugins: variable("pluginsdir")?,
            scanner: variable("pluginscannerdir")?.join("gst-plugin-scanner"),
        })
    }

    pub(super) fn newer(workspace: &Workspace, offline: bool) -> anyhow::Result<Self> {
        let (root, release) = newer::fetch(workspace, offline)?;
        let libraries = root.join("usr/lib").join(newer::triplet());
        Ok(Self {
            release,
            plugins: libraries.join("gstreamer-1.0"),
            scanner: libraries.join("gstreamer1.0/gstreamer-1.0/gst-plugin-scanner"),
            root: Some(root),
        })
    }

    pub(super) fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Where its libraries are, if the loader does not know.
    pub(super) fn library_folders(&self) -> Vec<PathBuf> {
        let of_root = |root: &PathBuf| ["usr/lib", "lib"].map(|lib| root.join(lib).join(newer::triplet()));
        self.root.iter().flat_map(of_root).collect()
    }

    /// `more`: names of plugins.
    pub(super) fn put(
        &self,
        bundle: &Bundle,
        files: &mut Libraries,
        more: &[String],
        tests: bool,
    ) -> anyhow::Result<()> {
        let (gst, bin) = (bundle.folder("gst")?, bundle.folder("bin")?);
        let file = |plugin: &str| self.plugins.join(format!("libgst{plugin}.so"));
        ensure!(file(PLUGINS[0]).exists(), "GStreamer's plugins are not in {}", self.plugins.display());
        let for_tests = if tests { FOR_TESTS } else { &[] };
        for plugin in PLUGINS.iter().chain(for_tests).map(|plugin| file(plugin)).filter(|file| file.exists())
        {
            files.put(&plugin, &gst)?;
        }
        for plugin in more {
            ensure!(file(plugin).exists(), "there is no plugin {plugin} in {}", self.plugins.display());
            files.put(&file(plugin), &gst)?;
        }
        let programs = self.root.as_deref().unwrap_or(Path::new("/")).join("usr/bin");
        for tool in TOOLS {
            files.put(&programs.join(tool), &bin)?;
        }
        files.put(&self.scanner, &bin)?;
        let libraries = bundle.folder("lib")?;
        let folders = match &self.root {
            Some(_) => self.library_folders(),
            // Plugins are in a folder beside the libraries.
            None => self.plugins.parent().map(Path::to_owned).into_iter().collect(),
        };
        for library in FOUND_AT_RUN_TIME {
            if let Some(library) =
                folders.iter().map(|folder| folder.join(library)).find(|file| file.exists())
            {
                files.put(&library, &libraries)?;
            }
        }
        Ok(())
    }
}
