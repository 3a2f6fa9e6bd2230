use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;

use gst::glib;
use gst_base::prelude::*;
use gst_base::subclass::base_src::CreateSuccess;
use gst_base::subclass::prelude::*;
use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::Timespec;

use super::{Load, Sent};
use crate::STUCK_AFTER;
use crate::control::{self, Control};
use crate::stamp::{self, Stamp};

/// Buffers beyond the window: those that the elements on the way still hold.
const SPARE_BUFFERS: u32 = 4;
/// Timestamps of a source that is not paced count on as if it were.
const NOMINAL_FPS: u32 = 60;

#[derive(Default)]
pub(crate) struct StampedSource {
    settings: OnceLock<Settings>,
    state: Mutex<State>,
    begun: AtomicBool,
    flushing: AtomicBool,
}

struct Settings {
    load: Load,
    caps: gst::Caps,
    control: Arc<Control>,
}

#[derive(Default)]
struct State {
    /// Sequence number of the next frame.
    next: u64,
    started: Option<Duration>,
    measured_frames: u64,
    cpu_before: Duration,
    sent: Option<Duration>,
}

#[glib::object_subclass]
impl ObjectSubclass for StampedSource {
    const NAME: &'static str = "BenchStampedSource";
    type Type = super::StampedSource;
    type ParentType = gst_base::PushSrc;
}

impl ObjectImpl for StampedSource {
    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_format(gst::Format::Time);
    }
}

impl GstObjectImpl for StampedSource {}

impl ElementImpl for StampedSource {
    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst::Caps::new_any();
            gst::PadTemplate::new("src", gst::PadDirection::Src, gst::PadPresence::Always, &caps)
                .into_iter()
                .collect()
        });
        &TEMPLATES
    }
}

impl StampedSource {
    pub(super) fn configure(&self, load: Load, caps: gst::Caps, control: Arc<Control>) {
        // A source is configured once, before anybody else has it.
        let _ = self.settings.set(Settings { load, caps, control });
    }

    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    pub(super) fn sent(&self) -> Option<Sent> {
        let state = self.state.lock().unwrap();
        state.sent.map(|cpu| Sent { frames: state.measured_frames, cpu })
    }

    fn settings(&self) -> Result<&Settings, gst::FlowError> {
        self.settings.get().ok_or(gst::FlowError::NotNegotiated)
    }

    fn wait_while(&self, condition: impl Fn() -> bool) -> Result<(), gst::FlowError> {
        while condition() {
            if self.flushing.load(Ordering::Acquire) {
                return Err(gst::FlowError::Flushing);
            }
            control::nap();
        }
        Ok(())
    }

    /// Until fewer than a window of frames are in flight.
    fn wait_for_credit(&self, settings: &Settings, next: u64) -> Result<(), gst::FlowError> {
        let (control, window) = (&settings.control, u64::from(settings.load.window));
        if next - control.received(next) < window {
            return Ok(());
        }
        // Woken once for half a window, as a sender with its own window would be.
        let enough = next - window / 2;
        let gives_up = stamp::now() + STUCK_AFTER;
        while control.received(next) < enough {
            if self.flushing.load(Ordering::Acquire) {
                return Err(gst::FlowError::Flushing);
            }
            if stamp::now() > gives_up {
                gst::element_imp_error!(
                    self,
                    gst::StreamError::Failed,
                    ("frame {} is not received within {STUCK_AFTER:?}", control.received(next))
                );
                return Err(gst::FlowError::Error);
            }
            control.wait_for(enough);
        }
        Ok(())
    }
}

impl BaseSrcImpl for StampedSource {
    fn caps(&self, filter: Option<&gst::Caps>) -> Option<gst::Caps> {
        let caps = &self.settings.get()?.caps;
        Some(filter.map_or_else(|| caps.clone(), |filter| filter.intersect(caps)))
    }

    fn is_seekable(&self) -> bool {
        false
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        self.flushing.store(true, Ordering::Release);
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        self.flushing.store(false, Ordering::Release);
        Ok(())
    }

    /// Takes the pool that the sink proposes; without one, an own pool: memory is always used again.
    fn decide_allocation(&self, query: &mut gst::query::Allocation) -> Result<(), gst::LoggableError> {
        if let Some(settings) = self.settings.get()
            && query.allocation_pools().next().is_none()
        {
            let buffers = settings.load.window + SPARE_BUFFERS;
            query.add_allocation_pool(None::<&gst::BufferPool>, settings.load.bytes, buffers, buffers);
        }
        self.parent_decide_allocation(query)
    }
}

impl PushSrcImpl for StampedSource {
    fn create(&self, _: Option<&mut gst::BufferRef>) -> Result<CreateSuccess, gst::FlowError> {
        let pool = self.obj().buffer_pool().ok_or(gst::FlowError::NotNegotiated)?;
        let mut buffer = pool.acquire_buffer(None)?;
        self.fill(buffer.get_mut().ok_or(gst::FlowError::Error)?)?;
        Ok(CreateSuccess::NewBuffer(buffer))
    }
}

impl StampedSource {
    /// Makes the next frame, when it may go.
    fn fill(&self, buffer: &mut gst::BufferRef) -> Result<(), gst::FlowError> {
        let settings = self.settings()?;
        let (load, control) = (&settings.load, &settings.control);
        self.wait_while(|| !self.begun.load(Ordering::Acquire))?;
        if self.sent().is_some() {
            self.wait_while(|| !control.is_finished())?;
            return Err(gst::FlowError::Eos);
        }

        // Nobody else writes it; `sent` looks in now and then.
        let (next, started) = {
            let mut state = self.state.lock().unwrap();
            (state.next, *state.started.get_or_insert_with(stamp::now))
        };
        let at = |fps: u32| Duration::from_nanos(next * 1_000_000_000 / u64::from(fps));
        if let Some(fps) = load.fps {
            sleep_until(started + at(fps));
        }
        self.wait_for_credit(settings, next)?;

        let made = stamp::now();
        let measured = made >= started + load.warm_up;
        let last = made >= started + load.warm_up + load.measured;
        let frame = Stamp { sequence: next, made, bytes: load.bytes.into(), measured, last };
        buffer.set_size(load.bytes as usize);
        {
            let mut bytes = buffer.map_writable().map_err(|_| gst::FlowError::Error)?;
            let head = bytes.first_chunk::<{ stamp::LENGTH }>();
            if head.is_none_or(|head| Stamp::read(head).is_none()) {
                // The kernel provides a new buffer's pages now, not while somebody sends it.
                bytes.fill(1);
            }
            let head = bytes.first_chunk_mut().ok_or(gst::FlowError::Error)?;
            frame.write(head);
        }
        let nominal = load.fps.unwrap_or(NOMINAL_FPS);
        buffer.set_pts(gst::ClockTime::try_from(at(nominal)).ok());
        buffer.set_duration(gst::ClockTime::SECOND / u64::from(nominal));

        let mut state = self.state.lock().unwrap();
        state.next += 1;
        if measured {
            if state.measured_frames == 0 {
                state.cpu_before = stamp::cpu_time();
            }
            state.measured_frames += 1;
        }
        if last {
            state.sent = Some(stamp::cpu_time().saturating_sub(state.cpu_before));
        }
        Ok(())
    }
}

fn sleep_until(time: Duration) {
    if let Ok(time) = Timespec::try_from(time) {
        // A signal that ends it early makes one frame early.
        let _ = clock_nanosleep_absolute(ClockId::Monotonic, &time);
    }
}
