//! Structures as they travel with metas.

use gst::glib;
use gst::{Structure, StructureRef};
use nvdsucx_session::wire;
use wire::structure::Field;
use wire::structure::field::Value;

use super::Names;
use crate::event::{self, Malformed};

/// `structure` for the wire: field by field where all are of simple types, which is fast, else as text.
pub(super) fn to_wire(structure: &StructureRef) -> Result<wire::Structure, Malformed> {
    let name = structure.name().to_string();
    let fields = structure.iter().map(|(name, value)| {
        let value = Some(simple(value)?);
        Some(Field { name: name.to_string(), value })
    });
    if let Some(fields) = fields.collect::<Option<Vec<_>>>()
        && fields.len() <= wire::MAX_FIELDS
    {
        return Ok(wire::Structure { name, fields, text: String::new() });
    }
    let text = event::structure_to_text(structure)?;
    Ok(wire::Structure { name: String::new(), fields: Vec::new(), text })
}

fn simple(value: &glib::Value) -> Option<Value> {
    use glib::Type;
    Some(match value.type_() {
        Type::I32 => Value::Int(value.get().ok()?),
        Type::U32 => Value::Uint(value.get().ok()?),
        Type::I64 => Value::Int64(value.get().ok()?),
        Type::U64 => Value::Uint64(value.get().ok()?),
        Type::F32 => Value::Float(value.get().ok()?),
        Type::F64 => Value::Double(value.get().ok()?),
        Type::BOOL => Value::Boolean(value.get().ok()?),
        // A string that is NULL is none of them.
        Type::STRING => Value::String(value.get().ok()?),
        _ => return None,
    })
}

/// The structure that was.
pub(super) fn from_wire(received: &wire::Structure, names: &Names) -> Result<Structure, Malformed> {
    if !received.text.is_empty() {
        return event::structure_from_text(&received.text);
    }
    names.admit(&received.name)?;
    // The name is checked: GStreamer would refuse others aloud.
    let mut structure = Structure::new_empty(received.name.as_str());
    for Field { name, value } in &received.fields {
        names.admit(name)?;
        let name = name.as_str();
        match value {
            Some(Value::Int(value)) => structure.set(name, value),
            Some(Value::Uint(value)) => structure.set(name, value),
            Some(Value::Int64(value)) => structure.set(name, value),
            Some(Value::Uint64(value)) => structure.set(name, value),
            Some(Value::Float(value)) => structure.set(name, value),
            Some(Value::Double(value)) => structure.set(name, value),
            Some(Value::Boolean(value)) => structure.set(name, value),
            Some(Value::String(value)) => structure.set(name, value.as_str()),
            None => return Err(Malformed(format!("a field `{name}` of a type that is not known here"))),
        }
    }
    Ok(structure)
}
