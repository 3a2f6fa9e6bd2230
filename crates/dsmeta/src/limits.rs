//! How much there may be, so that a payload alone does not decide how much memory reading it takes.

use crate::Error;

/// Longest payload, in bytes.
pub const MAX_PAYLOAD: usize = 16 << 20;

/// Most memory that reading a payload takes, whatever is in it, in bytes: what has a limit below is counted before
/// there is memory for it.
pub const MAX_READING: usize = 256 << 20;

/// Most frames of a batch, and most it may have room for.
pub const MAX_FRAMES: usize = 1024;

/// Most objects of a batch.
pub const MAX_OBJECTS: usize = 1 << 16;

/// Most classifiers of a batch.
pub const MAX_CLASSIFIERS: usize = 1 << 16;

/// Most labels of a batch.
pub const MAX_LABELS: usize = 1 << 17;

/// Most display metas of a batch.
pub const MAX_DISPLAYS: usize = 1024;

/// Most shapes of a kind in a display meta: DeepStream has room for no more.
pub const MAX_SHAPES: usize = 16;

/// Most parameters of the regions of interest of a batch.
pub const MAX_PARAMS: usize = 1 << 17;

/// Most items of analytics metadata of a batch.
pub const MAX_ANALYTICS: usize = 1 << 16;

/// Most classes in the analytics metadata of a batch.
pub const MAX_CLASSES: usize = 1 << 17;

/// Most relations in the analytics metadata of a batch.
pub const MAX_RELATIONS: usize = 1 << 17;

/// What is counted over a whole batch.
#[derive(Clone, Copy)]
pub(crate) enum Counted {
    Frames,
    Objects,
    Classifiers,
    Labels,
    Displays,
    Shapes,
    Params,
    Analytics,
    Classes,
    Relations,
}

impl Counted {
    const COUNT: usize = Self::Relations as usize + 1;

    fn limit(self) -> (&'static str, usize) {
        match self {
            Self::Frames => ("frames", MAX_FRAMES),
            Self::Objects => ("objects", MAX_OBJECTS),
            Self::Classifiers => ("classifiers", MAX_CLASSIFIERS),
            Self::Labels => ("labels", MAX_LABELS),
            Self::Displays => ("display metas", MAX_DISPLAYS),
            Self::Shapes => ("shapes", MAX_DISPLAYS * MAX_SHAPES * 5),
            Self::Params => ("parameters of regions", MAX_PARAMS),
            Self::Analytics => ("items of analytics metadata", MAX_ANALYTICS),
            Self::Classes => ("classes of analytics metadata", MAX_CLASSES),
            Self::Relations => ("relations of analytics metadata", MAX_RELATIONS),
        }
    }
}

/// How many there are so far.
#[derive(Default)]
pub(crate) struct Tally([usize; Counted::COUNT]);

impl Tally {
    pub(crate) fn add(&mut self, what: Counted, count: usize) -> Result<(), Error> {
        let sum = &mut self.0[what as usize];
        *sum = sum.saturating_add(count);
        let (what, limit) = what.limit();
        at_most(what, *sum, limit)
    }
}

pub(crate) fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), Error> {
    if count > limit {
        return Err(Error::TooMany { what, count, limit });
    }
    Ok(())
}
