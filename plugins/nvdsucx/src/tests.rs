//! What the elements promise to who sets their properties and links their pads.

use std::sync::Once;

use gst::glib;
use gst::prelude::*;

const ELEMENTS: [&str; 4] =
    ["nvdsucxserversink", "nvdsucxclientsink", "nvdsucxserversrc", "nvdsucxclientsrc"];
const SINKS: [&str; 2] = ["nvdsucxserversink", "nvdsucxclientsink"];
const SOURCES: [&str; 2] = ["nvdsucxserversrc", "nvdsucxclientsrc"];
const SERVERS: [&str; 2] = ["nvdsucxserversink", "nvdsucxserversrc"];
const CLIENTS: [&str; 2] = ["nvdsucxclientsink", "nvdsucxclientsrc"];

fn make(name: &str) -> gst::Element {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        gst::init().unwrap();
        crate::plugin_register_static().unwrap();
    });
    gst::ElementFactory::make(name).build().unwrap()
}

fn spec<T: ParamSpecType>(element: &str, property: &str) -> T {
    let spec = make(element).find_property(property).unwrap_or_else(|| panic!("{element} has no {property}"));
    spec.downcast().unwrap_or_else(|spec| panic!("{element} {property} is a {}", spec.type_()))
}

fn is_mutable_ready(spec: &glib::ParamSpec) -> bool {
    spec.flags().bits() & gst::ffi::GST_PARAM_MUTABLE_READY as u32 != 0
}

/// Lower bound, upper bound, default.
fn int(element: &str, property: &str) -> (i32, i32, i32) {
    let spec = spec::<glib::ParamSpecInt>(element, property);
    (spec.minimum(), spec.maximum(), spec.default_value())
}

fn uint(element: &str, property: &str) -> (u32, u32, u32) {
    let spec = spec::<glib::ParamSpecUInt>(element, property);
    (spec.minimum(), spec.maximum(), spec.default_value())
}

fn uint64(element: &str, property: &str) -> (u64, u64, u64) {
    let spec = spec::<glib::ParamSpecUInt64>(element, property);
    (spec.minimum(), spec.maximum(), spec.default_value())
}

fn nicks(type_name: &str) -> Vec<(i32, String)> {
    make(ELEMENTS[0]);
    let class = glib::EnumClass::with_type(glib::Type::from_name(type_name).unwrap()).unwrap();
    class.values().iter().map(|value| (value.value(), value.nick().to_owned())).collect()
}

#[test]
fn elements_are_what_they_stand_in_for() {
    for (name, type_name, klass) in [
        ("nvdsucxserversink", "GstUcxServerSink", "Sink/Network"),
        ("nvdsucxclientsink", "GstUcxClientSink", "Sink/Network"),
        ("nvdsucxserversrc", "GstUcxServerSrc", "Source/Network"),
        ("nvdsucxclientsrc", "GstUcxClientSrc", "Source/Network"),
    ] {
        let element = make(name);
        assert_eq!(element.type_().name(), type_name);
        assert_eq!(element.metadata("klass"), Some(klass));
        assert_eq!(element.factory().unwrap().rank(), gst::Rank::NONE);
        let parent = if name.ends_with("sink") { "GstBaseSink" } else { "GstPushSrc" };
        assert!(element.type_().is_a(glib::Type::from_name(parent).unwrap()));
    }
}

#[test]
fn all_have_the_common_properties() {
    for element in ELEMENTS {
        assert_eq!(spec::<glib::ParamSpecString>(element, "addr").default_value(), Some("127.0.0.1"));
        assert_eq!(int(element, "port"), (0, 65_535, 7174));
        assert_eq!(uint(element, "gpu-id"), (0, u32::MAX, 0));
        assert_eq!(int(element, "nvbuf-batch-size"), (1, i32::MAX, 1));
        assert_eq!(uint(element, "max-ep-num"), (1, i32::MAX as u32, 128));
        assert!(spec::<glib::ParamSpecBoolean>(element, "high-perf").default_value());
        assert!(spec::<glib::ParamSpecBoolean>(element, "zero-copy").default_value());
        assert_eq!(uint(element, "peer-timeout"), (0, u32::MAX, 10_000));
        assert_eq!(uint(element, "busy-poll"), (0, u32::MAX, 0));
        let buf_type = spec::<glib::ParamSpecEnum>(element, "buf-type");
        assert_eq!(
            (buf_type.upcast_ref().value_type().name(), buf_type.default_value_as_i32()),
            ("GstNvDsUcxBufType", 0)
        );
    }
}

