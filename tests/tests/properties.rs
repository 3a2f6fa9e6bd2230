//! What the elements say about themselves.

use std::process::Command;
use std::sync::Once;

use gst::glib;
use gst::prelude::*;
use nvdsucx_tests::compare::eventually;
use nvdsucx_tests::peer::SOON;
use nvdsucx_tests::{Launch, Link, Pairing, Transport, environment};

const SINKS: [&str; 2] = ["nvdsucxserversink", "nvdsucxclientsink"];
const SOURCES: [&str; 2] = ["nvdsucxserversrc", "nvdsucxclientsrc"];
const ALL: [&str; 4] = ["nvdsucxserversink", "nvdsucxclientsink", "nvdsucxserversrc", "nvdsucxclientsrc"];

fn factory(element: &str) -> gst::ElementFactory {
    static LOADED: Once = Once::new();
    LOADED.call_once(|| {
        gst::init().unwrap();
        let plugin = environment::get().plugins.join("libgstnvdsucx.so");
        let plugin = gst::Plugin::load_file(&plugin).unwrap();
        gst::Registry::get().add_plugin(&plugin).unwrap();
    });
    gst::ElementFactory::find(element).unwrap_or_else(|| panic!("no {element}"))
}

fn make(element: &str) -> gst::Element {
    factory(element).create().build().unwrap()
}

fn property(element: &str, name: &str) -> glib::ParamSpec {
    make(element).find_property(name).unwrap_or_else(|| panic!("{element} has no property {name}"))
}

#[test]
fn the_elements_are_sinks_and_sources_of_the_network() {
    for (elements, klass) in [(SINKS, "Sink/Network"), (SOURCES, "Source/Network")] {
        for element in elements {
            let factory = factory(element);
            assert_eq!(factory.metadata("klass"), Some(klass), "{element}");
            assert_eq!(factory.rank(), gst::Rank::NONE, "{element}");
        }
    }
}

#[test]
fn numbers_have_the_documented_ranges_and_defaults() {
    for element in ALL {
        let int = |name: &str| {
            let spec = property(element, name);
            let spec =
                spec.downcast::<glib::ParamSpecInt>().unwrap_or_else(|s| panic!("{element} {s:?} is no int"));
            (spec.minimum(), spec.maximum(), spec.default_value())
        };
        let uint = |name: &str| {
            let spec = property(element, name);
            let spec = spec
                .downcast::<glib::ParamSpecUInt>()
                .unwrap_or_else(|s| panic!("{element} {s:?} is no uint"));
            (spec.minimum(), spec.maximum(), spec.default_value())
        };
        assert_eq!(int("port"), (0, 65535, 7174), "{element}");
        if element == "nvdsucxserversink" {
            let (min, max, default) = uint("num-conns");
            assert_eq!((min, default), (1, 1));
            assert!(max >= 4);
        } else {
            assert!(make(element).find_property("num-conns").is_none(), "{element}");
        }
        if SOURCES.contains(&element) {
            let (min, max, default) = int("num-nvbuf");
            assert_eq!((min, default), (0, 4), "{element}");
            assert!(max >= 20, "{element}");
            let (min, max, default) = uint("raw-buf-size");
            assert_eq!((min, default), (0, 8192), "{element}");
            assert!(max >= 8192, "{element}");
        }
    }
}

#[test]
fn the_address_is_the_local_host_and_high_perf_is_on() {
    for element in ALL {
        let made = make(element);
        assert_eq!(made.property::<String>("addr"), "127.0.0.1", "{element}");
        assert!(made.property::<bool>("high-perf"), "{element}");
    }
}

#[test]
fn memory_is_shared_where_that_is_possible() {
    for element in ALL {
        assert!(make(element).property::<bool>("zero-copy"), "{element}");
    }
}

#[test]
fn there_is_no_key_unless_one_is_named() {
    for element in ALL {
        assert_eq!(make(element).property::<Option<String>>("key-file"), None, "{element}");
    }
}

#[test]
fn sinks_wait_for_room_unless_they_are_leaky() {
    for element in SINKS {
        let made = make(element);
        let spec = property(element, "leaky");
        let class = glib::EnumClass::with_type(spec.value_type()).expect("an enum");
        for (value, nick) in [(0, "no"), (1, "upstream"), (2, "downstream"), (3, "disconnect"), (4, "auto")] {
            assert_eq!(class.value(value).map(glib::EnumValue::nick), Some(nick), "{element}");
        }
        // Who has one peer slows nobody else.
        let default = if element == "nvdsucxserversink" { "auto" } else { "no" };
        assert_eq!(made.property_value("leaky").serialize().unwrap(), default, "{element}");
        assert_eq!(made.property::<u64>("max-size-bytes"), 128 << 20, "{element}");
    }
    for element in SOURCES {
        assert!(make(element).find_property("leaky").is_none(), "{element}");
    }
}

