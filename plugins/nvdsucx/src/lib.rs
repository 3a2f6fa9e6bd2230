//! GStreamer elements that carry a pipeline to other processes and hosts over UCX.
//!
//! | element | role | goes with |
//! |---|---|---|
//! | `nvdsucxserversink` | sends, listens | `nvdsucxclientsrc` |
//! | `nvdsucxclientsrc` | receives, connects | `nvdsucxserversink` |
//! | `nvdsucxclientsink` | sends, connects | `nvdsucxserversrc` |
//! | `nvdsucxserversrc` | receives, listens | `nvdsucxclientsink` |
//!
//! The way of a buffer through this crate: `base_sink` takes it in `render`, `buffer` and `memory` turn it into a
//! frame of the session, with what `meta` makes of its metas; at the other end `base_src` turns the frame into a buffer
//! again. `event` does the same with events. The elements themselves only say which of the four they are.

use gst::glib;
use gst::prelude::*;

mod base_sink;
mod base_src;
mod buffer;
mod clientsink;
mod clientsrc;
mod clock;
mod enums;
mod event;
mod ffi;
mod key;
mod memory;
mod meta;
mod run;
mod serversink;
mod serversrc;
mod settings;
#[cfg(test)]
mod tests;
mod trace;
mod video;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    base_sink::UcxSink::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    base_src::UcxSrc::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    enums::BufType::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    enums::MemoryType::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    enums::Leaky::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    enums::TimestampMode::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    enums::Disconnect::static_type().mark_as_plugin_api(gst::PluginAPIFlags::empty());
    serversink::register(plugin)?;
    clientsink::register(plugin)?;
    serversrc::register(plugin)?;
    clientsrc::register(plugin)
}

/// What the macro defines is documented by GStreamer.
#[allow(missing_docs, unreachable_pub)]
mod definition {
    use super::plugin_init;

    gst::plugin_define!(
        nvdsucx,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        "MPL",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_REPOSITORY"),
        env!("BUILD_REL_DATE")
    );
}

pub use definition::plugin_register_static;
