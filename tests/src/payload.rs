//! Bytes that can be made again anywhere, and a checksum that finds what is wrong with them.

/// Numbers that depend on a seed only (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// The next number, less than `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        (self.word() % u64::from(end)) as u32
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.word().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

/// `len` bytes that depend on `seed` only.
pub fn generate(seed: u64, len: usize) -> Vec<u8> {
    Random::new(seed).bytes(len)
}

/// A 64-bit checksum after FNV-1a, taken over words of eight bytes because 100 MB are summed too.
pub fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |word: u64| sum = (sum.rotate_left(23) ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        add(u64::from_le_bytes(*word));
    }
    for &byte in tail {
        add(u64::from(byte));
    }
    add(bytes.len() as u64);
    sum
}

#[cfg(test)]
mod tests {
    use super::{checksum, generate};

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(generate(7, 1001), generate(7, 1001));
        assert_eq!(generate(7, 1001)[..13], generate(7, 13));
        assert_ne!(generate(7, 1001), generate(8, 1001));
    }

    #[test]
    fn a_changed_moved_or_missing_byte_changes_the_checksum() {
        let bytes = generate(1, 1003);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0x80;
            assert_ne!(checksum(&bytes), checksum(&other), "byte {at}");
        }
        let mut swapped = bytes.clone();
        swapped.rotate_left(8);
        assert_ne!(checksum(&bytes), checksum(&swapped));
        assert_ne!(checksum(&bytes), checksum(&bytes[..1002]));
        assert_ne!(checksum(&[]), checksum(&[0]));
    }
}
