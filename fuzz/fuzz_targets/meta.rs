//! A meta of a frame.
//!
//! The input is the length of the frame's payload in eight bytes, little-endian, and the meta.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nvdsucx_wire::meta::Kind;
use nvdsucx_wire::{Param, Region, Shape, decode_meta, encode_meta};

fuzz_target!(|input: &[u8]| {
    let Some((payload_len, bytes)) = input.split_first_chunk() else { return };
    let payload_len = u64::from_le_bytes(*payload_len);
    // Who reads less reads the same.
    if let Some(region) = Region::read(bytes) {
        let params = region.params().map(|param| param.values().count()).count();
        let read = decode_meta(bytes, payload_len).expect("what one accepts the other does");
        assert!(
            matches!(read, Some(Kind::Region(other)) if other.r#type == region.r#type && other.params.len() == params)
        );
    }
    if let Some(region) = Region::head(bytes) {
        shapes(region.raw_params().collect());
    }
    match decode_meta(bytes, payload_len) {
        Ok(None) => (),
        Ok(Some(kind)) => {
            // Compared as bytes: a number that is none is not equal to itself.
            let again = encode_meta(kind);
            let kind = decode_meta(&again, payload_len).expect("what was accepted is accepted again");
            assert_eq!(kind.map(encode_meta), Some(again));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

/// What has the shape of another parameter is read as any is.
fn shapes(params: Vec<&[u8]>) {
    let good = params.iter().filter_map(|bytes| Param::read(bytes)).find(|param| param.text.is_empty());
    let Some(shape) = good.map(|param| Shape::of(&param)) else { return };
    for bytes in params {
        let Some(mut values) = shape.values(bytes) else { continue };
        let all: Vec<_> = std::iter::from_fn(|| values.next_value()).collect();
        if values.is_finished() {
            let read = Param::read(bytes).expect("what one accepts the other does");
            let other: Vec<_> = read.values().map(|(_, value)| value).collect();
            assert_eq!(format!("{all:?}"), format!("{other:?}"));
        }
    }
}
