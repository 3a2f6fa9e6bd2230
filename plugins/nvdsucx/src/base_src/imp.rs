//! The sources' base class.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_audio::AudioInfo;
use gst_base::prelude::*;
use gst_base::subclass::base_src::CreateSuccess;
use gst_base::subclass::prelude::*;
use gst_video::{VideoCropMeta, VideoMeta};
use nvdsucx_session::wire::{Latency, StreamEvent, stream_event};
use nvdsucx_session::{Incoming, Interrupted, ReceivedFrame, Stats, Subscriber};

use super::mapping::Mapping;
use super::memory::Chosen;
use super::sticky::Sticky;
use super::times::Times;
use crate::buffer::Unusable;
use crate::clock;
use crate::enums::TimestampMode;
use crate::event::{self, Malformed, Received};
use crate::memory::cuda::{Frames, Gpu};
use crate::memory::nvmm::Batches;
use crate::memory::nvmm_audio;
use crate::meta::{self, Losses, Names};
use crate::run::{self, Element as _, Run};
use crate::settings::{Role, Settings};
use crate::{buffer, trace, video};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("nvdsucx", gst::DebugColorFlags::empty(), Some("What the UCX elements share"))
});

/// A session, while the element is at least paused.
#[derive(Debug)]
struct Session {
    subscriber: Subscriber,
    gpu: Arc<Gpu>,
    run: Run,
}

impl Session {
    /// Frames are wanted in memory of `context`, or of the CPU: those that waited to know can come.
    fn decide(&self, context: Option<cuda::Context>) {
        self.gpu.decide(context);
        self.subscriber.look_again();
    }
}

/// What the stream is, to make buffers of its frames.
#[derive(Clone, Debug, Default)]
struct Format {
    /// As the sender has them: what is in another kind of memory here has others.
    sent: Option<gst::Caps>,
    /// What makes the buffers, if they are in a GPU's memory.
    gpu: Option<Arc<Frames>>,
    /// What makes them, if they are in DeepStream's memory.
    nvmm: Option<Arc<Batches>>,
    /// Raw video, as the caps have it.
    video: Option<Arc<video::Stream>>,
    /// Raw audio.
    audio: Option<Arc<AudioInfo>>,
    /// How many sources its batches have room for, if it is in DeepStream's memory.
    audio_batch: Option<u32>,
    /// Not known before it was asked.
    downstream: Option<Downstream>,
}

/// What downstream understands of raw video.
#[derive(Clone, Copy, Debug, Default)]
struct Downstream {
    /// Layouts that differ from the caps'.
    takes_layouts: bool,
    /// Crops that it has to apply.
    takes_crops: bool,
}

#[derive(Debug, Default)]
struct State {
    session: Option<Arc<Session>>,
    /// Where a server listens that was told to choose the port.
    bound_port: Option<u16>,
    format: Format,
    latency: Option<Latency>,
    /// The numbers of the last session, for who asks when it is over.
    last_stats: Stats,
}

/// The sources' base class.
#[derive(Debug, Default)]
pub struct UcxSrc {
    identity: OnceLock<(Role, gst::DebugCategory)>,
    settings: OnceLock<Mutex<Settings>>,
    state: Mutex<State>,
    /// Since the element was made, as the next.
    lost_metas: Losses,
    names: Mutex<Names>,
    sticky: OnceLock<Arc<Sticky>>,
    times: Times,
    mapping: Mapping,
    /// Set before the element starts.
    maps: AtomicBool,
    told_unmapped: AtomicBool,
}

#[glib::object_subclass]
impl ObjectSubclass for UcxSrc {
    const NAME: &'static str = "GstUcxSrc";
    const ABSTRACT: bool = true;
    type Type = super::UcxSrc;
    type ParentType = gst_base::PushSrc;
}

impl ObjectImpl for UcxSrc {
    fn constructed(&self) {
        self.parent_constructed();
        let source = self.obj();
        source.set_format(gst::Format::Time);
        source.set_automatic_eos(false);
        let _ = self.sticky.set(Sticky::install(source.src_pad()));
    }
}

impl GstObjectImpl for UcxSrc {}
impl ElementImpl for UcxSrc {}

impl run::Element for UcxSrc {
    fn role(&self) -> Role {
        self.identity.get().map_or(Role::ClientSrc, |(role, _)| *role)
    }

    fn category(&self) -> gst::DebugCategory {
        self.identity.get().map_or(*CAT, |(_, category)| *category)
    }

