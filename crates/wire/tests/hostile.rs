//! Damaged bytes: whatever they are, the outcome is a checked value or an error that says something.

mod golden;

use golden::bytes;
use nvdsucx_wire::message::Kind;
use nvdsucx_wire::*;

/// How often bytes were read, and how often refused.
#[derive(Default)]
struct Outcomes {
    read: usize,
    refused: usize,
}

impl Outcomes {
    fn message(&mut self, bytes: &[u8]) {
        match decode_message(bytes) {
            Ok(Some(kind)) => {
                self.read += 1;
                if let Kind::Hello(hello) | Kind::Welcome(hello) = &kind {
                    // Neither answer may panic; a refusal must be one that the peer can read.
                    for ours in [golden::sender(), golden::receiver()] {
                        if let Err(refusal) = accept(&ours, hello) {
                            assert!(!refusal.text.is_empty() && refusal.text.len() <= MAX_REASON);
                        }
                    }
                }
                let again = encode_message(&kind.clone().into());
                assert_eq!(decode_message(&again), Ok(Some(kind)), "{bytes:02x?}");
            }
            Ok(None) => self.read += 1,
            Err(error) => self.refused(&error),
        }
    }

    fn frame(&mut self, header: &[u8], payload_len: u64) {
        match decode_trailer(header, payload_len) {
            Ok(header) => {
                self.read += 1;
                let inline = header.encode_for(1, usize::MAX).inline;
                let arrival = decode_frame(&inline, payload_len);
                assert_eq!(arrival, Ok(FrameArrival::Inline { token: 1, header }));
            }
            Err(error) => self.refused(&error),
        }
    }

    fn refused(&mut self, error: &DecodeError) {
        self.refused += 1;
        assert!(!error.to_string().is_empty());
    }

    fn assert_both(&self) {
        assert!(self.read > 0 && self.refused > 0, "{} read, {} refused", self.read, self.refused);
    }
}

fn truncations(bytes: &[u8], mut each: impl FnMut(&[u8])) {
    for len in 0..bytes.len() {
        each(&bytes[..len]);
    }
}

fn mutations(bytes: &[u8], mut each: impl FnMut(&[u8])) {
    let mut damaged = bytes.to_vec();
    for at in 0..bytes.len() {
        for flip in 1..=u8::MAX {
            damaged[at] = bytes[at] ^ flip;
            each(&damaged);
        }
        damaged[at] = bytes[at];
    }
}

/// Marsaglia's xorshift: the same numbers on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

#[test]
fn truncated_messages() {
    let mut outcomes = Outcomes::default();
    for golden in golden::messages() {
        truncations(&bytes(golden.hex), |damaged| outcomes.message(damaged));
    }
    outcomes.assert_both();
}

#[test]
fn truncated_frame_headers() {
    let mut outcomes = Outcomes::default();
    for golden in golden::frames() {
        truncations(&bytes(golden.hex), |damaged| {
            outcomes.frame(damaged, golden.payload_len);
            outcomes.frame(damaged, 0);
        });
    }
    outcomes.assert_both();
}

#[test]
fn messages_with_one_wrong_byte() {
    let mut outcomes = Outcomes::default();
    for golden in golden::messages() {
        mutations(&bytes(golden.hex), |damaged| outcomes.message(damaged));
    }
    outcomes.assert_both();
}

#[test]
fn frame_headers_with_one_wrong_byte() {
    let mut outcomes = Outcomes::default();
    for golden in golden::frames() {
        mutations(&bytes(golden.hex), |damaged| outcomes.frame(damaged, golden.payload_len));
    }
    outcomes.assert_both();
}

#[test]
fn prefixes_with_one_wrong_byte() {
    let (mut read, mut refused) = (0, 0);
    for golden in golden::frames() {
        let EncodedHeader { inline, trailer } = golden.header.encode_for(7, Prefix::LEN);
        let data_len = golden.payload_len + trailer.len() as u64;
        mutations(&inline, |damaged| match decode_frame(damaged, data_len) {
            Ok(FrameArrival::Trailer { payload_len, trailer_len, .. }) => {
                read += 1;
                assert_eq!(payload_len + u64::from(trailer_len), data_len);
                assert!(trailer_len <= MAX_HEADER);
            }
            Ok(FrameArrival::Inline { header, .. }) => {
                read += 1;
                assert_eq!(header.validate(data_len), Ok(()));
            }
            Err(_) => refused += 1,
        });
    }
    assert!(read > 0 && refused > 0);
}

#[test]
fn spliced_and_random_bytes() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut pool: Vec<Vec<u8>> = golden::messages().iter().map(|golden| bytes(golden.hex)).collect();
    pool.extend(golden::frames().iter().map(|golden| bytes(golden.hex)));
    let mut outcomes = Outcomes::default();
    for _ in 0..20_000 {
        let mut damaged = match random.below(4) {
            0 => {
                let len = random.below(200);
                random.bytes(len)
            }
            _ => pool[random.below(pool.len())].clone(),
        };
        for _ in 0..random.below(4) {
            let at = random.below(damaged.len() + 1);
            let other = &pool[random.below(pool.len())];
            let end = at + random.below(damaged.len() - at + 1);
            damaged.splice(at..end, other[random.below(other.len() + 1)..].iter().copied());
        }
        outcomes.message(&damaged);
        let payload_len = random.next() >> random.below(64);
        outcomes.frame(&damaged, payload_len);
    }
    outcomes.assert_both();
}
