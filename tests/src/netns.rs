//! Hosts on one machine: network namespaces joined by a switch, or by a wire that is slow or loses packets.

use std::io::{BufRead, BufReader, Write};
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::compare::eventually;
use crate::peer::SOON;

/// IPv4 addresses of the hosts.
pub const IPV4: [&str; 3] = ["10.77.0.1", "10.77.0.2", "10.77.0.3"];
/// IPv6 addresses of the hosts.
pub const IPV6: [&str; 3] = ["fd77::1", "fd77::2", "fd77::3"];

/// What each host calls its network card.
const CARD: &str = "eth0";

/// Two or three hosts, each with a network card and nothing else in common. Gone when dropped.
#[derive(Debug)]
pub struct Network {
    hosts: Vec<Namespace>,
    switch: Namespace,
}

impl Network {
    /// Sets up `hosts` hosts with a cable to a switch each. Needs root.
    pub fn new(hosts: usize) -> Self {
        let network = Self { hosts: new_hosts(hosts), switch: Namespace::new() };
        let switch = &network.switch;
        switch.ip(&["link", "add", "bridge", "type", "bridge"]);
        switch.ip(&["link", "set", "bridge", "up"]);
        for (n, host) in network.hosts.iter().enumerate() {
            let port = port(n);
            switch.ip(&["link", "add", &port, "type", "veth", "peer", "name", CARD, "netns", &host.0]);
            switch.ip(&["link", "set", &port, "master", "bridge", "up"]);
            set_up_card(host, n);
        }
        network.hosts.iter().for_each(wait_until_up);
        network
    }

    /// The command that runs another one on a host, see [`Launch::by`](crate::Launch::by).
    pub fn at(&self, host: usize) -> Vec<String> {
        self.hosts[host].by()
    }

    /// Runs a command with the network of a host, but where memory can be shared with the others, as between containers.
    pub fn in_container_at(&self, host: usize) -> Vec<String> {
        self.hosts[host].with_network()
    }

    /// Pulls a host's cable.
    pub fn cut(&self, host: usize) {
        self.switch.ip(&["link", "set", &port(host), "down"]);
    }

    /// Plugs it in again.
    pub fn mend(&self, host: usize) {
        self.switch.ip(&["link", "set", &port(host), "up"]);
        wait_until_up(&self.hosts[host]);
    }

    /// Has the switch drop every packet without a word, as firewalls do.
    pub fn block(&self) {
        for n in 0..self.hosts.len() {
            // A queue that has no room for anything.
            self.switch.run(&["tc", "qdisc", "replace", "dev", &port(n), "root", "bfifo", "limit", "1"]);
        }
    }

    /// Has it let them through again.
    pub fn unblock(&self) {
        for n in 0..self.hosts.len() {
            self.switch.run(&["tc", "qdisc", "del", "dev", &port(n), "root"]);
        }
    }

    /// Has the switch drop, without a word, all that is not of TCP connections to `port`.
    pub fn block_but(&self, tcp_port: u16) {
        let tcp_port = tcp_port.to_string();
        for n in 0..self.hosts.len() {
            let port = port(n);
            let tc = |words: &str| {
                let (object, words) = words.split_once(" add ").expect("something is added");
                let head = ["tc", object, "add", "dev", &port];
                self.switch.run(&[&head[..], &words.split(' ').collect::<Vec<_>>()].concat());
            };
            tc("qdisc add root handle 1: htb default 2");
            tc("class add parent 1: classid 1:1 htb rate 10gbit quantum 60000");
            tc("class add parent 1: classid 1:2 htb rate 10gbit quantum 60000");
            tc("qdisc add parent 1:2 bfifo limit 1");
            tc("filter add parent 1: protocol arp prio 1 u32 match u32 0 0 flowid 1:1");
            for end in ["sport", "dport"] {
                let filter = "filter add parent 1: protocol ip prio 2 u32 match ip";
                tc(&format!("{filter} {end} {tcp_port} 0xffff flowid 1:1"));
            }
        }
    }

    /// Has each cable carry 100 Mbit/s and no more.
    pub fn slow_down(&self) {
        for n in 0..self.hosts.len() {
            let limit = ["tbf", "rate", "100mbit", "burst", "64kb", "latency", "50ms"];
            self.switch.run(&[&["tc", "qdisc", "replace", "dev", &port(n), "root"], &limit[..]].concat());
        }
    }

