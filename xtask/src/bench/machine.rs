//! Where it is measured, and what is there to be measured.

use std::process::Command;

use serde_json::{Value, json};

use super::plan::{Kind, Transport};
use super::rows::TRANSPORTS;
use crate::shell::output_of;
use crate::side::Line;

/// Which elements there are, as `bench-side look` tells it.
pub(super) struct Inventory(pub(super) Vec<Line>);

/// What a reader of the figures must know.
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) gpu: String,
    pub(super) kernel: String,
    pub(super) distribution: String,
    pub(super) gstreamer: String,
    pub(super) ucx: String,
    /// Of our plugin.
    pub(super) plugin: String,
    pub(super) date: String,
    /// What was typed.
    pub(super) command: String,
}

impl Inventory {
    /// All that any transport needs.
    pub(super) fn names() -> Vec<&'static str> {
        let mut names: Vec<_> = TRANSPORTS.iter().flat_map(|transport| transport.needs).copied().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Why a transport cannot be measured here.
    pub(super) fn lacks(&self, transport: &Transport) -> Option<String> {
        let absent =
            |name: &&&str| self.0.iter().any(|line| line.word == "absent" && line.text("name") == Some(name));
        let from = transport.origin;
        if let Some(reason) = transport.gpus.and_then(|gpus| self.lacks_gpus(gpus)) {
            return Some(reason);
        }
        if let Some(name) = transport.needs.iter().find(absent) {
            let gstreamer = self.gstreamer();
            return Some(match name.split_once(':') {
                None => format!("GStreamer {gstreamer} finds no element {name} here; it is in {from}"),
                Some((element, property)) => {
                    format!("GStreamer {gstreamer} finds no {element} with {property} here; it is in {from}")
                }
            });
        }
        let perftest = matches!(transport.kind, Kind::Perftest { .. });
        (perftest && output_of(Command::new("ucx_perftest").arg("-h")).is_none())
            .then(|| format!("there is no ucx_perftest; it is in {from}"))
    }

    fn lacks_gpus(&self, gpus: [u32; 2]) -> Option<String> {
        let line = self.0.iter().find(|line| line.word == "gpus");
        let count = line.and_then(|line| line.count("count")).unwrap_or(0);
        let needed = u64::from(gpus[0].max(gpus[1])) + 1;
        (count < needed).then(|| match line.and_then(|line| line.text("reason")) {
            Some(reason) => format!("no GPU here: {}", reason.replace('␣', " ")),
            None => format!("{needed} GPUs are needed, {count} here"),
        })
    }

    /// What the first GPU is, and its driver.
    fn gpu(&self) -> String {
        let line = self.0.iter().find(|line| line.word == "gpus" && line.count("count") > Some(0));
        let Some(line) = line else { return "none".to_owned() };
        let driver = output_of(
            Command::new("nvidia-smi").args(["--query-gpu=driver_version", "--format=csv,noheader"]),
        );
        let driver = driver.as_deref().and_then(|told| told.lines().next()).unwrap_or("?").to_owned();
        let (count, name) = (line.text("count").unwrap_or("?"), line.text("name").unwrap_or("?"));
        format!("{count} × {}, driver {driver}", name.replace('␣', " "))
    }

    fn gstreamer(&self) -> String {
        self.version(|line| line.word == "gstreamer")
    }

    fn version(&self, wanted: impl Fn(&Line) -> bool) -> String {
        let line = self.0.iter().find(|line| wanted(line));
        line.and_then(|line| line.text("version")).unwrap_or("?").to_owned()
    }
}

