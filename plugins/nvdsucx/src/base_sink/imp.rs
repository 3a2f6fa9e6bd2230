//! The sinks' base class.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use nvdsucx_session::wire::{self, Latency, StreamEvent, Structured, stream_event};
use nvdsucx_session::{Frame, Interrupted, Outgoing, Publisher, Sent, Stats};

use crate::clock::{self, Zero};
use crate::event::Malformed;
use crate::ffi::{self, WaitEvent};
use crate::memory::Kind;
use crate::memory::cuda::Gpu;
use crate::memory::nvmm::{self, Departing};
use crate::memory::nvmm_audio;
use crate::memory::shared::{self, SharedAllocator};
use crate::meta::{self, Losses};
use crate::run::{self, Run};
use crate::settings::{Role, Settings};
use crate::{event, trace, video};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("nvdsucx", gst::DebugColorFlags::empty(), Some("What the UCX elements share"))
});

/// How often to look whether a clock has drifted away from the host's.
const DRIFT_INTERVAL: Duration = Duration::from_secs(1);
/// Nanoseconds that two looks may differ without meaning anything.
const DRIFT: u64 = 500_000;

/// A session, while the element is at least paused.
#[derive(Debug)]
struct Session {
    publisher: Publisher,
    gpu: Arc<Gpu>,
    run: Run,
}

#[derive(Debug, Default)]
struct State {
    session: Option<Arc<Session>>,
    /// Where a server listens that was told to choose the port.
    bound_port: Option<u16>,
    /// The format of raw video, to check layouts against.
    video: Option<Arc<video::Stream>>,
    /// It is in DeepStream's memory.
    nvmm: bool,
    latency: Option<Latency>,
    /// When running time was 0, as the receivers were told last.
    zero: Option<Zero>,
    /// When to look whether the clock has drifted.
    drift_due: Option<Instant>,
    /// The pool that the last buffer was of.
    pool: Option<gst::BufferPool>,
    /// The numbers of the last session, for who asks when it is over.
    last_stats: Stats,
}

/// The sinks' base class.
#[derive(Debug, Default)]
pub struct UcxSink {
    identity: OnceLock<(Role, gst::DebugCategory)>,
    settings: OnceLock<Mutex<Settings>>,
    state: Mutex<State>,
    /// Since the element was made.
    lost_metas: Losses,
    /// Between PLAYING and the next PLAYING.
    paused: AtomicBool,
    /// On the way to PLAYING.
    resuming: AtomicBool,
    /// The latency upstream, or the base time, may have changed: ask before the next buffer.
    timing_due: AtomicBool,
}

#[glib::object_subclass]
impl ObjectSubclass for UcxSink {
    const NAME: &'static str = "GstUcxSink";
    const ABSTRACT: bool = true;
    type Type = super::UcxSink;
    type ParentType = gst_base::BaseSink;

    fn class_init(class: &mut Self::Class) {
        ffi::override_wait_event::<Self>(class);
    }
}

impl ObjectImpl for UcxSink {}
impl GstObjectImpl for UcxSink {}

impl ElementImpl for UcxSink {
    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            gst::StateChange::PlayingToPaused => self.paused.store(true, Ordering::Release),
            gst::StateChange::PausedToPlaying => self.resuming.store(true, Ordering::Release),
            _ => (),
        }
        // GstBaseSink starts on the way to READY already. Properties can be set in READY, and a session must not
        // outlive a stream, so ours begins and ends with PAUSED.
        if transition == gst::StateChange::ReadyToPaused {
            self.open().map_err(|message| {
                self.post_error_message(message);
                gst::StateChangeError
            })?;
        }
        let result = self.parent_change_state(transition);
        if transition == gst::StateChange::PausedToPlaying {
            self.timing_due.store(true, Ordering::Release);
            ffi::wake_preroll(self.obj().upcast_ref(), || {
                self.paused.store(false, Ordering::Release);
                self.resuming.store(false, Ordering::Release);
            });
        }
        let failed = transition == gst::StateChange::ReadyToPaused && result.is_err();
        if failed || transition == gst::StateChange::PausedToReady {
            self.close();
        }
        result
    }

    fn send_event(&self, event: gst::Event) -> bool {
        let latency = event.type_() == gst::EventType::Latency;
        let result = self.parent_send_event(event);
        if latency && let Some(session) = self.session() {
            session.run.ask_latency();
        }
        result
    }
}