    /// Sets the size of the largest packet, everywhere.
    pub fn set_mtu(&self, mtu: u32) {
        for (n, host) in self.hosts.iter().enumerate() {
            host.ip(&["link", "set", CARD, "mtu", &mtu.to_string()]);
            self.switch.ip(&["link", "set", &port(n), "mtu", &mtu.to_string()]);
        }
    }
}

/// Two hosts joined by the program `wire.py`, a cable that can be slow and lose packets. Gone when dropped.
#[derive(Debug)]
pub struct Wire {
    hosts: Vec<Namespace>,
    program: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Wire {
    /// Sets them up. Needs root.
    pub fn new() -> Self {
        let hosts = new_hosts(2);
        // The cards are made in the namespace of the test, and moved.
        let cards = ["w", "x"].map(|end| format!("{end}{}", unique()));
        let mut program = Command::new("python3")
            .args([concat!(env!("CARGO_MANIFEST_DIR"), "/wire.py"), &cards[0], &cards[1]])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        let commands = program.stdin.take().expect("piped");
        let answers = BufReader::new(program.stdout.take().expect("piped"));
        let mut wire = Self { hosts, program, commands, answers };
        assert_eq!(wire.answer(), "ready", "no wire: is there /dev/net/tun?");
        for (n, (host, card)) in wire.hosts.iter().zip(&cards).enumerate() {
            run(&["ip", "link", "set", card, "netns", &host.0, "name", CARD]);
            set_up_card(host, n);
        }
        wire.hosts.iter().for_each(wait_until_up);
        wire
    }

    /// The command that runs another one on a host, see [`Launch::by`](crate::Launch::by).
    pub fn at(&self, host: usize) -> Vec<String> {
        self.hosts[host].by()
    }

    /// Delays each packet, by as many seconds.
    pub fn delay(&mut self, seconds: f64) {
        self.ask(&format!("delay {seconds}"));
    }

    /// Loses this share of the packets.
    pub fn lose(&mut self, share: f64) {
        self.ask(&format!("loss {share}"));
    }

    /// How many packets it has lost so far.
    pub fn lost(&mut self) -> u64 {
        self.ask("lost").parse().expect("a number")
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").expect("the wire is there");
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the wire answers");
        line.trim_end().to_owned()
    }
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// A network namespace. Gone when dropped.
#[derive(Debug)]
struct Namespace(String);

impl Namespace {
    fn new() -> Self {
        let name = format!("nvdsucx{}", unique());
        run(&["ip", "netns", "add", &name]);
        Self(name)
    }

    /// The command that runs another one in it, and without memory to share with others.
    fn by(&self) -> Vec<String> {
        let mut command = self.with_network();
        command.extend(["unshare", "--ipc"].map(String::from));
        command
    }

    fn with_network(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.0].map(String::from).into()
    }

    fn run(&self, command: &[&str]) -> String {
        run(&[&["ip", "netns", "exec", &self.0], command].concat())
    }

    fn ip(&self, args: &[&str]) -> String {
        run(&[&["ip", "-n", &self.0], args].concat())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn new_hosts(count: usize) -> Vec<Namespace> {
    assert!(
        rustix::process::geteuid().is_root(),
        "network namespaces need root: run these tests as root, as `cargo xtask test` does in its container"
    );
    (0..count).map(|_| Namespace::new()).collect()
}

fn set_up_card(host: &Namespace, n: usize) {
    host.ip(&["addr", "add", &format!("{}/24", IPV4[n]), "dev", CARD]);
    // Without duplicate address detection the address can be used at once.
    host.ip(&["addr", "add", &format!("{}/64", IPV6[n]), "dev", CARD, "nodad"]);
    host.ip(&["link", "set", "lo", "up"]);
    host.ip(&["link", "set", CARD, "up"]);
}

/// The kernel tells a little later that there is a carrier; UCX takes only cards that have one.
fn wait_until_up(host: &Namespace) {
    eventually("a carrier", SOON, || {
        host.ip(&["link", "show", "dev", CARD]).contains("LOWER_UP").then_some(())
    });
}

/// What the switch calls its end of a host's cable.
fn port(host: usize) -> String {
    format!("port{host}")
}

/// Part of a name that nobody else uses. Names of network cards have 15 letters at most.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}n{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn run(command: &[&str]) -> String {
    let [program, args @ ..] = command else { return String::new() };
    let output = Command::new(program).args(args).output().expect("iproute2 is installed");
    assert!(output.status.success(), "{}: {}", command.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
