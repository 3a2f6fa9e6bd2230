//! A peer cannot make a process keep ever more metas. In a process of its own: the limit is the process's.

mod common;

use gst_newer::{Error, custom_meta};

#[test]
fn so_many_metas_and_no_more() {
    common::init();
    for number in 0..custom_meta::MAX_NEW {
        custom_meta::register(&format!("GstNewerMeta{number}"), &[]).unwrap();
    }
    let error = custom_meta::register("GstNewerMetaLast", &[]).unwrap_err();
    assert!(matches!(error, Error::TooMany { .. }), "{error}");
    custom_meta::register("GstNewerMeta0", &[]).unwrap();
}
