//! Events that travel as the text of their structure.

use gst::{Event, EventRef, EventType, Structure};
use nvdsucx_session::wire::{self, EventKind};

use super::{Malformed, kind_of, toc, without_nul};

/// The kind of a downstream event that travels as text.
pub(super) fn downstream_kind(event: &EventRef) -> Option<EventKind> {
    Some(match event.type_() {
        EventType::Tag => EventKind::Tag,
        EventType::Toc => EventKind::Toc,
        EventType::Protection => EventKind::Protection,
        EventType::SegmentDone => EventKind::SegmentDone,
        EventType::StreamGroupDone => EventKind::StreamGroupDone,
        EventType::InstantRateChange => EventKind::InstantRateChange,
        EventType::CustomDownstream => EventKind::CustomDownstream,
        EventType::CustomDownstreamSticky => EventKind::CustomDownstreamSticky,
        EventType::CustomDownstreamOob => EventKind::CustomDownstreamOob,
        EventType::CustomBoth => EventKind::CustomBoth,
        EventType::CustomBothOob => EventKind::CustomBothOob,
        _ => return None,
    })
}

/// The kind of an upstream event that travels.
pub(super) fn upstream_kind(event: &EventRef) -> Option<EventKind> {
    Some(match event.type_() {
        EventType::Qos => EventKind::Qos,
        EventType::Reconfigure => EventKind::Reconfigure,
        EventType::Navigation => EventKind::Navigation,
        EventType::CustomUpstream => EventKind::CustomUpstream,
        EventType::CustomBoth => EventKind::CustomBoth,
        EventType::CustomBothOob => EventKind::CustomBothOob,
        _ => return None,
    })
}

/// `event` as text. Fails if it holds what has no text form, a pointer for example.
pub(super) fn to_wire(kind: EventKind, event: &EventRef) -> Result<wire::Structured, Malformed> {
    let structure = match (event.view(), event.structure()) {
        // GStreamer gives a table of contents no text form.
        (gst::EventView::Toc(toc), _) => Some(toc::to_structure(toc)),
        (_, structure) => structure.map(ToOwned::to_owned),
    };
    let text = structure.as_deref().map(to_text).transpose()?.unwrap_or_default();
    Ok(wire::Structured { kind: kind.into(), structure: text, seqnum: 0 })
}

/// `structure` as text. Fails if it holds what has no text form, a pointer for example.
pub(crate) fn to_text(structure: &gst::StructureRef) -> Result<String, Malformed> {
    // GStreamer 1.24 and newer have a short name for this type, which older ones do not know. In a string there would be
    // backslashes before the brackets.
    let text = structure.to_string().replace("(caps)", "(GstCaps)");
    // What the other side would do is tried here, where the cause can still be named.
    let copy = parse(&text)?;
    if structure.fields().any(|field| copy.value(field).is_err()) {
        return Err(Malformed(format!("`{text}` is not all there")));
    }
    Ok(text)
}

/// The downstream event that `received` describes.
pub(super) fn downstream_from_wire(received: &wire::Structured) -> Result<Event, Malformed> {
    let kind = kind_of(received)?;
    let structure = parse(&received.structure)?;
    Ok(match kind {
        EventKind::Tag => tag(&structure)?,
        EventKind::Toc => toc::from_structure(&structure)?,
        EventKind::Protection => protection(&structure)?,
        EventKind::SegmentDone => segment_done(&structure)?,
        EventKind::StreamGroupDone => {
            let group = field::<u32>(&structure, "group-id")?;
            let mut event = gst::event::StreamGroupDone::new(gst::GroupId::next());
            event.make_mut().structure_mut().set("group-id", group);
            event
        }
        EventKind::InstantRateChange => {
            let rate = field::<f64>(&structure, "rate")?;
            if !rate.is_finite() || rate == 0.0 {
                return Err(Malformed(format!("a rate of {rate}")));
            }
            gst::event::InstantRateChange::new(rate, field(&structure, "flags")?)
        }
        EventKind::CustomDownstream => gst::event::CustomDownstream::new(structure),
        EventKind::CustomDownstreamSticky => gst::event::CustomDownstreamSticky::new(structure),
        EventKind::CustomDownstreamOob => gst::event::CustomDownstreamOob::new(structure),
        EventKind::CustomBoth => gst::event::CustomBoth::new(structure),
        EventKind::CustomBothOob => gst::event::CustomBothOob::new(structure),
        EventKind::Unspecified
        | EventKind::Qos
        | EventKind::Reconfigure
        | EventKind::Navigation
        | EventKind::CustomUpstream => return Err(wrong_way(kind, "downstream")),
    })
}