#[test]
fn buf_type_has_the_documented_values_and_nicks() {
    for element in ALL {
        let spec = property(element, "buf-type");
        let class = glib::EnumClass::with_type(spec.value_type()).expect("an enum");
        for (value, nick) in [
            (0, "nvdsucx-buf-video"),
            (1, "nvdsucx-buf-nv-audio"),
            (2, "nvdsucx-buf-raw-audio"),
            (4, "nvdsucx-buf-text"),
        ] {
            assert_eq!(class.value(value).map(glib::EnumValue::nick), Some(nick), "{element}");
        }
        assert!(class.value_by_nick("nvdsucx-buf-any").is_some(), "{element}");
        assert_eq!(
            make(element).property_value("buf-type").serialize().unwrap(),
            "nvdsucx-buf-video",
            "{element}"
        );
    }
}

#[test]
fn what_is_set_can_be_read_back() {
    for element in ALL {
        let made = make(element);
        let mut values = vec![
            ("addr", "192.0.2.1"),
            ("port", "4000"),
            ("buf-type", "nvdsucx-buf-text"),
            ("high-perf", "false"),
            ("zero-copy", "false"),
            ("peer-timeout", "1234"),
            ("busy-poll", "20000"),
            ("on-disconnect", "reconnect"),
            ("key-file", "/run/secrets/nvdsucx"),
        ];
        if element.contains("client") {
            values.push(("connect-timeout", "4321"));
            values.push(("reconnect-interval", "77"));
        }
        if element == "nvdsucxserversink" {
            values.push(("num-conns", "3"));
        }
        if SINKS.contains(&element) {
            values.extend([
                ("wait-for-connection", "false"),
                ("max-size-buffers", "7"),
                ("max-size-bytes", "1000000"),
                ("max-size-time", "7000000"),
                ("leaky", "upstream"),
            ]);
        } else {
            values.extend([("num-nvbuf", "20"), ("raw-buf-size", "100")]);
            values.extend([("max-buffer-size", "123456"), ("max-held-bytes", "234567")]);
            values.extend([("timestamp-mode", "map"), ("latency", "33")]);
        }
        for (name, value) in values {
            made.set_property_from_str(name, value);
            let read = made.property_value(name).transform::<String>().unwrap().get::<String>().unwrap();
            let serialized = made.property_value(name).serialize().unwrap();
            assert!(
                [read.to_lowercase(), serialized.to_lowercase()].contains(&value.to_owned()),
                "{element} {name}: {read} or {serialized} instead of {value}"
            );
        }
    }
}

#[test]
fn stats_and_num_clients_can_only_be_read() {
    for element in ALL {
        let flags = property(element, "stats").flags();
        assert!(
            flags.contains(glib::ParamFlags::READABLE) && !flags.contains(glib::ParamFlags::WRITABLE),
            "{element}"
        );
    }
    for server in ["nvdsucxserversink", "nvdsucxserversrc"] {
        assert!(!property(server, "num-clients").flags().contains(glib::ParamFlags::WRITABLE), "{server}");
    }
}

#[test]
fn each_property_says_what_it_is_for() {
    for element in ALL {
        let made = make(element);
        for spec in made.list_properties().iter().filter(|s| s.owner_type() == made.type_()) {
            let blurb = spec.blurb().unwrap_or_default();
            assert!(blurb.len() > 10, "{element} {}: {blurb}", spec.name());
        }
    }
}

#[test]
fn stats_count_frames_and_bytes_at_both_ends() {
    for link in Link::both() {
        let (mut sender, mut receiver) = link.start_connected();
        sender.command("push start application/x-test");
        sender.command("push buffer count=10 mem=1000 pts=0");
        sender.command("push eos");
        receiver.line("eos");
        sender.line("eos");
        for peer in [&mut sender, &mut receiver] {
            let stats = peer.ask("stats", "stats ");
            assert!(stats.contains("frames=(guint64)10"), "{stats}");
            assert!(stats.contains("bytes=(guint64)10000"), "{stats}");
            assert!(stats.contains("tcp/"), "no lanes: {stats}");
            assert!(stats.contains("127.0.0.1:"), "no address of the peer: {stats}");
        }
        sender.stop();
        receiver.stop();
    }
}

