//! UCX: the system's, or a build with CUDA.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context as _, bail};

use super::Bundle;
use super::libraries::Libraries;
use crate::fetch::NEWEST_UCX;
use crate::shell::{self, Workspace, output_of};

/// Which one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ucx {
    #[default]
    System,
    /// From PyPI, built with CUDA.
    Cuda,
}

impl FromStr for Ucx {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        match name {
            "system" => Ok(Self::System),
            "cuda" => Ok(Self::Cuda),
            _ => bail!("there is no UCX `{name}`, only system and cuda"),
        }
    }
}

const LIBRARIES: &[&str] = &["libucp.so.0", "libuct.so.0", "libucs.so.0", "libucm.so.0"];
const TOOLS: &[&str] = &["ucx_info", "ucx_perftest"];
/// What DeepStream's libraries know CUDA's run time by.
const CUDA_RUN_TIME: &str = "libcudart.so.13";

impl Ucx {
    /// Its release.
    pub(super) fn put(
        self,
        bundle: &Bundle,
        files: &mut Libraries,
        workspace: &Workspace,
        offline: bool,
    ) -> anyhow::Result<String> {
        match self {
            Self::System => of_system(bundle, files),
            Self::Cuda => from_wheel(bundle, files, workspace, offline),
        }
    }
}

fn of_system(bundle: &Bundle, files: &mut Libraries) -> anyhow::Result<String> {
    let pkg_config = |arguments: &[&str]| {
        let told = output_of(Command::new("pkg-config").args(arguments).arg("ucx")).unwrap_or_default();
        told.trim().to_owned()
    };
    let folder = PathBuf::from(pkg_config(&["--variable", "libdir"]));
    let (ucx, modules) = (bundle.folder("ucx")?, bundle.folder("ucx/ucx")?);
    for library in LIBRARIES {
        files.put(&folder.join(library), &ucx)?;
    }
    for module in modules_in(&folder.join("ucx"))? {
        files.put(&module, &modules)?;
    }
    for tool in TOOLS {
        files.put(&found(tool)?, &bundle.folder("bin")?)?;
    }
    Ok(pkg_config(&["--modversion"]))
}

/// Without what only debuggers need, which is most of it.
fn from_wheel(
    bundle: &Bundle,
    files: &mut Libraries,
    workspace: &Workspace,
    offline: bool,
) -> anyhow::Result<String> {
    let folder = NEWEST_UCX.fetch(workspace, offline)?;
    let libucx = folder.parent().context("the wheel's folder of libraries is in none")?;
    let wheel = libucx.parent().context("the wheel has no folder")?;
    let (ucx, modules, bin) = (bundle.folder("ucx")?, bundle.folder("ucx/ucx")?, bundle.folder("bin")?);
    for library in LIBRARIES {
        files.put_ours(&folder.join(library), &ucx)?;
    }
    for module in modules_in(&folder.join("ucx"))? {
        files.put_ours(&module, &modules)?;
    }
    for tool in TOOLS {
        let tool = files.put_ours(&libucx.join("bin").join(tool), &bin)?;
        shell::make_executable(&tool)?;
    }
    for library in shell::entries(&wheel.join("libucx_cu13.libs"))? {
        let place = files.put(&library, &bundle.folder("lib")?)?;
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("libcudart") {
            let link = place.with_file_name(CUDA_RUN_TIME);
            std::os::unix::fs::symlink(&name, &link)
                .with_context(|| format!("cannot create {}", link.display()))?;
        }
    }
    super::copy(&NEWEST_UCX.licence(workspace)?, &bundle.folder("licences/ucx")?.join("LICENSE"))?;
    Ok(format!("{} (with CUDA, from PyPI)", NEWEST_UCX.release()))
}

/// Under the names by which UCX asks for them.
fn modules_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut modules = shell::entries(folder)?;
    modules.retain(|module| module.to_string_lossy().ends_with(".so.0"));
    Ok(modules)
}

/// A program on the user's path.
fn found(program: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    found.with_context(|| format!("there is no {program}"))
}

#[cfg(test)]
mod tests {
    use super::Ucx;

    #[test]
    fn only_what_there_is_has_a_name() {
        assert_eq!("cuda".parse::<Ucx>().unwrap(), Ucx::Cuda);
        let error = "rocm".parse::<Ucx>().unwrap_err().to_string();
        assert_eq!(error, "there is no UCX `rocm`, only system and cuda");
    }
}
