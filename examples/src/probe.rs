//! Work on the buffers that go into an element.

use anyhow::Context as _;
use gst::prelude::*;

/// Calls `work` with every buffer; what goes wrong ends the pipeline.
pub(crate) fn on_buffers(
    element: &gst::Element,
    work: impl Fn(&mut gst::Buffer) -> anyhow::Result<()> + Send + Sync + 'static,
) -> anyhow::Result<()> {
    on_pad(element, move |_, buffer| work(buffer))
}

/// Calls `work` with every picture; what goes wrong ends the pipeline.
pub(crate) fn on_pictures(
    element: &gst::Element,
    work: impl Fn(&mut gst::Buffer, &gst_video::VideoInfo) -> anyhow::Result<()> + Send + Sync + 'static,
) -> anyhow::Result<()> {
    on_pad(element, move |pad, buffer| {
        let caps = pad.current_caps().context("a buffer without caps")?;
        let info = gst_video::VideoInfo::from_caps(&caps).with_context(|| format!("no pictures: {caps}"))?;
        work(buffer, &info)
    })
}

fn on_pad(
    element: &gst::Element,
    work: impl Fn(&gst::Pad, &mut gst::Buffer) -> anyhow::Result<()> + Send + Sync + 'static,
) -> anyhow::Result<()> {
    // Weak: the probe belongs to a pad of the element.
    let weak = element.downgrade();
    let pad = element.static_pad("sink");
    let pad = pad.with_context(|| format!("{} has no sink pad", element.name()))?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else { return gst::PadProbeReturn::Ok };
        let Err(error) = work(pad, buffer) else { return gst::PadProbeReturn::Ok };
        if let Some(element) = weak.upgrade() {
            gst::element_error!(element, gst::StreamError::Failed, ("{error:#}"));
        }
        info.flow_res = Err(gst::FlowError::Error);
        gst::PadProbeReturn::Handled
    })
    .context("the pad takes no probe")?;
    Ok(())
}
