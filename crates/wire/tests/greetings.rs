//! What is said at the front door, whole, in pieces and damaged.

mod golden;

use golden::bytes;
use nvdsucx_wire::*;
use proptest::prelude::*;

/// Reads as a door does: after each piece, until there is something to say.
fn read_in_pieces(said: &[u8], piece: usize) -> Result<Option<(message::Kind, Vec<u8>)>, DecodeError> {
    for end in (piece..said.len()).step_by(piece).chain([said.len()]) {
        if let Some(greeting) = decode_greeting(&said[..end])? {
            return Ok(Some((greeting.kind, greeting.body.to_vec())));
        }
    }
    Ok(None)
}

#[test]
fn a_greeting_is_the_same_in_whatever_pieces_it_comes() {
    for golden in golden::messages() {
        let body = bytes(golden.hex);
        let said = encode_greeting(&body);
        for piece in 1..=said.len() {
            let read = read_in_pieces(&said, piece).unwrap().expect("it is whole");
            assert_eq!(read, (golden.kind.clone(), body.clone()), "{} in pieces of {piece}", golden.name);
        }
    }
}

#[test]
fn the_body_keeps_what_this_version_does_not_know() {
    // A challenge and, in it, a field 99 of something newer.
    let mut body = bytes("7a25 0a20");
    body.extend(golden::CHALLENGE);
    body.extend(bytes("980601"));
    let said = encode_greeting(&body);
    let greeting = decode_greeting(&said).unwrap().unwrap();
    assert_eq!(greeting.kind, message::Kind::Challenge(Challenge { challenge: golden::CHALLENGE.to_vec() }));
    assert_eq!(greeting.body, body);
    assert_ne!(encode_message(&greeting.kind.into()), body);
}

proptest! {
    #[test]
    fn whatever_is_said_is_read_or_refused(said in proptest::collection::vec(any::<u8>(), 0..512)) {
        let framed = encode_greeting(&said);
        for bytes in [said.as_slice(), &framed] {
            match decode_greeting(bytes) {
                Ok(Some(greeting)) => prop_assert!(greeting.body.len() <= bytes.len()),
                Ok(None) => {}
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn a_damaged_greeting_is_read_or_refused_at_the_same_point_in_whatever_pieces(
        which in 0..golden::messages().len(),
        at: proptest::sample::Index,
        flip in 1..=u8::MAX,
        piece in 1_usize..64,
    ) {
        let mut said = encode_greeting(&bytes(golden::messages()[which].hex));
        let at = at.index(said.len());
        said[at] ^= flip;
        prop_assert_eq!(read_in_pieces(&said, piece), read_in_pieces(&said, said.len()));
    }

    #[test]
    fn any_challenge_and_proof_cross(challenge: [u8; PROOF_LEN], proof: [u8; PROOF_LEN], message: Vec<u8>) {
        for kind in [
            message::Kind::Challenge(Challenge { challenge: challenge.to_vec() }),
            message::Kind::Proof(Proof { proof: proof.to_vec() }),
            message::Kind::Sealed(Sealed { message: message.clone(), proof: proof.to_vec() }),
        ] {
            let said = encode_greeting(&encode_message(&kind.clone().into()));
            prop_assert_eq!(decode_greeting(&said).unwrap().unwrap().kind, kind);
        }
    }
}
