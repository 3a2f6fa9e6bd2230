//! Records of a ring in shared memory, as a receiver reads them: one after the other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nvdsucx_wire::{MAX_SPANS, RecordHead, RecordKind, Span, decode_event, decode_trailer};

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    while let Some(fixed) = rest.first_chunk() {
        let Ok(head) = RecordHead::decode(fixed, rest.len() as u64) else { return };
        assert_eq!(RecordHead::decode(&head.encode(), head.len.into()), Ok(head));
        let (record, after) = rest.split_at(head.len as usize);
        rest = after;
        if head.kind == RecordKind::Pad {
            continue;
        }
        assert!(usize::from(head.spans) <= MAX_SPANS);
        let spans = &record[RecordHead::LEN..head.head_start()];
        let spans = spans.as_chunks().0.iter().map(Span::decode);
        let elsewhere = spans.fold(0_u64, |sum, span| sum.saturating_add(span.len));
        let bytes = &record[head.head_start()..][..head.head_len as usize];
        let payload = &record[head.payload_start()..][..head.payload_len as usize];
        match head.kind {
            RecordKind::Frame => {
                let len = elsewhere.saturating_add(payload.len() as u64);
                if let Ok(header) = decode_trailer(bytes, len) {
                    assert_eq!(header.memories.iter().sum::<u64>(), len);
                }
            }
            _ => drop(decode_event(bytes)),
        }
    }
});
