//! Control messages: the bytes they are, and what is refused.

mod golden;

use golden::{bytes, hex};
use nvdsucx_wire::message::Kind;
use nvdsucx_wire::stream_event::Event;
use nvdsucx_wire::*;

fn pass_event(event: Event) -> Result<Option<Kind>, DecodeError> {
    let event = StreamEvent { event: Some(event), ..Default::default() };
    decode_message(&encode_message(&Kind::Event(event).into()))
}

#[test]
fn every_kind_keeps_its_bytes() {
    for golden::GoldenMessage { name, kind, hex: expected } in golden::messages() {
        let encoded = hex(&encode_message(&kind.clone().into()));
        assert_eq!(encoded, expected.replace(' ', ""), "encoding of {name}");
        assert_eq!(decode_message(&bytes(expected)), Ok(Some(kind)), "decoding of {name}");
    }
}

#[test]
fn all_kinds_are_golden() {
    let kinds = golden::messages();
    let count = |is: fn(&Kind) -> bool| kinds.iter().filter(|golden| is(&golden.kind)).count();
    assert!(count(|kind| matches!(kind, Kind::Hello(_))) > 0);
    // One arm a kind: a new one does not compile until it is thought of here, and in the table.
    let index = |kind: &Kind| match kind {
        Kind::Hello(_) => 0,
        Kind::Welcome(_) => 1,
        Kind::Refusal(_) => 2,
        Kind::Bye(_) => 3,
        Kind::Ping(_) => 4,
        Kind::Pong(_) => 5,
        Kind::Ack(_) => 6,
        Kind::Upstream(_) => 7,
        Kind::Latency(_) => 8,
        Kind::Event(event) => match event.event.as_ref().unwrap() {
            Event::StreamStart(_) => 9,
            Event::Caps(_) => 10,
            Event::Segment(_) => 11,
            Event::Gap(_) => 12,
            Event::Eos(_) => 13,
            Event::Flush(_) => 14,
            Event::Structured(_) => 15,
            Event::Ring(_) => 20,
            Event::RunningTime(_) => 25,
        },
        Kind::Share(_) => 16,
        Kind::Shared(_) => 17,
        Kind::Memory(_) => 18,
        Kind::MemoryGone(_) => 19,
        Kind::Challenge(_) => 21,
        Kind::Proof(_) => 22,
        Kind::Sealed(_) => 23,
        Kind::Opened(_) => 24,
    };
    let mut seen: Vec<_> = kinds.iter().map(|golden| index(&golden.kind)).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (0..26).collect::<Vec<_>>());
}

#[test]
fn an_unknown_or_absent_kind_is_to_be_skipped() {
    assert_eq!(decode_message(&[]), Ok(None));
    // Field 99 with two bytes of something newer.
    assert_eq!(decode_message(&bytes("9a06 02 0801")), Ok(None));
}

#[test]
fn unknown_fields_are_skipped() {
    // A ping with id 1 and a field 15 that this version does not know.
    assert_eq!(decode_message(&bytes("2a04 0801 7801")), Ok(Some(Kind::Ping(Ping { id: 1, time: 0 }))));
}

#[test]
fn an_unknown_event_keeps_its_sequence_number() {
    // An event with sequence 7 and a field 42.
    let Ok(Some(Kind::Event(event))) = decode_message(&bytes("3a05 0807 d20200")) else { panic!() };
    assert_eq!(event, StreamEvent { sequence: 7, ..Default::default() });
    assert!(!is_sticky(&event));
}

#[test]
fn an_unknown_buffer_type_is_left_to_the_negotiation() {
    let hello = Hello { buffer_type: 77, ..golden::receiver() };
    let Ok(Some(Kind::Hello(read))) = decode_message(&encode_message(&Kind::Hello(hello.clone()).into()))
    else {
        panic!()
    };
    assert_eq!(read, hello);
    assert!(accept(&golden::sender(), &read).is_err());
}

#[test]
fn the_longest_message_is_read_and_a_longer_one_is_not() {
    let caps = |len: usize| {
        let event = StreamEvent { event: Some(Event::Caps("x".repeat(len))), ..Default::default() };
        encode_message(&Kind::Event(event).into())
    };
    let overhead = caps(MAX_MESSAGE / 2).len() - MAX_MESSAGE / 2;
    let longest = caps(MAX_MESSAGE - overhead);
    assert_eq!(longest.len(), MAX_MESSAGE);
    assert!(decode_message(&longest).is_ok());
    let error = decode_message(&caps(MAX_MESSAGE - overhead + 1)).unwrap_err();
    assert_eq!(error.to_string(), "a message has 16777217 bytes, at most 16777216 are allowed");
}

