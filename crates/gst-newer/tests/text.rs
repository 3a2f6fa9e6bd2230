//! What the check lets through, GStreamer's parser survives.

mod common;

use std::str::FromStr;

use gst_newer::text::{self, MAX_BRACKETS};

#[test]
fn as_many_brackets_as_allowed_are_parsed() {
    common::init();
    for (open, close) in [('{', '}'), ('<', '>'), ('[', ']')] {
        let nested = |depth: usize| {
            let (open, close) = (open.to_string().repeat(depth), close.to_string().repeat(depth));
            format!("a, b={open}1{close};")
        };
        let deepest = nested(MAX_BRACKETS);
        text::check("a text", &deepest).unwrap();
        text::check("a text", &nested(MAX_BRACKETS + 1)).unwrap_err();
        // The smallest stack that a thread of Rust has unless it asks for less.
        let parser = std::thread::Builder::new().stack_size(2 << 20);
        let parsed =
            parser.spawn(move || gst::Structure::from_str(&deepest).is_ok()).unwrap().join().unwrap();
        assert_eq!(parsed, open != '[');
    }
    text::check("a text", "a\0").unwrap_err();
}
