//! Every kind of meta, and the bytes it has been since version 1 of the protocol.

use nvdsucx_wire::meta::Kind;
use nvdsucx_wire::relation_meta::{Class, Classes, Link, Object, Segmentation, Thing, Tracking, thing};
use nvdsucx_wire::structure::Field;
use nvdsucx_wire::structure::field::Value;
use nvdsucx_wire::*;

/// A meta and its bytes.
pub struct GoldenMeta {
    /// Also the name of the fuzzer's seed.
    pub name: &'static str,
    pub kind: Kind,
    pub hex: &'static str,
}

/// The payload that all of them are good for, in bytes.
pub const PAYLOAD: u64 = 3_110_400;

pub fn all() -> Vec<GoldenMeta> {
    let meta = |name, kind, hex| GoldenMeta { name, kind, hex };
    let alignment = Some(Alignment { padding: vec![1, 2, 3, 4], strides: vec![15, 15] });
    vec![
        meta(
            "layout",
            Kind::Video(super::layout()),
            "0a1a080112044e56313218800f20b8082a040080c87e3204801eff1d",
        ),
        meta(
            "aligned",
            Kind::Video(VideoMeta { id: -1, alignment, ..super::layout() }),
            "0a28080112044e56313218800f20b8082a040080c87e3204801eff1d3801420a0a040102030412020f0f",
        ),
        meta("crop", Kind::Crop(VideoCropMeta { x: 1, y: 2, width: 3, height: 4 }), "12080801100218032004"),
        meta(
            "region",
            Kind::Region(region()),
            "1ab6010a0466616365100e1801200a2814301e38284282010a09646574656374696f6e12070a03696e74100112080a0475696e74180112120a05696e74363420ffffffffffffffffff0112130a0675696e74363428ffffffffffffffffff01120c0a05666c6f6174350000003f12110a06646f75626c6539000000000000d03f120b0a07626f6f6c65616e4001120b0a06737472696e674a0178421d1a1b73616d706c652c206d65616e3d286672616374696f6e29312f333b",
        ),
        meta(
            "affine",
            Kind::Affine(AffineMeta { matrix: (0..16_u8).map(f32::from).collect() }),
            "22420a40000000000000803f0000004000004040000080400000a0400000c0400000e0400000004100001041000020410000304100004041000050410000604100007041",
        ),
        meta(
            "audio",
            Kind::Audio(audio()),
            "2a6d0a63617564696f2f782d7261772c20666f726d61743d28737472696e67294633324c452c20726174653d28696e742934383030302c206368616e6e656c733d28696e7429322c206c61796f75743d28737472696e67296e6f6e2d696e7465726c656176656410e0031a0300800f",
        ),
        meta(
            "clipping",
            Kind::Clipping(AudioClippingMeta { format: 3, start: 1, end: u64::MAX }),
            "320f0803100118ffffffffffffffffff01",
        ),
        meta("level", Kind::Level(AudioLevelMeta { level: 127, voice: true }), "3a04087f1001"),
        meta(
            "reference-timestamp",
            Kind::ReferenceTimestamp(reference()),
            "42150a0f74696d657374616d702f782d6e747010051806",
        ),
        meta(
            "time-code",
            Kind::TimeCode(time_code()),
            "4a2908b0ea0110e90718012017283b303a381d40014a14323032362d30312d30325430333a30343a30355a",
        ),
        meta("caption", Kind::Caption(CaptionMeta { r#type: 3, data: vec![0xfc, 0x80] }), "520608031202fc80"),
        meta("afd", Kind::Afd(AfdMeta { field: 1, spec: 2, afd: 8 }), "5a06080110021808"),
        meta(
            "bar",
            Kind::Bar(BarMeta { field: 1, letterbox: true, first: 140, second: 940 }),
            "620a08011001188c0120ac07",
        ),
        meta(
            "protection",
            Kind::Protection(structure()),
            "6a82010a09646574656374696f6e12070a03696e74100112080a0475696e74180112120a05696e74363420ffffffffffffffffff0112130a0675696e74363428ffffffffffffffffff01120c0a05666c6f6174350000003f12110a06646f75626c6539000000000000d03f120b0a07626f6f6c65616e4001120b0a06737472696e674a0178",
        ),
        meta(
            "custom",
            Kind::Custom(custom()),
            "7293010a076d792d6d6574611205766964656f1a80010a076d792d6d65746112070a03696e74100112080a0475696e74180112120a05696e74363420ffffffffffffffffff0112130a0675696e74363428ffffffffffffffffff01120c0a05666c6f6174350000003f12110a06646f75626c6539000000000000d03f120b0a07626f6f6c65616e4001120b0a06737472696e674a0178",
        ),
        meta(
            "payload",
            Kind::Payload(PayloadMeta { r#type: 0xab_cdef, data: vec![1, 2] }),
            "7a0908ef9baf0512020102",
        ),
        meta(
            "sei",
            Kind::Sei(SeiMeta { uuid: (0..16).collect(), data: b"sei".to_vec() }),
            "8201170a10000102030405060708090a0b0c0d0e0f1203736569",
        ),
        meta(
            "relation",
            Kind::Relation(relation()),
            "8a015c0a190a170a036361721001180420062808350000003f3d0000403f0a0e120c0a0a0a03726564150000003f0a081a060809100120010a1d221b080112054752415938180220012a0200013202000140074814500a0a00120410041808",
        ),
        meta(
            "batch",
            Kind::Batch(PayloadMeta { r#type: 0xfe_dcba, data: vec![16, 1] }),
            "9a010908bab9fb0712021001",
        ),
        meta(
            "surfaces",
            Kind::Surfaces(SurfacesMeta { batch_size: 4, colors: vec![6, 33] }),
            "a20106080412020621",
        ),
        meta(
            "audio-batch",
            Kind::AudioBatch(AudioBatchMeta {
                batch_size: 2,
                sources: vec![audio_batch_meta::Source {
                    layout: 1,
                    format: 27,
                    bytes_per_frame: 8,
                    channels: 2,
                    rate: 48_000,
                    pad_id: 1,
                    source_id: 2,
                    ntp_timestamp: 3,
                    pts: Some(4),
                    duration: None,
                }],
            }),
            "aa0118080212140801101b180820022880f7023001380240034804",
        ),
        meta("serialized", Kind::Serialized(vec![1, 0, 0, 0]), "92010401000000"),
        meta(
            "reference-timestamp-info",
            Kind::ReferenceTimestamp(ReferenceTimestampMeta { info: "a, b=(int)1;".into(), ..reference() }),
            "42230a0f74696d657374616d702f782d6e747010051806220c612c20623d28696e7429313b",
        ),
        meta(
            "alpha",
            Kind::Alpha(AlphaMeta { data: vec![1, 2], pts: Some(5), flags: 64, ..AlphaMeta::default() }),
            "b201080a02010210052840",
        ),
    ]
}

pub fn region() -> RegionOfInterestMeta {
    let text = "sample, mean=(fraction)1/3;".to_owned();
    RegionOfInterestMeta {
        r#type: "face".into(),
        id: 7,
        parent_id: -1,
        x: 10,
        y: 20,
        width: 30,
        height: 40,
        params: vec![structure(), Structure { text, ..Structure::default() }],
    }
}

pub fn structure() -> Structure {
    let field = |name: &str, value| Field { name: name.into(), value: Some(value) };
    let fields = vec![
        field("int", Value::Int(-1)),
        field("uint", Value::Uint(1)),
        field("int64", Value::Int64(i64::MIN)),
        field("uint64", Value::Uint64(u64::MAX)),
        field("float", Value::Float(0.5)),
        field("double", Value::Double(0.25)),
        field("boolean", Value::Boolean(true)),
        field("string", Value::String("x".into())),
    ];
    Structure { name: "detection".into(), fields, text: String::new() }
}

pub fn audio() -> AudioMeta {
    let caps =
        "audio/x-raw, format=(string)F32LE, rate=(int)48000, channels=(int)2, layout=(string)non-interleaved";
    AudioMeta { caps: caps.into(), samples: 480, offsets: vec![0, 1920] }
}

fn reference() -> ReferenceTimestampMeta {
    ReferenceTimestampMeta {
        reference: "timestamp/x-ntp".into(),
        timestamp: 5,
        duration: Some(6),
        info: String::new(),
    }
}

pub fn time_code() -> TimeCodeMeta {
    TimeCodeMeta {
        fps_numerator: 30_000,
        fps_denominator: 1001,
        flags: 1,
        hours: 23,
        minutes: 59,
        seconds: 58,
        frames: 29,
        field_count: 1,
        daily_jam: "2026-01-02T03:04:05Z".into(),
    }
}

pub fn custom() -> CustomMeta {
    let structure = Some(Structure { name: "my-meta".into(), ..structure() });
    CustomMeta { name: "my-meta".into(), tags: vec!["video".into()], structure }
}

pub fn relation() -> RelationMeta {
    let thing = |kind| Thing { kind: Some(kind) };
    RelationMeta {
        things: vec![
            thing(thing::Kind::Object(Object {
                r#type: "car".into(),
                x: -1,
                y: 2,
                width: 3,
                height: 4,
                rotation: 0.5,
                confidence: 0.75,
            })),
            thing(thing::Kind::Classes(Classes {
                classes: vec![Class { name: "red".into(), confidence: 0.5 }],
            })),
            thing(thing::Kind::Tracking(Tracking {
                id: 9,
                first_seen: Some(1),
                last_seen: None,
                lost: true,
            })),
            thing(thing::Kind::Segmentation(Segmentation {
                kind: 1,
                format: "GRAY8".into(),
                width: 2,
                height: 1,
                mask: vec![0, 1],
                regions: vec![0, 1],
                x: 0,
                y: -4,
                shown_width: 20,
                shown_height: 10,
            })),
            Thing { kind: None },
        ],
        links: vec![Link { from: 0, to: 4, relation: 8 }],
    }
}
