//! Which kind of memory a source's buffers are in: of those that downstream takes the sender's own, else a GPU's, else the
//! CPU's.

use std::sync::Arc;

use deepstream::nvmm;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_audio::AudioInfo;
use gst_base::prelude::*;

use super::imp::UcxSrc;
use crate::memory::Kind;
use crate::memory::cuda::Frames;
use crate::memory::nvmm::Batches;
use crate::settings::Settings;
use crate::video;

/// Fields of caps that say where the sender's memory is.
const PLACE: [&str; 2] = ["gpu-id", "nvbuf-memory-type"];

/// What buffers are made as.
pub(super) struct Chosen {
    /// What downstream is told.
    pub(super) caps: gst::Caps,
    /// What makes them, if they are in a GPU's memory.
    pub(super) gpu: Option<Arc<Frames>>,
    /// What makes them, if they are in DeepStream's memory.
    pub(super) nvmm: Option<Arc<Batches>>,
    /// How many sources they have room for, if they are DeepStream's batches of audio.
    pub(super) audio_batch: Option<u32>,
    /// Why they are not in memory that downstream would take.
    pub(super) missing: Option<String>,
}

impl Chosen {
    /// Buffers with `caps`, for which nothing is to be made.
    fn as_it_is(caps: gst::Caps) -> Self {
        Self { caps, gpu: None, nvmm: None, audio_batch: None, missing: None }
    }
}

/// Whether streams with `caps` are raw audio that this GStreamer knows.
fn is_audio(caps: &gst::CapsRef) -> bool {
    let raw = caps.structure(0).is_some_and(|structure| structure.name() == "audio/x-raw");
    raw && AudioInfo::from_caps(caps).is_ok()
}

impl UcxSrc {
    /// Chooses for a stream that has `caps` at the sender. `Err` is for the user.
    pub(super) fn choose_memory(
        &self,
        caps: &gst::Caps,
        settings: &Settings,
    ) -> Result<Chosen, gst::ErrorMessage> {
        let kind = Kind::of(caps);
        if let (Some(sent @ (Kind::System | Kind::Nvmm)), true) = (kind, is_audio(caps)) {
            return Ok(self.choose_for_audio(sent, caps, settings));
        }
        let (Some(sent), Some(_)) = (kind, video::format_of(caps)) else {
            // Elements would follow addresses in it.
            if caps.iter_with_features().any(|(_, features)| features.contains(nvmm::FEATURE)) {
                let text = format!(
                    "the sender's caps {caps} are of memory:NVMM, but of neither raw video nor raw audio"
                );
                return Err(gst::error_msg!(gst::StreamError::Format, ("{text}")));
            }
            return Ok(Chosen::as_it_is(caps.clone()));
        };
        let accepted = self.obj().src_pad().peer_query_caps(None);
        let mut caps = caps.clone();
        if sent == Kind::Nvmm {
            caps.make_mut().iter_mut().for_each(|structure| structure.remove_fields(PLACE));
        }
        let takes = |kind: Kind| sent.replaced_in(&caps, kind).can_intersect(&accepted);
        let surfaces = settings.surfaces();
        let has = |kind| match kind {
            Kind::System => Ok(()),
            Kind::Cuda => cuda::available().map_err(|err| err.to_string()),
            Kind::Nvmm => {
                nvmm::available().map_err(|err| err.to_string())?;
                let gpu = if surfaces.memory.is_on_gpu() { cuda::available() } else { Ok(()) };
                gpu.map_err(|err| format!("{err}; nvbuf-memory-type=nvbuf-mem-system does without a GPU"))
            }
        };
        let (kind, missing) = choose(sent, takes, has);
        let caps = sent.replaced_in(&caps, kind);
        let gpu_id = settings.gpu_id;
        let context = || {
            cuda::Context::for_element(self.obj().upcast_ref(), gpu_id)
                .map_err(|err| gst::error_msg!(gst::ResourceError::Failed, ("no GPU {gpu_id}: {err}")))
        };
        let mut chosen = Chosen { missing, ..Chosen::as_it_is(caps) };
        match kind {
            Kind::System => {}
            Kind::Cuda => chosen.gpu = Frames::new(context()?, &chosen.caps).map(Arc::new),
            Kind::Nvmm => {
                let context = surfaces.memory.is_on_gpu().then(context).transpose()?;
                let batches = Batches::new(&chosen.caps, surfaces, context)
                    .map_err(|err| gst::error_msg!(gst::ResourceError::Failed, ("{err}")))?;
                chosen.nvmm = Some(Arc::new(batches));
            }
        }
        Ok(chosen)
    }