/// The upstream event that `received` describes.
pub(super) fn upstream_from_wire(received: &wire::Structured) -> Result<Event, Malformed> {
    let kind = kind_of(received)?;
    if kind == EventKind::Reconfigure {
        return Ok(gst::event::Reconfigure::new());
    }
    let structure = parse(&received.structure)?;
    Ok(match kind {
        EventKind::Qos => qos(&structure)?,
        EventKind::Navigation => gst::event::Navigation::new(structure),
        EventKind::CustomUpstream => gst::event::CustomUpstream::new(structure),
        EventKind::CustomBoth => gst::event::CustomBoth::new(structure),
        EventKind::CustomBothOob => gst::event::CustomBothOob::new(structure),
        _ => return Err(wrong_way(kind, "upstream")),
    })
}

fn tag(structure: &Structure) -> Result<Event, Malformed> {
    let mut tags = field::<gst::TagList>(structure, "taglist")?;
    // The scope is in the name only; the text of a tag list leaves it out.
    let scope = match structure.name().as_str() {
        "GstTagList-global" => gst::TagScope::Global,
        "GstTagList-stream" => gst::TagScope::Stream,
        other => return Err(Malformed(format!("tags of unknown scope `{other}`"))),
    };
    tags.make_mut().set_scope(scope);
    Ok(gst::event::Tag::new(tags))
}

fn protection(structure: &Structure) -> Result<Event, Malformed> {
    let system = field::<String>(structure, "system_id")?;
    let data = field::<gst::Buffer>(structure, "data")?;
    let origin = structure.has_field("origin").then(|| field::<String>(structure, "origin")).transpose()?;
    // Both become part of the name of the event's structure.
    for part in [Some(&system), origin.as_ref()].into_iter().flatten() {
        if !part.chars().all(is_name_character) {
            return Err(Malformed(format!("`{part}` as the system or the origin of a protection")));
        }
    }
    Ok(gst::event::Protection::builder(&system, &data).origin_if_some(origin.as_deref()).build())
}

fn segment_done(structure: &Structure) -> Result<Event, Malformed> {
    let format = field::<gst::Format>(structure, "format")?;
    let position = field::<i64>(structure, "position")?;
    Ok(gst::event::SegmentDone::new(gst::format::GenericFormattedValue::new(format, position)))
}

fn qos(structure: &Structure) -> Result<Event, Malformed> {
    let diff = field::<i64>(structure, "diff")?;
    let timestamp = super::clock_time(Some(field::<u64>(structure, "timestamp")?));
    let proportion = field::<f64>(structure, "proportion")?;
    // GStreamer returns no event at all for a difference that reaches back before time 0.
    if timestamp.is_some_and(|timestamp| diff < 0 && diff.unsigned_abs() > timestamp.nseconds()) {
        return Err(Malformed(format!("a QoS difference of {diff} ns at {timestamp:?}")));
    }
    if !proportion.is_finite() {
        return Err(Malformed(format!("a QoS proportion of {proportion}")));
    }
    Ok(gst::event::Qos::builder(field(structure, "type")?, proportion, diff).timestamp(timestamp).build())
}

/// The field `name`, if it is there and of that type.
pub(crate) fn field<T>(structure: &gst::StructureRef, name: &str) -> Result<T, Malformed>
where
    T: for<'a> gst::glib::value::FromValue<'a>,
{
    structure
        .get::<T>(name)
        .map_err(|err| Malformed(format!("`{}` without a usable `{name}`: {err}", structure.name())))
}

/// A structure from its text.
pub(crate) fn parse(text: &str) -> Result<Structure, Malformed> {
    without_nul(text, "a structure")?;
    gst_newer::text::check("a structure", text).map_err(|err| Malformed(err.to_string()))?;
    let bad = || Malformed(format!("a structure that this GStreamer does not understand: `{text}`"));
    // GStreamer warns aloud of a name it does not like.
    let name_end = text.find([',', ';', '(']).unwrap_or(text.len());
    let name = text[..name_end].trim();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(is_name_character) {
        return Err(bad());
    }
    // Parsed as caps, because GStreamer's parser of structures prints a warning, and no error, for what follows one.
    let caps = text.parse::<gst::Caps>().map_err(|_| bad())?;
    let plain =
        caps.features(0).is_some_and(|features| features.is_equal(&gst::CAPS_FEATURES_MEMORY_SYSTEM_MEMORY));
    match caps.structure(0) {
        Some(structure) if caps.size() == 1 && plain => Ok(structure.to_owned()),
        _ => Err(bad()),
    }
}

/// As `gst_structure_validate_name` has it.
fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/-_.:+".contains(c)
}

fn wrong_way(kind: EventKind, way: &str) -> Malformed {
    Malformed(format!("an event of kind {} on its way {way}", kind.as_str_name()))
}