    fn latency(&self, latency: Latency) {
        gst::debug!(self.category(), imp = self, "latency of the sender's pipeline: {latency:?}");
        self.state.lock().unwrap().latency = Some(latency);
        let element = self.obj();
        // Refused only where nobody listens.
        let _ = element.post_message(gst::message::Latency::builder().src(&*element).build());
    }
}

/// For the elements.
impl UcxSrc {
    /// Says which of the elements this is. Called once, when it is constructed.
    pub(crate) fn identify(&self, role: Role, category: gst::DebugCategory) {
        let _ = self.identity.set((role, category));
        let _ = self.settings.set(Mutex::new(Settings::new(role)));
    }

    pub(crate) fn set_shared_property(&self, value: &glib::Value, spec: &glib::ParamSpec) {
        self.settings().lock().unwrap().set(spec.name(), value);
        if spec.name() == "timestamp-mode" {
            let maps = self.settings().lock().unwrap().timestamp_mode == TimestampMode::Map;
            self.maps.store(maps, Ordering::Release);
            // Without a running clock there is nothing to map to.
            self.obj().set_live(maps);
        }
    }

    pub(crate) fn shared_property(&self, spec: &glib::ParamSpec) -> glib::Value {
        match spec.name() {
            "port" => {
                let bound = self.state.lock().unwrap().bound_port;
                i32::from(bound.unwrap_or_else(|| self.settings().lock().unwrap().port)).to_value()
            }
            "num-clients" => self.session().map_or(0, |session| session.run.peers()).to_value(),
            "stats" => {
                let session = self.session();
                let stats = session.map_or_else(
                    || self.state.lock().unwrap().last_stats.clone(),
                    |session| session.subscriber.stats(),
                );
                run::stats(&stats, &self.lost_metas, self.role()).to_value()
            }
            name => self.settings().lock().unwrap().get(name),
        }
    }
}

impl UcxSrc {
    fn settings(&self) -> &Mutex<Settings> {
        self.settings.get_or_init(|| Mutex::new(Settings::new(self.role())))
    }

    /// What makes the buffers, if they are batches of surfaces.
    pub(super) fn batches(&self) -> Option<Arc<Batches>> {
        self.state.lock().unwrap().format.nvmm.clone()
    }

    /// The caps that the pad has to offer.
    fn offered(&self) -> gst::Caps {
        let buf_type = self.settings().lock().unwrap().buf_type;
        buf_type.offered(|why| gst::info!(self.category(), imp = self, "no memory:NVMM: {why}"))
    }

    fn session(&self) -> Option<Arc<Session>> {
        self.state.lock().unwrap().session.clone()
    }

    /// Pushes an event of the sender downstream.
    fn push(&self, event: gst::Event) -> bool {
        let pad = self.obj().src_pad().clone();
        gst::debug!(self.category(), imp = self, "from the sender: {event:?}");
        self.sticky.get().is_some_and(|sticky| sticky.push(&pad, event))
    }

    /// Passes on what the sender's pipeline said. `Err` ends the streaming.
    fn take_event(&self, session: &Session, received: &StreamEvent) -> Result<(), gst::FlowError> {
        if let Some(stream_event::Event::RunningTime(running_time)) = received.event {
            self.mapping.set_zero(running_time.zero);
            return Ok(());
        }
        let event = match event::from_wire(received) {
            Ok(Received::Event(event)) => event,
            Ok(Received::Flush { reset_time }) => {
                self.push(gst::event::FlushStart::new());
                self.push(gst::event::FlushStop::new(reset_time));
                return Ok(());
            }
            Err(err) if event::is_dispensable(received) => {
                gst::warning!(self.category(), imp = self, "left out: {err}");
                return Ok(());
            }
            Err(err) => return Err(self.malformed(session, &err)),
        };
        if event.type_() == gst::EventType::Segment && !session.gpu.is_decided() {
            // Buffers without caps come next.
            session.decide(None);
        }
        match event.view() {
            gst::EventView::StreamStart(start) if self.is_running(start) => (),
            gst::EventView::Caps(caps) => return self.take_caps(session, &caps.caps_owned(), event.clone()),
            gst::EventView::Segment(_) if self.maps() => {
                self.push(self.mapping.map(&event));
            }
            gst::EventView::Gap(_) => {
                self.map_time(session)?;
                self.push(event);
            }
            gst::EventView::Eos(_) => {
                // Here and not by the base class, which would make it the end of a segment where the sender's
                // pipeline had asked for that.
                self.push(event);
                return Err(gst::FlowError::Eos);
            }
            _ => {
                self.push(event);
            }
        }
        Ok(())
    }

