//! The greetings at the front door: a hello from the connecting side, a welcome or a refusal from the listening side, and
//! between them, where both have a key, a challenge and a proof.
//!
//! Each is the [`PREAMBLE`], the length of a message as four bytes (little-endian), and the [`Message`].

use crate::DecodeError;
use crate::codec::{check_length, decode_message};
use crate::message::Kind;

/// What every greeting begins with: whatever else connects to the port does not say this first.
pub const PREAMBLE: [u8; 8] = *b"nvdsucx\n";

/// Longest message in a greeting, in bytes.
pub const MAX_GREETING: usize = 64 << 10;

const HEAD: usize = PREAMBLE.len() + 4;

/// A greeting that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Greeting<'a> {
    /// What it says.
    pub kind: Kind,
    /// The message as it came, which is what a proof covers: what this version does not know is in it, too.
    pub body: &'a [u8],
}

/// A greeting as bytes. `body` is an encoded [`Message`](crate::Message).
pub fn encode_greeting(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("a greeting is shorter than 4 GiB");
    [PREAMBLE.as_slice(), &len.to_le_bytes(), body].concat()
}

/// Reads a greeting from the bytes that have arrived so far. `None`: more bytes are needed. A greeting of a kind that this
/// version does not know is refused.
pub fn decode_greeting(bytes: &[u8]) -> Result<Option<Greeting<'_>>, DecodeError> {
    let known = bytes.len().min(PREAMBLE.len());
    if bytes[..known] != PREAMBLE[..known] {
        return Err(DecodeError::NotAGreeting);
    }
    let Some(&len) = bytes.get(PREAMBLE.len()..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
    let len = u32::from_le_bytes(len) as usize;
    check_length("a greeting", len, MAX_GREETING)?;
    let Some(body) = bytes.get(HEAD..HEAD + len) else { return Ok(None) };
    let kind = decode_message(body)?.ok_or(DecodeError::NotAGreeting)?;
    Ok(Some(Greeting { kind, body }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode_message;
    use crate::{Message, Ping};

    #[test]
    fn a_greeting_is_read_once_all_of_it_is_there() {
        let kind = Kind::Ping(Ping { id: 7, time: 0 });
        let body = encode_message(&Message::from(kind.clone()));
        let bytes = encode_greeting(&body);
        for len in 0..bytes.len() {
            assert_eq!(decode_greeting(&bytes[..len]), Ok(None), "{len} bytes");
        }
        assert_eq!(decode_greeting(&bytes), Ok(Some(Greeting { kind, body: &body })));
    }

    #[test]
    fn other_openings_are_refused_at_the_first_byte_that_differs() {
        for opening in [b"GET / HTTP/1.1\r\n".as_slice(), b"nvdsucx\r", &[0; 4], b"nvdsucX"] {
            assert_eq!(decode_greeting(opening), Err(DecodeError::NotAGreeting));
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_the_bytes_come() {
        for len in [MAX_GREETING as u32 + 1, u32::MAX] {
            let head = [PREAMBLE.as_slice(), &len.to_le_bytes()].concat();
            assert!(matches!(decode_greeting(&head), Err(DecodeError::TooLong { .. })));
        }
    }
}
