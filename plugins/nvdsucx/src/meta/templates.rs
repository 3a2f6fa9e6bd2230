//! Structures that came before, to be copied: that takes half of the time in which GStreamer makes one.

use std::ops::ControlFlow;

use gst::Structure;
use gst::glib::{self, prelude::*};
use gst_newer::value;
use nvdsucx_session::wire::{FieldValue, Param, Shape};

/// Structures that are kept: a detector, a tracker and some classifiers have one each.
const MAX: usize = 16;

/// Kept for parameters of regions, of which there may be hundreds on a frame, all alike.
#[derive(Debug, Default)]
pub(crate) struct Templates(Vec<Template>);

#[derive(Debug)]
struct Template {
    shape: Shape,
    /// As the first one of that shape, but texts are empty.
    structure: Structure,
}

impl Templates {
    /// The parameter in `bytes`, if one of the same shape is kept.
    pub(super) fn fill(&self, bytes: &[u8]) -> Option<Structure> {
        self.0.iter().find_map(|Template { shape, structure }| {
            let mut values = shape.values(bytes)?;
            let mut structure = structure.clone();
            set(&mut structure, || values.next_value());
            values.is_finished().then_some(structure)
        })
    }

    /// Keeps what `param` became.
    pub(super) fn keep(&mut self, param: &Param<'_>, structure: &Structure) {
        let mut values = param.values().map(|(_, value)| match value {
            FieldValue::String(_) => FieldValue::String(""),
            other => other,
        });
        // If two fields have the same name, the structure has one.
        if self.0.len() < MAX && param.values().count() == structure.n_fields() {
            let mut structure = structure.clone();
            set(&mut structure, || values.next());
            self.0.push(Template { shape: Shape::of(param), structure });
        }
    }
}

/// Sets the fields of `structure`, which are of the types of the values, in order.
fn set<'a>(structure: &mut Structure, mut next: impl FnMut() -> Option<FieldValue<'a>>) {
    let _all = structure.map_in_place(|_, field| match next() {
        Some(value) => {
            set_field(field, value);
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    });
}

fn set_field(field: &mut glib::Value, value: FieldValue<'_>) {
    match value {
        FieldValue::Int(value) => value::set(field, value),
        FieldValue::Uint(value) => value::set(field, value),
        FieldValue::Int64(value) => value::set(field, value),
        FieldValue::Uint64(value) => value::set(field, value),
        FieldValue::Float(value) => value::set(field, value),
        FieldValue::Double(value) => value::set(field, value),
        FieldValue::Boolean(value) => value::set(field, value),
        FieldValue::String(value) => *field = value.to_value(),
    }
}
