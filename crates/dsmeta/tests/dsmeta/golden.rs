//! What Google's protobuf wrote we read, and what we wrote it reads.

use dsmeta::PayloadKind::{Audio, Video};
use dsmeta::{Batch, PayloadKind, Style, decode, encode};

use crate::{python, sample};

fn samples() -> [(PayloadKind, Batch); 2] {
    [(Video, sample::video()), (Audio, sample::audio())]
}

#[test]
fn every_field_is_read() {
    for (kind, batch) in samples() {
        assert_eq!(decode(kind, &python::write(kind, "every")), Ok(batch));
    }
}

#[test]
fn what_nvidia_writes_is_read() {
    for (kind, batch) in [(Video, sample::video_by_nvidia()), (Audio, sample::audio_by_nvidia())] {
        assert_eq!(decode(kind, &python::write(kind, "nvidia")), Ok(batch));
    }
}

#[test]
fn what_is_not_known_is_skipped() {
    for (kind, batch) in samples() {
        assert_eq!(decode(kind, &python::write(kind, "strange")), Ok(batch));
    }
}

#[test]
fn every_field_is_written() {
    for (kind, batch) in samples() {
        let ours = encode(&batch, Style::Nvidia).unwrap();
        let theirs = python::write(kind, "every");
        assert_eq!(python::print(kind, &ours.bytes), python::print(kind, &theirs));
        assert_eq!((ours.kind, ours.bytes), (kind, theirs));
    }
}

#[test]
fn what_nvidia_would_not_survive_is_written_elsewhere() {
    for (kind, batch) in samples() {
        let ours = encode(&batch, Style::Safe).unwrap();
        let theirs = python::print(kind, &python::write(kind, "safe"));
        assert_eq!(python::print(kind, &ours.bytes), theirs);
        assert_eq!(decode(ours.kind, &ours.bytes), Ok(batch));
    }
}
