//! Frame headers: the bytes they are, where they ride, and what is refused.

mod golden;

use golden::{bytes, hex};
use nvdsucx_wire::*;

const TOKEN: u64 = 0x0807_0605_0403_0201;

fn refused(header: &FrameHeader, payload_len: u64) -> DecodeError {
    let error = header.validate(payload_len).unwrap_err();
    // The same comes of reading it, whichever way it rides.
    let inline = header.encode_for(TOKEN, usize::MAX).inline;
    assert_eq!(decode_frame(&inline, payload_len), Err(error.clone()));
    assert_eq!(decode_trailer(&header.encode_for(TOKEN, 0).trailer, payload_len), Err(error.clone()));
    error
}

#[test]
fn a_prefix_keeps_its_bytes() {
    let prefix = Prefix { token: TOKEN, trailer: 0x0c0b_0a09 };
    assert_eq!(hex(&prefix.encode()), "0102030405060708090a0b0c");
    assert_eq!(Prefix::decode(&bytes("0102030405060708090a0b0c ff")), Ok((prefix, &[0xff][..])));
}

#[test]
fn a_short_prefix_is_refused() {
    for len in 0..Prefix::LEN {
        let error = Prefix::decode(&[0; Prefix::LEN][..len]).unwrap_err();
        assert_eq!(error, DecodeError::Short { what: "an active message header", len, needed: 12 });
        assert_eq!(decode_frame(&[0; Prefix::LEN][..len], 0), Err(error));
    }
}

#[test]
fn a_client_id_tells_native_peers_from_others() {
    assert_eq!(client_id(0xdead_beef), 0xdead_beef_7563_7801);
    assert_eq!(is_native_client_id(client_id(0)), Some(1));
    assert_eq!(is_native_client_id(client_id(u32::MAX)), Some(1));
    assert_eq!(is_native_client_id(0x7563_7802), Some(2));
    assert_eq!(is_native_client_id(CLIENT_ID_MAGIC.into()), None);
    for slot in 0..128 {
        assert_eq!(is_native_client_id(client_id(1) & !0xffff_ffff | slot), None);
    }
}

#[test]
fn a_header_keeps_its_bytes() {
    for golden::GoldenFrame { name, header, payload_len, hex: expected } in golden::frames() {
        let encoded = header.encode_for(TOKEN, usize::MAX);
        assert_eq!(
            hex(&encoded.inline),
            "010203040506070800000000".to_owned() + &expected.replace(' ', ""),
            "{name}"
        );
        assert!(encoded.trailer.is_empty());
        let arrival = decode_frame(&encoded.inline, payload_len);
        assert_eq!(arrival, Ok(FrameArrival::Inline { token: TOKEN, header }), "{name}");
    }
}

#[test]
fn a_header_rides_inline_if_it_fits_and_as_trailer_if_not() {
    let golden::GoldenFrame { header, payload_len, hex: expected, .. } = golden::frames().swap_remove(0);
    let len = bytes(expected).len();

    let fits = header.encode_for(TOKEN, Prefix::LEN + len);
    assert_eq!((fits.inline.len(), fits.trailer.len()), (Prefix::LEN + len, 0));

    let rides_behind = header.encode_for(TOKEN, Prefix::LEN + len - 1);
    assert_eq!((rides_behind.inline.len(), rides_behind.trailer.len()), (Prefix::LEN, len));
    assert_eq!(
        decode_frame(&rides_behind.inline, payload_len + len as u64),
        Ok(FrameArrival::Trailer { token: TOKEN, payload_len, trailer_len: len as u32 })
    );
    assert_eq!(decode_trailer(&rides_behind.trailer, payload_len), Ok(header));
}

#[test]
fn a_trailer_must_fit_the_data() {
    let header = Prefix { token: TOKEN, trailer: 100 }.encode();
    assert_eq!(
        decode_frame(&header, 100),
        Ok(FrameArrival::Trailer { token: TOKEN, payload_len: 0, trailer_len: 100 })
    );
    assert_eq!(decode_frame(&header, 99), Err(DecodeError::TrailerPastData { trailer: 100, data: 99 }));
}

#[test]
fn a_trailer_is_limited() {
    let frame = |trailer| decode_frame(&Prefix { token: TOKEN, trailer }.encode(), u64::MAX);
    assert!(frame(MAX_HEADER).is_ok());
    let error = DecodeError::TooLong { what: "the trailer of a frame", len: 1_048_577, limit: 1_048_576 };
    assert_eq!(frame(MAX_HEADER + 1), Err(error));
    let error = decode_trailer(&vec![0; MAX_HEADER as usize + 1], 0).unwrap_err();
    assert_eq!(error.to_string(), "a frame header has 1048577 bytes, at most 1048576 are allowed");
}

#[test]
fn two_headers_are_refused() {
    let mut header = Prefix { token: TOKEN, trailer: 2 }.encode().to_vec();
    header.extend([8, 1]);
    assert_eq!(decode_frame(&header, 10), Err(DecodeError::TwoHeaders { inline: 2, trailer: 2 }));
}

#[test]
fn memories_add_up_to_the_payload() {
    let header = |memories| FrameHeader { memories, ..Default::default() };
    assert_eq!(header(vec![0, 3, 4]).validate(7), Ok(()));
    let error = refused(&header(vec![3, 4]), 8);
    assert_eq!(error.to_string(), "the memories are 7 bytes together, the payload has 8");
    refused(&header(vec![]), 1);
    assert_eq!(refused(&header(vec![u64::MAX, 1]), 0), DecodeError::MemoriesOverflow);
}

#[test]
fn memories_and_metas_are_counted() {
    let memories = |count| FrameHeader { memories: vec![0; count], ..Default::default() };
    assert_eq!(memories(MAX_MEMORIES).validate(0), Ok(()));
    assert_eq!(
        refused(&memories(MAX_MEMORIES + 1), 0).to_string(),
        "65 memories in a frame, at most 64 are allowed"
    );

    let metas = |count| FrameHeader { metas: vec![vec![]; count], ..Default::default() };
    assert_eq!(metas(MAX_METAS).validate(0), Ok(()));
    assert_eq!(
        refused(&metas(MAX_METAS + 1), 0).to_string(),
        "4097 metas in a frame, at most 4096 are allowed"
    );
}