impl Machine {
    /// `ucx`: its release, where a transport told it.
    pub(super) fn look(inventory: &Inventory, ucx: Option<&str>, bundled: bool) -> Self {
        let line = |program: &str, arguments: &[&str]| {
            output_of(Command::new(program).args(arguments)).unwrap_or_default().trim().to_owned()
        };
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let distribution = read("/etc/os-release");
        let distribution = distribution.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        let cpu = read("/proc/cpuinfo");
        let cpu =
            cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
        let arguments: Vec<_> = std::env::args().skip(1).map(|word| quoted(&word)).collect();
        Self {
            // Not every architecture tells.
            cpu: cpu.map_or(std::env::consts::ARCH, |(_, cpu)| cpu.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            gpu: inventory.gpu(),
            kernel: line("uname", &["-sr"]),
            distribution: distribution.map_or("?", |name| name.trim_matches('"')).to_owned(),
            gstreamer: inventory.gstreamer(),
            ucx: ucx.map_or_else(|| ucx_release(&line("ucx_info", &["-v"])), str::to_owned),
            plugin: inventory.version(|line| line.text("name") == Some("nvdsucxserversink")),
            date: line("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            command: format!("{} {}", if bundled { "run xtask" } else { "cargo xtask" }, arguments.join(" ")),
        }
    }

    /// What it is, and its value.
    pub(super) fn fields(&self) -> [(&'static str, String); 10] {
        [
            ("CPU", self.cpu.clone()),
            ("cores", self.cores.to_string()),
            ("GPU", self.gpu.clone()),
            ("kernel", self.kernel.clone()),
            ("distribution", self.distribution.clone()),
            ("GStreamer", self.gstreamer.clone()),
            ("UCX", self.ucx.clone()),
            ("nvdsucx", self.plugin.clone()),
            ("date", self.date.clone()),
            ("command", self.command.clone()),
        ]
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "cpu": self.cpu,
            "cores": self.cores,
            "gpu": self.gpu,
            "kernel": self.kernel,
            "distribution": self.distribution,
            "gstreamer": self.gstreamer,
            "ucx": self.ucx,
            "nvdsucx": self.plugin,
            "date": self.date,
            "command": self.command,
        })
    }
}

/// The release in what `ucx_info -v` prints, whose words differ: `# Library version: 1.23.0`, `# UCT version=1.13.1`.
fn ucx_release(text: &str) -> String {
    let mut words = text.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    words.find(|word| word.split('.').filter(|part| !part.is_empty()).count() == 3).unwrap_or("?").to_owned()
}

/// A word as it would be typed in a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,+:".contains(c);
    if word.is_empty() || !word.chars().all(plain) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_named() {
        let lines = [
            "gstreamer version=1.22.0",
            "absent name=unixfdsink:wait-for-connection",
            "absent name=unixfdsrc",
        ];
        let inventory = Inventory(lines.iter().map(|line| Line::parse(line)).collect());
        let lacks = |name: &str| inventory.lacks(Transport::select(&[name.to_owned()]).unwrap()[0]);
        let unixfd = lacks("unixfd 1 copy").unwrap();
        assert!(
            unixfd.contains("1.22.0") && unixfd.contains("unixfdsink with wait-for-connection"),
            "{unixfd}"
        );
        assert_eq!(lacks("shm 1 copy"), None);
    }

    #[test]
    fn a_gpu_that_is_not_there_is_named() {
        let lacks = |line: &str, name: &str| {
            let inventory = Inventory(vec![Line::parse(line)]);
            inventory.lacks(Transport::select(&[name.to_owned()]).unwrap()[0])
        };
        let none = lacks("gpus count=0 reason=there␣is␣no␣driver", "nvdsucx cuda").unwrap();
        assert_eq!(none, "no GPU here: there is no driver");
        let one = lacks("gpus count=1 name=H100", "nvdsucx cuda 0 to 1").unwrap();
        assert_eq!(one, "2 GPUs are needed, 1 here");
        assert_eq!(lacks("gpus count=2 name=H100", "nvdsucx cuda 0 to 1"), None);
    }

    #[test]
    fn both_ways_to_tell_the_release_are_understood() {
        assert_eq!(ucx_release("# Library version: 1.23.0\n# Library path: /lib/libucs.so.0"), "1.23.0");
        assert_eq!(ucx_release("# UCT version=1.13.1 revision 09f27c0"), "1.13.1");
        assert_eq!(ucx_release(""), "?");
    }

    #[test]
    fn a_word_with_a_blank_is_quoted() {
        assert_eq!(quoted("--reps"), "--reps");
        assert_eq!(quoted("shm 1 copy"), "'shm 1 copy'");
    }
}
