//! Things of analytics go onto a buffer and come off it again; what is wrong with them is found before.

mod common;

use gst_newer::Error;
use gst_newer::analytics::*;
use proptest::prelude::*;

fn object(label: &str, rotation: f32) -> Thing {
    Thing::Object { label: label.into(), x: -3, y: 5, width: 640, height: 480, rotation, confidence: 0.75 }
}

fn tracking(last_seen: Option<gst::ClockTime>, lost: bool) -> Thing {
    Thing::Tracking { id: u64::MAX - 1, first_seen: Some(gst::ClockTime::from_nseconds(7)), last_seen, lost }
}

fn mask(format: MaskFormat, width: u32, height: u32) -> Mask {
    let len = width as usize * height as usize * format.value_len();
    Mask { format, width, height, data: (0..len).map(|byte| byte as u8).collect() }
}

fn segmentation(kind: SegmentationKind, mask: Mask) -> Thing {
    let regions = vec![0, 12, 7, u32::MAX];
    Thing::Segmentation { kind, mask, regions, x: -1, y: 2, shown_width: 1920, shown_height: 1080 }
}

fn other() -> Thing {
    Thing::Other { name: "tensor".into() }
}

fn link(from: usize, to: usize, relation: u32) -> Link {
    Link { from, to, relation }
}

/// What comes back; `None` if the installed GStreamer has no analytics.
fn carried(relations: &Relations) -> Option<Relations> {
    common::init();
    let mut buffer = gst::Buffer::new();
    let attached = attach(buffer.make_mut(), relations);
    if Analytics::get().is_none() {
        assert!(!common::at_least(26), "libgstanalytics is missing");
        assert!(matches!(attached, Err(Error::NotThere { .. })), "{attached:?}");
        assert!(!has_relations(&buffer));
        return None;
    }
    attached.unwrap();
    assert!(buffer.iter_meta::<gst::Meta>().all(|meta| is_relations(&meta)));
    // As GStreamer copies a buffer.
    let copy = buffer.copy();
    drop(buffer);
    read(&copy)
}

fn assert_carried(relations: &Relations) {
    relations.check().unwrap();
    if let Some(carried) = carried(relations) {
        assert_eq!(&carried, relations);
    }
}

#[test]
fn an_object_comes_back() {
    common::init();
    let rotation = if common::at_least(26) { 0.5 } else { 0.0 };
    assert_carried(&Relations { things: vec![object("car", rotation)], links: vec![] });
    assert_carried(&Relations { things: vec![object("", 0.0), object("größer", 0.0)], links: vec![] });
}

#[test]
fn classes_come_back() {
    let classes = vec![("red".to_owned(), 0.25), (String::new(), -1.0), ("blue".to_owned(), 1.0)];
    assert_carried(&Relations { things: vec![Thing::Class { classes }], links: vec![] });
    assert_carried(&Relations { things: vec![Thing::Class { classes: vec![] }], links: vec![] });
}

#[test]
fn tracks_come_back() {
    let things = vec![
        tracking(None, false),
        tracking(Some(gst::ClockTime::from_seconds(3)), true),
        Thing::Tracking { id: 0, first_seen: None, last_seen: None, lost: false },
    ];
    assert_carried(&Relations { things, links: vec![] });
}

#[test]
fn segmentations_come_back() {
    let things = vec![
        segmentation(SegmentationKind::Semantic, mask(MaskFormat::Gray8, 5, 3)),
        segmentation(SegmentationKind::Instance, mask(MaskFormat::Gray16Le, 7, 2)),
        segmentation(SegmentationKind::Instance, mask(MaskFormat::Gray16Be, 8, 1)),
    ];
    common::init();
    let lacking = Analytics::get().is_some_and(|analytics| !analytics.can_attach(&things[0]));
    assert!(!lacking || !common::at_least(26));
    if !lacking {
        assert_carried(&Relations { things, links: vec![] });
    }
}

#[test]
fn links_come_back() {
    common::init();
    let things =
        vec![object("car", 0.0), Thing::Class { classes: vec![("red".into(), 0.5)] }, tracking(None, true)];
    let all = if common::at_least(26) { RELATIONS } else { 0x0e };
    let links = vec![link(0, 1, 8), link(0, 2, 2 | 4), link(2, 0, all), link(2, 2, 4)];
    assert_carried(&Relations { things, links });
}

#[test]
fn what_cannot_be_carried_is_left_out_with_its_links() {
    let sent = Relations {
        things: vec![other(), object("a", 0.0), other(), object("b", 0.0)],
        links: vec![link(0, 1, 2), link(1, 3, 4), link(3, 2, 2), link(3, 1, 8)],
    };
    let expected = Relations {
        things: vec![object("a", 0.0), object("b", 0.0)],
        links: vec![link(0, 1, 4), link(1, 0, 8)],
    };
    if let Some(carried) = carried(&sent) {
        assert_eq!(carried, expected);
    }
}

#[test]
fn a_buffer_stays_as_it_is_if_nothing_can_be_carried() {
    common::init();
    let nothing = Relations { things: vec![other()], links: vec![link(0, 0, 2)] };
    let mut buffer = gst::Buffer::new();
    assert_eq!(attach(buffer.make_mut(), &nothing).is_ok(), Analytics::get().is_some());
    assert!(!has_relations(&buffer));
}