impl run::Element for UcxSink {
    fn role(&self) -> Role {
        self.identity.get().map_or(Role::ClientSink, |(role, _)| *role)
    }

    fn category(&self) -> gst::DebugCategory {
        self.identity.get().map_or(*CAT, |(_, category)| *category)
    }

    fn upstream(&self, event: &Structured) {
        match event::upstream_from_wire(event) {
            Ok(event) => {
                gst::debug!(self.category(), imp = self, "from the receiver: {event:?}");
                let _ = self.obj().sink_pad().push_event(event);
            }
            Err(err) => gst::warning!(self.category(), imp = self, "the receiver sent {err}"),
        }
    }

    fn ask_latency(&self) {
        let mut query = gst::query::Latency::new();
        if !self.obj().sink_pad().peer_query(&mut query) {
            return;
        }
        let (live, min, max) = query.result();
        let sink = self.obj();
        // Buffers leave as late as the pipeline's other sinks let theirs.
        let min = if sink.is_sync() { min.max(sink.latency()) } else { min };
        let max = max.map(|max| max.max(min));
        let latency = Latency { live, min: min.nseconds(), max: max.map(gst::ClockTime::nseconds) };
        let session = {
            let mut state = self.state.lock().unwrap();
            if state.latency.as_ref() == Some(&latency) {
                return;
            }
            state.latency = Some(latency);
            state.session.clone()
        };
        if let Some(session) = session {
            gst::debug!(self.category(), imp = self, "latency upstream: {latency:?}");
            session.publisher.set_latency(latency);
        }
    }
}

use run::Element as _;

/// For the elements.
impl UcxSink {
    /// Says which of the elements this is. Called once, when it is constructed.
    pub(crate) fn identify(&self, role: Role, category: gst::DebugCategory) {
        let _ = self.identity.set((role, category));
        let _ = self.settings.set(Mutex::new(Settings::new(role)));
    }

    pub(crate) fn set_shared_property(&self, value: &glib::Value, spec: &glib::ParamSpec) {
        self.settings().lock().unwrap().set(spec.name(), value);
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
                    |session| session.publisher.stats(),
                );
                let mut stats = run::stats(&stats, &self.lost_metas, self.role());
                // By the base class, which counts them: with `qos`, if they come too late.
                let late = self.obj().stats().get::<u64>("dropped").unwrap_or_default();
                stats.set("dropped-late", late);
                stats.to_value()
            }
            name => self.settings().lock().unwrap().get(name),
        }
    }
}

impl UcxSink {
    fn settings(&self) -> &Mutex<Settings> {
        self.settings.get_or_init(|| Mutex::new(Settings::new(self.role())))
    }

    /// The caps that the pad has to offer.
    fn offered(&self) -> gst::Caps {
        let buf_type = self.settings().lock().unwrap().buf_type;
        buf_type.offered(|why| gst::info!(self.category(), imp = self, "no memory:NVMM: {why}"))
    }

    fn session(&self) -> Option<Arc<Session>> {
        self.state.lock().unwrap().session.clone()
    }

    fn open(&self) -> Result<(), gst::ErrorMessage> {
        let settings = self.settings().lock().unwrap().clone();
        self.paused.store(false, Ordering::Release);
        let (run, notify) = Run::start(self)?;
        let gpu = Arc::<Gpu>::default();
        let publisher = settings
            .config(self.obj().name().into())
            .and_then(|config| Publisher::start(config, settings.sender(&gpu), notify))
            .map_err(|err| run::error_message(&err, self.role()))?;
        let bound_port =
            publisher.local_address().filter(|_| settings.port == 0).map(|address| address.port());
        {
            let mut state = self.state.lock().unwrap();
            state.session = Some(Arc::new(Session { publisher, gpu, run }));
            state.bound_port = bound_port;
        }
        if let Some(port) = bound_port {
            gst::info!(self.category(), imp = self, "listening on port {port}");
            self.obj().notify("port");
        }
        Ok(())
    }

