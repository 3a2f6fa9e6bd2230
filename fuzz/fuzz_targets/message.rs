//! Control messages, as a connection sees them: one after the other.
//!
//! The input is a row of messages, each behind its length in two bytes, little-endian.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nvdsucx_wire::message::Kind;
use nvdsucx_wire::{
    BufferType, Hello, MAX_REASON, MAX_STICKY, Role, StickyEvents, accept, decode_message, encode_message,
    is_sticky, ucx_compatible,
};

fuzz_target!(|input: &[u8]| {
    let mut sticky = StickyEvents::new();
    let mut rest = input;
    while let Some((len, tail)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes(*len)).min(tail.len());
        let (message, tail) = tail.split_at(len);
        rest = tail;
        let Ok(Some(kind)) = decode_message(message) else { continue };
        match &kind {
            Kind::Hello(hello) | Kind::Welcome(hello) => negotiate(hello),
            Kind::Event(event) => {
                sticky.update(event);
                if is_sticky(event) {
                    assert!(sticky.iter().any(|kept| kept == event));
                }
            }
            _ => {}
        }
        // What was read can be said again, and then means the same.
        assert_eq!(decode_message(&encode_message(&kind.clone().into())), Ok(Some(kind)));
    }
    assert!(sticky.iter().count() <= MAX_STICKY + 4);

    // What is repeated to a peer that joins leads to the same state there.
    let mut joined = StickyEvents::new();
    sticky.iter().for_each(|event| joined.update(event));
    assert_eq!(joined, sticky);
});

fn negotiate(theirs: &Hello) {
    for role in [Role::Sender, Role::Receiver] {
        let ours = Hello {
            version: 3,
            oldest_version: 2,
            role: role.into(),
            buffer_type: BufferType::Text.into(),
            ucx_version: "1.13.1".into(),
            ..Default::default()
        };
        match (accept(&ours, theirs), accept(theirs, &ours)) {
            (Ok(version), Ok(same)) => {
                assert_eq!(version, same);
                assert!((2..=3).contains(&version));
                assert!(theirs.role() != role && theirs.buffer_type() == BufferType::Text);
            }
            (Err(refusal), Err(mirrored)) => {
                assert_eq!(refusal.reason, mirrored.reason);
                assert!(refusal.text.len() <= MAX_REASON && mirrored.text.len() <= MAX_REASON);
            }
            (ours, theirs) => panic!("the ends disagree: {ours:?}, {theirs:?}"),
        }
        ucx_compatible(&ours.ucx_version, &theirs.ucx_version);
    }
}
