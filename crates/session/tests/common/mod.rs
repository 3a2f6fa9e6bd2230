//! Settings that the tests share.
#![allow(dead_code, unreachable_pub)] // no test uses all of it

pub mod stranger;

use std::sync::Arc;
use std::time::Duration;

use nvdsucx_session::wire::BufferType;
use nvdsucx_session::{
    Config, HostAllocator, OnDisconnect, Overflow, Payload, ReceiverConfig, SenderConfig, Side,
};

/// Long enough for whatever is to happen.
pub const SOON: Duration = Duration::from_secs(10);

pub fn config(side: Side, port: u16) -> Config {
    Config {
        side,
        // Another address than the loopback's, to run over the network that has it.
        address: std::env::var("NVDSUCX_TEST_ADDRESS").unwrap_or_else(|_| "127.0.0.1".to_owned()),
        port,
        buffer_type: BufferType::Any,
        high_performance: true,
        // By messages, except in the files that are about the other way.
        zero_copy: env!("CARGO_CRATE_NAME").contains("mapped"),
        connect_timeout: Some(SOON),
        longest_pause: Duration::from_secs(1),
        // With valgrind one thread at a time runs, and a peer may say nothing for many seconds.
        peer_timeout: Some(6 * SOON),
        busy_poll: Duration::ZERO,
        on_disconnect: OnDisconnect::Fail,
        max_peers: 8,
        key: None,
        name: "test".to_owned(),
    }
}

pub fn sender_config() -> SenderConfig {
    SenderConfig {
        window_frames: 8,
        window_bytes: 32 << 20,
        window_time: None,
        wanted_peers: 1,
        wait_for_peers: true,
        overflow: Overflow::Wait,
        device: None,
    }
}

pub fn receiver_config() -> ReceiverConfig {
    ReceiverConfig {
        allocator: Arc::new(HostAllocator),
        device: None,
        buffers: 4,
        initial_size: 0,
        max_frame_size: 256 << 20,
        max_held: 1 << 30,
        measure_clock: false,
    }
}

/// The bytes of a received frame, wherever they are.
pub fn bytes(payload: &Payload) -> Vec<u8> {
    match payload {
        Payload::Landed(landed) => landed.host_bytes().unwrap().to_vec(),
        Payload::Copied(copied) => copied.as_ref().to_vec(),
        Payload::Mapped(mapped) => {
            mapped.regions().iter().flat_map(|region| region.host_bytes().unwrap()).copied().collect()
        }
    }
}
