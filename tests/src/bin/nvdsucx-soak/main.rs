//! Runs many streams between real processes for a long time, and does to them what may happen to them: kills, stalls, other
//! caps, ends, reconnections. `cargo xtask soak` starts it.
//!
//! The processes are started from this same program (`send`, `receive`). They check what arrives by themselves and say a line
//! for whatever the run has to know, see `send.rs` and `receive.rs`.

mod frame;
mod process;
mod receive;
mod run;
mod send;
mod stream;
mod watch;

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::frame::Kind;

const USAGE: &str = "usage: nvdsucx-soak SECONDS [SEED]";
/// The event with which a sender tells how many frames there were.
const END: &str = "nvdsucx-soak-end";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("nvdsucx-soak: {e}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("not a number: {text}; {USAGE}"));
    let kind = |name: &str| Kind::parse(name).ok_or_else(|| format!("no kind is called {name}"));
    if let [mode @ ("send" | "receive"), name, count, element] = args[..] {
        gst::init().map_err(|e| e.to_string())?;
        return match mode {
            "send" => send::run(kind(name)?, number(count)?, element),
            _ => receive::run(kind(name)?, number(count)? as usize, element),
        };
    }
    match args[..] {
        ["inside", seconds, seed] => run::run(Duration::from_secs(number(seconds)?), number(seed)?),
        [seconds, seed] => enter(number(seconds)?, number(seed)?),
        [seconds] => {
            let time = std::time::UNIX_EPOCH.elapsed().map_err(|e| e.to_string())?;
            enter(number(seconds)?, u64::from(time.subsec_nanos()))
        }
        _ => Err(USAGE.to_owned()),
    }
}

/// Starts over in namespaces of our own: nobody else has its ports, its segments of shared memory, its `/dev/shm`.
fn enter(seconds: u64, seed: u64) -> Result<(), String> {
    const SCRIPT: &str = "mount -t tmpfs none /dev/shm && ip link set lo up && exec \"$@\"";
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "--ipc", "--net", "sh", "-c", SCRIPT, "sh"]).arg(this);
    command.args(["inside", &seconds.to_string(), &seed.to_string()]);
    Err(format!("{command:?}: {}: is util-linux installed?", command.exec()))
}

/// Prints one line. Several threads do, and nobody reads half a line.
fn say(line: &str) {
    static OUTPUT: Mutex<()> = Mutex::new(());
    let _guard = OUTPUT.lock().unwrap();
    let mut stdout = io::stdout().lock();
    // Whoever listened may be gone.
    let _ = stdout.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdout.flush());
}

/// Says what is wrong, and what becomes of connections.
fn tell(message: &gst::MessageRef) {
    match message.view() {
        gst::MessageView::Error(e) => say(&format!("error {} {:?}", e.error(), e.debug())),
        gst::MessageView::Element(e) => {
            if let Some(structure) = e.structure() {
                say(&format!("element {structure}"));
            }
        }
        _ => {}
    }
}

/// Says how long the pipeline took to stop.
fn say_stopped(begin: Instant) {
    say(&format!("stopped ms={}", begin.elapsed().as_millis()));
}
