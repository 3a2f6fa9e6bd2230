//! `golden.py`: the schema as Google's protobuf sees it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use dsmeta::PayloadKind;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.py");

/// A payload that Python wrote.
pub(crate) fn write(kind: PayloadKind, variant: &str) -> Vec<u8> {
    run(&["write", medium(kind), variant], &[])
}

/// What Python reads in a payload: a line for each field.
pub(crate) fn print(kind: PayloadKind, payload: &[u8]) -> String {
    String::from_utf8(run(&["print", medium(kind)], payload)).unwrap()
}

/// The values of all fields of that name in [print]ed text.
pub(crate) fn values<'a>(text: &'a str, field: &str) -> Vec<&'a str> {
    let lines = text.lines().filter_map(|line| line.trim().split_once(": "));
    lines.filter(|(name, _)| *name == field).map(|(_, value)| value).collect()
}

fn medium(kind: PayloadKind) -> &'static str {
    match kind {
        PayloadKind::Video => "video",
        PayloadKind::Audio => "audio",
    }
}

fn run(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut python = Command::new(python());
    python.arg(SCRIPT).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{SCRIPT} {arguments:?}: {}", output.status);
    output.stdout
}

/// A Python that has the package: another one than the system's may come first.
fn python() -> &'static str {
    static PYTHON: OnceLock<&str> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let has_it = |program: &&str| {
            let mut python = Command::new(program);
            python.args(["-c", "import google.protobuf"]).stderr(Stdio::null());
            python.status().is_ok_and(|status| status.success())
        };
        ["python3", "/usr/bin/python3"].into_iter().find(has_it).expect(
            "no python3 with Google's protobuf: install the package python3-protobuf (Debian), python3-protobuf \
             (Fedora), python-protobuf (Arch), or run `cargo xtask setup`",
        )
    })
}