#[test]
fn a_second_set_goes_behind_the_first() {
    common::init();
    let Some(analytics) = Analytics::get() else { return assert!(!common::at_least(26)) };
    let set = Relations { things: vec![object("a", 0.0), tracking(None, false)], links: vec![link(0, 1, 2)] };
    let mut buffer = gst::Buffer::new();
    for _ in 0..2 {
        analytics.attach(buffer.make_mut(), &set).unwrap();
    }
    let both = analytics.read(&buffer).unwrap();
    assert_eq!(both.things, [set.things.clone(), set.things].concat());
    assert_eq!(both.links, [link(0, 1, 2), link(2, 3, 2)]);
}

#[test]
fn as_many_things_as_allowed_fit_and_no_more() {
    common::init();
    let Some(analytics) = Analytics::get() else { return assert!(!common::at_least(26)) };
    let set = Relations { things: vec![tracking(None, false); MAX_THINGS], links: vec![link(4095, 0, 2)] };
    let mut buffer = gst::Buffer::new();
    analytics.attach(buffer.make_mut(), &set).unwrap();
    assert_eq!(analytics.read(&buffer).unwrap(), set);
    let one = Relations { things: vec![other(), object("a", 0.0)], links: vec![] };
    let error = analytics.attach(buffer.make_mut(), &one).unwrap_err();
    assert!(matches!(error, Error::TooMany { count: 4097, .. }), "{error}");
}

#[test]
fn bad_values_are_refused() {
    let with = |thing: Thing| Relations { things: vec![thing], links: vec![] };
    let linked = |link| Relations { things: vec![object("a", 0.0), object("b", 0.0)], links: vec![link] };
    let base = mask(MaskFormat::Gray8, 2, 2);
    let masked = |mask| with(segmentation(SegmentationKind::Instance, mask));
    let placed = |x, width| {
        with(Thing::Object {
            label: String::new(),
            x,
            y: 0,
            width,
            height: 0,
            rotation: 0.0,
            confidence: 0.0,
        })
    };
    let classed = |label: &str, level| with(Thing::Class { classes: vec![(label.into(), level)] });
    let bad = [
        with(object("a\0b", 0.0)),
        with(object(&"x".repeat(MAX_LABEL + 1), 0.0)),
        with(object("a", f32::NAN)),
        placed(MAX_COORDINATE + 1, 0),
        placed(i32::MIN, 0),
        placed(0, -1),
        classed("a", f32::INFINITY),
        classed("a\0", 0.0),
        with(Thing::Class { classes: vec![(String::new(), 0.0); MAX_CLASSES + 1] }),
        Relations { things: vec![other(); MAX_THINGS + 1], links: vec![] },
        Relations { things: vec![other()], links: vec![link(0, 0, 2); MAX_LINKS + 1] },
        linked(link(0, 2, 2)),
        linked(link(usize::MAX, 0, 2)),
        linked(link(0, 1, 0)),
        linked(link(0, 1, 1)),
        linked(link(0, 1, 0x22)),
        masked(Mask { width: 3, ..base.clone() }),
        masked(Mask { width: 0, data: vec![], ..base.clone() }),
        masked(Mask { width: u32::MAX, height: u32::MAX, ..base.clone() }),
        masked(Mask { format: MaskFormat::Gray16Le, ..base }),
    ];
    common::init();
    for (number, relations) in bad.iter().enumerate() {
        relations.check().expect_err(&number.to_string());
        if let Some(analytics) = Analytics::get() {
            let mut buffer = gst::Buffer::new();
            analytics.attach(buffer.make_mut(), relations).unwrap_err();
            assert!(!has_relations(&buffer), "{number}");
        }
    }
}

#[test]
fn kinds_and_formats_have_names_and_numbers() {
    assert_eq!(SegmentationKind::try_from(1), Ok(SegmentationKind::Instance));
    assert!(SegmentationKind::try_from(2).is_err());
    assert_eq!(MaskFormat::from_name("GRAY16_LE"), Some(MaskFormat::Gray16Le));
    assert_eq!(MaskFormat::from_name("NV12"), None);
}

fn any_label() -> impl Strategy<Value = String> {
    // Few labels: each is kept for ever.
    prop_oneof![Just(String::new()), "[a-d\0]{1,2}"]
}

fn any_thing() -> impl Strategy<Value = Thing> {
    let object =
        (any_label(), any::<[i16; 4]>(), any::<f32>()).prop_map(|(label, [x, y, w, h], confidence)| {
            let [x, y, width, height] = [x, y, w, h].map(i32::from);
            Thing::Object { label, x, y, width, height, rotation: 0.0, confidence }
        });
    let class =
        prop::collection::vec((any_label(), any::<f32>()), 0..5).prop_map(|classes| Thing::Class { classes });
    let tracking = any::<(u64, u64, u64, bool)>().prop_map(|(id, first, last, lost)| {
        let time = |time: u64| (time != u64::MAX).then(|| gst::ClockTime::from_nseconds(time));
        Thing::Tracking { id, first_seen: time(first), last_seen: time(last), lost }
    });
    prop_oneof![object, class, tracking]
}

proptest! {
    #[test]
    fn whatever_passes_the_check_comes_back(
        things in prop::collection::vec(any_thing(), 0..12),
        links in prop::collection::vec((0usize..13, 0usize..13, 0u32..16), 0..8),
    ) {
        let mut links: Vec<Link> = links.into_iter().map(|(from, to, relation)| link(from, to, relation)).collect();
        // As they are read: in order, one for a pair.
        links.sort_by_key(|link| (link.from, link.to));
        links.dedup_by_key(|link| (link.from, link.to));
        let relations = Relations { things, links };
        if relations.check().is_ok() {
            assert_carried(&relations);
        } else if let Some(analytics) = Analytics::get() {
            prop_assert!(analytics.attach(gst::Buffer::new().make_mut(), &relations).is_err());
        }
    }
}
