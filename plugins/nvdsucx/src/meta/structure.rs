//! Structures as they travel with metas.

use std::ops::ControlFlow;

use gst::glib;
use gst::{Structure, StructureRef};
use nvdsucx_session::wire;
use wire::structure::Field;
use wire::{FieldValue, ParamWriter};

use super::Names;
use crate::event::{self, Malformed};

/// Puts the fields of `structure` into `to`; false if some can only travel as text.
#[expect(deprecated, reason = "`iter` looks up each field by its name, which takes three times as long")]
pub(super) fn write(structure: &StructureRef, to: &mut ParamWriter<'_>) -> bool {
    structure.n_fields() <= wire::MAX_FIELDS
        && structure.foreach(|name, value| match simple(value) {
            Some(value) => {
                to.field(name.as_str(), value);
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        })
}

fn simple(value: &glib::Value) -> Option<FieldValue<'_>> {
    use glib::Type;
    Some(match value.type_() {
        Type::I32 => FieldValue::Int(value.get().ok()?),
        Type::U32 => FieldValue::Uint(value.get().ok()?),
        Type::I64 => FieldValue::Int64(value.get().ok()?),
        Type::U64 => FieldValue::Uint64(value.get().ok()?),
        Type::F32 => FieldValue::Float(value.get().ok()?),
        Type::F64 => FieldValue::Double(value.get().ok()?),
        Type::BOOL => FieldValue::Boolean(value.get().ok()?),
        // A string that is NULL is none of them.
        Type::STRING => FieldValue::String(value.get().ok()?),
        _ => return None,
    })
}

/// `structure` for the wire.
pub(super) fn to_wire(structure: &StructureRef) -> Result<wire::Structure, Malformed> {
    let field = |(name, value): (_, &glib::SendValue)| {
        let value = Some(simple(value)?.into());
        Some(Field { name: ToString::to_string(name), value })
    };
    let fields: Option<Vec<_>> = structure.iter().map(field).collect();
    let Some(fields) = fields.filter(|fields| fields.len() <= wire::MAX_FIELDS) else {
        let text = event::structure_to_text(structure)?;
        return Ok(wire::Structure { text, ..wire::Structure::default() });
    };
    Ok(wire::Structure { name: structure.name().to_string(), fields, text: String::new() })
}

/// The structure that was.
pub(super) fn from_wire(received: &wire::Structure, names: &mut Names) -> Result<Structure, Malformed> {
    if !received.text.is_empty() {
        return event::structure_from_text(&received.text);
    }
    let fields = received.fields.iter().map(|Field { name, value }| match value {
        Some(value) => Ok((name.as_str(), value.into())),
        None => Err(Malformed(format!("a field `{name}` of a type that is not known here"))),
    });
    build(&received.name, fields, names)
}

/// The parameter of a region that was. `None`: it is not written as it usually is.
pub(super) fn from_param(bytes: &[u8], names: &mut Names) -> Result<Option<Structure>, Malformed> {
    if let Some(structure) = names.templates.fill(bytes) {
        return Ok(Some(structure));
    }
    let Some(received) = wire::Param::read(bytes) else { return Ok(None) };
    if !received.text.is_empty() {
        return event::structure_from_text(received.text).map(Some);
    }
    let structure = build(received.name, received.values().map(Ok), names)?;
    names.templates.keep(&received, &structure);
    Ok(Some(structure))
}

/// The name is checked: GStreamer would refuse others aloud.
fn build<'a>(
    name: &str,
    fields: impl Iterator<Item = Result<(&'a str, FieldValue<'a>), Malformed>>,
    names: &mut Names,
) -> Result<Structure, Malformed> {
    names.admit(name)?;
    let mut structure = Structure::new_empty(name);
    for field in fields {
        let (name, value) = field?;
        names.admit(name)?;
        match value {
            FieldValue::Int(value) => structure.set(name, value),
            FieldValue::Uint(value) => structure.set(name, value),
            FieldValue::Int64(value) => structure.set(name, value),
            FieldValue::Uint64(value) => structure.set(name, value),
            FieldValue::Float(value) => structure.set(name, value),
            FieldValue::Double(value) => structure.set(name, value),
            FieldValue::Boolean(value) => structure.set(name, value),
            FieldValue::String(value) => structure.set(name, value),
        }
    }
    Ok(structure)
}
