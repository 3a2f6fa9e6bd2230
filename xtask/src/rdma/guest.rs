//! What the virtual machine is made of: QEMU, Debian's kernel, some of its modules, and busybox. They are unpacked under
//! `target/`. Nothing is installed: for a kernel or a busybox the host would make itself a new initramfs, and for QEMU apt may
//! remove other packages.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::modules::in_order_of_need;
use crate::setup;
use crate::shell::{Workspace, entries, output_of, run};

/// Depends on the kernel proper.
const KERNEL: &str = "linux-image-amd64";
const BUSYBOX: &str = "busybox-static";
const QEMU: &str = "qemu-system-x86";

/// What the guest needs of the kernel, and does not find built in.
const MODULES: &[&str] = &[
    // The host's files, and randomness.
    "virtio_pci",
    "virtio_rng",
    "9pnet_virtio",
    "9p",
    "overlay",
    // The cable, and its faults.
    "veth",
    "sch_netem",
    // soft-RoCE, which asks for its checksum by name.
    "crc32_generic",
    "ib_uverbs",
    "rdma_ucm",
    "rdma_rxe",
];

/// What was fetched.
pub(super) struct Guest {
    folder: PathBuf,
}

impl Guest {
    fn of(workspace: &Workspace) -> Self {
        Self { folder: workspace.target.join("rdma/guest") }
    }

    /// Whether it was fetched before.
    pub(super) fn is_here(workspace: &Workspace) -> bool {
        // Written last; another list of modules needs another guest.
        std::fs::read_to_string(Self::of(workspace).list()).is_ok_and(|list| list == MODULES.join(" "))
    }

    /// The guest, fetched from Debian unless it is there already.
    pub(super) fn fetch(workspace: &Workspace) -> anyhow::Result<Self> {
        let guest = Self::of(workspace);
        if Self::is_here(workspace) {
            return Ok(guest);
        }
        let packages = workspace.target.join("rdma/packages");
        for folder in [&packages, &guest.folder] {
            remove(folder)?;
        }
        if let Err(error) = download(&packages) {
            eprintln!("{error:#}");
            // The lists of packages are not there, or older than what the servers have.
            setup::update_lists()?;
            remove(&packages)?;
            download(&packages).context("what the virtual machine needs cannot be fetched from Debian")?;
        }
        guest.take_from(&packages)?;
        // 400 MB, of which the guest needs 20.
        remove(&packages)?;
        std::fs::write(guest.list(), MODULES.join(" "))?;
        Ok(guest)
    }

    fn list(&self) -> PathBuf {
        self.folder.join("list")
    }

    /// QEMU: ours, unless the host has it.
    pub(super) fn qemu(&self) -> Vec<OsString> {
        let usr = self.folder.join("qemu/usr");
        let program = usr.join("bin/qemu-system-x86_64");
        if !program.exists() {
            return vec!["qemu-system-x86_64".into()];
        }
        let mut libraries = OsString::from("LD_LIBRARY_PATH=");
        libraries.push(usr.join("lib/x86_64-linux-gnu"));
        let mut words = vec!["env".into(), libraries, program.into_os_string()];
        for firmware in ["share/qemu", "share/seabios"] {
            words.extend(["-L".into(), usr.join(firmware).into_os_string()]);
        }
        words
    }

    pub(super) fn kernel(&self) -> PathBuf {
        self.folder.join("linux")
    }

    pub(super) fn busybox(&self) -> PathBuf {
        self.folder.join("busybox")
    }

    /// The modules, in the order in which they can be loaded.
    pub(super) fn modules(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut modules = entries(&self.folder.join("modules"))?;
        modules.sort();
        Ok(modules)
    }

    fn take_from(&self, packages: &Path) -> anyhow::Result<()> {
        let copy = |from: &Path, to: &Path| {
            std::fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))
        };
        let qemu = self.folder.join("qemu");
        std::fs::create_dir_all(&qemu)?;
        unpack(&packages.join("qemu"), &qemu)?;
        let system = packages.join("system");
        unpack(&packages.join("guest"), &system)?;
        let images = entries(&system.join("boot"))?;
        let is_image = |file: &&PathBuf| file.file_name().is_some_and(|name| starts_with(name, "vmlinuz-"));
        let image = images.iter().find(is_image).context("the kernel's package has no kernel")?;
        copy(image, &self.kernel())?;
        copy(&system.join("bin/busybox"), &self.busybox())?;
        let folder = self.folder.join("modules");
        std::fs::create_dir_all(&folder)?;
        for (number, module) in in_order_of_need(&system.join("lib/modules"), MODULES)?.iter().enumerate() {
            let name = module.file_name().context("a module has no name")?.to_string_lossy();
            copy(module, &folder.join(format!("{number:02}-{name}")))?;
        }
        Ok(())
    }
}

fn starts_with(name: &OsStr, start: &str) -> bool {
    name.as_encoded_bytes().starts_with(start.as_bytes())
}

/// Downloads the guest's packages to `guest/`, and to `qemu/` those that the host lacks for QEMU.
fn download(packages: &Path) -> anyhow::Result<()> {
    let (guest, qemu) = (packages.join("guest"), packages.join("qemu"));
    for folder in [&guest, &qemu.join("partial")] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let kernel = newest_kernel()?;
    run(setup::apt_get().current_dir(&guest).args(["download", &kernel, BUSYBOX]))?;
    let mut to = OsString::from("Dir::Cache::archives=");
    to.push(&qemu);
    // Without its locks everybody may ask it what is missing.
    let options = ["-o", "Debug::NoLocking=1", "-y", "--no-install-recommends", "--download-only"];
    run(setup::apt_get().args(options).arg("-o").arg(to).args(["install", QEMU]))
}

/// Unpacks all packages in `folder`.
fn unpack(folder: &Path, to: &Path) -> anyhow::Result<()> {
    for package in entries(folder)?.iter().filter(|file| file.extension().is_some_and(|end| end == "deb")) {
        run(Command::new("dpkg-deb").arg("-x").args([package, to]))?;
    }
    Ok(())
}

fn newest_kernel() -> anyhow::Result<String> {
    let depends = output_of(Command::new("apt-cache").args(["depends", KERNEL])).unwrap_or_default();
    let names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let mut kernels = names.filter(|name| name.starts_with("linux-image-"));
    kernels.next().map(str::to_owned).with_context(|| format!("apt knows no {KERNEL}"))
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
