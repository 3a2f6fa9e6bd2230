//! Custom metas are registered once, and no name or tag makes GLib complain.

mod common;

use gst_newer::{Error, custom_meta};
use proptest::prelude::*;

#[test]
fn a_meta_is_registered_once() {
    common::init();
    let name = "GstNewerOnceMeta";
    assert!(!custom_meta::is_registered(name));
    assert_eq!(custom_meta::tags(name), None);
    custom_meta::register(name, &["video", "size"]).unwrap();
    custom_meta::register(name, &["audio"]).unwrap();
    assert!(custom_meta::is_registered(name));
    assert_eq!(custom_meta::tags(name).unwrap(), ["video", "size"]);
    let mut buffer = gst::Buffer::new();
    gst::meta::CustomMeta::add(buffer.make_mut(), name).unwrap();
}

#[test]
fn two_threads_register_the_same() {
    common::init();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| custom_meta::register("GstNewerThreadsMeta", &[]).unwrap());
        }
    });
    assert_eq!(custom_meta::tags("GstNewerThreadsMeta").unwrap(), [""; 0]);
}

#[test]
fn bad_names_and_tags_are_refused() {
    common::init();
    let long = "a".repeat(custom_meta::MAX_NAME + 1);
    for name in ["", "ab", "1ab", "_abc", "-abc", "a b", "a+b", "ab\0c", "äbc", "a.bc", &long] {
        let error = custom_meta::register(name, &[]).unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{name:?}: {error}");
        assert!(!custom_meta::is_registered(name));
    }
    for name in ["GstBuffer", "gchararray", "GstReferenceTimestampMeta"] {
        // SAFETY: registers the meta, so that its name is taken.
        unsafe { gst::ffi::gst_reference_timestamp_meta_get_info() };
        let error = custom_meta::register(name, &[]).unwrap_err();
        assert!(matches!(error, Error::Taken { .. }), "{name:?}: {error}");
        assert!(!custom_meta::is_registered(name));
    }
    for tag in ["", "tag\0", "GstMetaTags", "tags"] {
        let error = custom_meta::register("GstNewerTagMeta", &["video", tag]).unwrap_err();
        assert!(matches!(error, Error::Tag { .. }), "{tag:?}: {error}");
    }
}

proptest! {
    #[test]
    fn any_name_is_survived(name in ".{0,12}", tag in ".{0,8}") {
        common::init();
        let _ = custom_meta::register(&name, &[&tag]);
        let _ = custom_meta::tags(&name);
    }
}
