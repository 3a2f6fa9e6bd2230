//! Serialisation libraries that are named.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::*;

/// A shared library made of C.
fn compile(name: &str, source: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (c, library) = (folder.join(format!("{name}.c")), folder.join(format!("lib{name}.so")));
    std::fs::write(&c, source).unwrap();
    let done = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&c).status().unwrap();
    assert!(done.success());
    library
}

/// Marks buffers: serialising with the flag MARKER, deserialising with DROPPABLE.
const MARKS: &str = r"
    int gst_buffer_set_flags(void *buffer, unsigned flags);
    void serialize_data(void *buffer) { gst_buffer_set_flags(buffer, 1 << 9); }
    void deserialize_data(void *buffer) { gst_buffer_set_flags(buffer, 1 << 12); }
";

#[test]
fn the_library_does_the_work() {
    let library = compile("marks", MARKS);
    for (element, flag) in [
        ("nvdsmetainsert serialize-lib", gst::BufferFlags::MARKER),
        ("nvdsmetaextract deserialize-lib", gst::BufferFlags::DROPPABLE),
    ] {
        let line = Line::start(&format!("{element}={}", library.display()), VIDEO);
        let buffer = line.push(buffer_with(&[]));
        assert_eq!(buffer.flags() & (gst::BufferFlags::MARKER | gst::BufferFlags::DROPPABLE), flag);
        assert!(payload_of(&buffer).is_none());
    }
}

#[test]
fn the_library_gets_a_buffer_of_its_own() {
    let library = compile("marks-own", MARKS);
    let line = Line::start(&format!("nvdsmetainsert serialize-lib={}", library.display()), VIDEO);
    let kept = buffer_with(&[]);
    let marked = line.push(kept.clone());
    assert!(marked.flags().contains(gst::BufferFlags::MARKER));
    assert!(!kept.flags().contains(gst::BufferFlags::MARKER));
    assert_eq!(marked.peek_memory(0).as_ptr(), kept.peek_memory(0).as_ptr());
}

#[test]
fn an_empty_name_is_none() {
    let buffer = Line::start("nvdsmetainsert serialize-lib=\"\"", VIDEO).push(buffer_with(&[]));
    assert!(payload_of(&buffer).is_some());
}

#[test]
fn a_library_that_is_not_there_is_named() {
    for name in [
        "/nowhere/libnvds_video_metadata_serialization.so",
        "libnvds_no_such_library.so",
        "/nowhere/libnvds_audio_metadata_serialization.so",
    ] {
        for element in ["nvdsmetainsert serialize-lib", "nvdsmetaextract deserialize-lib"] {
            let text = Line::failure(&format!("{element}={name}"));
            assert!(text.contains(&format!("cannot load {name}: ")), "{text}");
            assert!(text.contains("No such file or directory") && text.contains("full path"), "{text}");
        }
    }
}

#[test]
fn a_library_without_the_function_is_refused() {
    let library = compile("half", "void serialize_data(void *buffer) { (void)buffer; }");
    Line::start(&format!("nvdsmetainsert serialize-lib={}", library.display()), VIDEO);
    let text = Line::failure(&format!("nvdsmetaextract deserialize-lib={}", library.display()));
    assert!(text.contains("undefined symbol: deserialize_data"), "{text}");
    assert!(text.contains("void deserialize_data(GstBuffer *)"), "{text}");
}

#[test]
fn a_library_that_needs_what_is_not_there_is_refused() {
    let library = compile(
        "needy",
        "void no_such_function(void); void serialize_data(void *buffer) { no_such_function(); }",
    );
    let text = Line::failure(&format!("nvdsmetainsert serialize-lib={}", library.display()));
    assert!(text.contains("undefined symbol: no_such_function"), "{text}");
}

#[test]
fn what_is_no_library_is_refused() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, content) in [("text.so", &b"#!/bin/sh\nexit 0 # and nothing more\n"[..]), ("empty.so", b"")] {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        let text = Line::failure(&format!("nvdsmetainsert serialize-lib={}", path.display()));
        assert!(text.contains(&format!("{} is no shared library", path.display())), "{text}");
    }
    let text = Line::failure(&format!("nvdsmetainsert serialize-lib={}", folder.display()));
    assert!(text.contains("cannot read file data: Is a directory"), "{text}");
}

#[test]
fn a_library_for_another_machine_is_refused() {
    let mut bytes = std::fs::read(compile("foreign", MARKS)).unwrap();
    let (other, name) = if cfg!(target_arch = "aarch64") { (62_u16, "x86-64") } else { (183, "aarch64") };
    bytes[18..20].copy_from_slice(&other.to_ne_bytes());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("other-machine.so");
    std::fs::write(&path, bytes).unwrap();
    let text = Line::failure(&format!("nvdsmetaextract deserialize-lib={}", path.display()));
    assert!(text.contains(&format!("is for {name}, this is ")), "{text}");
    if cfg!(target_arch = "x86_64") {
        assert!(text.contains("is for aarch64, this is x86-64"), "{text}");
    }
}
