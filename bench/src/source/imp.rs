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
use crate::memory::Memory;
use crate::stamp::{self, Stamp};
use crate::{gpu, touch};

/// Buffers beyond the window: those that the elements on the way still hold.
const SPARE_BUFFERS: u32 = 4;
/// Timestamps of a source that is not paced count on as if it were.
pub(crate) const NOMINAL_FPS: u32 = 60;

#[derive(Default)]
pub(crate) struct StampedSource {
    settings: OnceLock<Settings>,
    /// The streaming thread's own.
    state: Mutex<State>,
    sent: OnceLock<Sent>,
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
    /// Frames received when it was last looked: as seldom as the window allows, since the receiver writes there all the time.
    received: u64,
    started: Option<Duration>,
    measured_frames: u64,
    cpu_before: Duration,
    /// From the first measured frame to the last.
    cpu: Option<Duration>,
    /// Of frames in a GPU's memory.
    pool: Option<gst::BufferPool>,
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
        self.sent.get().copied()
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
    fn wait_for_credit(&self, settings: &Settings, state: &mut State) -> Result<(), gst::FlowError> {
        let (control, window, next) = (&settings.control, u64::from(settings.load.window), state.next);
        if next - state.received < window {
            return Ok(());
        }
        state.received = control.received(next);
        if next - state.received < window {
            return Ok(());
        }
        // Woken once for half a window, as a sender with its own window would be.
        let enough = next - window / 2;
        let gives_up = stamp::now() + STUCK_AFTER;
        while state.received < enough {
            if self.flushing.load(Ordering::Acquire) {
                return Err(gst::FlowError::Flushing);
            }
            if stamp::now() > gives_up {
                gst::element_imp_error!(
                    self,
                    gst::StreamError::Failed,
                    ("frame {} is not received within {STUCK_AFTER:?}", state.received)
                );
                return Err(gst::FlowError::Error);
            }
            control.wait_for(enough);
            state.received = control.received(next);
        }
        Ok(())
    }

    /// After the last frame.
    fn finish(&self, control: &Control, frames: u64, cpu: Duration) -> gst::FlowError {
        match Memory::look() {
            Ok(memory) => {
                // It is called once.
                let _ = self.sent.set(Sent { frames, cpu, memory });
                control.set_looked();
                self.wait_while(|| !control.is_finished()).err().unwrap_or(gst::FlowError::Eos)
            }
            Err(error) => self.failed(&error),
        }
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

    /// Takes the pool or the allocator that the sink proposes, unless it is told to ignore them; without a pool an own one:
    /// memory is always used again.
    fn decide_allocation(&self, query: &mut gst::query::Allocation) -> Result<(), gst::LoggableError> {
        let settings =
            self.settings.get().ok_or_else(|| gst::loggable_error!(gst::CAT_RUST, "no settings"))?;
        if settings.load.own_memory {
            let (pools, allocators) = (query.allocation_pools().count(), query.allocation_params().count());
            (0..pools).for_each(|_| query.remove_nth_allocation_pool(0));
            (0..allocators).for_each(|_| query.remove_nth_allocation_param(0));
        }
        if query.allocation_pools().next().is_none() {
            let buffers = settings.load.window + SPARE_BUFFERS;
            query.add_allocation_pool(None::<&gst::BufferPool>, settings.load.bytes, buffers, buffers);
        }
        self.parent_decide_allocation(query)
    }
}

impl PushSrcImpl for StampedSource {
    fn create(&self, _: Option<&mut gst::BufferRef>) -> Result<CreateSuccess, gst::FlowError> {
        let pool = match self.settings()?.load.gpu {
            Some(device) => self.gpu_pool(device)?,
            None => self.obj().buffer_pool().ok_or(gst::FlowError::NotNegotiated)?,
        };
        let mut buffer = pool.acquire_buffer(None)?;
        self.fill(buffer.get_mut().ok_or(gst::FlowError::Error)?)?;
        Ok(CreateSuccess::NewBuffer(buffer))
    }
}

impl StampedSource {
    /// As a decoder's: its own, whatever comes after it.
    fn gpu_pool(&self, device: u32) -> Result<gst::BufferPool, gst::FlowError> {
        let Settings { load, caps, .. } = self.settings()?;
        if let Some(pool) = self.state.lock().unwrap().pool.clone() {
            return Ok(pool);
        }
        // The element is asked for its context meanwhile, so no lock is held.
        let pool = gpu::pool(self.obj().upcast_ref(), device, caps, load.window + SPARE_BUFFERS);
        let pool = pool.map_err(|error| self.failed(&error))?;
        self.state.lock().unwrap().pool = Some(pool.clone());
        Ok(pool)
    }