    fn close(&self) {
        let (session, was_bound) = {
            let mut state = self.state.lock().unwrap();
            let last = mem::take(&mut *state);
            state.last_stats =
                last.session.as_ref().map(|session| session.publisher.stats()).unwrap_or_default();
            (last.session, last.bound_port.is_some())
        };
        // Says good-bye to the peers.
        drop(session);
        if was_bound {
            self.obj().notify("port");
        }
    }

    /// Hands `item` to the session; waits while it has enough to do.
    ///
    /// To be called from the streaming thread, where GStreamer holds the preroll lock.
    fn send(&self, session: &Session, item: Outgoing) -> Result<Sent, gst::FlowError> {
        let mut next = item;
        loop {
            match session.publisher.send(next) {
                Ok(sent) => return Ok(sent),
                Err(given_back) => match *given_back {
                    (Interrupted::Flushing, item) => {
                        self.wait_until_playing()?;
                        next = item;
                    }
                    (other, _) => return Err(self.interrupted(session, &other)),
                },
            }
        }
    }

    /// Tells the receivers what running time is, if it has changed.
    fn tell_running_time(&self, session: &Session) -> Result<(), gst::FlowError> {
        let Some(zero) = clock::zero(self.obj().upcast_ref()) else { return Ok(()) };
        {
            let mut state = self.state.lock().unwrap();
            state.drift_due = zero.drifts.then(|| Instant::now() + DRIFT_INTERVAL);
            let tolerance = if zero.drifts { DRIFT } else { 0 };
            if state.zero.is_some_and(|told| told.at.abs_diff(zero.at) <= tolerance) {
                return Ok(());
            }
            state.zero = Some(zero);
        }
        gst::debug!(self.category(), imp = self, "running time was 0 at {} ns", zero.at);
        let running_time = wire::RunningTime { zero: zero.at };
        let event = Some(stream_event::Event::RunningTime(running_time));
        self.send(session, Outgoing::Event(StreamEvent { event, ..StreamEvent::default() })).map(|_| ())
    }

    /// Waits until the peers have taken everything, under the same conditions as [`send`](Self::send).
    fn drain(&self, session: &Session) -> Result<(), gst::FlowError> {
        loop {
            match session.publisher.drain() {
                Ok(()) => return Ok(()),
                Err(Interrupted::Flushing) => {
                    self.wait_until_playing()?;
                }
                Err(other) => return Err(self.interrupted(session, &other)),
            }
        }
    }

    /// After an interruption: lets whoever interrupted have the preroll lock, and waits until the sink plays again.
    fn wait_until_playing(&self) -> Result<(), gst::FlowError> {
        self.obj().wait_preroll()?;
        self.wait_while_paused()
    }

    /// Lets go of the preroll lock while the sink is paused.
    ///
    /// GStreamer's own wait for that, which comes before `render`, wakes up once, and by then the sink may have been
    /// paused again. The lock must be free then: whoever wants the sink to play waits for it, and interrupts nobody.
    fn wait_while_paused(&self) -> Result<(), gst::FlowError> {
        while self.is_paused() {
            self.obj().wait_preroll()?;
        }
        Ok(())
    }

    fn is_paused(&self) -> bool {
        if self.resuming.load(Ordering::Acquire) {
            return true;
        }
        if !self.paused.load(Ordering::Acquire) {
            return false;
        }
        // A sink that was paused before it had a buffer goes on to PLAYING with its next buffer, without a word to us.
        let (_, current, pending) = self.obj().state(gst::ClockTime::ZERO);
        (current, pending) != (gst::State::Playing, gst::State::VoidPending)
    }

