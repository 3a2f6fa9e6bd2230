//! Every kind of message and the bytes it has been since version 1 of the protocol.
//!
//! These bytes are what older releases send and understand. A change of the schema that makes one of them fail breaks
//! the connection to those releases: add fields and messages, never change the ones there are.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod metas;

use nvdsucx_wire::message::Kind;
use nvdsucx_wire::refusal::Reason;
use nvdsucx_wire::stream_event::Event;
use nvdsucx_wire::*;

/// A control message and its bytes.
pub struct GoldenMessage {
    /// Also the name of the fuzzer's seed.
    pub name: &'static str,
    pub kind: Kind,
    pub hex: &'static str,
}

/// A frame header and its bytes, without the prefix.
pub struct GoldenFrame {
    /// Also the name of the fuzzer's seed.
    pub name: &'static str,
    pub header: FrameHeader,
    pub payload_len: u64,
    pub hex: &'static str,
}

pub fn messages() -> Vec<GoldenMessage> {
    let message = |name, kind, hex| GoldenMessage { name, kind, hex };
    let event = |name, event, hex| {
        let kind = Kind::Event(StreamEvent {
            sequence: 7,
            seqnum: 300,
            running_time_offset: -5,
            event: Some(event),
        });
        GoldenMessage { name, kind, hex }
    };
    vec![
        message(
            "hello",
            Kind::Hello(sender()),
            "0a5a0801100119010203040506070820012804320d6e76647375637820302e312e303a06312e31332e3142070804108080800849017863750403020150c0b8025d0100007f62156220343032363533313833392030207838365f3634",
        ),
        message(
            "welcome",
            Kind::Welcome(receiver()),
            "12510801100119090000000000000020022804320d6e76647375637820302e312e303a06312e31332e3149017863750403020150c0b8025d0100007f62156220343032363533313833392030207838365f3634",
        ),
        message(
            "refusal",
            Kind::Refusal(Refusal { reason: Reason::Full.into(), text: "1 of 1 connections in use".into() }),
            "1a1d0804121931206f66203120636f6e6e656374696f6e7320696e20757365",
        ),
        message("bye", Kind::Bye(Bye { reason: "stopped".into() }), "22090a0773746f70706564"),
        message("ping", Kind::Ping(Ping { id: 1, time: 0 }), "2a020801"),
        message("pong", Kind::Pong(Ping { id: u64::MAX, time: 0 }), "320b08ffffffffffffffffff01"),
        message(
            "pong-time",
            Kind::Pong(Ping { id: 1, time: 0x1122_3344_5566_7788 }),
            "320b0801118877665544332211",
        ),
        message("ack", Kind::Ack(Ack { sequence: 1_000_000 }), "420408c0843d"),
        message(
            "latency",
            Kind::Latency(Latency { live: true, min: 20_000_000, max: Some(40_000_000) }),
            "520c08011080dac4091880b48913",
        ),
        message("latency-unlimited", Kind::Latency(Latency { live: false, min: 0, max: None }), "5200"),
        message(
            "upstream",
            Kind::Upstream(Structured {
                kind: EventKind::Qos.into(),
                structure: "GstEventQOS, proportion=(double)0.5;".into(),
                seqnum: 12,
            }),
            "4a2a082012244773744576656e74514f532c2070726f706f7274696f6e3d28646f75626c6529302e353b180c",
        ),
        event(
            "stream-start",
            Event::StreamStart(StreamStart { stream_id: "abc/0".into(), flags: 1, group_id: Some(0) }),
            "3a14080710ac021809220b0a056162632f3010011800",
        ),
        event(
            "caps",
            Event::Caps("text/x-raw, format=(string)utf8".into()),
            "3a28080710ac0218092a1f746578742f782d7261772c20666f726d61743d28737472696e672975746638",
        ),
        event(
            "segment",
            Event::Segment(segment()),
            "3a2b080710ac0218093222080111000000000000f03f1900000000000000c02003280130023803400448055006",
        ),
        event(
            "gap",
            Event::Gap(Gap { pts: 1_000_000_000, duration: Some(0), flags: 1 }),
            "3a13080710ac0218093a0a088094ebdc0310001801",
        ),
        event("eos", Event::Eos(Eos {}), "3a09080710ac0218094200"),
        event("flush", Event::Flush(Flush { reset_time: true }), "3a0b080710ac0218094a020801"),
        message(
            "share",
            Kind::Share(Share { ring: Some(memory()), secret: 0x1122_3344_5566_7788 }),
            "5a1f0a1408031100705634127f0000188080402203010203118877665544332211",
        ),
        message("shared", Kind::Shared(Shared { mapped: true, reason: "why".into() }), "620708011203776879"),
        message("memory", Kind::Memory(memory()), "6a1408031100705634127f0000188080402203010203"),
        message(
            "memory-device",
            Kind::Memory(SharedMemory { device: true, ..memory() }),
            "6a1608031100705634127f00001880804022030102032801",
        ),
        message("opened", Kind::Opened(Opened { memory: 3, reason: "why".into() }), "f2010708031203776879"),
        message("memory-gone", Kind::MemoryGone(3), "7003"),
        message(
            "hello-challenge",
            Kind::Hello(Hello { version: 1, challenge: CHALLENGE.to_vec(), ..Hello::default() }),
            "0a2408016a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        ),
        message(
            "refusal-key",
            Kind::Refusal(Refusal { reason: Reason::Key.into(), text: "x".into() }),
            "1a050805120178",
        ),
        message(
            "challenge",
            Kind::Challenge(Challenge { challenge: CHALLENGE.to_vec() }),
            "7a220a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        ),
        message(
            "proof",
            Kind::Proof(Proof { proof: CHALLENGE.to_vec() }),
            "8201220a20000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        ),
        message(
            "sealed",
            Kind::Sealed(Sealed { message: vec![0x70, 3], proof: CHALLENGE.to_vec() }),
            "8a01260a0270031220000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        ),
        event("ring", Event::Ring(Ring {}), "3a09080710ac0218095a00"),
        event(
            "running-time",
            Event::RunningTime(RunningTime { zero: -2 }),
            "3a12080710ac021809620909feffffffffffffff",
        ),
        event(
            "tag",
            Event::Structured(Structured {
                kind: EventKind::Tag.into(),
                structure: "taglist, title=(string)x;".into(),
                seqnum: 0,
            }),
            "3a26080710ac021809521d080112197461676c6973742c207469746c653d28737472696e6729783b",
        ),
    ]
}

pub fn frames() -> Vec<GoldenFrame> {
    vec![
        GoldenFrame {
            name: "video",
            header: FrameHeader {
                sequence: 8,
                pts: Some(0),
                dts: Some(40_000_000),
                duration: Some(33_333_333),
                offset: Some(1),
                offset_end: Some(2),
                flags: 0x40,
                memories: vec![2_073_600, 1_036_800],
                metas: vec![encode_meta(meta::Kind::Video(layout()))],
            },
            payload_len: 3_110_400,
            hex: "080810001880b4891320d5c0f20f280130023840420680c87e80a43f4a1c0a1a080112044e56313218800f20b8082a04 \
             0080c87e3204801eff1d",
        },
        GoldenFrame {
            name: "text",
            header: FrameHeader { sequence: 1, pts: Some(1), memories: vec![5], ..Default::default() },
            payload_len: 5,
            hex: "08011001420105",
        },
        GoldenFrame { name: "empty", header: FrameHeader::default(), payload_len: 0, hex: "" },
    ]
}

/// Bytes from 0 to 31.
pub const CHALLENGE: [u8; 32] = {
    let mut bytes = [0; 32];
    let mut n = 0;
    while n < 32 {
        bytes[n] = n as u8;
        n += 1;
    }
    bytes
};

pub fn sender() -> Hello {
    Hello {
        version: 1,
        oldest_version: 1,
        token: 0x0807_0605_0403_0201,
        role: Role::Sender.into(),
        buffer_type: BufferType::Text.into(),
        software: "nvdsucx 0.1.0".into(),
        ucx_version: "1.13.1".into(),
        window: Some(Window { frames: 4, bytes: 1 << 24 }),
        ucx_client_id: 0x0102_0304_7563_7801,
        ucx_port: 40_000,
        ucx_ipv4: 0x7F00_0001,
        host: "b 4026531839 0 x86_64".into(),
        ..Hello::default()
    }
}

pub fn memory() -> SharedMemory {
    SharedMemory { id: 3, address: 0x7f12_3456_7000, len: 1 << 20, key: vec![1, 2, 3], device: false }
}

pub fn receiver() -> Hello {
    Hello { token: 9, role: Role::Receiver.into(), window: None, ..sender() }
}

pub fn segment() -> Segment {
    Segment {
        flags: 1,
        rate: 1.0,
        applied_rate: -2.0,
        format: 3,
        base: Some(1),
        offset: Some(2),
        start: Some(3),
        stop: Some(4),
        time: Some(5),
        position: Some(6),
        duration: None,
    }
}

pub fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A layout for 3 110 400 bytes.
pub fn layout() -> VideoMeta {
    VideoMeta {
        flags: 1,
        format: "NV12".into(),
        width: 1920,
        height: 1080,
        offsets: vec![0, 2_073_600],
        strides: vec![1920, -1920],
        ..VideoMeta::default()
    }
}