    fn failed(&self, error: &anyhow::Error) -> gst::FlowError {
        gst::element_imp_error!(self, gst::ResourceError::Failed, ("{error:#}"));
        gst::FlowError::Error
    }

    /// Makes the next frame, when it may go.
    fn fill(&self, buffer: &mut gst::BufferRef) -> Result<(), gst::FlowError> {
        let settings = self.settings()?;
        let (load, control) = (&settings.load, &settings.control);
        let mut state = self.state.lock().unwrap();
        let state = &mut *state;
        if let Some(cpu) = state.cpu {
            return Err(self.finish(control, state.measured_frames, cpu));
        }
        self.wait_while(|| !self.begun.load(Ordering::Acquire))?;

        let next = state.next;
        let started = *state.started.get_or_insert_with(stamp::now);
        let at = |fps: u32| Duration::from_nanos(next * 1_000_000_000 / u64::from(fps));
        if let Some(fps) = load.fps {
            sleep_until(started + at(fps));
        }
        self.wait_for_credit(settings, state)?;

        let bytes = load.bytes as usize;
        if load.gpu.is_none() && buffer.size() != bytes {
            buffer.set_size(bytes);
        }
        for number in 0..load.objects {
            add_object(buffer, number);
        }
        let frame = |made: Duration| Stamp {
            sequence: next,
            made,
            bytes: load.bytes.into(),
            measured: made >= started + load.warm_up,
            last: made >= started + load.warm_up + load.measured,
        };
        let frame = if load.gpu.is_some() {
            if gpu::is_stamped(next, load.fps.is_some()) {
                gpu::write(buffer, &frame(stamp::now())).map_err(|error| self.failed(&error))?;
            }
            let frame = frame(stamp::now());
            control.note(&frame);
            frame
        } else {
            let mut bytes = buffer.map_writable().map_err(|_| gst::FlowError::Error)?;
            let head = bytes.first_chunk::<{ stamp::LENGTH }>();
            // The kernel provides a new buffer's pages now, not while somebody sends it.
            let new = head.is_none_or(|head| Stamp::read(head).is_none());
            if load.touch || new {
                touch::write(&mut bytes, next);
            }
            let frame = frame(stamp::now());
            frame.write(bytes.first_chunk_mut().ok_or(gst::FlowError::Error)?);
            frame
        };
        let nominal = load.fps.unwrap_or(NOMINAL_FPS);
        buffer.set_pts(gst::ClockTime::try_from(at(nominal)).ok());
        buffer.set_duration(gst::ClockTime::SECOND / u64::from(nominal));

        state.next += 1;
        if frame.measured {
            if state.measured_frames == 0 {
                state.cpu_before = stamp::cpu_time();
            }
            state.measured_frames += 1;
        }
        if frame.last {
            state.cpu = Some(stamp::cpu_time().saturating_sub(state.cpu_before));
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

/// As a detector would.
fn add_object(buffer: &mut gst::BufferRef, number: u32) {
    let rectangle = (number, 2 * number, 40, 30);
    let mut region = gst_video::VideoRegionOfInterestMeta::add(buffer, "person", rectangle);
    region.set_id(number.cast_signed());
    let detection = gst::Structure::builder("detection").field("confidence", 0.9).field("label_id", 1);
    region.add_param(detection.build());
}
