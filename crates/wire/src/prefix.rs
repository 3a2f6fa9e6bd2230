//! What goes in front of the messages: ids, versions, and the fixed beginning of an active message header.

use crate::DecodeError;

/// Newest version of the protocol that is spoken here.
pub const VERSION: u32 = 1;

/// Oldest version of the protocol that is spoken here.
pub const OLDEST_VERSION: u32 = 1;

/// Id of the active message that carries a [`Message`](crate::Message).
pub const AM_CONTROL: u16 = 32;

/// Id of the active message that carries a frame.
pub const AM_FRAME: u16 = 33;

/// The lower half of a native client id, "ucx" in ASCII; its last byte is the protocol version, here 0.
///
/// NVIDIA's elements have the index of an endpoint there, a number below 128.
pub const CLIENT_ID_MAGIC: u32 = u32::from_be_bytes([b'u', b'c', b'x', 0]);

/// The id to send along with a UCP connection request: `random` tells the clients of a server apart.
pub const fn client_id(random: u32) -> u64 {
    ((random as u64) << 32) | (CLIENT_ID_MAGIC | (VERSION & 0xff)) as u64
}

/// The newest protocol version of a peer that sent `id` with its connection request; `None` if it does not speak this
/// protocol at all.
pub const fn is_native_client_id(id: u64) -> Option<u8> {
    let [m0, m1, m2, _] = CLIENT_ID_MAGIC.to_be_bytes();
    match (id as u32).to_be_bytes() {
        [b0, b1, b2, version] if b0 == m0 && b1 == m1 && b2 == m2 && version != 0 => Some(version),
        _ => None,
    }
}

/// The fixed beginning of every active message header, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// What the reader handed out in its `Hello` or `Welcome`; 0 in a `Hello`, since nothing is known of its reader yet.
    pub token: u64,
    /// Length in bytes of the trailer at the end of the data; 0: there is none.
    pub trailer: u32,
}

impl Prefix {
    /// Length of an encoded prefix, in bytes.
    pub const LEN: usize = 12;

    /// The prefix as bytes.
    pub fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.token.to_le_bytes());
        bytes[8..].copy_from_slice(&self.trailer.to_le_bytes());
        bytes
    }

    /// Splits an active message header into its prefix and what follows.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let short =
            DecodeError::Short { what: "an active message header", len: bytes.len(), needed: Self::LEN };
        let Some((token, rest)) = bytes.split_first_chunk() else { return Err(short) };
        let Some((trailer, rest)) = rest.split_first_chunk() else { return Err(short) };
        let prefix = Self { token: u64::from_le_bytes(*token), trailer: u32::from_le_bytes(*trailer) };
        Ok((prefix, rest))
    }
}
