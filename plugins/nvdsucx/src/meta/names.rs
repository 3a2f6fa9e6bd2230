//! A bound on the names that a peer makes GStreamer keep.

use std::collections::HashSet;

use gst::glib::Quark;

use super::templates::Templates;
use crate::event::Malformed;

/// Names that may come in the life of an element.
const MAX_NAMES: usize = 16_384;

/// Types of regions that are looked up without GLib.
const MAX_LABELS: usize = 64;

/// Longest of them, in bytes.
const MAX_LENGTH: usize = 1024;

/// The names that have come. GStreamer keeps names of fields, labels and metas for as long as the process lives (as a
/// `GQuark`), so a peer must not be able to invent new ones without end.
#[derive(Debug, Default)]
pub(crate) struct Names {
    all: HashSet<Box<str>>,
    /// Some of them. The same few names come again and again.
    some: Vec<Box<str>>,
    /// Some that are types of regions.
    labels: Vec<(Box<str>, Quark)>,
    pub(super) templates: Templates,
}

impl Names {
    /// Whether `name` may be given to GStreamer.
    pub(crate) fn admit(&mut self, name: &str) -> Result<(), Malformed> {
        let Self { all, some, .. } = self;
        if some.iter().any(|known| **known == *name) || all.contains(name) {
            return Ok(());
        }
        if name.len() > MAX_LENGTH || all.len() >= MAX_NAMES {
            return Err(Malformed(format!(
                "a name of {} bytes, where at most {MAX_LENGTH} are allowed, and at most {MAX_NAMES} different names",
                name.len()
            )));
        }
        all.insert(name.into());
        if some.len() < 8 {
            some.push(name.into());
        }
        Ok(())
    }

    /// What GStreamer keeps the type of a region as, if it may be given to it.
    pub(super) fn label(&mut self, name: &str) -> Result<Quark, Malformed> {
        if let Some((_, quark)) = self.labels.iter().find(|(label, _)| **label == *name) {
            return Ok(*quark);
        }
        self.admit(name)?;
        let quark = Quark::from_str(name);
        if self.labels.len() < MAX_LABELS {
            self.labels.push((name.into(), quark));
        }
        Ok(quark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_end_of_new_names() {
        let mut names = Names::default();
        assert!(names.admit(&"x".repeat(MAX_LENGTH + 1)).is_err());
        for number in 0..MAX_NAMES {
            names.admit(&number.to_string()).unwrap();
        }
        assert!(names.admit("one more").is_err());
        assert!(names.admit("0").is_ok(), "a known one is still good");
    }
}