    fn maps(&self) -> bool {
        self.maps.load(Ordering::Acquire)
    }

    /// Sees to it that what comes next has the right running time.
    fn map_time(&self, session: &Session) -> Result<(), gst::FlowError> {
        let element = self.obj();
        let base = element.base_time();
        if !self.maps() || !self.mapping.is_due(base) {
            if self.maps() && !self.mapping.is_possible() {
                self.tell_unmapped("it does not say what its running time is");
            }
            return Ok(());
        }
        let Some(own) = clock::zero(element.upcast_ref()) else { return Ok(()) };
        match session.subscriber.clock_difference() {
            Ok(Some(ahead)) => {
                if let Some(segment) = self.mapping.update(ahead, own, base) {
                    self.push(segment);
                }
            }
            Ok(None) => self.tell_unmapped("it does not say what its clock shows"),
            Err(_) => return Err(gst::FlowError::Flushing),
        }
        Ok(())
    }

    fn tell_unmapped(&self, why: &str) {
        if !self.told_unmapped.swap(true, Ordering::AcqRel) {
            gst::warning!(
                self.category(),
                imp = self,
                "running time stays the sender's: {why}. Both ends should run the same release of the plugin"
            );
        }
    }

    /// Whether the stream that `start` announces is the one that runs: the sender says all again when it connects again.
    fn is_running(&self, start: &gst::event::StreamStart) -> bool {
        let pad = self.obj().src_pad().clone();
        let current = pad.sticky_event::<gst::event::StreamStart>(0);
        let ended = pad.pad_flags().contains(gst::PadFlags::EOS);
        !ended && current.is_some_and(|current| current.structure() == start.structure())
    }

    fn take_caps(
        &self,
        session: &Session,
        caps: &gst::Caps,
        event: gst::Event,
    ) -> Result<(), gst::FlowError> {
        let pad = self.obj().src_pad().clone();
        if pad.has_current_caps() && self.state.lock().unwrap().format.sent.as_ref() == Some(caps) {
            return Ok(());
        }
        let settings = self.settings().lock().unwrap().clone();
        let buf_type = settings.buf_type;
        let refused = |text: String| {
            session.run.fail_with(self, gst::error_msg!(gst::StreamError::Format, ("{text}")));
            Err(gst::FlowError::NotNegotiated)
        };
        if !caps.is_subset(&buf_type.caps()) {
            return refused(format!(
                "the sender's caps {caps} do not fit buf-type {}: set both ends to what the stream is",
                buf_type
                    .to_value()
                    .transform::<String>()
                    .map(|v| v.get::<String>().unwrap_or_default())
                    .unwrap_or_default()
            ));
        }
        let audio = caps.structure(0).filter(|structure| structure.name() == "audio/x-raw");
        let audio = audio.and_then(|_| AudioInfo::from_caps(caps).ok()).map(Arc::new);
        let chosen = self.choose_memory(caps, &settings).map_err(|message| {
            session.run.fail_with(self, message);
            gst::FlowError::Error
        })?;
        let Chosen { caps: ours, gpu, nvmm, audio_batch, missing } = chosen;
        let context = gpu.as_ref().map(|frames| frames.context());
        session.decide(context.or_else(|| nvmm.as_ref()?.context()).cloned());
        let (sent, video) = (Some(caps.clone()), video::Stream::of(&ours));
        self.state.lock().unwrap().format =
            Format { sent, gpu, nvmm, video, audio, audio_batch, downstream: None };
        let event = if ours == *caps {
            event
        } else {
            let (seqnum, offset) = (event.seqnum(), event.running_time_offset());
            gst::event::Caps::builder(&ours).seqnum(seqnum).running_time_offset(offset).build()
        };
        if pad.peer_query_accept_caps(&ours) && self.push(event) {
            return Ok(());
        }
        if pad.pad_flags().contains(gst::PadFlags::FLUSHING) {
            return Err(gst::FlowError::Flushing);
        }
        let accepted = pad.peer_query_caps(None);
        let missing = missing.map(|why| format!(" ({why})")).unwrap_or_default();
        refused(format!(
            "downstream does not take the sender's caps {caps}, only {accepted}{missing}: convert on either side, or loosen \
             the capsfilter after this element"
        ))
    }

