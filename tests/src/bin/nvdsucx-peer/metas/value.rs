//! Structures with fields of many types, and their text, which is the same for the same content on every release of GStreamer.

use std::fmt::Write as _;

use gst::glib;
use gst::prelude::*;
use nvdsucx_tests::payload::{Random, checksum};

/// A structure with numbers and texts.
pub(super) fn of_simple_types(name: &str, random: &mut Random) -> gst::Structure {
    gst::Structure::builder(name)
        .field("int", random.word() as i32)
        .field("uint", random.word() as u32)
        .field("int64", random.word().cast_signed())
        .field("uint64", random.word())
        .field("least", i64::MIN)
        .field("most", u64::MAX)
        .field("float", random.below(1 << 24) as f32 / 7.0)
        .field("double", random.word() as f64 / 7.0)
        .field("tiny", f64::MIN_POSITIVE)
        .field("negative-zero", -0.0_f64)
        .field("yes", true)
        .field("no", false)
        .field("text", format!("\"Grüße\", \\ {};\n{}\t=(int)5 {{<[", random.word(), random.below(10)))
        .field("empty", "")
        .build()
}

/// A structure with fields of simple types, and of those that GStreamer adds, some of them in each other.
pub(super) fn of_every_type(name: &str, random: &mut Random) -> gst::Structure {
    let inner = of_simple_types("inner", random);
    let mut middle = gst::Structure::builder("middle").field("inner", &inner).build();
    middle.set("pairs", gst::Array::new([gst::Array::new([1, 2]), gst::Array::new([3, 4])]));
    let structures = [inner.to_send_value(), middle.to_send_value()];
    let mut structure = of_simple_types(name, random);
    structure.set("middle", &middle);
    structure.set("structures", structures.into_iter().collect::<gst::Array>());
    structure.set("texts", gst::List::new(["one", "two, three", ""]));
    structure.set("fraction", gst::Fraction::new(30_000, 1001));
    structure.set("range", gst::IntRange::<i32>::with_step(-6, 600, 6));
    structure.set("fractions", gst::FractionRange::new((1, 2), (5, 1)));
    structure.set("bits", gst::Bitmask(random.word()));
    structure.set("byte", random.below(256) as u8);
    structure.set("bytes", gst::Buffer::from_slice(random.bytes(33)));
    structure
        .set("caps", gst::Caps::builder("video/x-raw").field("format", "NV12").field("width", 64).build());
    structure.set("date", gst::DateTime::from_iso8601_string("2024-02-29T12:34:56Z").expect("a date"));
    structure.set("nobody", None::<String>);
    structure
}

/// `NAME{FIELD=(TYPE)VALUE,…}`, the fields in the order of their names, which GStreamer does not promise to keep.
pub(super) fn structure(structure: &gst::StructureRef) -> String {
    let mut fields: Vec<_> =
        structure.iter().map(|(name, value)| format!("{name}={}", self::value(value))).collect();
    fields.sort_unstable();
    format!("{}{{{}}}", structure.name(), fields.join(","))
}

fn value(value: &glib::Value) -> String {
    let mut text = format!("({})", value.type_());
    let _ = if let Ok(number) = value.get::<f64>() {
        write!(text, "{number:?}")
    } else if let Ok(number) = value.get::<f32>() {
        write!(text, "{number:?}")
    } else if let Ok(string) = value.get::<Option<String>>() {
        write!(text, "{string:?}")
    } else if let Ok(inner) = value.get::<gst::Structure>() {
        write!(text, "{}", structure(&inner))
    } else if let Ok(array) = value.get::<gst::Array>() {
        write!(text, "<{}>", list(&array))
    } else if let Ok(values) = value.get::<gst::List>() {
        write!(text, "[{}]", list(&values))
    } else if let Ok(buffer) = value.get::<gst::Buffer>() {
        write!(text, "{}", content(&buffer))
    } else {
        let serialized = value.serialize().expect("what is sent has a text");
        write!(text, "{serialized}")
    };
    text
}

fn list(values: &[glib::SendValue]) -> String {
    values.iter().map(|item| value(item)).collect::<Vec<_>>().join(",")
}

fn content(buffer: &gst::BufferRef) -> String {
    let map = buffer.map_readable();
    map.map_or_else(|_| "unreadable".into(), |bytes| format!("{}:{:016x}", bytes.len(), checksum(&bytes)))
}
