//! Peers with keys: who works with whom, and what the others are told.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nvdsucx_tests::link::{CONNECTED, flow};
use nvdsucx_tests::peer::{Launch, Peer, SOON};
use nvdsucx_tests::{Link, Pairing, Transport};

/// Within this both ends know that the other is not the right one.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A file with a key. Gone when dropped.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(test: &str, key: &str) -> Self {
        let file = std::env::temp_dir().join(format!("nvdsucx-tests-key-{test}-{}", std::process::id()));
        fs::write(&file, key).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        Self(file)
    }

    fn property(&self) -> String {
        format!("key-file={}", self.0.display())
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Waits for an error or a warning on the bus, not longer than from `started`.
fn complaint(peer: &Peer, started: Instant) -> String {
    peer.wait_for("an error or warning", AT_ONCE.saturating_sub(started.elapsed()), |lines| {
        lines.iter().find(|l| l.starts_with("error ") || l.starts_with("warning ")).cloned()
    })
}

#[test]
fn buffers_go_between_two_processes_with_the_same_key() {
    let key = KeyFile::new("same", "correct horse battery staple\n");
    // White space does not count.
    let same = KeyFile::new("same-padded", "  correct horse battery staple");
    for link in Link::all() {
        let (mut sender, receiver) = link.sink(&key.property()).src(&same.property()).start_connected();
        flow(&mut sender, &receiver);
        sender.command("push eos");
        receiver.line("eos");
        for peer in [sender, receiver] {
            peer.assert_no_error();
            assert_eq!(peer.lines_with("warning "), Vec::<String>::new());
            peer.stop();
        }
    }
}

#[test]
fn memory_is_shared_between_two_processes_with_the_same_key() {
    let key = KeyFile::new("mapped", "correct horse battery staple");
    for link in Link::both() {
        let (mut sender, receiver) = link.sink(&key.property()).src(&key.property()).start_mapped();
        flow(&mut sender, &receiver);
        sender.stop();
        receiver.stop();
    }
}

#[test]
fn the_environment_names_the_key_unless_the_property_does() {
    const SECRET: &str = "correct horse battery staple";
    let (key, other) =
        (KeyFile::new("environment", SECRET), KeyFile::new("environment-other", "another key altogether"));
    let (key_path, other_path) = (key.0.to_str().unwrap(), other.0.to_str().unwrap());
    let link = Link::new(Pairing::ServerSink, Transport::Default);
    let cases: [&dyn Fn(Launch) -> Launch; 3] = [
        &|launch| launch.env("NVDSUCX_KEY", SECRET),
        &|launch| launch.env("NVDSUCX_KEY_FILE", key_path),
        // The file counts more than the key itself.
        &|launch| launch.env("NVDSUCX_KEY_FILE", key_path).env("NVDSUCX_KEY", "another key altogether"),
    ];
    for case in cases {
        let mut sender = case(link.listening()).start();
        // And the property more than both.
        let receiver = link.clone().src(&key.property()).connecting(sender.port());
        let receiver = receiver.env("NVDSUCX_KEY_FILE", other_path).start();
        receiver.line(CONNECTED);
        flow(&mut sender, &receiver);
    }
}

#[test]
fn a_wrong_or_missing_key_is_on_both_buses_within_a_second() {
    let key = KeyFile::new("right", "correct horse battery staple");
    let other = KeyFile::new("wrong", "incorrect horse battery staple");
    let (key, other) = (key.property(), other.property());
    for link in Link::both() {
        for (listening, connecting, text) in [
            (key.as_str(), other.as_str(), "the keys of the two elements differ"),
            (&key, "", "the listening element has a key and the connecting one has none"),
            ("", &key, "the connecting element has a key and the listening one has none"),
        ] {
            let link = link.clone();
            let (listens, connects) = match link.pairing {
                Pairing::ServerSink => (link.clone().sink(listening), link.clone().src(connecting)),
                Pairing::ServerSrc => (link.clone().src(listening), link.clone().sink(connecting)),
            };
            let server = listens.listening().start();
            let port = server.port();
            let client = connects.connecting(port).start();
            client.line("state-set ");
            let started = Instant::now();
            let error = complaint(&client, started);
            let warning = complaint(&server, started);
            assert!(error.starts_with("error ") && error.contains("NotAuthorized"), "{error}");
            for (message, address) in [(&error, format!("127.0.0.1:{port}")), (&warning, "127.0.0.1:".into())]
            {
                assert!(message.contains(text) && message.contains(&address), "{message}");
                assert!(!message.contains("horse"), "the key is in it: {message}");
            }
            server.assert_no_error();
        }
    }
}

#[test]
fn a_listening_sink_goes_on_serving_while_others_try_wrong_keys() {
    let key = KeyFile::new("serving", "correct horse battery staple");
    let wrong = KeyFile::new("serving-wrong", "incorrect horse battery staple");
    let link = Link::new(Pairing::ServerSink, Transport::Default).sink(&key.property());
    let mut sender = link.listening().start();
    let port = sender.port();
    let good = link.clone().src(&key.property()).connecting(port).start();
    good.line(CONNECTED);
    flow(&mut sender, &good);
    for properties in [wrong.property(), String::new(), wrong.property()] {
        let bad = link.clone().src(&properties).connecting(port).start();
        bad.error(SOON, &["source=ucx", "not authenticated", "key"]);
        assert_eq!(bad.count("buffer "), 0);
    }
    let late = link.clone().src(&key.property()).connecting(port).start();
    // The client may know it before.
    sender.lines_until(2, CONNECTED);
    sender.command("push buffer count=5 mem=100000 pts=0");
    sender.command("push eos");
    for (peer, buffers) in [(&good, 15), (&late, 5)] {
        peer.line("eos");
        assert_eq!(peer.count("buffer "), buffers);
    }
    assert_eq!(sender.stat("refused"), 3);
    sender.assert_no_error();
    sender.stop();
}

#[test]
fn a_key_that_cannot_be_had_is_an_error_that_names_it() {
    let short = KeyFile::new("short", "too short");
    for link in Link::both() {
        for (properties, variable, parts) in [
            ("key-file=/nonexistent/key".to_owned(), None, ["/nonexistent/key", "No such file"]),
            (short.property(), None, ["nvdsucx-tests-key-short", "9 bytes"]),
            (
                String::new(),
                Some(("NVDSUCX_KEY_FILE", "/nonexistent/key")),
                ["/nonexistent/key", "No such file"],
            ),
            (String::new(), Some(("NVDSUCX_KEY", "too short")), ["NVDSUCX_KEY", "9 bytes"]),
            // Asked for and forgotten: not the same as none.
            (String::new(), Some(("NVDSUCX_KEY", "")), ["NVDSUCX_KEY", "empty"]),
        ] {
            let link = link.clone().sink(&properties).src(&properties);
            for mut launch in [link.listening(), link.connecting(7174)] {
                if let Some((name, value)) = variable {
                    launch = launch.env(name, value);
                }
                let error = launch.start().error(SOON, &["source=ucx", "no key from", parts[0], parts[1]]);
                assert!(!error.contains("too short"), "the key is in it: {error}");
            }
        }
    }
}

#[test]
fn a_key_that_everybody_may_read_is_warned_of() {
    let key = KeyFile::new("open", "correct horse battery staple");
    fs::set_permissions(&key.0, Permissions::from_mode(0o644)).unwrap();
    let link = Link::new(Pairing::ServerSink, Transport::Default).sink(&key.property()).src(&key.property());
    let (sender, receiver) = link.start_connected();
    for peer in [&sender, &receiver] {
        let warning = peer.line("warning source=ucx");
        assert!(warning.contains("nvdsucx-tests-key-open") && warning.contains("0644"), "{warning}");
        assert!(!warning.contains("horse"), "the key is in it: {warning}");
    }
}

#[test]
fn no_log_shows_a_key() {
    let key = KeyFile::new("log", "correct horse battery staple");
    let link = Link::new(Pairing::ServerSink, Transport::Default)
        .src(&key.property())
        .env("GST_DEBUG", "nvdsucx*:9");
    let sender = link.listening().env("NVDSUCX_KEY", "correct horse battery staple").start();
    let mut receiver = link.connecting(sender.port()).start();
    receiver.line(CONNECTED);
    receiver.ask("stats", "stats ");
    let said = [sender.lines(), sender.stderr(), receiver.lines(), receiver.stderr()].concat();
    assert!(said.iter().any(|line| line.contains("connected")), "nothing is logged");
    assert!(!said.iter().any(|line| line.contains("horse")), "{said:#?}");
}
