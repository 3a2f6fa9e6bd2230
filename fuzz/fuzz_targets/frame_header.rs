//! The header of a frame, inline and as a trailer.
//!
//! The input is the length of the data in eight bytes, little-endian, the length of the active message header in one byte,
//! that header, and the trailer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nvdsucx_wire::{
    FrameArrival, FrameHeader, MAX_HEADER, MAX_MEMORIES, Prefix, decode_frame, decode_trailer,
};

fuzz_target!(|input: &[u8]| {
    let Some((data_len, rest)) = input.split_first_chunk() else { return };
    let data_len = u64::from_le_bytes(*data_len);
    let Some((am_header_len, rest)) = rest.split_first() else { return };
    let (am_header, trailer) = rest.split_at(usize::from(*am_header_len).min(rest.len()));

    match decode_frame(am_header, data_len) {
        Ok(FrameArrival::Inline { token, header }) => check(&header, token, data_len),
        Ok(FrameArrival::Trailer { token, payload_len, trailer_len }) => {
            assert!(trailer_len <= MAX_HEADER);
            assert_eq!(payload_len.checked_add(trailer_len.into()), Some(data_len));
            if let Ok(header) = decode_trailer(trailer, payload_len) {
                check(&header, token, payload_len);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

/// What was accepted keeps its promises, and can be said again either way.
fn check(header: &FrameHeader, token: u64, payload_len: u64) {
    assert_eq!(header.validate(payload_len), Ok(()));
    assert!(header.memories.len() <= MAX_MEMORIES);
    assert_eq!(header.memories.iter().sum::<u64>(), payload_len);

    let inline = header.encode_for(token, usize::MAX);
    assert!(inline.trailer.is_empty());
    let arrival = FrameArrival::Inline { token, header: header.clone() };
    assert_eq!(decode_frame(&inline.inline, payload_len).as_ref(), Ok(&arrival));

    let behind = header.encode_for(token, Prefix::LEN);
    let Some(data_len) = payload_len.checked_add(behind.trailer.len() as u64) else { return };
    if behind.trailer.is_empty() {
        // A header of defaults only has no bytes: it always fits.
        assert_eq!(decode_frame(&behind.inline, payload_len), Ok(arrival));
    } else {
        let trailer_len = behind.trailer.len() as u32;
        let arrival = FrameArrival::Trailer { token, payload_len, trailer_len };
        assert_eq!(decode_frame(&behind.inline, data_len), Ok(arrival));
        assert_eq!(decode_trailer(&behind.trailer, payload_len).as_ref(), Ok(header));
    }
}
