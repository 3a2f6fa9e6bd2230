//! Fields as bytes, written without the codec.

/// A field that holds bytes.
pub(crate) fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint((u64::from(number) << 3) | 2, &mut bytes);
    varint(content.len() as u64, &mut bytes);
    bytes.extend(content);
    bytes
}

/// A field that holds a number.
pub(crate) fn number(number: u32, value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(u64::from(number) << 3, &mut bytes);
    varint(value, &mut bytes);
    bytes
}

fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