    fn take_frame(&self, session: &Session, frame: ReceivedFrame) -> Result<gst::Buffer, gst::FlowError> {
        let format = self.state.lock().unwrap().format.clone();
        let made = match &format {
            Format { nvmm: Some(batches), video: Some(stream), .. } => batches.import(frame, stream),
            Format { audio_batch: Some(size), audio: Some(stream), .. } => {
                nvmm_audio::import(frame, *size, stream)
            }
            Format { video, gpu, .. } => buffer::from_frame(frame, video.as_deref(), gpu.as_deref()),
        };
        let mut arrived = made.map_err(|err| {
            let message = match err {
                Unusable::Malformed(err) => return self.malformed(session, &err),
                Unusable::Gpu(text) => gst::error_msg!(gst::ResourceError::Failed, ("{text}")),
                Unusable::Settings(text) => gst::error_msg!(gst::ResourceError::Settings, ("{text}")),
            };
            session.run.fail_with(self, message);
            gst::FlowError::Error
        })?;
        let lost = |kind: &str, why: &str| {
            if self.lost_metas.add(kind) {
                gst::warning!(
                    self.category(),
                    imp = self,
                    "a meta ({kind}) was lost, as others of it will be: {why}"
                );
            }
        };
        if let Some(stream) = &format.video {
            let crop = arrived.crop();
            // Elements that take GPU memory look at each buffer's layout.
            let standard = format.gpu.is_some()
                || arrived.layout.as_ref().is_none_or(|layout| layout.is_standard(&stream.info));
            if crop.is_some() || !standard {
                let downstream = self.downstream(format.downstream)?;
                let crop = crop.filter(|_| !downstream.takes_crops);
                let cropped =
                    crop.map(|crop| arrived.crop_to(&stream.info, (crop.x, crop.y), format.gpu.as_deref()));
                if let Some(Err(err)) = &cropped {
                    lost(meta::CROP, &err.to_string());
                }
                if !(standard || downstream.takes_layouts || matches!(cropped, Some(Ok(())))) {
                    gst::log!(self.category(), imp = self, "repacked for elements that know no layouts");
                    arrived.repack(&stream.info).map_err(|err| self.malformed(session, &err))?;
                }
            }
        }
        let stream = meta::Stream {
            video: format.video.as_deref(),
            audio: format.audio.as_deref(),
            ..meta::Stream::default()
        };
        Ok(arrived.complete(stream, &mut self.names.lock().unwrap(), lost))
    }

    /// What downstream understands; it is asked once for each format.
    fn downstream(&self, known: Option<Downstream>) -> Result<Downstream, gst::FlowError> {
        if let Some(known) = known {
            return Ok(known);
        }
        // The answer comes in `decide_allocation`.
        if !self.obj().negotiate() {
            return Err(gst::FlowError::NotNegotiated);
        }
        Ok(self.state.lock().unwrap().format.downstream.unwrap_or_default())
    }

    fn malformed(&self, session: &Session, what: &Malformed) -> gst::FlowError {
        let message = gst::error_msg!(
            gst::StreamError::Decode,
            ("the sender sent {what}. Both ends should run the same release of the plugin")
        );
        session.run.fail_with(self, message);
        gst::FlowError::Error
    }
}

