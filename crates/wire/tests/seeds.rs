//! The seeds of the fuzzer are the golden bytes, in the form its targets read.

mod golden;

use std::fs;
use std::path::Path;

use nvdsucx_wire::{EncodedHeader, Prefix, RecordHead, RecordKind, Span};

/// Compares the files of `fuzz/seeds/<target>`, or writes them if `UPDATE_SEEDS` is set.
fn check(target: &str, seeds: &[(String, Vec<u8>)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    if std::env::var_os("UPDATE_SEEDS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
    for (name, bytes) in seeds {
        let file = folder.join(name);
        let found = fs::read(&file).unwrap_or_default();
        assert_eq!(found, *bytes, "{} is stale: set UPDATE_SEEDS=1 to write it", file.display());
    }
}

#[test]
fn messages() {
    let mut all = Vec::new();
    let mut seeds = Vec::new();
    for golden in golden::messages() {
        let message = golden::bytes(golden.hex);
        let mut seed = u16::try_from(message.len()).unwrap().to_le_bytes().to_vec();
        seed.extend(message);
        all.extend_from_slice(&seed);
        seeds.push((golden.name.to_owned(), seed));
    }
    seeds.push(("all".to_owned(), all));
    check("message", &seeds);
}

#[test]
fn greetings() {
    let seeds = golden::messages()
        .into_iter()
        .map(|golden| (golden.name.to_owned(), nvdsucx_wire::encode_greeting(&golden::bytes(golden.hex))));
    check("greeting", &seeds.collect::<Vec<_>>());
}

#[test]
fn frame_headers() {
    let mut seeds = Vec::new();
    for golden in golden::frames() {
        for (form, max_inline) in [("inline", usize::MAX), ("trailer", Prefix::LEN)] {
            let EncodedHeader { inline, trailer } = golden.header.encode_for(1, max_inline);
            let data_len = golden.payload_len + trailer.len() as u64;
            let mut seed = data_len.to_le_bytes().to_vec();
            seed.push(u8::try_from(inline.len()).unwrap());
            seed.extend(inline);
            seed.extend(trailer);
            seeds.push((format!("{}-{form}", golden.name), seed));
        }
    }
    check("frame_header", &seeds);
}

#[test]
fn metas() {
    let seeds = golden::metas::all().into_iter().map(|golden| {
        let mut seed = golden::metas::PAYLOAD.to_le_bytes().to_vec();
        seed.extend(golden::bytes(golden.hex));
        (golden.name.to_owned(), seed)
    });
    check("meta", &seeds.collect::<Vec<_>>());
}

#[test]
fn records() {
    let mut seeds = Vec::new();
    for golden in golden::frames() {
        let mut header = Vec::new();
        golden.header.append_to(&mut header);
        // In the record for one, in shared memory for the other.
        for (form, spans) in
            [("here", vec![]), ("there", vec![Span { memory: 1, offset: 0, len: golden.payload_len }])]
        {
            let payload = if spans.is_empty() { golden.payload_len as usize } else { 0 };
            let slot = (!spans.is_empty()).then_some(0);
            let head =
                RecordHead::new(RecordKind::Frame, slot, spans.len(), false, header.len(), payload).unwrap();
            if head.len > 4096 {
                continue;
            }
            let mut seed = head.encode().to_vec();
            seed.extend(spans.iter().flat_map(|span| span.encode()));
            seed.extend(&header);
            seed.resize(head.len as usize, 0);
            seeds.push((format!("{}-{form}", golden.name), seed));
        }
    }
    check("record", &seeds);
}
