//! Tests over real RDMA verbs, on a machine without an RDMA card: in a virtual machine with soft-RoCE.
//!
//! QEMU boots Debian's kernel, without KVM, which not every machine has. Its root is this host's, so the tests that were built
//! here run there as they are. `init.sh` makes two devices with a cable between them.

mod guest;
mod initramfs;
mod modules;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use self::guest::Guest;
use self::initramfs::Initramfs;
use crate::shell::{self, Workspace, line_of};
use crate::test::{self, Options, Totals};

/// Tells the tests the addresses and devices of the two ends, as `init.sh` makes them. Without it they are skipped.
const RDMA: (&str, &str) = ("NVDSUCX_RDMA", "10.77.0.1 rxe0:1 10.77.0.2 rxe1:1");
/// This test runs on the host as well, which leaves a registry of GStreamer's plugins: to make it takes long in the guest.
const ON_THE_HOST: &str = "the_elements_are_registered";
/// Variables that begin so are the same in the guest.
const PASSED_ON: [&str; 4] = ["GST_", "NVDSUCX_", "RUST_", "UCX_"];
/// Something must be wrong.
const LIMIT: &str = "900";

/// Why these tests cannot run here, if so.
pub(crate) fn impossible(workspace: &Workspace, offline: bool) -> Option<String> {
    if std::env::consts::ARCH != "x86_64" {
        return Some("the virtual machine is an x86-64 one".to_owned());
    }
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !release.lines().any(|line| line == "ID=debian") {
        return Some("the virtual machine's kernel is Debian's, and fetched with its apt-get".to_owned());
    }
    (offline && !Guest::is_here(workspace))
        .then(|| "the virtual machine's kernel was not fetched yet, and --offline forbids it".to_owned())
}

/// Runs the tests in `tests/tests/rdma.rs`.
pub(crate) fn run(workspace: &Workspace, options: &Options, totals: &mut Totals) -> anyhow::Result<()> {
    if let Some(reason) = impossible(workspace, options.offline) {
        bail!("{reason}");
    }
    let guest = Guest::fetch(workspace)?;
    let program = build(workspace, options.offline)?;
    let folder = workspace.root.join("tests");
    shell::run(Command::new(&program).current_dir(&folder).args(["--quiet", "--exact", ON_THE_HOST]))?;

    let initramfs = workspace.target.join("rdma/initramfs");
    std::fs::write(&initramfs, archive(&guest, &job(&folder, &program, options.filter.as_deref()))?)
        .with_context(|| format!("cannot write {}", initramfs.display()))?;
    boot(&guest, &initramfs, totals)
}

/// Builds the tests and what they use; the program's path.
fn build(workspace: &Workspace, offline: bool) -> anyhow::Result<PathBuf> {
    let build = || {
        let mut build = test::build_command(workspace, offline);
        build.args(["--test", "rdma", "--no-run"]);
        build
    };
    shell::run(&mut build())?;
    let told = shell::output_of(build().arg("--message-format=json")).unwrap_or_default();
    let program = told.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message["target"]["name"] == "rdma").then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    program.context("cargo does not tell where the tests are")
}

/// A script that runs the tests in the guest.
fn job(folder: &Path, program: &Path, filter: Option<&str>) -> String {
    let mut script = format!("cd {}\n", quoted(&folder.to_string_lossy()));
    let passed_on =
        std::env::vars().filter(|(name, _)| PASSED_ON.iter().any(|start| name.starts_with(start)));
    let own = [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root"), ("RUST_BACKTRACE", "1"), RDMA];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (name, value) in own.into_iter().chain(passed_on) {
        script.push_str(&format!("export {name}={}\n", quoted(&value)));
    }
    // One at a time: they count what the devices have, and the machine is slow.
    let filter = filter.map(quoted).unwrap_or_default();
    script.push_str(&format!(
        "exec {} --color=never --test-threads=1 {filter}\n",
        quoted(&program.to_string_lossy())
    ));
    script
}

/// `text` as the shell takes it for one word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn archive(guest: &Guest, job: &str) -> anyhow::Result<Vec<u8>> {
    let mut archive = Initramfs::default();
    for folder in ["bin", "modules"] {
        archive.folder(folder);
    }
    archive.copy("bin/busybox", &guest.busybox())?;
    for module in guest.modules()? {
        let name = module.file_name().context("a module has no name")?.to_string_lossy();
        archive.copy(&format!("modules/{name}"), &module)?;
    }
    archive.program("init", include_bytes!("init.sh"));
    archive.program("job", job.as_bytes());
    Ok(archive.finish())
}

/// Runs the virtual machine, passes on what it prints, and adds up the tests' results.
fn boot(guest: &Guest, initramfs: &Path, totals: &mut Totals) -> anyhow::Result<()> {
    // Ends the machine even if this process does not live to do so.
    let mut machine = Command::new("timeout");
    machine.args(["--foreground", "--kill-after=5", LIMIT]).args(guest.qemu());
    // Without the features that cost much to emulate: half the time of `max`.
    machine.args(["-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2", "-m", "2048"]);
    machine.args(["-machine", "q35,hpet=off", "-nodefaults", "-no-user-config", "-no-reboot"]);
    machine.args(["-display", "none", "-device", "virtio-rng-pci"]);
    machine.args(["-chardev", "stdio,id=out,signal=off", "-serial", "chardev:out"]);
    machine.args(["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"]);
    machine.args(["-device", "virtio-9p-pci,fsdev=host,mount_tag=host"]);
    machine.arg("-kernel").arg(guest.kernel()).arg("-initrd").arg(initramfs);
    machine.args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable"]);
    eprintln!("$ {}", line_of(&machine));
    let mut child =
        machine.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("`timeout` is not installed")?;
    let stdout = child.stdout.take().context("the virtual machine has no output")?;
    // At its end QEMU would close the console.
    let _stdin = child.stdin.take();

    let mut succeeded = false;
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("the virtual machine's output cannot be read")?;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        println!("{line}");
        totals.add(line);
        succeeded |= line == "guest: the job ended with 0";
    }
    let status = child.wait().context("the virtual machine is lost")?;
    if !status.success() {
        bail!("the virtual machine did not run to its end (124: it took longer than {LIMIT} s): {status}");
    }
    totals.broken |= !succeeded;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
