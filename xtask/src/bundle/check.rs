//! Runs a bundle where there is nothing else: glibc, a shell, the kernel's file systems.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::gstreamer::GStreamer;
use super::libraries::of_glibc;
use super::{copy, newer};
use crate::shell::{self, Workspace, output_of};

const SHELL: &str = "/bin/sh";
/// `$1`: the root; `$2`: what runs in it. The mounts are gone with it.
const INSIDE: &str = "for folder in dev proc sys; do mount --rbind /$folder \"$1/$folder\"; done
exec chroot \"$1\" /bin/sh -ec \"$2\"";
/// Sends a clip from one process to another, which has to get what was sent, both decoding or encoding it, and the
/// same by messages over UCX. There must be no other GStreamer, and no other UCX.
const SCRIPT: &str = "export PATH=/bin HOME=/tmp
for gone in /usr/lib /usr/bin; do
    if [ -e $gone ]; then echo \"$gone is there\"; exit 1; fi
done
./BUNDLE/run gst-inspect-1.0 nvdsucxserversink > /tmp/element
./BUNDLE/run ucx_info -v
./BUNDLE/run xtask demo
./BUNDLE/run xtask demo --example any
./BUNDLE/run xtask bench --workload video --transport 'nvdsucx,nvdsucx messages' --reps 1";

/// Unpacks the bundle into such a root, and runs it there.
pub(super) fn run(
    workspace: &Workspace,
    gstreamer: &GStreamer,
    packed: &Path,
    name: &str,
) -> anyhow::Result<()> {
    let root = workspace.target.join("bundle/root");
    run_tool(&["rm", "-rf", "--one-file-system"], &root)?;
    make_root(&root, gstreamer).context("a root with nothing but glibc cannot be made")?;
    shell::run(Command::new("tar").arg("-xJf").arg(packed).arg("-C").arg(&root))?;

    let script = SCRIPT.replace("BUNDLE", name);
    eprintln!("$ chroot {} sh -ec '{script}'", root.display());
    let mut unshare = Command::new("unshare");
    if output_of(Command::new("id").arg("-u")).is_none_or(|id| id.trim() != "0") {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--mount", "sh", "-ec", INSIDE, "sh"]).arg(&root).arg(script);
    let status = unshare.status().context("`unshare` (of util-linux) does not start")?;
    ensure!(status.success(), "the bundle does not run where there is nothing else: {status}");
    println!("  it runs in a root with nothing but glibc");
    run_tool(&["rm", "-rf", "--one-file-system"], &root)
}

fn run_tool(words: &[&str], path: &Path) -> anyhow::Result<()> {
    shell::run(Command::new(words[0]).args(&words[1..]).arg(path))
}

/// A shell, and the glibc for which the bundle's libraries are made.
fn make_root(root: &Path, gstreamer: &GStreamer) -> anyhow::Result<()> {
    let libraries = root.join("lib").join(newer::triplet());
    for folder in [
        &root.join("bin"),
        &root.join("tmp"),
        &root.join("dev"),
        &root.join("proc"),
        &root.join("sys"),
        &libraries,
    ] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    copy(Path::new(SHELL), &root.join("bin/sh"))?;
    let mut from = gstreamer.library_folders();
    if from.is_empty() {
        from = ["/lib", "/usr/lib"].map(|lib| Path::new(lib).join(newer::triplet())).into();
    }
    let mut loader = None;
    for file in
        from.iter().filter_map(|folder| shell::entries(folder).ok()).flatten().filter(|file| of_glibc(file))
    {
        let name = file.file_name().unwrap_or_default();
        copy(&file, &libraries.join(name))?;
        if name.to_string_lossy().starts_with("ld-linux") {
            loader = Some(PathBuf::from(name));
        }
    }
    // Where programs expect it.
    let loader = loader.context("there is no loader")?;
    let folder = if cfg!(target_arch = "x86_64") { "lib64" } else { "lib" };
    std::fs::create_dir_all(root.join(folder))?;
    copy(&libraries.join(&loader), &root.join(folder).join(&loader))
}
