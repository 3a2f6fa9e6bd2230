//! What is sent arrives; what arrives is a batch or an error.

use dsmeta::PayloadKind::{Audio, Video};
use dsmeta::{Batch, PayloadKind, Style, decode, encode};
use proptest::prelude::*;

use crate::{any, sample};

const STYLES: [Style; 2] = [Style::Safe, Style::Nvidia];

fn survives(batch: &Batch, style: Style) {
    let payload = encode(batch, style).unwrap();
    assert_eq!(decode(payload.kind, &payload.bytes).as_ref(), Ok(batch), "{style:?}");
}

/// Whatever the bytes: true if they are a batch.
fn is_batch(kind: PayloadKind, bytes: &[u8]) -> bool {
    match decode(kind, bytes) {
        Ok(batch) => {
            STYLES.into_iter().for_each(|style| survives(&batch, style));
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

proptest! {
    #[test]
    fn any_batch_survives(batch in any::batch()) {
        STYLES.into_iter().for_each(|style| survives(&batch, style));
    }

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        is_batch(Video, &bytes);
        is_batch(Audio, &bytes);
    }

    #[test]
    fn any_damage_is_taken(
        batch in any::batch(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut payload = encode(&batch, Style::Safe).unwrap();
        for (index, byte) in damage {
            *index.get_mut(&mut payload.bytes) = byte;
        }
        is_batch(Video, &payload.bytes);
        is_batch(Audio, &payload.bytes);
    }
}

#[test]
fn samples_survive() {
    for batch in [sample::video(), sample::audio(), sample::extended()] {
        STYLES.into_iter().for_each(|style| survives(&batch, style));
    }
    for batch in [Batch::Video(Default::default()), Batch::Audio(Default::default())] {
        let payload = encode(&batch, Style::Safe).unwrap();
        assert!(is_batch(payload.kind, &payload.bytes));
    }
}

#[test]
fn every_damaged_byte_is_taken() {
    for batch in [sample::audio(), sample::extended()] {
        for style in STYLES {
            let payload = encode(&batch, style).unwrap();
            let (mut batches, mut errors) = (0, 0);
            let mut count = |bytes: &[u8]| match is_batch(payload.kind, bytes) {
                true => batches += 1,
                false => errors += 1,
            };
            for len in 0..payload.bytes.len() {
                count(&payload.bytes[..len]);
                for flip in [0x01, 0x80, 0xFF] {
                    let mut bytes = payload.bytes.clone();
                    bytes[len] ^= flip;
                    count(&bytes);
                }
            }
            assert!(batches > 0 && errors > 0, "{batches} batches, {errors} errors");
        }
    }
}
