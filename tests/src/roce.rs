//! The two RDMA devices that `cargo xtask test --rdma` makes in its virtual machine, joined by a cable.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::link::{Link, Pairing, Transport};

/// Tells address and device of the end that listens, and of the one that connects: `10.77.0.1 rxe0:1 10.77.0.2 rxe1:1`.
pub const RDMA: &str = "NVDSUCX_RDMA";

/// The cable's two ends.
const CARDS: [&str; 2] = ["roce0", "roce1"];

/// Each pairing over RDMA, with an end on each device, in IPC namespaces of their own: else they would share memory.
pub fn links() -> [Link; 2] {
    let ends = std::env::var(RDMA).unwrap_or_else(|_| {
        panic!("{RDMA} is not set, so there are no RDMA devices to test with: run `cargo xtask test --rdma`")
    });
    let words: Vec<&str> = ends.split_whitespace().collect();
    let &[listening, listening_device, connecting, connecting_device] = words.as_slice() else {
        panic!("{RDMA}={ends}: not two addresses, each with its device");
    };
    let at = |device: &str, source: &str| {
        // Where both addresses are this host's, the one to call from has to be told.
        let settings = [format!("UCX_NET_DEVICES={device}"), format!("UCX_RDMA_CM_SOURCE_ADDRESS={source}")];
        ["unshare", "--ipc", "env"].map(String::from).into_iter().chain(settings).collect::<Vec<_>>()
    };
    let (server, client) = (at(listening_device, listening), at(connecting_device, connecting));
    [Pairing::ServerSink, Pairing::ServerSrc].map(|pairing| {
        let mut link = Link::new(pairing, Transport::Default);
        link.addr = listening.into();
        link.by = match pairing {
            Pairing::ServerSink => (server.clone(), client.clone()),
            Pairing::ServerSrc => (client.clone(), server.clone()),
        };
        link
    })
}

/// A cable that loses packets, until dropped.
#[derive(Debug)]
pub struct Loss {
    _alone: MutexGuard<'static, ()>,
}

impl Loss {
    /// Loses `percent` of the packets in each direction, by chance.
    pub fn of(percent: &str) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let loss = Self { _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner) };
        for card in CARDS {
            let limit = ["limit", "100000"];
            run(
                "tc",
                &[&["qdisc", "add", "dev", card, "root", "netem"], &limit[..], &["loss", percent]].concat(),
            );
        }
        loss
    }

    /// Packets lost so far.
    pub fn packets(&self) -> u64 {
        // " Sent 1216 bytes 15 pkt (dropped 2, overlimits 0 requeues 0)"
        let dropped = |card| {
            let shown = run("tc", &["-s", "qdisc", "show", "dev", card, "root"]);
            let number =
                shown.split("dropped ").nth(1).and_then(|rest| rest.split(',').next()?.parse::<u64>().ok());
            number.unwrap_or_else(|| panic!("tc says nothing of drops: {shown}"))
        };
        CARDS.map(dropped).iter().sum()
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        for card in CARDS {
            let _ = Command::new("tc").args(["qdisc", "del", "dev", card, "root"]).status();
        }
    }
}

/// Numbers of the memory regions that process `pid` has registered with its card. The kernel counts them up, and uses none twice.
pub fn regions(pid: u32) -> Vec<u64> {
    // "dev rxe0 mrn 3 rkey 0x52b lkey 0x52b mrlen 1310720 pdn 1 pid 166 comm ucx"
    let shown = run("rdma", &["resource", "show", "mr"]);
    let word_after = |line: &str, name: &str| line.split(name).nth(1)?.split(' ').next().map(str::to_owned);
    // It is the thread that is called "pid".
    let thread = |line: &&str| {
        word_after(line, " pid ").is_some_and(|id| Path::new(&format!("/proc/{pid}/task/{id}")).exists())
    };
    shown.lines().filter(thread).filter_map(|line| word_after(line, " mrn ")?.parse().ok()).collect()
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect("iproute2 is installed");
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
