//! Two hosts on one machine: network namespaces joined by a cable.

use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::compare::eventually;
use crate::peer::SOON;

/// Two network namespaces with a pair of virtual network cards between them. Gone when dropped.
#[derive(Debug)]
pub struct Cable {
    names: [String; 2],
}

/// IPv4 addresses of the two ends.
pub const IPV4: [&str; 2] = ["10.77.0.1", "10.77.0.2"];
/// IPv6 addresses of the two ends.
pub const IPV6: [&str; 2] = ["fd77::1", "fd77::2"];

const CARD: &str = "eth0";

impl Cable {
    /// Lays a cable. Needs root.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(
            rustix::process::geteuid().is_root(),
            "network namespaces need root: run these tests as root, as `cargo xtask test` does in its container"
        );
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let cable = Self { names: ["a", "b"].map(|end| format!("nvdsucx{}{count}{end}", process::id())) };
        for name in &cable.names {
            ip(&["netns", "add", name]);
        }
        let [a, b] = &cable.names;
        ip(&["-n", a, "link", "add", CARD, "type", "veth", "peer", "name", CARD, "netns", b]);
        for (end, name) in cable.names.iter().enumerate() {
            ip(&["-n", name, "addr", "add", &format!("{}/24", IPV4[end]), "dev", CARD]);
            // Without duplicate address detection the address can be used at once.
            ip(&["-n", name, "addr", "add", &format!("{}/64", IPV6[end]), "dev", CARD, "nodad"]);
            ip(&["-n", name, "link", "set", "lo", "up"]);
            ip(&["-n", name, "link", "set", CARD, "up"]);
        }
        cable.wait_until_up();
        cable
    }

    /// The kernel tells a little later that there is a carrier; UCX takes only cards that have one.
    fn wait_until_up(&self) {
        for name in &self.names {
            eventually("a carrier", SOON, || {
                ip(&["-n", name, "link", "show", "dev", CARD]).contains("state UP").then_some(())
            });
        }
    }

    /// The command that runs another one at an end, see [`Launch::by`](crate::Launch::by).
    pub fn at(&self, end: usize) -> Vec<String> {
        ["ip", "netns", "exec", &self.names[end]].map(String::from).into()
    }

    /// Cuts the cable.
    pub fn cut(&self) {
        ip(&["-n", &self.names[0], "link", "set", CARD, "down"]);
    }

    /// Makes it whole again.
    pub fn mend(&self) {
        ip(&["-n", &self.names[0], "link", "set", CARD, "up"]);
        self.wait_until_up();
    }
}

impl Default for Cable {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

fn ip(args: &[&str]) -> String {
    let output = Command::new("ip").args(args).output().expect("ip (of iproute2) is installed");
    assert!(output.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
