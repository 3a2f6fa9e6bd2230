//! The seeds of the fuzzer are the samples.

use std::fs;
use std::path::Path;

use dsmeta::{Style, encode};

use crate::sample;

/// Compares the files of `fuzz/seeds/dsmeta`, or writes them if `UPDATE_SEEDS` is set.
#[test]
fn are_the_samples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/dsmeta");
    let samples = [("video", sample::video()), ("audio", sample::audio()), ("extended", sample::extended())];
    for (name, batch) in samples {
        for (style, suffix) in [(Style::Safe, "safe"), (Style::Nvidia, "nvidia")] {
            let file = folder.join(format!("{name}-{suffix}"));
            let payload = encode(&batch, style).unwrap();
            if std::env::var_os("UPDATE_SEEDS").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&file, &payload.bytes).unwrap();
            }
            let found = fs::read(&file).unwrap_or_default();
            assert_eq!(found, payload.bytes, "{} is stale: set UPDATE_SEEDS=1 to write it", file.display());
        }
    }
}
