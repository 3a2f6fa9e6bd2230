//! Parameters of regions of interest, by the conventions of DL Streamer.
//!
//! | structure | fields | in the model |
//! |---|---|---|
//! | `detection` | `confidence` double, `label_id` int | the object's confidence and class |
//! | `object_id` | `id` int, or uint64 where an int is too small | the tracker's number |
//! | any other | `label` string, `confidence` double, perhaps `label_id` int | a classifier of that name |
//! | `classifier` | as above, `type` string | a classifier whose name cannot name a structure |
//!
//! What a region has beyond them, or in another order, goes along as text.

use std::ops::ControlFlow;

use dsmeta::model::{Classifier, KString, Label, Object, UNTRACKED};
use gst::glib::prelude::*;
use gst::glib::{self, GStr, gstr};
use gst::{Structure, StructureRef};
use gst_newer::value::set;

const DETECTION: &GStr = gstr!("detection");
const CONFIDENCE: &GStr = gstr!("confidence");
const CLASS: &GStr = gstr!("label_id");
const TRACKED: &GStr = gstr!("object_id");
const ID: &GStr = gstr!("id");
const LABEL: &GStr = gstr!("label");
const CLASSIFIER: &GStr = gstr!("classifier");
const TYPE: &GStr = gstr!("type");
/// Not a classification's, for it tells of which frame a region is.
const FRAME: &GStr = gstr!("frame");

/// What [`read`] found.
pub(super) struct Found {
    /// The object says all of it, with `confidence`, so that [`Templates::build`] makes the same again.
    pub(super) exact: bool,
    /// The detection's, if the object's single precision is not enough, or 0.
    pub(super) confidence: f64,
}

/// Takes what `params`, that of the frame not among them, say into `object`.
pub(super) fn read<'a>(params: impl Iterator<Item = &'a StructureRef>, object: &mut Object) -> Found {
    let mut exact = true;
    let mut precise = 0.0;
    let mut order = 0;
    for param in params {
        let (place, complete) = match param.name() {
            name if name == DETECTION => (1, detection(param, object, &mut precise)),
            name if name == TRACKED => (2, tracked(param, object)),
            _ => (3, classification(param, object)),
        };
        // Once each, but for classifications.
        exact &= complete && (place > order || place == 3);
        order = order.max(place);
    }
    Found { exact, confidence: precise }
}

/// Structures to copy: that takes half of the time in which GStreamer makes one, and there may be hundreds, all alike.
pub(super) struct Templates {
    detection: Structure,
    tracked: Structure,
    /// The first ones that came, each with a name or a number of fields of its own.
    classified: Vec<Structure>,
}

/// Most classifications that are kept.
const MAX_CLASSIFIED: usize = 16;

impl Templates {
    pub(super) fn new() -> Self {
        Self {
            detection: Structure::builder_static(DETECTION)
                .field_with_static(CONFIDENCE, 0.0)
                .field_with_static(CLASS, 0)
                .build(),
            tracked: Structure::builder_static(TRACKED).field_with_static(ID, 0).build(),
            classified: Vec::new(),
        }
    }

    /// Hands out the parameters that `object` has by the conventions.
    pub(super) fn build(&mut self, object: &Object, mut add: impl FnMut(Structure)) {
        if object.confidence != 0.0 || object.class_id != 0 {
            add(filled(&self.detection, |index, field| match index {
                0 => set(field, confidence(object)),
                _ => set(field, object.class_id),
            }));
        }
        if object.object_id != UNTRACKED {
            add(filled(&self.tracked, |_, field| match i32::try_from(object.object_id) {
                Ok(id) => set(field, id),
                Err(_) => set(field, object.object_id),
            }));
        }
        for classifier in &object.classifiers {
            classifier.labels.iter().for_each(|label| add(self.classified(classifier, label)));
        }
    }

    fn classified(&mut self, classifier: &Classifier, label: &Label) -> Structure {
        let class = i32::try_from(label.result_class_id).ok().filter(|class| *class != 0);
        let fields = 2 + usize::from(class.is_some());
        let alike = |structure: &&Structure| {
            structure.n_fields() == fields && structure.name() == classifier.classifier_type.as_str()
        };
        if let Some(template) = self.classified.iter().find(alike) {
            return filled(template, |index, field| match index {
                0 => *field = text(label).to_value(),
                1 => set(field, f64::from(label.result_prob)),
                _ => set(field, class.unwrap_or(0)),
            });
        }
        let structure = classified(classifier, label, class);
        // One with a type of its own is not alike.
        if self.classified.len() < MAX_CLASSIFIED && structure.name() != CLASSIFIER {
            self.classified.push(structure.clone());
        }
        structure
    }
}