#[test]
fn num_clients_counts_those_who_are_connected() {
    let link = Link::new(Pairing::ServerSink, Transport::Default).sink("num-conns=2");
    let mut sender = link.listening().start();
    let port = sender.port();
    assert_eq!(sender.ask("get num-clients", "got "), "got num-clients=0");
    let first = link.connecting(port).start();
    for peer in [&first, &sender] {
        let told = peer.line("element nvdsucx-client-connected");
        assert!(told.contains("address=(string)127.0.0.1:") && told.contains("lanes="), "{told}");
    }
    assert_eq!(sender.ask("get num-clients", "got "), "got num-clients=1");
    let second = link.connecting(port).start();
    sender.lines_until(2, "element nvdsucx-client-connected");
    assert_eq!(sender.ask("get num-clients", "got "), "got num-clients=2");
    second.stop();
    let told = sender.line("element nvdsucx-client-disconnected");
    assert!(told.contains("address=(string)127.0.0.1:") && told.contains("orderly=(boolean)true"), "{told}");
    assert_eq!(sender.ask("get num-clients", "got "), "got num-clients=1");
    first.stop();
    sender.stop();
}

#[test]
fn a_serversink_that_does_not_wait_drops_while_nobody_is_connected() {
    let link = Link::new(Pairing::ServerSink, Transport::Default).sink("wait-for-connection=false");
    let mut sender = link.listening().start();
    let port = sender.port();
    sender.command("push start application/x-test");
    sender.command("push buffer count=100 mem=1000 pts=0");
    sender.line("pushed buffer n=99 result=Ok");
    // A buffer is queued when it is pushed, and dropped a little later.
    eventually("all are dropped", SOON, || {
        sender.ask("stats", "stats ").contains("dropped=(guint64)100").then_some(())
    });
    assert_eq!(sender.stat("dropped-unconnected"), 100);
    let receiver = link.connecting(port).start();
    sender.line("element nvdsucx-client-connected");
    sender.command("push buffer count=3 mem=7 pts=0");
    sender.command("push eos");
    receiver.line("eos");
    assert_eq!(receiver.count("buffer "), 3);
    receiver.line("event caps application/x-test");
    sender.stop();
    receiver.stop();
}

#[test]
fn high_perf_off_keeps_ucx_to_tcp() {
    for link in Link::both() {
        let (mut sender, receiver) = link.sink("high-perf=false").src("high-perf=false").start_connected();
        sender.command("push start application/x-test");
        sender.command("push buffer count=10 mem=100000 pts=0");
        sender.command("push eos");
        receiver.line("eos");
        let stats = sender.ask("stats", "stats ");
        assert!(stats.contains("tcp/"), "{stats}");
        assert!(!["posix", "sysv", "cma"].iter().any(|lane| stats.contains(lane)), "{stats}");
        sender.stop();
        receiver.stop();
    }
}

#[test]
fn stats_name_shared_memory_where_ucx_uses_it() {
    for pairing in [Pairing::ServerSink, Pairing::ServerSrc] {
        let (mut sender, receiver) = Link::new(pairing, Transport::SharedMemory).start_connected();
        let stats = sender.ask("stats", "stats ");
        assert!(["posix", "sysv"].iter().any(|lane| stats.contains(lane)), "{stats}");
        sender.stop();
        receiver.stop();
    }
}

/// Runs `gst-inspect-1.0` on the server sink in a mount namespace of its own, after `prepare`.
fn inspect_after(prepare: &str) -> String {
    let environment = environment::get();
    assert!(rustix::process::geteuid().is_root(), "mount namespaces need root: run these tests as root");
    let registry = environment.registry.with_file_name(format!("registry-{}.bin", std::process::id()));
    let script = format!("set -e; {prepare}; exec gst-inspect-1.0 nvdsucxserversink 2>&1");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .env("GST_PLUGIN_PATH", &environment.plugins)
        .env("GST_REGISTRY", &registry)
        .env("UCP", mapped_ucp())
        .output()
        .expect("unshare (of util-linux) is installed");
    let _ = std::fs::remove_file(registry);
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The folder that the plugin takes `libucp.so.0` from.
fn mapped_ucp() -> std::path::PathBuf {
    factory(ALL[0]);
    let library = nvdsucx_tests::process::mapped_file(std::process::id(), "libucp.so");
    library.parent().expect("a file lies in a folder").to_owned()
}

/// Takes UCX away: an overlay over the folder of the system's libraries, in which it is deleted.
const HIDE_UCX: &str = "mount -t tmpfs none /mnt; mkdir /mnt/upper /mnt/work; \
                        mount -t overlay -o lowerdir=$UCP,upperdir=/mnt/upper,workdir=/mnt/work none $UCP; \
                        rm $UCP/libucp.so.0*";

#[test]
fn gst_inspect_says_so_if_ucx_is_missing() {
    assert!(inspect_after("true").contains("Factory Details"), "the test itself works");
    let said = inspect_after(HIDE_UCX);
    assert!(said.contains("libucp.so.0"), "no word of libucp.so.0: {said}");
}

#[test]
fn gst_inspect_complains_of_nothing() {
    for element in ALL {
        let mut inspect = Launch::program("gst-inspect-1.0", "gst-inspect-1.0").arg(element).start();
        assert!(inspect.wait_exit(SOON).success());
        assert_eq!(inspect.stderr(), Vec::<String>::new());
    }
}
