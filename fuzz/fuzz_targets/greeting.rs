//! What is said at the front door, read as it comes: byte by byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nvdsucx_wire::message::Kind;
use nvdsucx_wire::{MAX_GREETING, PREAMBLE, PROOF_LEN, decode_greeting, decode_message, encode_greeting};

fuzz_target!(|input: &[u8]| {
    for end in 0..=input.len() {
        match decode_greeting(&input[..end]) {
            Ok(None) => {}
            Ok(Some(greeting)) => {
                // The last byte was the one that made it whole.
                assert_eq!(PREAMBLE.len() + 4 + greeting.body.len(), end);
                assert!(greeting.body.len() <= MAX_GREETING);
                assert_eq!(encode_greeting(greeting.body), input[..end]);
                assert_eq!(decode_message(greeting.body), Ok(Some(greeting.kind.clone())));
                match greeting.kind {
                    Kind::Hello(hello) | Kind::Welcome(hello) => {
                        assert!([0, PROOF_LEN].contains(&hello.challenge.len()));
                    }
                    Kind::Challenge(challenge) => assert_eq!(challenge.challenge.len(), PROOF_LEN),
                    Kind::Proof(proof) => assert_eq!(proof.proof.len(), PROOF_LEN),
                    Kind::Sealed(sealed) => {
                        assert_eq!(sealed.proof.len(), PROOF_LEN);
                        // What a door does with it once the proof is right.
                        drop(decode_message(&sealed.message));
                    }
                    _ => {}
                }
                return;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return;
            }
        }
    }
});
