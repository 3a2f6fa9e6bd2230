//! Metas: the bytes they are, and what is refused.

mod golden;

use golden::metas::{self, GoldenMeta, PAYLOAD};
use golden::{bytes, hex, layout};
use nvdsucx_wire::meta::Kind;
use nvdsucx_wire::structure::Field;
use nvdsucx_wire::structure::field::Value;
use nvdsucx_wire::*;
use proptest::prelude::*;

fn refused(kind: Kind) -> DecodeError {
    decode_meta(&encode_meta(kind), PAYLOAD).unwrap_err()
}

fn taken(kind: Kind) {
    assert_eq!(decode_meta(&encode_meta(kind.clone()), PAYLOAD), Ok(Some(kind)));
}

#[test]
fn a_meta_keeps_its_bytes() {
    for GoldenMeta { name, kind, hex: expected } in metas::all() {
        assert_eq!(hex(&encode_meta(kind.clone())), expected, "{name}");
        assert_eq!(decode_meta(&bytes(expected), PAYLOAD), Ok(Some(kind)), "{name}");
    }
}

#[test]
fn a_meta_of_an_unknown_kind_is_none() {
    // Kind 100, empty.
    assert_eq!(decode_meta(&bytes("a20600"), 0), Ok(None));
    assert_eq!(decode_meta(&[], 0), Ok(None));
}

#[test]
fn damaged_metas_are_refused_or_still_good() {
    let (mut read, mut refused) = (0, 0);
    let mut try_one = |bytes: &[u8]| match decode_meta(bytes, PAYLOAD) {
        Ok(None) => read += 1,
        Ok(Some(kind)) => {
            read += 1;
            let again = encode_meta(kind);
            // Compared as bytes: a number that is none is not equal to itself.
            let kind = decode_meta(&again, PAYLOAD).unwrap().unwrap();
            assert_eq!(encode_meta(kind), again, "{bytes:02x?}");
        }
        Err(error) => {
            refused += 1;
            assert!(!error.to_string().is_empty());
        }
    };
    for golden in metas::all() {
        let good = bytes(golden.hex);
        let mut damaged = good.clone();
        for at in 0..good.len() {
            try_one(&good[..at]);
            for flip in 1..=u8::MAX {
                damaged[at] = good[at] ^ flip;
                try_one(&damaged);
            }
            damaged[at] = good[at];
        }
    }
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..512), payload: u64) {
        if let Err(error) = decode_meta(&bytes, payload) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn any_region_survives(region in region()) {
        taken(Kind::Region(region));
    }

    #[test]
    fn a_region_is_written_and_read_as_any_meta_is(region in region()) {
        let bytes = encode_meta(Kind::Region(region.clone()));
        prop_assert_eq!(&write(&region), &bytes);
        prop_assert_eq!(Region::read(&bytes).map(|read| own(&read)), Some(region));
    }

    #[test]
    fn a_damaged_region_is_left_to_who_knows_more_or_read_as_any_meta_is(
        region in region(),
        damage in proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 1..4),
    ) {
        let mut bytes = write(&region);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(read) = Region::read(&bytes) {
            let slow = decode_meta(&bytes, PAYLOAD).unwrap().map(encode_meta);
            prop_assert_eq!(slow, Some(encode_meta(Kind::Region(own(&read)))));
        }
    }
}

proptest! {
    #[test]
    fn what_has_the_shape_of_another_parameter_is_read_as_any_is(
        region in region(),
        damage in proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 1..3),
    ) {
        let bytes = write(&region);
        let region = Region::read(&bytes).unwrap();
        prop_assert_eq!(Region::head(&bytes), Some(region));
        for raw in region.raw_params() {
            let param = Param::read(raw).unwrap();
            if !param.text.is_empty() {
                continue;
            }
            let shape = Shape::of(&param);
            let names: Vec<_> = param.values().map(|(name, _)| name).collect();
            prop_assert_eq!(by_shape(&shape, &names, raw), read(raw));
            let mut damaged = raw.to_vec();
            for (at, byte) in &damage {
                damaged[at.index(raw.len())] = *byte;
            }
            if let Some(found) = by_shape(&shape, &names, &damaged) {
                prop_assert_eq!(Some(found), read(&damaged));
            }
        }
    }
}

/// The fields in `bytes` as text, read as any are.
fn read(bytes: &[u8]) -> Option<String> {
    Param::read(bytes).map(|param| format!("{:?}", param.values().collect::<Vec<_>>()))
}

/// The same, if they are of this shape, which has these names.
fn by_shape(shape: &Shape, names: &[&str], bytes: &[u8]) -> Option<String> {
    let mut values = shape.values(bytes)?;
    let all: Vec<_> = std::iter::from_fn(|| values.next_value()).collect();
    values.is_finished().then(|| format!("{:?}", names.iter().zip(all).collect::<Vec<_>>()))
}