    fn interrupted(&self, session: &Session, why: &Interrupted) -> gst::FlowError {
        match why {
            Interrupted::Flushing => gst::FlowError::Flushing,
            Interrupted::Eos => gst::FlowError::Eos,
            Interrupted::Failed(err) => {
                session.run.fail(self, err);
                gst::FlowError::Error
            }
        }
    }

    /// Offers memory that receivers on this host read where it is.
    fn propose_shared_memory(&self, query: &mut gst::query::Allocation) {
        let Some(session) = self.session().filter(|session| session.publisher.arena().is_open()) else {
            return;
        };
        let (caps, need_pool) = query.get_owned();
        if caps.as_ref().is_some_and(|caps| Kind::of(caps) != Some(Kind::System)) {
            return;
        }
        let allocator = SharedAllocator::new(session.publisher.arena().clone());
        // Of other streams it is not known how large their buffers are.
        if let Some(caps) = caps.filter(|_| need_pool)
            && let Some(video) = video::format_of(&caps)
        {
            match shared::video_pool(&allocator, &caps, &video) {
                Ok((pool, size)) => query.add_allocation_pool(Some(&pool), size, 0, 0),
                Err(err) => gst::debug!(self.category(), imp = self, "no pool for {caps}: {err}"),
            }
        }
        query.add_allocation_param(Some(&allocator), gst::AllocationParams::default());
    }

    /// A batch of DeepStream's surfaces for the wire.
    fn batch(
        &self,
        session: &Session,
        buffer: &gst::Buffer,
        stream: &video::Stream,
        lost: impl FnMut(&str, &str),
    ) -> Result<Frame, Malformed> {
        let Departing { frame, gpu } = nvmm::to_frame(buffer, stream, lost)?;
        if let (Some(gpu), None) = (gpu, session.gpu.context()) {
            let context = cuda::Context::for_element(self.obj().upcast_ref(), gpu);
            session
                .gpu
                .decide(Some(context.map_err(|err| Malformed(format!("surfaces of GPU {gpu}: {err}")))?));
        }
        Ok(frame)
    }

    /// `event` for the wire, if it travels.
    fn outgoing(&self, event: &gst::Event) -> Option<Outgoing> {
        match event::to_wire(event) {
            Ok(travels) => travels.map(Outgoing::Event),
            Err(err) => {
                gst::warning!(self.category(), imp = self, "not sent: {event:?}: {err}");
                None
            }
        }
    }

    /// Hands over an event outside of the streaming thread, where there is nothing to wait for.
    fn send_at_once(&self, item: Outgoing) {
        let Some(session) = self.session() else { return };
        if let Err(given_back) = session.publisher.send(item) {
            let (why, item) = *given_back;
            gst::debug!(self.category(), imp = self, "not sent: {item:?}: {why}");
        }
    }

    fn before_parent(&self, event: &gst::Event) -> Result<(), gst::FlowError> {
        use gst::EventView;
        match event.view() {
            // Sent when their time has come: `wait_event`.
            EventView::Gap(_) | EventView::Eos(_) => return Ok(()),
            EventView::Segment(_) => self.timing_due.store(true, Ordering::Release),
            EventView::Caps(caps) => {
                let mut state = self.state.lock().unwrap();
                state.video = video::Stream::of(caps.caps());
                state.nvmm = Kind::of(caps.caps()) == Some(Kind::Nvmm);
            }
            EventView::FlushStop(flush) => {
                if let Some(session) = self.session() {
                    session.publisher.discard();
                }
                let flushed = event::flush_to_wire(event.seqnum(), flush.resets_time());
                self.send_at_once(Outgoing::Event(flushed));
                return Ok(());
            }
            _ => (),
        }
        match self.outgoing(event) {
            None => Ok(()),
            Some(item) if event.is_serialized() => {
                let session = self.session().ok_or(gst::FlowError::Flushing)?;
                self.send(&session, item).map(|_| ())
            }
            Some(item) => {
                self.send_at_once(item);
                Ok(())
            }
        }
    }
}