#[test]
fn texts_for_people_are_limited() {
    let limit = |what, len: usize, limit: usize| {
        Err(DecodeError::TooLong { what, len: len as u64, limit: limit as u64 })
    };
    let decode = |kind: Kind| decode_message(&encode_message(&kind.into())).map(|_| ());
    let long = |len| "x".repeat(len);
    let hello = |software, ucx_version| Hello { software, ucx_version, ..golden::sender() };

    assert_eq!(decode(Kind::Hello(hello(long(MAX_HELLO_TEXT), long(MAX_HELLO_TEXT)))), Ok(()));
    let too_long = MAX_HELLO_TEXT + 1;
    assert_eq!(
        decode(Kind::Hello(hello(long(too_long), String::new()))),
        limit("the software name in a hello", too_long, MAX_HELLO_TEXT)
    );
    assert_eq!(
        decode(Kind::Welcome(hello(String::new(), long(too_long)))),
        limit("the UCX version in a hello", too_long, MAX_HELLO_TEXT)
    );
    let devices = Hello { devices: long(too_long), ..golden::sender() };
    assert_eq!(decode(Kind::Welcome(devices)), limit("the devices in a hello", too_long, MAX_HELLO_TEXT));
    assert_eq!(decode(Kind::Bye(Bye { reason: long(MAX_REASON) })), Ok(()));
    assert_eq!(
        decode(Kind::Bye(Bye { reason: long(MAX_REASON + 1) })),
        limit("the reason of a bye", MAX_REASON + 1, MAX_REASON)
    );
    assert_eq!(
        decode(Kind::Opened(Opened { memory: 1, reason: long(MAX_REASON + 1) })),
        limit("the reason for not opening memory", MAX_REASON + 1, MAX_REASON)
    );
    assert_eq!(
        decode(Kind::Refusal(Refusal { reason: 1, text: long(MAX_REASON + 1) })),
        limit("the text of a refusal", MAX_REASON + 1, MAX_REASON)
    );
}

#[test]
fn challenges_and_proofs_have_their_length() {
    let decode = |kind: Kind| decode_message(&encode_message(&kind.into())).map(|_| ());
    for len in [1, 31, 32, 33, 64] {
        let bytes = vec![7; len];
        for (what, kind) in [
            ("the challenge in a hello", Kind::Hello(Hello { challenge: bytes.clone(), ..golden::sender() })),
            ("a challenge", Kind::Challenge(Challenge { challenge: bytes.clone() })),
            ("a proof", Kind::Proof(Proof { proof: bytes.clone() })),
            ("the proof of a sealed message", Kind::Sealed(Sealed { message: vec![], proof: bytes.clone() })),
        ] {
            let expected = match len {
                ..32 => Err(DecodeError::Short { what, len, needed: 32 }),
                32 => Ok(()),
                _ => Err(DecodeError::TooLong { what, len: len as u64, limit: 32 }),
            };
            assert_eq!(decode(kind), expected);
        }
    }
    // Without one, only a hello makes sense.
    assert_eq!(decode(Kind::Hello(golden::sender())), Ok(()));
    assert!(decode(Kind::Challenge(Challenge::default())).is_err());
    assert!(decode(Kind::Proof(Proof::default())).is_err());
    assert!(decode(Kind::Sealed(Sealed::default())).is_err());
}

#[test]
fn texts_have_no_nul() {
    let nul = || "a\0b".to_owned();
    let structured = Structured { structure: nul(), ..Default::default() };
    for event in [
        Event::Caps(nul()),
        Event::StreamStart(StreamStart { stream_id: nul(), ..Default::default() }),
        Event::Structured(structured.clone()),
    ] {
        assert!(matches!(pass_event(event), Err(DecodeError::Nul { .. })));
    }
    let upstream = decode_message(&encode_message(&Kind::Upstream(structured).into()));
    assert_eq!(upstream, Err(DecodeError::Nul { what: "the structure of an upstream event" }));
}

#[test]
fn texts_are_utf8() {
    let error = decode_message(&bytes("2203 0a01 ff")).unwrap_err();
    assert!(matches!(error, DecodeError::Malformed { what: "a message", .. }), "{error}");
}

#[test]
fn rates_are_numbers_and_not_zero() {
    for rate in [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for segment in
            [Segment { rate, ..golden::segment() }, Segment { applied_rate: rate, ..golden::segment() }]
        {
            assert!(matches!(pass_event(Event::Segment(segment)), Err(DecodeError::Rate { .. })), "{rate}");
        }
    }
}
