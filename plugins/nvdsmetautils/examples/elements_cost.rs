//! How long it takes to serialise regions of interest, or analytics relations where GStreamer has them (1.24), and to make
//! them again. Run it as a release build.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use gst::MetaAPI;
use gst::buffer::BufferMetaForeachAction;
use gst_newer::analytics::{Analytics, Link, Relations, Thing};
use gst_video::VideoRegionOfInterestMeta;
use gstnvdsmetautils::{PayloadKind, deserialize, serialize};

const REGIONS: i32 = 500;
const ROUNDS: usize = 400;

fn buffer(params: &[&str]) -> gst::Buffer {
    let mut buffer = gst::Buffer::new();
    let params: Vec<gst::Structure> = params.iter().map(|text| text.parse().unwrap()).collect();
    for id in 0..REGIONS {
        let rect = (id as u32, 20, 64, 128);
        let mut region = VideoRegionOfInterestMeta::add(buffer.make_mut(), "person", rect);
        region.set_id(id + 1);
        params.iter().for_each(|param| region.add_param(param.clone()));
    }
    buffer
}

fn remove_regions(buffer: &mut gst::BufferRef) {
    buffer.foreach_meta_mut(|meta| {
        let region = meta.api() == VideoRegionOfInterestMeta::meta_api();
        ControlFlow::Continue(if region {
            BufferMetaForeachAction::Remove
        } else {
            BufferMetaForeachAction::Keep
        })
    });
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn main() {
    gst::init().unwrap();
    println!("{REGIONS} regions, microseconds (median of {ROUNDS})");
    for (name, params) in [
        ("type, id, rectangle", &[][..]),
        ("and a detection", &["detection, confidence=(double)0.75, label_id=(int)3"]),
        (
            "and a tracker's id",
            &["detection, confidence=(double)0.75, label_id=(int)3", "object_id, id=(int)77"],
        ),
        (
            "and a classification",
            &[
                "detection, confidence=(double)0.75, label_id=(int)3",
                "object_id, id=(int)77",
                "colour, label=(string)red, confidence=(double)0.5",
            ],
        ),
        (
            "a confidence of more digits",
            &["detection, confidence=(double)0.88532708626785761, label_id=(int)3"],
        ),
        (
            "with a parameter of its own",
            &["detection, x_min=(double)0.25, x_max=(double)0.5, confidence=(double)0.75, label_id=(int)3"],
        ),
    ] {
        let mut buffer = buffer(params);
        let fresh = buffer.get_mut().unwrap();
        let stream = PayloadKind::Video.into();
        let (mut inserting, mut extracting) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let start = Instant::now();
            serialize(fresh, &stream).unwrap();
            inserting.push(start.elapsed());
            remove_regions(fresh);
            let start = Instant::now();
            deserialize(fresh, false).unwrap();
            extracting.push(start.elapsed());
            assert_eq!(fresh.iter_meta::<VideoRegionOfInterestMeta>().count(), REGIONS as usize);
        }
        println!("{name:28} insert {:7.1}  extract {:7.1}", median(inserting), median(extracting));
    }
    relations();
}

/// As many objects, each with a class and a track.
fn relations() {
    let Some(analytics) = Analytics::get() else { return };
    let mut found = Relations::default();
    for id in 0..REGIONS {
        let object = found.things.len();
        let label = "person".to_owned();
        let (x, y, width, height) = (id, 20, 64, 128);
        found.things.push(Thing::Object { label, x, y, width, height, rotation: 0.0, confidence: 0.75 });
        found.things.push(Thing::Class { classes: vec![("red".to_owned(), 0.5)] });
        found.things.push(Thing::Tracking { id: 77, first_seen: None, last_seen: None, lost: false });
        found.links.extend([1, 2].map(|other| Link { from: object, to: object + other, relation: 8 }));
    }
    for (name, relations) in [
        (
            "objects of relations",
            Relations { things: found.things.iter().step_by(3).cloned().collect(), links: vec![] },
        ),
        ("with class and track each", found),
    ] {
        let mut times = [(); 4].map(|()| Vec::new());
        for _ in 0..ROUNDS / 4 {
            let mut buffer = gst::Buffer::new();
            let fresh = buffer.get_mut().unwrap();
            let start = Instant::now();
            analytics.attach(fresh, &relations).unwrap();
            times[0].push(start.elapsed());
            let start = Instant::now();
            assert_eq!(analytics.read(fresh).as_ref(), Some(&relations));
            times[1].push(start.elapsed());
            let start = Instant::now();
            serialize(fresh, &PayloadKind::Video.into()).unwrap();
            times[2].push(start.elapsed());
            // It has them already.
            let start = Instant::now();
            deserialize(fresh, false).unwrap();
            times[3].push(start.elapsed());
        }
        let [attach, read, insert, extract] = times.map(median);
        println!(
            "{name:28} attach {attach:7.1}  read {read:7.1}  insert {insert:7.1}  extract {extract:7.1}"
        );
    }
}
