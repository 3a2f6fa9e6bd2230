//! What arrives, seen by a probe on the pad of the sink.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use gst::prelude::*;

use crate::control::Control;
use crate::gpu;
use crate::histogram::Histogram;
use crate::memory::Memory;
use crate::source::{Load, NOMINAL_FPS};
use crate::stamp::{self, Stamp};
use crate::touch;

/// Shared by the streaming thread, which counts, and the main thread, which looks in now and then.
pub(crate) struct Arrivals(Arc<Mutex<Counts>>);

struct Counts {
    /// Read every byte.
    touch: bool,
    /// Regions of interest that must be there.
    objects: u32,
    /// The GPU in whose memory frames must be.
    gpu: Option<u32>,
    bytes: u64,
    paced: bool,
    frames: u64,
    /// Of the measured frames.
    latencies: Histogram,
    first: Duration,
    last: Duration,
    cpu_before: Duration,
    end: Option<End>,
    fault: Option<anyhow::Error>,
}

/// Once the last frame is there.
#[derive(Clone, Copy)]
struct End {
    cpu: Duration,
    memory: Memory,
}

impl Arrivals {
    /// Counts what comes to `sink`.
    pub(crate) fn at(sink: &gst::Element, control: &Arc<Control>, load: &Load) -> anyhow::Result<Self> {
        let pad = sink.static_pad("sink").context("the sink has no pad")?;
        let counts = Arc::new(Mutex::new(Counts {
            touch: load.touch,
            objects: load.objects,
            gpu: load.gpu,
            bytes: load.bytes.into(),
            paced: load.fps.is_some(),
            frames: 0,
            latencies: Histogram::new(),
            first: Duration::ZERO,
            last: Duration::ZERO,
            cpu_before: Duration::ZERO,
            end: None,
            fault: None,
        }));
        let (shared, control) = (counts.clone(), control.clone());
        pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, info| {
            let mut counts = shared.lock().unwrap_or_else(PoisonError::into_inner);
            match &info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => counts.add(buffer, &control),
                Some(gst::PadProbeData::BufferList(list)) => {
                    list.iter().for_each(|buffer| counts.add(buffer, &control));
                }
                _ => {}
            }
            gst::PadProbeReturn::Ok
        })
        .context("the pad takes no probe")?;
        Ok(Self(counts))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frames so far, or what was wrong with one.
    pub(crate) fn frames(&self) -> anyhow::Result<u64> {
        let mut counts = self.counts();
        counts.fault.take().map_or(Ok(counts.frames), Err)
    }

    /// The last one is there.
    pub(crate) fn are_complete(&self) -> bool {
        self.counts().end.is_some()
    }

    /// The last lines.
    pub(crate) fn summary(&self) -> anyhow::Result<String> {
        let counts = self.counts();
        let (latencies, frames) = (&counts.latencies, counts.latencies.total());
        ensure!(frames > 1, "{frames} frames are not enough for a measurement");
        let End { cpu, memory } = counts.end.context("the last frame is not there")?;
        let microseconds = |duration: Duration| duration.as_secs_f64() * 1e6;
        Ok(format!(
            "received frames={frames} cpu={:.6} seconds={:.6} p50={:.3} p99={:.3} max={:.3} {memory}\n\
             latencies buckets={}",
            cpu.as_secs_f64(),
            (counts.last - counts.first).as_secs_f64(),
            microseconds(latencies.percentile(50)),
            microseconds(latencies.percentile(99)),
            microseconds(latencies.max()),
            latencies.text()
        ))
    }
}

impl Counts {
    fn stamp(&self, buffer: &gst::BufferRef) -> anyhow::Result<Stamp> {
        // Not mapped: that would merge a buffer of several memories.
        let mut head = [0; stamp::LENGTH];
        let stamp = buffer.copy_to_slice(0, &mut head).ok().and_then(|()| Stamp::read(&head));
        let stamp = stamp.filter(|stamp| stamp.bytes == buffer.size() as u64);
        stamp.with_context(|| {
            format!("frame {} is damaged: {} bytes, which begin with {head:02x?}", self.frames, buffer.size())
        })
    }

    /// The number is the frame's own where it has one, otherwise that of its timestamp.
    fn stamp_on_gpu(&self, buffer: &gst::BufferRef, device: u32, control: &Control) -> anyhow::Result<Stamp> {
        let damaged = || format!("frame {} is damaged", self.frames);
        gpu::check(buffer, device, self.bytes).with_context(damaged)?;
        let sequence = if gpu::is_stamped(self.frames, self.paced) {
            gpu::read(buffer).with_context(damaged)?.sequence
        } else {
            number_at(buffer.pts()).with_context(damaged)?
        };
        Ok(control.noted(sequence, self.bytes))
    }

    fn add(&mut self, buffer: &gst::BufferRef, control: &Control) {
        if self.fault.is_none()
            && let Err(error) = self.take(buffer, control)
        {
            self.fault = Some(error);
        }
    }

    fn take(&mut self, buffer: &gst::BufferRef, control: &Control) -> anyhow::Result<()> {
        let now = stamp::now();
        let stamp = match self.gpu {
            Some(device) => self.stamp_on_gpu(buffer, device, control)?,
            None => self.stamp(buffer)?,
        };
        ensure!(stamp.sequence == self.frames, "frame {} came where {} was due", stamp.sequence, self.frames);
        if self.touch {
            touch::read(buffer, stamp.sequence)
                .with_context(|| format!("frame {} is damaged", stamp.sequence))?;
        }
        if self.objects > 0 {
            let objects = buffer.iter_meta::<gst_video::VideoRegionOfInterestMeta>().count();
            ensure!(
                objects == self.objects as usize,
                "frame {} has {objects} regions of interest",
                stamp.sequence
            );
        }
        self.frames += 1;
        if stamp.measured {
            if self.latencies.total() == 0 {
                (self.first, self.cpu_before) = (now, stamp::cpu_time());
            }
            self.last = now;
            self.latencies.add(now.saturating_sub(stamp.made));
        }
        if stamp.last {
            let cpu = stamp::cpu_time().saturating_sub(self.cpu_before);
            self.end = Some(End { cpu, memory: Memory::look()? });
        }
        control.set_received(self.frames);
        Ok(())
    }
}

/// The number of the frame that a source which is not paced gives this timestamp.
fn number_at(pts: Option<gst::ClockTime>) -> anyhow::Result<u64> {
    let pts = pts.context("it has no timestamp")?;
    let frames = u128::from(pts.nseconds()) * u128::from(NOMINAL_FPS) + 500_000_000;
    Ok(u64::try_from(frames / 1_000_000_000)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_tells_the_number() {
        for number in [0, 1, 2, 59, 60, 1_000_003] {
            let pts = gst::ClockTime::from_nseconds(number * 1_000_000_000 / u64::from(NOMINAL_FPS));
            assert_eq!(number_at(Some(pts)).unwrap(), number);
        }
        assert!(number_at(None).is_err());
    }
}
