//! Tables of contents, which GStreamer gives no text form.

use gst::glib::{self, prelude::*};
use gst::{Event, Structure, StructureRef, TagList, Toc, TocEntry, TocEntryType, TocScope};

use super::Malformed;
use super::structured::field;

/// Chapters within chapters: deeper than any real table, and the text doubles with each level.
const MAX_DEPTH: usize = 8;

/// The event's table as a structure.
pub(super) fn to_structure(event: &gst::event::Toc) -> Structure {
    let (toc, updated) = event.toc();
    let mut structure = Structure::builder("toc")
        .field("scope", toc.scope())
        .field("updated", updated)
        .field("entries", entries(&toc.entries(), 0))
        .build();
    if let Some(tags) = toc.tags() {
        structure.set("tags", tags);
    }
    structure
}

/// The event whose table is `structure`.
pub(super) fn from_structure(structure: &Structure) -> Result<Event, Malformed> {
    let mut toc = Toc::new(field::<TocScope>(structure, "scope")?);
    let updated = field::<bool>(structure, "updated")?;
    let fresh = toc.make_mut();
    if structure.has_field("tags") {
        fresh.set_tags(field::<TagList>(structure, "tags")?);
    }
    for entry in field::<gst::Array>(structure, "entries")?.iter() {
        fresh.append_entry(entry_from(entry, 0)?);
    }
    Ok(gst::event::Toc::new(&toc, updated))
}

fn entries(entries: &[TocEntry], depth: usize) -> gst::Array {
    let below = if depth < MAX_DEPTH { entries } else { &[] };
    gst::Array::new(below.iter().map(|entry| entry_structure(entry, depth).to_send_value()))
}

fn entry_structure(entry: &TocEntry, depth: usize) -> Structure {
    let mut structure =
        Structure::builder("entry").field("type", entry.entry_type()).field("uid", entry.uid()).build();
    if let Some((start, stop)) = entry.start_stop_times() {
        structure.set("start", start);
        structure.set("stop", stop);
    }
    if let Some(tags) = entry.tags() {
        structure.set("tags", tags);
    }
    let below = entry.sub_entries();
    if !below.is_empty() {
        structure.set("entries", entries(&below, depth + 1));
    }
    structure
}

fn entry_from(value: &glib::SendValue, depth: usize) -> Result<TocEntry, Malformed> {
    let structure = value
        .get::<Structure>()
        .map_err(|err| Malformed(format!("an entry of a table of contents: {err}")))?;
    let structure: &StructureRef = &structure;
    if depth > MAX_DEPTH {
        return Err(Malformed("a table of contents that is too deep".to_owned()));
    }
    let mut entry =
        TocEntry::new(field::<TocEntryType>(structure, "type")?, &field::<String>(structure, "uid")?);
    let fresh = entry.make_mut();
    if structure.has_field("start") {
        fresh.set_start_stop_times(field(structure, "start")?, field(structure, "stop")?);
    }
    if structure.has_field("tags") {
        fresh.set_tags(field::<TagList>(structure, "tags")?);
    }
    if structure.has_field("entries") {
        for below in field::<gst::Array>(structure, "entries")?.iter() {
            fresh.append_sub_entry(entry_from(below, depth + 1)?);
        }
    }
    Ok(entry)
}