fn region() -> impl Strategy<Value = RegionOfInterestMeta> {
    let field = ("[^\0]{1,40}", value()).prop_map(|(name, value)| Field { name, value: Some(value) });
    let fields = proptest::collection::vec(field, 0..20);
    let by_field = ("[a-zA-Z][a-zA-Z0-9/_.:+-]{0,20}", fields).prop_map(|(name, fields)| Structure {
        name,
        fields,
        text: String::new(),
    });
    let as_text = "[^\0]{1,40}".prop_map(|text| Structure { text, ..Structure::default() });
    let params = proptest::collection::vec(prop_oneof![by_field, as_text], 0..4);
    let numbers = (any::<(i32, i32)>(), any::<(u32, u32, u32, u32)>());
    ("[^\0]{0,200}", numbers, params).prop_map(|(label, ((id, parent_id), (x, y, width, height)), params)| {
        RegionOfInterestMeta { r#type: label, id, parent_id, x, y, width, height, params }
    })
}

fn write(region: &RegionOfInterestMeta) -> Vec<u8> {
    let rectangle = [region.x, region.y, region.width, region.height];
    let mut writer = RegionWriter::new(&region.r#type, region.id, region.parent_id, rectangle);
    for param in &region.params {
        if param.text.is_empty() {
            let fields = param.fields.iter();
            writer.param(&param.name, |to| {
                fields.for_each(|field| to.field(&field.name, field.value.as_ref().unwrap().into()));
                true
            });
        } else {
            writer.text_param(&param.text);
        }
    }
    writer.finish()
}

fn own(region: &Region<'_>) -> RegionOfInterestMeta {
    let [x, y, width, height] = region.rectangle;
    let param = |param: Param<'_>| Structure {
        name: param.name.to_owned(),
        fields: param
            .values()
            .map(|(name, value)| Field { name: name.to_owned(), value: Some(value.into()) })
            .collect(),
        text: param.text.to_owned(),
    };
    let params = region.params().map(param).collect();
    RegionOfInterestMeta {
        r#type: region.r#type.to_owned(),
        id: region.id,
        parent_id: region.parent_id,
        x,
        y,
        width,
        height,
        params,
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(Value::Int),
        any::<u32>().prop_map(Value::Uint),
        any::<i64>().prop_map(Value::Int64),
        any::<u64>().prop_map(Value::Uint64),
        // Not those that are no numbers, which are not equal to themselves.
        proptest::num::f32::NORMAL.prop_map(Value::Float),
        proptest::num::f64::NORMAL.prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        "[^\0]{0,100}".prop_map(Value::String),
    ]
}

fn video(change: impl FnOnce(&mut VideoMeta)) -> Kind {
    let mut video = layout();
    change(&mut video);
    Kind::Video(video)
}

#[test]
fn video_dimensions_are_limited() {
    for bad in [0, MAX_DIMENSION + 1, u32::MAX] {
        let range = |what| DecodeError::OutOfRange { what, value: bad.into(), min: 1, max: 1_048_576 };
        assert_eq!(refused(video(|video| video.width = bad)), range("the width of a video frame"));
        assert_eq!(refused(video(|video| video.height = bad)), range("the height of a video frame"));
    }
    taken(video(|video| (video.width, video.height) = (MAX_DIMENSION, MAX_DIMENSION)));
}

#[test]
fn video_planes_are_checked() {
    let planes = |offsets: Vec<u64>, strides: Vec<i32>| {
        video(|video| (video.offsets, video.strides) = (offsets, strides))
    };
    taken(planes(vec![0; 4], vec![1; 4]));
    let error = refused(planes(vec![0; 5], vec![1; 5]));
    assert_eq!(error.to_string(), "5 planes in a video frame, at most 4 are allowed");
    let error = refused(planes(vec![0; 2], vec![1; 3]));
    assert_eq!(error, DecodeError::PlanesMismatch { offsets: 2, strides: 3 });
    let error = refused(planes(vec![0, PAYLOAD + 1], vec![1, 1]));
    assert_eq!(error.to_string(), "a video plane begins at byte 3110401 of a payload of 3110400 bytes");
}

#[test]
fn video_formats_are_short_names() {
    taken(video(|video| video.format = "x".repeat(MAX_FORMAT_NAME)));
    let long = refused(video(|video| video.format = "x".repeat(MAX_FORMAT_NAME + 1)));
    assert_eq!(long.to_string(), "the name of a video format has 33 bytes, at most 32 are allowed");
    let nul = refused(video(|video| video.format = "NV12\0".into()));
    assert_eq!(nul, DecodeError::Nul { what: "the name of a video format" });
}

#[test]
fn an_alignment_has_four_sides_that_are_limited() {
    let aligned = |padding| video(|video| video.alignment = Some(Alignment { padding, strides: vec![] }));
    taken(aligned(vec![MAX_DIMENSION; 4]));
    refused(aligned(vec![1; 3]));
    refused(aligned(vec![MAX_DIMENSION + 1, 0, 0, 0]));
}

#[test]
fn regions_are_limited() {
    let region = |change: fn(&mut RegionOfInterestMeta)| {
        let mut region = metas::region();
        change(&mut region);
        Kind::Region(region)
    };
    taken(region(|region| region.r#type = "x".repeat(MAX_LABEL)));
    refused(region(|region| region.r#type = "x".repeat(MAX_LABEL + 1)));
    refused(region(|region| region.r#type = "a\0b".into()));
    taken(region(|region| region.params = vec![metas::structure(); MAX_PARAMS]));
    refused(region(|region| region.params = vec![metas::structure(); MAX_PARAMS + 1]));
}

#[test]
fn structures_are_what_gstreamer_takes() {
    let structure = |change: fn(&mut Structure)| {
        let mut structure = metas::structure();
        change(&mut structure);
        Kind::Protection(structure)
    };
    for bad in ["", "1x", "a b", "a;", "a\0", "\u{e4}"] {
        let kind = Kind::Protection(Structure { name: bad.into(), ..metas::structure() });
        assert_eq!(
            refused(kind).to_string(),
            "the name of a structure is empty, or has characters that are not allowed"
        );
    }
    refused(structure(|structure| structure.fields[0].name.clear()));
    refused(structure(|structure| structure.fields[0].name = "a\0".into()));
    refused(structure(|structure| structure.fields[0].value = Some(Value::String("\0".into()))));
    refused(structure(|structure| structure.fields = vec![structure.fields[0].clone(); MAX_FIELDS + 1]));
    refused(structure(|structure| structure.text = "a\0".into()));
}

#[test]
fn custom_metas_have_names() {
    let custom = |name: &str, tag: &str| {
        Kind::Custom(CustomMeta { name: name.into(), tags: vec![tag.into()], ..metas::custom() })
    };
    taken(custom("My_meta-1", "video"));
    let long = "x".repeat(MAX_META_NAME + 1);
    for bad in ["", "a b", "a/b", "\0", &long] {
        refused(custom(bad, "video"));
        refused(custom("name", bad));
    }
    let tags = vec!["video".into(); MAX_TAGS + 1];
    refused(Kind::Custom(CustomMeta { tags, ..metas::custom() }));
}

#[test]
fn audio_stays_within_its_payload() {
    let audio = |samples, offsets: Vec<u64>| Kind::Audio(AudioMeta { samples, offsets, ..metas::audio() });
    taken(audio(PAYLOAD, vec![PAYLOAD; MAX_CHANNELS]));
    refused(audio(PAYLOAD + 1, vec![]));
    refused(audio(0, vec![PAYLOAD + 1]));
    refused(audio(0, vec![0; MAX_CHANNELS + 1]));
}

#[test]
fn numbers_are_in_their_ranges() {
    refused(Kind::Level(AudioLevelMeta { level: 128, voice: false }));
    refused(Kind::Afd(AfdMeta { field: 2, spec: 0, afd: 0 }));
    refused(Kind::Afd(AfdMeta { field: 0, spec: 3, afd: 0 }));
    refused(Kind::Afd(AfdMeta { field: 0, spec: 0, afd: 16 }));
    refused(Kind::Bar(BarMeta { field: 2, ..BarMeta::default() }));
    refused(Kind::Affine(AffineMeta { matrix: vec![0.0; 15] }));
    refused(Kind::Caption(CaptionMeta { r#type: 1, data: vec![] }));
    for (reference, info) in [("a\0", ""), ("a/b", "a\0;")] {
        let (reference, info) = (reference.into(), info.into());
        refused(Kind::ReferenceTimestamp(ReferenceTimestampMeta {
            reference,
            timestamp: 1,
            duration: None,
            info,
        }));
    }
    refused(Kind::Sei(SeiMeta { uuid: vec![0; 15], data: vec![1] }));
    refused(Kind::TimeCode(TimeCodeMeta { fps_denominator: 0, ..metas::time_code() }));
    refused(Kind::TimeCode(TimeCodeMeta { fps_numerator: u32::MAX, ..metas::time_code() }));
    refused(Kind::TimeCode(TimeCodeMeta { daily_jam: "x".repeat(65), ..metas::time_code() }));
}

#[test]
fn batches_are_limited() {
    let surfaces = |batch_size, colors| Kind::Surfaces(SurfacesMeta { batch_size, colors: vec![6; colors] });
    taken(surfaces(1, 0));
    taken(surfaces(1024, 64));
    refused(surfaces(0, 0));
    refused(surfaces(1025, 0));
    refused(surfaces(64, 65));
    let audio = |batch_size, sources| {
        Kind::AudioBatch(AudioBatchMeta { batch_size, sources: vec![Default::default(); sources] })
    };
    taken(audio(1, 0));
    taken(audio(1024, 64));
    refused(audio(0, 0));
    refused(audio(1025, 0));
    refused(audio(64, 65));
}

#[test]
fn relations_are_between_things_that_are_there() {
    let relation = |change: fn(&mut RelationMeta)| {
        let mut relation = metas::relation();
        change(&mut relation);
        Kind::Relation(relation)
    };
    let error = refused(relation(|relation| relation.links[0].to = 5));
    assert_eq!(error.to_string(), "a thing that a relation names is 5, allowed is 0 to 4");
    refused(relation(|relation| relation.things.clear()));
    refused(relation(|relation| relation.things = vec![relation_meta::Thing { kind: None }; MAX_THINGS + 1]));
    refused(relation(|relation| relation.links = vec![relation.links[0]; MAX_LINKS + 1]));
}
