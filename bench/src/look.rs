//! Which elements there are.

use gst::prelude::*;

use crate::{gpu, say};

/// Tells GStreamer's release, and of each `ELEMENT` or `ELEMENT:PROPERTY` whether it is there.
pub(crate) fn run(names: &[String]) -> anyhow::Result<()> {
    let (major, minor, micro, _) = gst::version();
    say(format_args!("gstreamer version={major}.{minor}.{micro}"))?;
    say(gpu::look())?;
    for name in names {
        match plugin_version(name) {
            Some(version) => say(format_args!("present name={name} version={version}"))?,
            None => say(format_args!("absent name={name}"))?,
        }
    }
    Ok(())
}

/// The release of the plugin that has it.
fn plugin_version(name: &str) -> Option<gst::glib::GString> {
    let (element, property) =
        name.split_once(':').map_or((name, None), |(name, property)| (name, Some(property)));
    let factory = gst::ElementFactory::find(element)?;
    // A plugin that was found once may not load now.
    let made = factory.create().build().ok()?;
    if property.is_some_and(|property| !made.has_property(property)) {
        return None;
    }
    Some(factory.plugin()?.version())
}
