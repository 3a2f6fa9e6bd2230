//! What another codec makes of payloads, ours makes of them, too.

use dsmeta::PayloadKind::{self, Audio, Video};
use dsmeta::{Style, decode, encode};
use proptest::prelude::*;
use proptest::sample::Index;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost::{DecodeError, Message as _};

use crate::field::{field, number};
use crate::{any, sample, schema};

/// The payload as the other codec writes what it read: each field once, in order, and none that it does not know.
fn rewritten(kind: PayloadKind, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    Ok(match kind {
        Video => schema::video::BatchMeta::decode(bytes)?.encode_to_vec(),
        Audio => schema::audio::BatchMeta::decode(bytes)?.encode_to_vec(),
    })
}

/// True if both can read it.
fn is_read_alike(kind: PayloadKind, bytes: &[u8]) -> bool {
    let read = decode(kind, bytes);
    let Ok(rewritten) = rewritten(kind, bytes) else {
        assert!(read.is_err(), "{read:?} in {bytes:x?}");
        return false;
    };
    match (read, decode(kind, &rewritten)) {
        (Ok(batch), Ok(same)) => assert_eq!(batch, same, "in {bytes:x?}"),
        (Err(_), Err(_)) => return false,
        (one, other) => panic!("{one:?} and {other:?} in {bytes:x?}"),
    }
    true
}

/// What can be done to the fields of a message.
#[derive(Clone, Copy, Debug)]
enum Change {
    Repeat,
    Remove,
    Move,
    /// A message becomes two, each with some of its fields.
    Split,
    /// It gets the number of another field.
    Renumber,
    /// A packed list becomes fields.
    Unpack,
}

const CHANGES: [Change; 6] =
    [Change::Repeat, Change::Remove, Change::Move, Change::Split, Change::Renumber, Change::Unpack];

/// Numbers of fields in which there is something special.
const NUMBERS: [u32; 14] = [1, 2, 3, 4, 9, 10, 11, 12, 13, 16, 1000, 1001, 1002, 1004];

#[derive(Clone)]
struct Part {
    number: u32,
    /// Key and value.
    bytes: Vec<u8>,
    /// A text, a list or a message.
    content: Option<Vec<u8>>,
}

/// A message taken apart.
fn parts(mut bytes: &[u8]) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let start = bytes;
        let (number, wire_type) = decode_key(&mut bytes).ok()?;
        let mut value = bytes;
        skip_field(wire_type, number, &mut bytes, DecodeContext::default()).ok()?;
        let content = (wire_type == WireType::LengthDelimited).then(|| {
            decode_varint(&mut value).unwrap();
            value[..value.len() - bytes.len()].to_vec()
        });
        parts.push(Part { number, bytes: start[..start.len() - bytes.len()].to_vec(), content });
    }
    Some(parts)
}

fn joined(parts: &[Part]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.bytes.iter().copied()).collect()
}

/// Changes a field of a message, or of a message in it, and so on as the path goes.
fn changed(bytes: &[u8], path: &[Index], change: Change, other: Index) -> Vec<u8> {
    let parts = parts(bytes).filter(|parts| !parts.is_empty());
    let (Some(mut parts), [index, path @ ..]) = (parts, path) else { return bytes.to_vec() };
    let inner: Vec<_> = (0..parts.len()).filter(|index| parts[*index].content.is_some()).collect();
    if let ([_, ..], [_, ..]) = (path, &*inner) {
        let part = &mut parts[inner[index.index(inner.len())]];
        let content = part.content.as_deref().unwrap_or_default();
        part.bytes = field(part.number, &changed(content, path, change, other));
        return joined(&parts);
    }
    let index = index.index(parts.len());
    let part = parts[index].clone();
    match (change, &part.content) {
        (Change::Repeat, _) => parts.insert(other.index(parts.len() + 1), part),
        (Change::Remove, _) => drop(parts.remove(index)),
        (Change::Move, _) => {
            let to = other.index(parts.len());
            parts.swap(index, to);
        }
        (Change::Renumber, Some(content)) => {
            parts[index].bytes = field(NUMBERS[other.index(NUMBERS.len())], content);
        }
        (Change::Split, Some(content)) => {
            if let Some(inner) = self::parts(content) {
                let (head, tail) = inner.split_at(other.index(inner.len() + 1));
                parts[index].bytes = field(part.number, &joined(head));
                parts.push(Part { bytes: field(part.number, &joined(tail)), ..part });
            }
        }
        (Change::Unpack, Some(content)) => {
            let numbers = content.iter().flat_map(|byte| number(part.number, (byte & 0x7F).into()));
            parts[index].bytes = numbers.collect();
        }
        (Change::Renumber | Change::Split | Change::Unpack, None) => {}
    }
    joined(&parts)
}

fn change() -> impl Strategy<Value = (Vec<Index>, Change, Index)> {
    (prop::collection::vec(any::<Index>(), 1..6), prop::sample::select(&CHANGES[..]), any::<Index>())
}

proptest! {
    #[test]
    fn any_batch_is_written_alike(batch in any::batch()) {
        for style in [Style::Safe, Style::Nvidia] {
            let payload = encode(&batch, style).unwrap();
            assert_eq!(rewritten(payload.kind, &payload.bytes).as_ref(), Ok(&payload.bytes));
        }
    }

    #[test]
    fn any_bytes_are_read_alike(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        is_read_alike(Video, &bytes);
        is_read_alike(Audio, &bytes);
    }

    #[test]
    fn any_damage_is_read_alike(
        batch in any::batch(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut payload = encode(&batch, Style::Nvidia).unwrap();
        for (index, byte) in damage {
            *index.get_mut(&mut payload.bytes) = byte;
        }
        is_read_alike(payload.kind, &payload.bytes);
    }

    #[test]
    fn any_order_and_number_is_read_alike(batch in any::batch(), changes in prop::collection::vec(change(), 1..8)) {
        for style in [Style::Safe, Style::Nvidia] {
            let mut payload = encode(&batch, style).unwrap();
            for (path, change, other) in &changes {
                payload.bytes = changed(&payload.bytes, path, *change, *other);
            }
            is_read_alike(payload.kind, &payload.bytes);
        }
    }
}

#[test]
fn every_damaged_byte_is_read_alike() {
    for batch in [sample::audio(), sample::extended()] {
        let payload = encode(&batch, Style::Safe).unwrap();
        let mut read = 0;
        for len in 0..payload.bytes.len() {
            let cut = &payload.bytes[..len];
            read += usize::from(is_read_alike(payload.kind, cut));
            for flip in [0x01, 0x02, 0x08, 0x80] {
                let mut bytes = payload.bytes.clone();
                bytes[len] ^= flip;
                read += usize::from(is_read_alike(payload.kind, &bytes));
            }
        }
        assert!(read > 0 && read < 5 * payload.bytes.len(), "{read} of {} bytes", payload.bytes.len());
    }
}
