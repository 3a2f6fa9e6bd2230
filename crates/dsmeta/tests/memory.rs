//! How much memory a payload takes at worst. A process of its own, because its peak is what is measured.

use dsmeta::{
    Error, MAX_ANALYTICS, MAX_CLASSES, MAX_CLASSIFIERS, MAX_DISPLAYS, MAX_FRAMES, MAX_LABELS, MAX_OBJECTS,
    MAX_PARAMS, MAX_PAYLOAD, MAX_READING, MAX_RELATIONS, PayloadKind, decode,
};

fn field(number: u32, content: &[u8]) -> Vec<u8> {
    [&varint((number as usize) << 3 | 2)[..], &varint(content.len()), content].concat()
}

fn number(number: u32, value: usize) -> Vec<u8> {
    [varint((number as usize) << 3), varint(value)].concat()
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A line of what the system says about the process, in bytes.
fn memory(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[test]
fn a_payload_alone_does_not_decide_how_much_memory_it_takes() {
    // Two bytes an object, which takes hundreds of bytes: refused before there is any.
    let objects = field(4, &field(15, &[]).repeat(MAX_PAYLOAD / 2 - 8));
    let before = memory("VmRSS:");
    assert!(matches!(decode(PayloadKind::Video, &objects), Err(Error::TooMany { what: "objects", .. })));
    let taken = memory("VmHWM:").saturating_sub(before);
    assert!(taken <= 2 * MAX_PAYLOAD, "{} MiB to refuse {} MiB", taken >> 20, objects.len() >> 20);
    drop(objects);

    // As much of everything as is allowed, in as few bytes as possible, and a mask in the room that is left.
    let labels = field(4, &[]).repeat(MAX_LABELS / MAX_CLASSIFIERS);
    let classifiers = field(13, &labels).repeat(MAX_CLASSIFIERS / MAX_OBJECTS);
    let region = field(1004, &field(7, &[]).repeat(MAX_PARAMS / MAX_OBJECTS));
    let numbers = [field(15, &[0; 4]), field(16, &[0; 4])].concat();
    let objects = field(15, &[classifiers, region, numbers].concat()).repeat(MAX_OBJECTS - 1);
    let shapes: Vec<_> = (7..=11).flat_map(|shape| field(shape, &[]).repeat(16)).collect();
    let displays = field(16, &shapes).repeat(MAX_DISPLAYS);
    let classes = field(2, &field(1, &[]).repeat(MAX_CLASSES / MAX_ANALYTICS));
    let items = field(1, &classes).repeat(MAX_ANALYTICS);
    let relations = field(2, &[]).repeat(MAX_RELATIONS);
    let analytics = field(1002, &[items, relations].concat());
    let frame = field(4, &[objects, displays, analytics].concat());
    let frames = field(4, &[]).repeat(MAX_FRAMES - 2);
    let values = (MAX_PAYLOAD - frame.len() - frames.len() - 64) / 4;
    let size = [number(2, 4 * values), number(4, values), number(5, 1)].concat();
    let mask = field(10, &[field(1, &vec![0; 4 * values]), size].concat());
    let payload = [frame, frames, field(4, &field(15, &mask))].concat();
    assert!(payload.len() <= MAX_PAYLOAD && payload.len() > MAX_PAYLOAD - 128);

    let before = memory("VmRSS:");
    let batch = decode(PayloadKind::Video, &payload).unwrap();
    let taken = memory("VmHWM:") - before;
    drop(batch);
    assert!(taken > MAX_PAYLOAD, "{taken} bytes cannot be: nothing was measured");
    assert!(taken <= MAX_READING, "{} MiB for a payload of {} MiB", taken >> 20, payload.len() >> 20);
}