impl BaseSrcImpl for UcxSrc {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = self.settings().lock().unwrap().clone();
        if let Some(sticky) = self.sticky.get() {
            sticky.reset();
        }
        self.mapping.reset();
        let (run, notify) = Run::start(self)?;
        let gpu = Arc::<Gpu>::default();
        let subscriber = settings
            .config(self.obj().name().into())
            .and_then(|config| Subscriber::start(config, settings.receiver(&gpu), notify))
            .map_err(|err| run::error_message(&err, self.role()))?;
        let bound_port =
            subscriber.local_address().filter(|_| settings.port == 0).map(|address| address.port());
        {
            let mut state = self.state.lock().unwrap();
            state.session = Some(Arc::new(Session { subscriber, gpu, run }));
            state.bound_port = bound_port;
        }
        if let Some(port) = bound_port {
            gst::info!(self.category(), imp = self, "listening on port {port}");
            self.obj().notify("port");
        }
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let (session, was_bound) = {
            let mut state = self.state.lock().unwrap();
            let last = mem::take(&mut *state);
            state.last_stats =
                last.session.as_ref().map(|session| session.subscriber.stats()).unwrap_or_default();
            (last.session, last.bound_port.is_some())
        };
        // Says good-bye to the sender.
        drop(session);
        if was_bound {
            self.obj().notify("port");
        }
        Ok(())
    }

    fn is_seekable(&self) -> bool {
        false
    }

    fn caps(&self, filter: Option<&gst::Caps>) -> Option<gst::Caps> {
        let current = self.obj().src_pad().current_caps();
        let caps = current.unwrap_or_else(|| self.offered());
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&caps, gst::CapsIntersectMode::First),
            None => caps,
        })
    }

    /// The caps are the sender's; there is nothing to choose.
    fn negotiate(&self) -> Result<(), gst::LoggableError> {
        Ok(())
    }

    fn decide_allocation(&self, query: &mut gst::query::Allocation) -> Result<(), gst::LoggableError> {
        let downstream = Downstream {
            takes_layouts: query.find_allocation_meta::<VideoMeta>().is_some(),
            takes_crops: query.find_allocation_meta::<VideoCropMeta>().is_some(),
        };
        if query.get().0.is_some() {
            self.state.lock().unwrap().format.downstream = Some(downstream);
        }
        // Frames land in memory of the session's own.
        while query.allocation_pools().next().is_some() {
            query.remove_nth_allocation_pool(0);
        }
        Ok(())
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        let latency = self.state.lock().unwrap().latency;
        if let gst::QueryViewMut::Latency(query) = query.view_mut()
            && (latency.is_some() || self.maps())
        {
            let latency = latency.unwrap_or_default();
            let on_the_way = self.settings().lock().unwrap().latency();
            let min = event::clock_time(Some(latency.min)).unwrap_or_default().saturating_add(on_the_way);
            let max = event::clock_time(latency.max).map(|max| max.saturating_add(on_the_way));
            query.set(latency.live || self.maps(), min, max);
            return true;
        }
        if let gst::QueryViewMut::Custom(query) = query.view_mut()
            && self.answer_deepstream(query.structure_mut())
        {
            return true;
        }
        let element = self.obj();
        // Who asks makes a context of its own, if there is none: it is better that all have the same.
        let context = || {
            self.session().and_then(|session| session.gpu.context()).or_else(|| {
                let gpu = self.settings().lock().unwrap().gpu_id;
                let context = cuda::Context::to_share(element.upcast_ref(), gpu);
                context.inspect_err(|err| gst::debug!(self.category(), imp = self, "no context: {err}")).ok()
            })
        };
        cuda::handle_context_query(element.upcast_ref(), query, context)
            || BaseSrcImplExt::parent_query(self, query)
    }

    fn event(&self, event: &gst::Event) -> bool {
        let mapped = self.mapping.for_sender(event);
        match event::upstream_to_wire(mapped.as_ref().unwrap_or(event)) {
            Ok(Some(described)) => {
                if let Some(session) = self.session() {
                    session.subscriber.send_upstream(described);
                    return true;
                }
            }
            Ok(None) => (),
            Err(err) => gst::warning!(self.category(), imp = self, "not sent: {event:?}: {err}"),
        }
        self.parent_event(event)
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(session) = self.session() {
            session.subscriber.set_flushing(true);
        }
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(session) = self.session() {
            session.subscriber.set_flushing(false);
        }
        Ok(())
    }
}

impl PushSrcImpl for UcxSrc {
    fn create(&self, _buffer: Option<&mut gst::BufferRef>) -> Result<CreateSuccess, gst::FlowError> {
        let session = self.session().ok_or(gst::FlowError::Flushing)?;
        loop {
            match session.subscriber.receive() {
                Ok(Incoming::Event(event)) => self.take_event(&session, &event)?,
                Ok(Incoming::Frame(frame)) => {
                    self.map_time(&session)?;
                    let way = trace::way(&frame.payload);
                    let buffer = self.take_frame(&session, frame)?;
                    trace::received(&*self.obj(), &buffer, way);
                    if let Some(sticky) = self.sticky.get() {
                        sticky.before_buffer();
                    }
                    self.times.before_buffer(self.obj().upcast_ref(), &buffer);
                    return Ok(CreateSuccess::NewBuffer(buffer));
                }
                Err(Interrupted::Flushing) => return Err(gst::FlowError::Flushing),
                Err(Interrupted::Eos) => return Err(gst::FlowError::Eos),
                Err(Interrupted::Failed(err)) => {
                    session.run.fail(self, &err);
                    return Err(gst::FlowError::Error);
                }
            }
        }
    }
}
