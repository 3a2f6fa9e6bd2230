//! What tests need. Each file of tests is a program of its own, and not all of them need all of this.
#![allow(dead_code)]

/// Starts GStreamer, and makes anything that GLib calls a warning or worse the end of the test: a function of C was
/// called with what it does not take.
pub(crate) fn init() {
    gst::init().unwrap();
    let fatal = gst::glib::LogLevels::LEVEL_ERROR
        | gst::glib::LogLevels::LEVEL_CRITICAL
        | gst::glib::LogLevels::LEVEL_WARNING;
    gst::glib::log_set_always_fatal(fatal);
}

/// Whether the running GStreamer is at least 1.`minor`.
pub(crate) fn at_least(minor: u32) -> bool {
    gst::version() >= (1, minor, 0, 0)
}