#[test]
fn sinks_and_sources_have_their_own() {
    for sink in SINKS {
        assert!(spec::<glib::ParamSpecBoolean>(sink, "wait-for-connection").default_value());
        assert_eq!(uint(sink, "max-size-buffers"), (1, u32::MAX, 64));
        assert_eq!(uint64(sink, "max-size-bytes"), (0, u64::MAX, 128 << 20));
        assert_eq!(uint64(sink, "max-size-time"), (0, u64::MAX, 0));
        let leaky = if sink == "nvdsucxserversink" { "auto" } else { "no" };
        assert_eq!(make(sink).property_value("leaky").serialize().unwrap(), leaky);
    }
    for source in SOURCES {
        assert_eq!(int(source, "num-nvbuf"), (0, i32::MAX, 4));
        assert_eq!(uint(source, "raw-buf-size"), (0, u32::MAX, 8192));
        assert_eq!(uint64(source, "max-buffer-size"), (0, u64::MAX, 1 << 30));
        assert_eq!(make(source).property_value("timestamp-mode").serialize().unwrap(), "keep");
        assert_eq!(uint(source, "latency"), (0, u32::MAX, 20));
        let memory_type = spec::<glib::ParamSpecEnum>(source, "nvbuf-memory-type");
        assert_eq!(
            (memory_type.upcast_ref().value_type().name(), memory_type.default_value_as_i32()),
            ("GstUcxNvBufMemoryType", 0)
        );
        let value = make(source).property_value("nvbuf-memory-type");
        assert_eq!(glib::EnumValue::from_value(&value).unwrap().1.nick(), "nvbuf-mem-cuda-unified");
    }
}

#[test]
fn servers_and_clients_have_their_own() {
    assert_eq!(uint("nvdsucxserversink", "num-conns"), (1, 1024, 1));
    for server in SERVERS {
        let clients = spec::<glib::ParamSpecUInt>(server, "num-clients");
        assert!(!clients.flags().contains(glib::ParamFlags::WRITABLE));
        assert!(make(server).find_property("connect-timeout").is_none());
    }
    for client in CLIENTS {
        assert_eq!(uint(client, "connect-timeout"), (0, u32::MAX, 10_000));
        assert_eq!(uint(client, "reconnect-interval"), (1, u32::MAX, 1000));
        assert!(make(client).find_property("num-clients").is_none());
        assert!(make(client).find_property("num-conns").is_none());
    }
}

#[test]
fn only_a_server_that_sends_outlives_its_peers_unasked() {
    for element in ELEMENTS {
        let (number, nick) = if element == "nvdsucxserversink" { (2, "reconnect") } else { (0, "error") };
        let disconnect = spec::<glib::ParamSpecEnum>(element, "on-disconnect");
        assert_eq!(disconnect.default_value_as_i32(), number);
        let value = make(element).property_value("on-disconnect");
        assert_eq!(glib::EnumValue::from_value(&value).unwrap().1.nick(), nick);
    }
}

#[test]
fn enumerations_have_the_known_values() {
    let known =
        |values: &[(i32, &str)]| values.iter().map(|(v, n)| (*v, (*n).to_owned())).collect::<Vec<_>>();
    assert_eq!(
        nicks("GstNvDsUcxBufType"),
        known(&[
            (0, "nvdsucx-buf-video"),
            (1, "nvdsucx-buf-nv-audio"),
            (2, "nvdsucx-buf-raw-audio"),
            (4, "nvdsucx-buf-text"),
            (5, "nvdsucx-buf-any"),
        ])
    );
    let leaky = [(0, "no"), (1, "upstream"), (2, "downstream"), (3, "disconnect"), (4, "auto")];
    assert_eq!(nicks("GstUcxLeaky"), known(&leaky));
    assert_eq!(nicks("GstUcxTimestampMode"), known(&[(0, "keep"), (1, "map")]));
    let memory_types = nicks("GstUcxNvBufMemoryType");
    assert_eq!(
        memory_types[..4],
        known(&[
            (0, "nvbuf-mem-default"),
            (1, "nvbuf-mem-cuda-pinned"),
            (2, "nvbuf-mem-cuda-device"),
            (3, "nvbuf-mem-cuda-unified"),
        ])
    );
    assert_eq!(memory_types.len(), if cfg!(target_arch = "aarch64") { 6 } else { 5 });
}