/// A copy of `template`, of which `fill` sets each field by its index.
fn filled(template: &Structure, mut fill: impl FnMut(usize, &mut glib::Value)) -> Structure {
    let mut structure = template.clone();
    let mut index = 0;
    let _all = structure.map_in_place(|_, field| {
        fill(index, field);
        index += 1;
        ControlFlow::Continue(())
    });
    structure
}

/// `precise` becomes the confidence if the object's precision is not enough.
fn detection(param: &StructureRef, object: &mut Object, precise: &mut f64) -> bool {
    let (Ok(double), class) = (param.get::<f64>(CONFIDENCE), param.get::<i32>(CLASS).ok()) else {
        return false;
    };
    let (confidence, exact) = narrow(double);
    (object.confidence, object.class_id) = (confidence, class.unwrap_or(0));
    *precise = if exact { 0.0 } else { double };
    let kept = exact || confidence != 0.0;
    kept && class.is_some() && param.n_fields() == 2 && (confidence != 0.0 || class != Some(0))
}

/// The detection's, in the precision that it had. Who changed the object's since has not changed both.
fn confidence(object: &Object) -> f64 {
    let precise = object.region.as_ref().map_or(0.0, |region| region.confidence);
    if precise as f32 == object.confidence { precise } else { object.confidence.into() }
}

fn tracked(param: &StructureRef, object: &mut Object) -> bool {
    let id = param.get::<i32>(ID).ok().and_then(|id| u64::try_from(id).ok());
    let large = || param.get::<u64>(ID).ok().filter(|id| *id > i32::MAX as u64);
    let Some(id) = id.or_else(large).filter(|id| *id != UNTRACKED) else { return false };
    object.object_id = id;
    param.n_fields() == 1
}

fn classification(param: &StructureRef, object: &mut Object) -> bool {
    let (Ok(label), Ok(confidence)) = (param.get::<&str>(LABEL), param.get::<f64>(CONFIDENCE)) else {
        return false;
    };
    let (confidence, exact) = narrow(confidence);
    let class = param.get::<i32>(CLASS).ok().and_then(|class| u32::try_from(class).ok());
    let name = param.name();
    let own = (name == CLASSIFIER).then(|| param.get::<&str>(TYPE).ok()).flatten();
    object.classifiers.push(Classifier {
        unique_component_id: 0,
        classifier_type: KString::from_ref(own.unwrap_or(name.as_str())),
        labels: vec![Label {
            result_label: KString::from_ref(label),
            result_class_id: class.unwrap_or(0),
            result_prob: confidence,
            ..Label::default()
        }],
    });
    let known = 2 + usize::from(class.is_some()) + usize::from(own.is_some());
    exact
        && name != FRAME
        && class != Some(0)
        && param.n_fields() == known
        && own.is_none_or(|own| !can_name(own))
}

fn text(label: &Label) -> &str {
    if label.result_label.is_empty() { &label.presult_label } else { &label.result_label }
}

fn classified(classifier: &Classifier, label: &Label, class: Option<i32>) -> Structure {
    let name = classifier.classifier_type.as_str();
    let (name, own) = if can_name(name) { (name, None) } else { (CLASSIFIER.as_str(), Some(name)) };
    Structure::builder(name)
        .field_with_static(LABEL, text(label))
        .field_with_static(CONFIDENCE, f64::from(label.result_prob))
        .field_with_static_if_some(CLASS, class)
        .field_with_static_if_some(TYPE, own)
        .build()
}

/// Whether a classification can have this name: GStreamer takes it, and no convention does.
fn can_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || "/-_.:+".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(rest)
        && ![DETECTION, TRACKED, CLASSIFIER, FRAME].iter().any(|taken| *taken == name)
}

/// `value` in the model's precision, and whether nothing of it got lost. What is no number is 0.
fn narrow(value: f64) -> (f32, bool) {
    let narrow = value as f32;
    if narrow.is_finite() { (narrow, f64::from(narrow) == value) } else { (0.0, false) }
}