    /// The same for audio, which is the CPU's in any case.
    fn choose_for_audio(&self, sent: Kind, caps: &gst::Caps, settings: &Settings) -> Chosen {
        let accepted = self.obj().src_pad().peer_query_caps(None);
        let takes = |kind: &Kind| sent.replaced_in(caps, *kind).can_intersect(&accepted);
        let kind = [sent, Kind::System, Kind::Nvmm].into_iter().find(takes).unwrap_or(Kind::System);
        let audio_batch = (kind == Kind::Nvmm).then_some(settings.surfaces().batch_size);
        Chosen { audio_batch, ..Chosen::as_it_is(sent.replaced_in(caps, kind)) }
    }

    /// Answers what DeepStream's elements ask of where batches come from; false if it is something else, or there are none.
    pub(super) fn answer_deepstream(&self, question: &mut gst::StructureRef) -> bool {
        let Some(surfaces) = self.batches() else { return false };
        match question.name().as_str() {
            "nv-batch-size" => question.set("batch-size", surfaces.batch_size()),
            "num-surfaces-per-buffers" => question.set("num-surfaces-per-buffers", 1u32),
            _ => return false,
        }
        true
    }
}

/// The kind of memory, and why it is none that downstream takes.
fn choose(
    sent: Kind,
    takes: impl Fn(Kind) -> bool,
    has: impl Fn(Kind) -> Result<(), String>,
) -> (Kind, Option<String>) {
    let mut missing = None;
    for kind in [sent, Kind::Cuda, Kind::Nvmm, Kind::System] {
        if takes(kind) {
            match has(kind) {
                Ok(()) => return (kind, None),
                Err(why) => missing = Some(why),
            }
        }
    }
    (Kind::System, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &[Kind] = &[];
    const ALL: &[Kind] = &[Kind::System, Kind::Cuda, Kind::Nvmm];

    fn chosen(sent: Kind, takes: &[Kind], has: &[Kind]) -> (Kind, Option<String>) {
        let has = |kind| if has.contains(&kind) { Ok(()) } else { Err(format!("no {kind:?}")) };
        choose(sent, |kind| takes.contains(&kind), has)
    }

    #[test]
    fn the_senders_kind_comes_first() {
        assert_eq!(chosen(Kind::Cuda, ALL, ALL), (Kind::Cuda, None));
        assert_eq!(chosen(Kind::Nvmm, ALL, ALL), (Kind::Nvmm, None));
        assert_eq!(chosen(Kind::System, ALL, ALL), (Kind::System, None));
    }

    #[test]
    fn then_what_downstream_takes() {
        assert_eq!(chosen(Kind::System, &[Kind::Cuda], ALL), (Kind::Cuda, None));
        assert_eq!(chosen(Kind::Cuda, &[Kind::System], ALL), (Kind::System, None));
        assert_eq!(chosen(Kind::Nvmm, &[Kind::System, Kind::Cuda], ALL), (Kind::Cuda, None));
        assert_eq!(chosen(Kind::System, &[Kind::Nvmm], ALL), (Kind::Nvmm, None));
    }

    #[test]
    fn what_is_not_there_is_done_without() {
        assert_eq!(chosen(Kind::Cuda, ALL, &[Kind::System]), (Kind::System, None));
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = Some("no Cuda".to_owned());
        assert_eq!(chosen(Kind::System, &[Kind::Cuda], &[Kind::System]), (Kind::System, missing));
        assert_eq!(chosen(Kind::System, NONE, ALL), (Kind::System, None));
    }
}
