//! Elements between two pads, and buffers to push through.

#![allow(dead_code, reason = "not every test file uses all of it")]

use std::ops::ControlFlow;
use std::sync::Once;
use std::sync::mpsc::{Receiver, channel};

use dsmeta::{Batch, PayloadKind};
use gst::buffer::BufferMetaForeachAction;
use gst::meta::CustomMeta;
use gst::prelude::*;
use gst_video::VideoRegionOfInterestMeta;

/// Name of the meta that the payload is.
pub(crate) const META: &str = "NvdsCustomPayload";

/// Caps of the video that is pushed.
pub(crate) const VIDEO: &str = "video/x-raw,format=GRAY8,width=640,height=480,framerate=25/1";

/// GStreamer, with the elements.
pub(crate) fn init() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        gst::init().unwrap();
        gstnvdsmetautils::plugin_register_static().unwrap();
    });
}

/// Elements in a pipeline, a pad that pushes into the first and one that collects what the last pushes.
pub(crate) struct Line {
    pub(crate) pipeline: gst::Pipeline,
    input: gst::Pad,
    output: gst::Pad,
    buffers: Receiver<gst::Buffer>,
}

impl Line {
    /// Starts `elements`, written as for `gst-launch`, with a stream of `caps`.
    pub(crate) fn start(elements: &str, caps: &str) -> Self {
        let line = Self::new(elements);
        line.pipeline.set_state(gst::State::Playing).unwrap();
        let caps: gst::Caps = caps.parse().unwrap();
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        assert!(line.input.push_event(gst::event::StreamStart::new("test")));
        assert!(line.input.push_event(gst::event::Caps::new(&caps)));
        assert!(line.input.push_event(gst::event::Segment::new(&segment)));
        line
    }

    /// What the user is told if `elements` do not start.
    pub(crate) fn failure(elements: &str) -> String {
        let line = Self::new(elements);
        assert!(line.pipeline.set_state(gst::State::Paused).is_err(), "{elements} started");
        let message = line.pipeline.bus().unwrap().pop_filtered(&[gst::MessageType::Error]);
        match message.expect("an error message").view() {
            gst::MessageView::Error(error) => error.error().to_string() + &error.debug().unwrap_or_default(),
            _ => unreachable!(),
        }
    }

    fn new(elements: &str) -> Self {
        init();
        let pipeline = gst::Pipeline::new();
        let bin = gst::parse::bin_from_description(elements, true).unwrap();
        pipeline.add(&bin).unwrap();
        let input = gst::Pad::builder(gst::PadDirection::Src).build();
        let (sent, buffers) = channel();
        let output = gst::Pad::builder(gst::PadDirection::Sink)
            .chain_function(move |_, _, buffer| {
                sent.send(buffer).unwrap();
                Ok(gst::FlowSuccess::Ok)
            })
            .build();
        output.set_active(true).unwrap();
        input.set_active(true).unwrap();
        input.link(&bin.static_pad("sink").unwrap()).unwrap();
        bin.static_pad("src").unwrap().link(&output).unwrap();
        Self { pipeline, input, output, buffers }
    }

    /// What becomes of `buffer`.
    pub(crate) fn push(&self, buffer: gst::Buffer) -> gst::Buffer {
        self.input.push(buffer).unwrap();
        self.buffers.try_recv().expect("elements here push in the thread that pushes")
    }

    /// Texts of the warnings since the last call.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let bus = self.pipeline.bus().unwrap();
        std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Warning]))
            .map(|message| match message.view() {
                gst::MessageView::Warning(warning) => {
                    warning.error().to_string() + &warning.debug().unwrap_or_default()
                }
                _ => unreachable!(),
            })
            .collect()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).unwrap();
        self.output.set_active(false).unwrap();
    }
}

/// A region of interest: type, id, parent's id, rectangle, parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Roi(
    pub(crate) String,
    pub(crate) i32,
    pub(crate) i32,
    pub(crate) (u32, u32, u32, u32),
    pub(crate) Vec<gst::Structure>,
);

/// A region of `label`.
pub(crate) fn roi(label: &str, id: i32, parent: i32, params: &[&str]) -> Roi {
    init();
    let params = params.iter().map(|text| text.parse().unwrap()).collect();
    Roi(label.to_owned(), id, parent, (10, 20, 30, 40), params)
}

/// A buffer with `regions`.
pub(crate) fn buffer_with(regions: &[Roi]) -> gst::Buffer {
    init();
    let mut buffer = gst::Buffer::with_size(640 * 480).unwrap();
    let fresh = buffer.make_mut();
    fresh.set_pts(gst::ClockTime::from_mseconds(40));
    for Roi(label, id, parent, rect, params) in regions {
        let mut meta = VideoRegionOfInterestMeta::add(fresh, label, *rect);
        meta.set_id(*id);
        meta.set_parent_id(*parent);
        params.iter().for_each(|param| meta.add_param(param.clone()));
    }
    buffer
}

/// The regions of a buffer.
pub(crate) fn regions_of(buffer: &gst::BufferRef) -> Vec<Roi> {
    buffer
        .iter_meta::<VideoRegionOfInterestMeta>()
        .map(|meta| {
            Roi(
                meta.roi_type().to_owned(),
                meta.id(),
                meta.parent_id(),
                meta.rect(),
                meta.params().map(ToOwned::to_owned).collect(),
            )
        })
        .collect()
}

/// Type and bytes of the first payload.
pub(crate) fn payload_of(buffer: &gst::BufferRef) -> Option<(u32, Vec<u8>)> {
    let meta = CustomMeta::from_buffer(buffer, META).ok()?;
    let bytes = meta.structure().get::<gst::Buffer>("payload").unwrap();
    Some((meta.structure().get("type").unwrap(), bytes.map_readable().unwrap().to_vec()))
}

/// What the payload says.
pub(crate) fn batch_of(buffer: &gst::BufferRef) -> Batch {
    let (kind, bytes) = payload_of(buffer).expect("a payload");
    dsmeta::decode(PayloadKind::try_from(kind).unwrap(), &bytes).unwrap()
}

/// Hangs a payload on a buffer, as one that came from elsewhere.
pub(crate) fn hang(buffer: &mut gst::Buffer, kind: u32, bytes: &[u8]) {
    gst_newer::custom_meta::register(META, &[]).unwrap();
    let mut meta = CustomMeta::add(buffer.make_mut(), META).unwrap();
    meta.mut_structure().set("type", kind);
    meta.mut_structure().set("payload", gst::Buffer::from_mut_slice(bytes.to_vec()));
}

/// `buffer` with its payload alone.
pub(crate) fn bare(buffer: &gst::Buffer) -> gst::Buffer {
    let mut bare = buffer.copy();
    bare.make_mut().foreach_meta_mut(|meta| {
        let payload = meta.try_as_custom_meta().is_some_and(|meta| meta.has_name(META));
        ControlFlow::Continue(if payload {
            BufferMetaForeachAction::Keep
        } else {
            BufferMetaForeachAction::Remove
        })
    });
    assert_eq!(regions_of(&bare).len(), 0);
    bare
}

/// What is there after `regions` were a payload.
pub(crate) fn round_trip(regions: &[Roi]) -> Vec<Roi> {
    let inserted = Line::start("nvdsmetainsert", VIDEO).push(buffer_with(regions));
    assert_eq!(regions_of(&inserted), regions);
    let extracted = Line::start("nvdsmetaextract", VIDEO).push(bare(&inserted));
    assert!(payload_of(&extracted).is_none());
    regions_of(&extracted)
}