#[test]
fn what_is_read_at_start_says_so() {
    for element in ELEMENTS {
        for spec in make(element).list_properties().iter() {
            let expected = ["buf-type", "gpu-id", "nvbuf-memory-type", "raw-buf-size", "timestamp-mode"];
            let expected = expected.contains(&spec.name());
            if spec.owner_type().name().starts_with("GstUcx") {
                assert_eq!(is_mutable_ready(spec), expected, "{element} {}", spec.name());
            }
        }
    }
}

#[test]
fn properties_keep_what_is_set() {
    for element in ELEMENTS {
        let element = make(element);
        element.set_property("addr", "::1");
        element.set_property("port", 0);
        element.set_property_from_str("buf-type", "nvdsucx-buf-text");
        element.set_property_from_str("on-disconnect", "eos");
        assert_eq!(element.property::<String>("addr"), "::1");
        assert_eq!(element.property::<i32>("port"), 0);
        assert_eq!(element.property_value("buf-type").serialize().unwrap(), "nvdsucx-buf-text");
        assert_eq!(element.property_value("on-disconnect").serialize().unwrap(), "eos");
        element.set_property("addr", None::<&str>);
        assert_eq!(element.property::<String>("addr"), "127.0.0.1");
    }
}

#[test]
fn statistics_can_be_read_before_the_start() {
    for element in ELEMENTS {
        let stats = make(element).property::<gst::Structure>("stats");
        assert_eq!(stats.name(), "application/x-nvdsucx-stats");
        let mut fields =
            vec!["frames", "bytes", "in-flight", "joined", "lost", "refused", "too-slow", "metas-lost"];
        fields.extend(["dropped", "dropped-unconnected", "dropped-slow", "dropped-flushed", "copied"]);
        if element.ends_with("sink") {
            fields.push("dropped-late");
        }
        if element != "nvdsucxserversink" {
            fields.push("reconnects");
        }
        for field in fields {
            assert_eq!(stats.get::<u64>(field), Ok(0), "{field}");
        }
        assert!(stats.get::<gst::Array>("clients").unwrap().is_empty());
    }
}

#[test]
fn pads_take_what_the_buffer_type_says() {
    let (video, nv_audio) = match ::deepstream::nvmm::available() {
        Ok(()) => (
            "video/x-raw(memory:CUDAMemory); video/x-raw(memory:NVMM); video/x-raw",
            "audio/x-raw(memory:NVMM); audio/x-raw",
        ),
        Err(_) => ("video/x-raw(memory:CUDAMemory); video/x-raw", "audio/x-raw"),
    };
    for element in ELEMENTS {
        let element = make(element);
        let pad = element.pads().remove(0);
        assert!(pad.pad_template_caps().is_any());
        for (buf_type, media) in [
            ("nvdsucx-buf-video", Some(video)),
            ("nvdsucx-buf-nv-audio", Some(nv_audio)),
            ("nvdsucx-buf-raw-audio", Some("audio/x-raw")),
            ("nvdsucx-buf-text", Some("text/x-raw")),
            ("nvdsucx-buf-any", None),
        ] {
            element.set_property_from_str("buf-type", buf_type);
            let caps = pad.query_caps(None);
            match media {
                Some(media) => assert_eq!(caps, media.parse::<gst::Caps>().unwrap(), "{buf_type}"),
                None => assert!(caps.is_any(), "{buf_type}: {caps}"),
            }
            let mp3 = gst::Caps::builder("audio/mpeg").field("mpegversion", 1).build();
            assert_eq!(pad.query_caps(Some(&mp3)).is_empty(), media.is_some(), "{buf_type}");
        }
    }
}
