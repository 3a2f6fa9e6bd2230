//! Counts what a payload holds before anything of it is allocated.
//!
//! Two bytes are enough for an empty object, which takes hundreds once it is parsed.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::Error;
use crate::limits::{Counted, Tally, at_most};

/// The fields of a message in which lists are.
pub(crate) type Message = [(u32, Field)];

pub(crate) enum Field {
    /// A list of messages or texts that have no lists themselves.
    Leaves(Counted),
    /// A list of messages.
    List(Counted, &'static Message),
    /// A message.
    One(&'static Message),
    /// A list of numbers: four each.
    Numbers,
}

use Field::{Leaves, List, Numbers, One};

/// Two lists of four numbers are the most that a message has.
const MAX_NUMBERS: usize = 8;

pub(crate) const VIDEO: &Message = &[(4, List(Counted::Frames, FRAME)), (6, Numbers), (7, Numbers)];
const FRAME: &Message = &[
    (15, List(Counted::Objects, OBJECT)),
    (16, List(Counted::Displays, DISPLAY)),
    (18, Numbers),
    (21, Numbers),
    (1000, List(Counted::Displays, DISPLAY)),
    (1002, One(ANALYTICS)),
];
const OBJECT: &Message = &[
    (13, List(Counted::Classifiers, CLASSIFIER)),
    (15, Numbers),
    (16, Numbers),
    (1001, List(Counted::Classifiers, CLASSIFIER)),
    (1004, One(REGION)),
];
const CLASSIFIER: &Message = &[(4, Leaves(Counted::Labels))];
const DISPLAY: &Message = &[
    (7, Leaves(Counted::Shapes)),
    (8, Leaves(Counted::Shapes)),
    (9, Leaves(Counted::Shapes)),
    (10, Leaves(Counted::Shapes)),
    (11, Leaves(Counted::Shapes)),
    (12, Numbers),
    (13, Numbers),
];
const REGION: &Message = &[(7, Leaves(Counted::Params))];
const ANALYTICS: &Message = &[(1, List(Counted::Analytics, ITEM)), (2, Leaves(Counted::Relations))];
const ITEM: &Message = &[(2, One(CLASSIFICATION))];
const CLASSIFICATION: &Message = &[(1, Leaves(Counted::Classes))];

pub(crate) const AUDIO: &Message = &[(4, List(Counted::Frames, AUDIO_FRAME)), (6, Numbers), (7, Numbers)];
const AUDIO_FRAME: &Message = &[
    (17, List(Counted::Classifiers, CLASSIFIER)),
    (19, Numbers),
    (20, Numbers),
    (1001, List(Counted::Classifiers, CLASSIFIER)),
];

/// Walks through an encoded message.
pub(crate) fn scan(mut bytes: &[u8], message: &Message, tally: &mut Tally) -> Result<(), Error> {
    let mut numbers = 0;
    while !bytes.is_empty() {
        let (tag, wire_type) = decode_key(&mut bytes)?;
        let value = value(tag, wire_type, &mut bytes)?;
        let Some((_, field)) = message.iter().find(|(number, _)| *number == tag) else { continue };
        match field {
            Leaves(what) => tally.add(*what, 1)?,
            List(what, inner) => {
                tally.add(*what, 1)?;
                scan(value, inner, tally)?;
            }
            One(inner) => scan(value, inner, tally)?,
            Numbers => {
                // Each ends with the only byte of it that has no mark.
                numbers += value.iter().filter(|byte| **byte < 0x80).count();
                at_most("numbers in the lists of four of a message", numbers, MAX_NUMBERS)?;
            }
        }
    }
    Ok(())
}

/// The bytes of a field behind its key and its length.
fn value<'a>(tag: u32, wire_type: WireType, bytes: &mut &'a [u8]) -> Result<&'a [u8], Error> {
    let start = *bytes;
    if wire_type == WireType::LengthDelimited {
        let mut rest = start;
        let len = usize::try_from(decode_varint(&mut rest)?).unwrap_or(usize::MAX);
        if let Some((value, rest)) = rest.split_at_checked(len) {
            *bytes = rest;
            return Ok(value);
        }
    }
    // Here a length past the end becomes an error.
    skip_field(wire_type, tag, bytes, DecodeContext::default())?;
    Ok(&start[..start.len() - bytes.len()])
}
