//! Between GStreamer's memories and the session's regions, a file for each kind of memory.

pub(crate) mod cuda;
pub(crate) mod nvmm;
pub(crate) mod nvmm_audio;
pub(crate) mod shared;
pub(crate) mod system;

/// The kinds of memory that buffers can be in, as caps name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the CPU reads. It needs no name.
    System,
    /// A GPU's, as GStreamer's own elements use it.
    Cuda,
    /// DeepStream's batches of surfaces.
    Nvmm,
}

impl Kind {
    /// Those that are not the CPU's.
    pub(crate) const DEVICES: [Self; 2] = [Self::Cuda, Self::Nvmm];

    /// Its name in caps, `memory:CUDAMemory`.
    pub(crate) fn feature(self) -> &'static str {
        match self {
            Self::System => gst::CAPS_FEATURE_MEMORY_SYSTEM_MEMORY.as_str(),
            Self::Cuda => "memory:CUDAMemory",
            Self::Nvmm => ::deepstream::nvmm::FEATURE,
        }
    }

    /// What memory buffers with `caps` are in; `None` if we know nothing of it.
    pub(crate) fn of(caps: &gst::CapsRef) -> Option<Self> {
        let features = caps.features(0)?;
        let named = Self::DEVICES.into_iter().find(|kind| features.contains(kind.feature()));
        let any_memory = || features.iter().any(|feature| feature.starts_with("memory:"));
        named.or_else(|| (features.contains(Self::System.feature()) || !any_memory()).then_some(Self::System))
    }

    /// `caps`, which name this kind of memory, for buffers in memory of the kind `to`.
    pub(crate) fn replaced_in(self, caps: &gst::Caps, to: Self) -> gst::Caps {
        if self == to {
            return caps.clone();
        }
        let kept = |features: &gst::CapsFeaturesRef| {
            let others = features.iter().filter(|feature| *feature != self.feature());
            let names: Vec<_> = others.map(ToString::to_string).collect();
            std::iter::once(to.feature().to_owned()).chain(names).collect::<gst::CapsFeatures>()
        };
        let mut replaced = gst::Caps::new_empty();
        for (structure, features) in caps.iter_with_features() {
            replaced.make_mut().append_structure_full(structure.to_owned(), Some(kept(features)));
        }
        replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(text: &str) -> gst::Caps {
        gst::init().unwrap();
        text.parse().unwrap()
    }

    #[test]
    fn caps_name_the_memory() {
        for (text, kind) in [
            ("video/x-raw", Some(Kind::System)),
            ("video/x-raw(memory:SystemMemory)", Some(Kind::System)),
            ("video/x-raw(meta:GstVideoOverlayComposition)", Some(Kind::System)),
            ("video/x-raw(memory:CUDAMemory, meta:GstVideoOverlayComposition)", Some(Kind::Cuda)),
            ("video/x-raw(memory:NVMM)", Some(Kind::Nvmm)),
            ("video/x-raw(memory:GLMemory)", None),
        ] {
            assert_eq!(Kind::of(&caps(text)), kind, "{text}");
        }
    }

    #[test]
    fn other_features_stay() {
        let on_gpu = caps("video/x-raw(memory:CUDAMemory, meta:GstVideoOverlayComposition), format=NV12");
        let here = Kind::Cuda.replaced_in(&on_gpu, Kind::System);
        assert_eq!(Kind::of(&here), Some(Kind::System));
        assert!(here.features(0).unwrap().contains("meta:GstVideoOverlayComposition"));
        assert_eq!(here.structure(0), on_gpu.structure(0));
        let there = Kind::System.replaced_in(&caps("video/x-raw, format=NV12"), Kind::Cuda);
        assert_eq!(there, caps("video/x-raw(memory:CUDAMemory), format=NV12"));
    }
}
