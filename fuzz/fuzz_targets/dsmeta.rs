//! Payloads of analytics metadata, as video and as audio.
#![no_main]

use dsmeta::{Batch, MAX_FRAMES, PayloadKind, Style, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for kind in [PayloadKind::Video, PayloadKind::Audio] {
        let batch = match decode(kind, input) {
            Ok(batch) => batch,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                continue;
            }
        };
        let (room, frames) = match &batch {
            Batch::Video(batch) => (batch.max_frames_in_batch as usize, batch.frames.len()),
            Batch::Audio(batch) => (batch.max_frames_in_batch as usize, batch.frames.len()),
        };
        assert!(frames <= room && (1..=MAX_FRAMES).contains(&room));
        // What was read can be said again, and then means the same.
        for style in [Style::Safe, Style::Nvidia] {
            let payload = encode(&batch, style).unwrap();
            assert_eq!(payload.kind, kind);
            assert_eq!(decode(kind, &payload.bytes).as_ref(), Ok(&batch));
        }
    }
});
