//! Who works with whom, and what the others are told.

mod golden;

use golden::{receiver, sender};
use nvdsucx_wire::refusal::Reason;
use nvdsucx_wire::*;

fn versions(oldest_version: u32, version: u32, hello: Hello) -> Hello {
    Hello { oldest_version, version, ..hello }
}

fn refusal(ours: &Hello, theirs: &Hello) -> (Reason, String) {
    let refusal = accept(ours, theirs).unwrap_err();
    (refusal.reason(), refusal.text)
}

#[test]
fn the_newest_common_version_is_spoken() {
    for (ours, theirs, spoken) in [
        ((1, 1), (1, 1), 1),
        ((1, 3), (1, 2), 2),
        ((1, 2), (1, 3), 2),
        ((2, 5), (3, 4), 4),
        ((1, 2), (2, 9), 2),
    ] {
        let ours = versions(ours.0, ours.1, sender());
        let theirs = versions(theirs.0, theirs.1, receiver());
        assert_eq!(accept(&ours, &theirs), Ok(spoken));
        assert_eq!(accept(&theirs, &ours), Ok(spoken));
    }
}

#[test]
fn without_a_common_version_both_ranges_are_named() {
    let newer = Hello { software: "nvdsucx 9.0.0".into(), ..versions(3, 4, receiver()) };
    let (reason, text) = refusal(&versions(1, 2, sender()), &newer);
    assert_eq!(reason, Reason::Version);
    assert_eq!(
        text,
        "no protocol version in common: the refusing element speaks 1 to 2 (nvdsucx 0.1.0), the refused one 3 to 4 \
         (nvdsucx 9.0.0): update the older one"
    );
    assert_eq!(refusal(&newer, &versions(1, 2, sender())).0, Reason::Version);
}

#[test]
fn impossible_version_ranges_are_refused() {
    for (oldest, newest) in [(0, 0), (0, 1), (2, 1), (u32::MAX, 1)] {
        let theirs = versions(oldest, newest, receiver());
        assert_eq!(refusal(&versions(1, 5, sender()), &theirs).0, Reason::Version, "{oldest} to {newest}");
    }
}

#[test]
fn a_sender_needs_a_receiver() {
    let (reason, text) = refusal(&sender(), &sender());
    assert_eq!(reason, Reason::Role);
    assert_eq!(
        text,
        "the refusing element is a sender, the refused one a sender: connect nvdsucxserversink with nvdsucxclientsrc, \
         or nvdsucxclientsink with nvdsucxserversrc"
    );
    assert_eq!(refusal(&receiver(), &receiver()).0, Reason::Role);
    for role in [0, 3, -1] {
        assert_eq!(refusal(&sender(), &Hello { role, ..receiver() }).0, Reason::Role, "{role}");
    }
}

#[test]
fn buffer_types_must_be_equal_and_both_are_named() {
    let ours = Hello { buffer_type: BufferType::Video.into(), ..sender() };
    let theirs = Hello { buffer_type: BufferType::RawAudio.into(), ..receiver() };
    let expected = "the sending element has buf-type=nvdsucx-buf-video, the receiving element \
                    buf-type=nvdsucx-buf-raw-audio: set the same on both";
    assert_eq!(refusal(&ours, &theirs), (Reason::BufferType, expected.into()));
    assert_eq!(refusal(&theirs, &ours), (Reason::BufferType, expected.into()));
}

#[test]
fn an_unknown_buffer_type_is_named_by_its_number() {
    let theirs = Hello { buffer_type: 3, ..receiver() };
    let (reason, text) = refusal(&sender(), &theirs);
    assert_eq!(reason, Reason::BufferType);
    assert!(text.contains("the receiving element buf-type=3 (unknown)"), "{text}");
    assert_eq!(refusal(&Hello { buffer_type: 3, ..sender() }, &theirs).0, Reason::BufferType);
}

#[test]
fn both_ends_have_a_key_or_neither() {
    assert_eq!(keys_agree(false, false), Ok(()));
    assert_eq!(keys_agree(true, true), Ok(()));
    let text = |listening, connecting| {
        let refusal = keys_agree(listening, connecting).unwrap_err();
        assert_eq!(refusal.reason(), Reason::Key);
        refusal.text
    };
    let (with, without) = ("element has a key", "one has none");
    assert!(text(true, false).starts_with(&format!("the listening {with} and the connecting {without}")));
    assert!(text(false, true).starts_with(&format!("the connecting {with} and the listening {without}")));
    assert_eq!(keys_differ().reason(), Reason::Key);
    assert!(keys_differ().text.contains("differ"));
}

#[test]
fn every_buffer_type_has_its_nick() {
    let nicks: Vec<_> =
        (0..10).filter_map(|number| BufferType::try_from(number).ok()).map(BufferType::nick).collect();
    assert_eq!(
        nicks,
        [
            "nvdsucx-buf-video",
            "nvdsucx-buf-nv-audio",
            "nvdsucx-buf-raw-audio",
            "nvdsucx-buf-text",
            "nvdsucx-buf-any"
        ]
    );
}

#[test]
fn a_refusal_fits_its_limit() {
    let long = "x".repeat(MAX_HELLO_TEXT);
    let ours = Hello { software: long.clone(), ..versions(1, 1, sender()) };
    let theirs = Hello { software: long, ..versions(u32::MAX, u32::MAX, receiver()) };
    assert!(refusal(&ours, &theirs).1.len() <= MAX_REASON);
}

#[test]
fn releases_of_ucx_fit_by_major_and_minor() {
    assert!(ucx_compatible("1.13.1", "1.13.1"));
    assert!(ucx_compatible("1.13.1", "1.13.0"));
    assert!(ucx_compatible("1.13.1", "1.13"));
    assert!(!ucx_compatible("1.13.1", "1.22.0"));
    assert!(!ucx_compatible("1.13.1", "2.13.1"));
    assert!(!ucx_compatible("1.1", "1.13"));
    for unknown in ["", "1", "1.", ".13", "x.y.z", "1.x"] {
        assert!(!ucx_compatible(unknown, "1.13.1"), "{unknown}");
        assert!(!ucx_compatible(unknown, unknown), "{unknown}");
    }
}

#[test]
fn all_devices_are_used_where_both_name_the_same_and_run_the_same_release() {
    let ours = Hello { devices: "b 4026531840".into(), ..sender() };
    let theirs = Hello { devices: ours.devices.clone(), ..receiver() };
    assert_eq!(devices_in_common(&ours, &theirs), "b 4026531840");
    let elsewhere = Hello { devices: "b 4026532000".into(), ..theirs.clone() };
    let newer = Hello { ucx_version: "1.13.2".into(), ..theirs };
    for other in [elsewhere, newer, receiver()] {
        assert_eq!(devices_in_common(&ours, &other), "");
    }
    assert_eq!(devices_in_common(&sender(), &receiver()), "", "neither may");
}
