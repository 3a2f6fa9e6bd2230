//! Structures that came before, to be copied: that takes half of the time in which GStreamer makes one.

use std::ops::ControlFlow;
use std::sync::Mutex;

use gst::Structure;
use gst::glib::{self, prelude::*};
use nvdsucx_session::wire::{FieldValue, Param};

/// Structures that are kept: a detector, a tracker and some classifiers have one each.
const MAX: usize = 16;

/// Kept for parameters of regions, of which there may be hundreds on a frame, all alike.
#[derive(Debug, Default)]
pub(crate) struct Templates(Mutex<Vec<Template>>);

#[derive(Debug)]
struct Template {
    name: Box<str>,
    fields: Vec<(Box<str>, glib::Type)>,
    /// Texts in it are empty.
    structure: Structure,
}

impl Template {
    fn is_of(&self, param: &Param<'_>) -> bool {
        let mut values = param.values();
        let mut fields = self.fields.iter();
        let same = |(name, type_): &(Box<str>, glib::Type)| {
            values.next().is_some_and(|(other, value)| **name == *other && *type_ == type_of(&value))
        };
        *self.name == *param.name && fields.all(same) && values.next().is_none()
    }
}

impl Templates {
    /// `param`, if one with the same fields is kept.
    pub(super) fn fill(&self, param: &Param<'_>) -> Option<Structure> {
        let templates = self.0.lock().unwrap();
        let mut structure = templates.iter().find(|template| template.is_of(param))?.structure.clone();
        set(&mut structure, param.values().map(|(_, value)| value));
        Some(structure)
    }

    /// Keeps what `param` became.
    pub(super) fn keep(&self, param: &Param<'_>, structure: &Structure) {
        let fields = param.values().map(|(name, value)| (name.into(), type_of(&value))).collect::<Vec<_>>();
        let mut templates = self.0.lock().unwrap();
        // If two fields have the same name, the structure has one.
        if templates.len() < MAX && fields.len() == structure.n_fields() {
            let mut structure = structure.clone();
            let without_text = param.values().map(|(_, value)| match value {
                FieldValue::String(_) => FieldValue::String(""),
                other => other,
            });
            set(&mut structure, without_text);
            templates.push(Template { name: param.name.into(), fields, structure });
        }
    }
}

/// Sets the fields of `structure`, which are of the types of `values`, in order.
fn set<'a>(structure: &mut Structure, mut values: impl Iterator<Item = FieldValue<'a>>) {
    let _all = structure.map_in_place(|_, field| {
        if let Some(value) = values.next() {
            *field = to_value(value);
        }
        ControlFlow::Continue(())
    });
}

pub(super) fn to_value(value: FieldValue<'_>) -> glib::Value {
    match value {
        FieldValue::Int(value) => value.to_value(),
        FieldValue::Uint(value) => value.to_value(),
        FieldValue::Int64(value) => value.to_value(),
        FieldValue::Uint64(value) => value.to_value(),
        FieldValue::Float(value) => value.to_value(),
        FieldValue::Double(value) => value.to_value(),
        FieldValue::Boolean(value) => value.to_value(),
        FieldValue::String(value) => value.to_value(),
    }
}

fn type_of(value: &FieldValue<'_>) -> glib::Type {
    match value {
        FieldValue::Int(_) => glib::Type::I32,
        FieldValue::Uint(_) => glib::Type::U32,
        FieldValue::Int64(_) => glib::Type::I64,
        FieldValue::Uint64(_) => glib::Type::U64,
        FieldValue::Float(_) => glib::Type::F32,
        FieldValue::Double(_) => glib::Type::F64,
        FieldValue::Boolean(_) => glib::Type::BOOL,
        FieldValue::String(_) => glib::Type::STRING,
    }
}