impl WaitEvent for UcxSink {
    fn wait_event(&self, event: &gst::Event) -> Result<gst::FlowSuccess, gst::FlowError> {
        let success = self.parent_wait_event(event)?;
        let Some(item) = self.outgoing(event) else { return Ok(success) };
        self.wait_while_paused()?;
        let session = self.session().ok_or(gst::FlowError::Flushing)?;
        let sent = self.send(&session, item).map(|_| ());
        // What comes back from the end of the stream is posted as its end when the peers have everything.
        let ended = event.type_() == gst::EventType::Eos;
        match if ended { sent.and_then(|()| self.drain(&session)) } else { sent } {
            Ok(()) => Ok(success),
            Err(gst::FlowError::Eos) if ended => Ok(success),
            Err(err) => Err(err),
        }
    }
}

impl BaseSinkImpl for UcxSink {
    fn caps(&self, filter: Option<&gst::Caps>) -> Option<gst::Caps> {
        let caps = self.offered();
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&caps, gst::CapsIntersectMode::First),
            None => caps,
        })
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        let context = || self.session()?.gpu.context();
        cuda::handle_context_query(self.obj().upcast_ref(), query, context)
            || BaseSinkImplExt::parent_query(self, query)
    }

    fn propose_allocation(&self, query: &mut gst::query::Allocation) -> Result<(), gst::LoggableError> {
        meta::propose(query);
        self.propose_shared_memory(query);
        self.parent_propose_allocation(query)
    }

    fn event(&self, event: gst::Event) -> bool {
        match self.before_parent(&event) {
            Ok(()) => self.parent_event(event),
            Err(err) => {
                gst::debug!(self.category(), imp = self, "not sent: {event:?}: {err}");
                false
            }
        }
    }

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let begin = trace::begin();
        let (session, video, nvmm, drifted) = {
            let mut state = self.state.lock().unwrap();
            let session = state.session.clone().ok_or(gst::FlowError::Flushing)?;
            let pool = ffi::pool_of(buffer);
            if pool != state.pool {
                // Who takes from a pool that has no more sends nothing until a buffer is back.
                let most = pool.as_ref().and_then(|pool| pool.config().params()).map_or(0, |params| params.3);
                session.publisher.watch_releases(most > 0);
                state.pool = pool;
            }
            let drifted = state.drift_due.is_some_and(|due| due <= Instant::now());
            (session, state.video.clone(), state.nvmm, drifted)
        };
        let timing_due = self.timing_due.swap(false, Ordering::AcqRel);
        if timing_due {
            session.run.ask_latency();
        }
        if timing_due || drifted {
            self.tell_running_time(&session)?;
        }
        let lost = |kind: &str, why: &str| {
            if self.lost_metas.add(kind) {
                gst::warning!(
                    self.category(),
                    imp = self,
                    "a meta `{kind}` is not sent, nor are others of it: {why}"
                );
            }
        };
        let made = match &video {
            Some(stream) if nvmm => self.batch(&session, buffer, stream, lost),
            None if nvmm => nvmm_audio::to_frame(buffer, lost),
            video => crate::buffer::to_frame(buffer, video.as_deref(), &session.gpu, lost),
        };
        let frame = made.map_err(|err| {
            let message = gst::error_msg!(gst::ResourceError::Read, ("cannot send a buffer: {err}"));
            session.run.fail_with(self, message);
            gst::FlowError::Error
        })?;
        self.wait_while_paused()?;
        let sent = self.send(&session, Outgoing::Frame(frame))?;
        if let Some(begin) = begin {
            trace::sent(&*self.obj(), buffer, sent, begin);
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(session) = self.session() {
            session.publisher.set_flushing(true);
        }
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(session) = self.session() {
            session.publisher.set_flushing(false);
        }
        Ok(())
    }
}
