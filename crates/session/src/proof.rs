//! What both ends prove to each other: that they have the key, and that they heard what the other said.
//!
//! The proofs cover all that was said, as it came. Each side has put random bytes into it, so no proof fits another
//! connection; and the sides' labels differ, so none fits the other way.

use std::io;

use hmac::Mac;
use nvdsucx_wire::PROOF_LEN;

use crate::Key;

const CONNECTING: &str = "nvdsucx 1 proof of the connecting side";
const LISTENING: &str = "nvdsucx 1 proof of the listening side";
const TOKEN_OF_CONNECTING: &str = "nvdsucx 1 token of the connecting side";
const TOKEN_OF_LISTENING: &str = "nvdsucx 1 token of the listening side";

/// What was said first, as bytes.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    pub(crate) hello: Vec<u8>,
    pub(crate) challenge: Vec<u8>,
}

/// What the sides put before their messages over UCX, known only to who has the key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Before messages to the connecting side.
    pub(crate) connecting: u64,
    /// Before messages to the listening side.
    pub(crate) listening: u64,
}

impl Transcript {
    /// The connecting side's proof.
    pub(crate) fn prove(&self, key: &Key) -> Vec<u8> {
        key.mac(CONNECTING, &[&self.hello, &self.challenge]).finalize().into_bytes().to_vec()
    }

    /// Whether it is the connecting side's proof.
    pub(crate) fn is_proved(&self, key: &Key, proof: &[u8]) -> bool {
        // Takes the same time wherever they differ.
        key.mac(CONNECTING, &[&self.hello, &self.challenge]).verify_slice(proof).is_ok()
    }

    /// The listening side's proof of its answer.
    pub(crate) fn seal(&self, key: &Key, answer: &[u8]) -> Vec<u8> {
        key.mac(LISTENING, &[&self.hello, &self.challenge, answer]).finalize().into_bytes().to_vec()
    }

    /// Whether it is the listening side's proof of its answer.
    pub(crate) fn is_sealed(&self, key: &Key, answer: &[u8], proof: &[u8]) -> bool {
        key.mac(LISTENING, &[&self.hello, &self.challenge, answer]).verify_slice(proof).is_ok()
    }

    /// The tokens of a connection that begins with this answer.
    pub(crate) fn tokens(&self, key: &Key, answer: &[u8]) -> Tokens {
        let token = |label| {
            let bytes = key.mac(label, &[&self.hello, &self.challenge, answer]).finalize().into_bytes();
            u64::from_le_bytes(*bytes.first_chunk().expect("longer than that"))
        };
        Tokens { connecting: token(TOKEN_OF_CONNECTING), listening: token(TOKEN_OF_LISTENING) }
    }
}

/// What nobody has seen before.
pub(crate) fn challenge() -> io::Result<Vec<u8>> {
    random::<PROOF_LEN>().map(Vec::from)
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> Key {
        Key::new(secret.into(), "test").unwrap()
    }

    fn transcript() -> Transcript {
        Transcript { hello: b"hello".to_vec(), challenge: b"challenge".to_vec() }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What other releases compute: made with another implementation of HMAC.
    #[test]
    fn proofs_and_tokens_keep_their_values() {
        let (key, said) = (key("0123456789abcdef"), transcript());
        assert_eq!(
            hex(&said.prove(&key)),
            "f6a467e72f7baf8f636ff0378d1816fabbbda40f6a49432578111a635350ad48"
        );
        assert_eq!(
            hex(&said.seal(&key, b"answer")),
            "5d4aef6dc0b1ad2c171851f3ab5600dcaf965ca8cbbace108911cb4b99e3a042"
        );
        let tokens = Tokens { connecting: 0xb758_c9d7_7707_2da2, listening: 0x7174_75d6_7d9d_d01e };
        assert_eq!(said.tokens(&key, b"answer"), tokens);
    }

    #[test]
    fn a_proof_holds_for_what_was_said_and_this_key_only() {
        let (right, said) = (key("0123456789abcdef"), transcript());
        let proof = said.prove(&right);
        assert!(said.is_proved(&right, &proof));
        assert!(!said.is_proved(&key("0123456789abcdeF"), &proof));
        for (hello, challenge) in
            [("hellO", "challenge"), ("hello", "challengE"), ("helloc", "hallenge"), ("", "")]
        {
            let other = Transcript { hello: hello.into(), challenge: challenge.into() };
            assert!(!other.is_proved(&right, &proof), "{hello} {challenge}");
        }
        for at in 0..proof.len() {
            let mut damaged = proof.clone();
            damaged[at] ^= 1;
            assert!(!said.is_proved(&right, &damaged));
            assert!(!said.is_proved(&right, &proof[..at]), "cut short");
        }
    }

    #[test]
    fn a_seal_holds_for_one_answer_and_no_proof_is_a_seal() {
        let (right, said) = (key("0123456789abcdef"), transcript());
        let seal = said.seal(&right, b"answer");
        assert!(said.is_sealed(&right, b"answer", &seal));
        assert!(!said.is_sealed(&right, b"Answer", &seal));
        assert!(!said.is_sealed(&key("0123456789abcdeF"), b"answer", &seal));
        assert!(!said.is_sealed(&right, b"", &said.prove(&right)), "given back to who said it");
        assert!(!said.is_proved(&right, &said.seal(&right, b"")), "given back to who said it");
    }

    #[test]
    fn challenges_do_not_come_twice() {
        assert_ne!(challenge().unwrap(), challenge().unwrap());
    }
}
