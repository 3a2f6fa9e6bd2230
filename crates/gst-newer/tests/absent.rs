//! Asking loads nothing. In a process of its own, where nobody else loads the library.

mod common;

use gst_newer::analytics;

fn is_loaded() -> bool {
    std::fs::read_to_string("/proc/self/maps").unwrap().contains("libgstanalytics")
}

#[test]
fn a_buffer_without_relations_loads_no_library() {
    common::init();
    let buffer = gst::Buffer::new();
    assert!(!analytics::has_relations(&buffer));
    assert_eq!(analytics::read(&buffer), None);
    assert!(!is_loaded());
    let there = analytics::Analytics::get();
    assert_eq!(there.is_some(), is_loaded());
    if !common::at_least(24) {
        assert!(there.is_none());
    }
    assert!(there.is_none_or(|analytics| analytics.read(&buffer).is_none()));
}
