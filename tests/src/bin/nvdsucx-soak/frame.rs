//! What the streams consist of: frames that say which they are, and whose bytes follow from that.

use nvdsucx_tests::payload::Random;

const MAGIC: u64 = 0x6e76_6473_756b_616f;
/// Bytes of a [`Head`].
const HEAD: usize = 40;
/// The field of the caps that counts them.
pub(crate) const CAPS_NUMBER: &str = "soak";

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Video,
    Audio,
    Text,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Video, Self::Audio, Self::Text];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Text => "text",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn buf_type(self) -> &'static str {
        match self {
            Self::Video => "nvdsucx-buf-video",
            Self::Audio => "nvdsucx-buf-raw-audio",
            Self::Text => "nvdsucx-buf-text",
        }
    }

    /// The caps with this number, and the length of their frames if they have one.
    pub(crate) fn caps(self, number: u32) -> (String, Option<usize>) {
        const SIZES: [(usize, usize); 4] = [(160, 120), (640, 360), (320, 240), (176, 144)];
        const RATES: [u32; 3] = [8000, 44100, 48000];
        let (caps, len) = match self {
            Self::Video => {
                let (width, height) = SIZES[number as usize % SIZES.len()];
                let caps = format!("video/x-raw,format=NV12,width={width},height={height},framerate=30/1");
                (caps, Some(width * height * 3 / 2))
            }
            Self::Audio => {
                let rate = RATES[number as usize % RATES.len()];
                let caps = format!(
                    "audio/x-raw,format=S16LE,layout=interleaved,channels=2,rate={rate},channel-mask=(bitmask)3"
                );
                (caps, None)
            }
            Self::Text => ("text/x-raw,format=utf8".to_owned(), None),
        };
        (format!("{caps},{CAPS_NUMBER}={number}"), len)
    }

    /// The length of a frame whose caps do not tell.
    pub(crate) fn any_len(self, random: &mut Random) -> usize {
        match self {
            // Small ones travel inside of a ring, others in memory beside it.
            Self::Audio if random.below(8) == 0 => 16_384 + 4 * random.below(4096) as usize,
            Self::Audio => 64 + 4 * random.below(1024) as usize,
            _ => 2 * (HEAD + random.below(500) as usize),
        }
    }

    /// Frames in a second.
    pub(crate) fn rate(self) -> u32 {
        match self {
            Self::Video => 30,
            Self::Audio => 50,
            Self::Text => 80,
        }
    }
}

/// Which frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// One run of a sending pipeline; no two have the same.
    pub(crate) session: u64,
    /// Counted from 0 in each session.
    pub(crate) sequence: u64,
    /// Number of its caps.
    pub(crate) caps: u32,
    /// The sender may drop frames.
    pub(crate) leaky: bool,
}

impl Head {
    fn words(self) -> [u64; HEAD / 8] {
        let Self { session, sequence, caps, leaky } = self;
        [MAGIC, session, sequence, caps.into(), leaky.into()]
    }

    fn random(self) -> Random {
        Random::new(self.session.rotate_left(32) ^ self.sequence)
    }

    /// The frame's bytes. A text is made of the digits of half as many.
    pub(crate) fn fill(self, kind: Kind, frame: &mut [u8]) {
        if kind != Kind::Text {
            return self.fill_bytes(frame);
        }
        let mut bytes = vec![0; frame.len() / 2];
        self.fill_bytes(&mut bytes);
        for (digits, byte) in frame.chunks_exact_mut(2).zip(bytes) {
            digits.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
    }

    fn fill_bytes(self, bytes: &mut [u8]) {
        let (head, rest) = bytes.split_at_mut(HEAD);
        for (bytes, word) in head.chunks_exact_mut(8).zip(self.words()) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let mut random = self.random();
        for chunk in rest.chunks_mut(8) {
            chunk.copy_from_slice(&random.word().to_le_bytes()[..chunk.len()]);
        }
    }

    /// Which frame these bytes are, or why they are none that was ever sent.
    pub(crate) fn check(kind: Kind, frame: &[u8]) -> Result<Self, String> {
        if kind != Kind::Text {
            return Self::check_bytes(frame);
        }
        let text = str::from_utf8(frame).map_err(|e| e.to_string())?;
        let byte = |n: usize| u8::from_str_radix(text.get(n..n + 2).unwrap_or("no digits"), 16);
        let bytes: Result<Vec<u8>, _> = (0..text.len()).step_by(2).map(byte).collect();
        Self::check_bytes(&bytes.map_err(|e| e.to_string())?)
    }

    fn check_bytes(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < HEAD {
            return Err(format!("only {} bytes", bytes.len()));
        }
        let (head, rest) = bytes.split_at(HEAD);
        let mut words = head.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let mut next = || words.next().unwrap_or_default();
        let (magic, session, sequence, caps, leaky) = (next(), next(), next(), next(), next());
        if magic != MAGIC || leaky > 1 {
            return Err(format!("begins with {head:02x?}"));
        }
        let caps = u32::try_from(caps).map_err(|e| e.to_string())?;
        let this = Self { session, sequence, caps, leaky: leaky == 1 };
        let mut random = this.random();
        for (n, chunk) in rest.chunks(8).enumerate() {
            let expected = random.word().to_le_bytes();
            if chunk != &expected[..chunk.len()] {
                return Err(format!("{this:?} differs at byte {} of {}", HEAD + 8 * n, bytes.len()));
            }
        }
        Ok(this)
    }
}

fn digit(value: u8) -> u8 {
    b"0123456789abcdef"[usize::from(value)]
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Head, Kind};

    #[test]
    fn a_frame_says_which_it_is_and_any_other_byte_is_found() {
        for (kind, len) in [(Kind::Video, 1003), (Kind::Text, 1002), (Kind::Audio, HEAD)] {
            let head = Head { session: 7 << 32 | 1, sequence: 99, caps: 3, leaky: true };
            let mut frame = vec![0; len];
            head.fill(kind, &mut frame);
            assert_eq!(Head::check(kind, &frame), Ok(head));
            for at in 0..len {
                let mut other = frame.clone();
                other[at] ^= 1;
                assert_ne!(Head::check(kind, &other), Ok(head), "{kind:?}, byte {at}");
            }
        }
    }
}
