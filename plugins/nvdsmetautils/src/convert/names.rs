//! Names from elsewhere that become GLib quarks: types of regions, names of classifiers.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dsmeta::model::VideoBatch;
use gst::glib::Quark;

use crate::Error;

/// Most names that are taken in which the process did not have. GLib keeps each for as long as the process lives, so that a
/// peer could fill the memory with ever new ones.
const MAX_NEW: usize = 1 << 14;

/// Longest of them, in bytes.
const MAX_LENGTH: usize = 1024;

/// Names that are compared before they are hashed.
const FEW: usize = 8;

static NEW: AtomicUsize = AtomicUsize::new(0);

/// Whether there is room for the names in `batch`.
pub(super) fn check(batch: &VideoBatch) -> Result<(), Error> {
    let objects = batch.frames.iter().flat_map(|frame| &frame.objects);
    let names = objects.flat_map(|object| {
        let classifiers = object.classifiers.iter().map(|classifier| classifier.classifier_type.as_str());
        std::iter::once(object.label.as_str()).chain(classifiers)
    });
    // Most are one of a few.
    let (mut few, mut seen) = (Vec::with_capacity(FEW), HashSet::new());
    let mut fresh = 0;
    for name in names {
        if few.contains(&name) || !seen.insert(name) {
            continue;
        }
        if few.len() < FEW {
            few.push(name);
        }
        if Quark::try_from_str(name).is_some() {
            continue;
        }
        if name.len() > MAX_LENGTH {
            return Err(Error::Name { len: name.len(), limit: MAX_LENGTH });
        }
        fresh += 1;
    }
    NEW.fetch_update(Relaxed, Relaxed, |count| Some(count + fresh).filter(|sum| *sum <= MAX_NEW))
        .map(|_| ())
        .map_err(|_| Error::Names { limit: MAX_NEW })
}
