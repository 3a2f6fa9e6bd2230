//! Every meta of a buffer crosses, field by field; what cannot is counted.

use nvdsucx_tests::compare::assert_same_buffers;
use nvdsucx_tests::metas::{
    AUDIO_BUFFERS, VIDEO_BUFFERS, VIDEO_KINDS, assert_kinds, assert_none_lost, assert_same_metas,
    audio_kinds, audio_script, stop_having_named_once, video_script,
};
use nvdsucx_tests::peer::Peer;
use nvdsucx_tests::{Launch, Link, Pairing, Transport};

/// Runs `script` through `link`. All metas of its `count` buffers must arrive, and `kinds` be among them.
fn run(link: &Link, script: &[String], count: usize, kinds: &[&str]) {
    // The reason of a loss is in the log.
    let (mut sender, mut receiver) = link.clone().env("GST_DEBUG", "nvdsucx*:2").start_settled();
    receiver.ask("take-layouts", "layouts-taken");
    let script: Vec<&str> = script.iter().map(String::as_str).collect();
    sender.push(&script);
    sender.command("push eos");
    receiver.line("eos");
    for peer in [&mut sender, &mut receiver] {
        assert_none_lost(peer);
    }
    assert_same_metas(&sender, &receiver, count);
    assert_kinds(&sender, kinds);
    end(sender, receiver);
}

fn end(sender: Peer, receiver: Peer) {
    sender.line("eos");
    for peer in [sender, receiver] {
        peer.assert_no_error();
        peer.stop();
    }
}

#[test]
fn every_meta_of_video_arrives() {
    for link in Link::all() {
        run(&link, &video_script(), VIDEO_BUFFERS, VIDEO_KINDS);
    }
}

#[test]
fn every_meta_of_audio_arrives() {
    for link in Link::all() {
        for planar in [false, true] {
            run(&link, &audio_script(planar), AUDIO_BUFFERS, audio_kinds(planar));
        }
    }
}

#[test]
fn every_meta_arrives_on_a_buffer_of_any_kind() {
    let script = ["start application/x-test", "buffer count=12 mem=20000 seed=9 metas=all"].map(String::from);
    for link in Link::all() {
        run(&link, &script, 12, &["region ", "sei ", "level ", "NvdsucxTestStrange", "NvdsCustomPayload"]);
    }
}

#[test]
fn buffers_without_memory_keep_their_metas() {
    let script = ["start application/x-test", "buffer count=12 seed=5 metas=region,known,payload,timestamp"];
    for link in Link::all() {
        run(&link, &script.map(String::from), 12, &["region ", "NvdsucxTestKnown"]);
    }
}

#[test]
fn what_analytics_found_arrives() {
    if gst::version() < (1, 24, 0, 0) {
        // There it is tested with a newer release beside it: metadata_mixed.rs.
        return;
    }
    let script = ["start application/x-test", "buffer count=12 mem=20000 metas=relations"].map(String::from);
    for link in Link::all() {
        run(&link, &script, 12, &["relations Some", "Object", "Class", "Tracking", "links: [Link"]);
    }
}

#[test]
fn a_second_client_gets_the_same_metas() {
    let link = Link::new(Pairing::ServerSink, Transport::Default).sink("num-conns=2");
    let mut sender = link.listening().start();
    let port = sender.port();
    let receivers = [link.connecting(port).start(), link.connecting(port).start()];
    sender.push(&["start application/x-test", "buffer count=24 mem=20000 metas=all", "eos"]);
    for receiver in &receivers {
        receiver.line("eos");
        assert_same_metas(&sender, receiver, 24);
    }
}

#[test]
fn metas_that_cannot_cross_are_counted_and_named_once() {
    for link in Link::both_ways() {
        let (mut sender, mut receiver) = link.env("GST_DEBUG", "nvdsucx*:2").start_connected();
        sender.push(&["start application/x-test"]);
        sender.push(&["buffer count=3 mem=100 metas=foreign", "buffer count=4 mem=100 metas=sei,foreign*2"]);
        sender.push(&["eos"]);
        receiver.line("eos");
        assert_same_buffers(&sender, &receiver, 7);
        assert_eq!(sender.count("meta "), 3 + 4 * 3);
        let foreign = |line: &String| line.ends_with("unknown NvdsucxTestForeignMetaAPI");
        let expected: Vec<_> = sender.lines_with("meta ").into_iter().filter(|line| !foreign(line)).collect();
        assert_eq!(receiver.lines_with("meta "), expected);
        assert_eq!(sender.stat("metas-lost"), 3 + 4 * 2);
        assert_eq!(receiver.stat("metas-lost"), 0);
        receiver.assert_no_error();
        stop_having_named_once(sender, "NvdsucxTestForeignMetaAPI");
        receiver.stop();
    }
}

#[test]
fn metas_beyond_what_fits_are_counted_and_the_others_arrive() {
    for link in Link::all() {
        let (mut sender, mut receiver) = link.start_settled();
        sender.push(&["start application/x-test", "buffer mem=100 metas=level*5000"]);
        sender.push(&["buffer mem=100 metas=payload*1000", "buffer mem=100 metas=level", "eos"]);
        receiver.line("eos");
        assert_same_buffers(&sender, &receiver, 3);
        let lost = sender.stat("metas-lost") as usize;
        assert_eq!(receiver.stat("metas-lost"), 0);
        for (n, sent, least) in [(0, 5000, 1000), (1, 1000, 100), (2, 1, 1)] {
            let metas = |peer: &Peer| peer.lines_with(&format!("meta n={n} "));
            let (offered, arrived) = (metas(&sender), metas(&receiver));
            assert_eq!(offered.len(), sent);
            assert!(arrived.len() >= least, "only {} of {sent} arrived", arrived.len());
            let mut rest = offered.iter();
            assert!(arrived.iter().all(|meta| rest.any(|other| other == meta)), "not in order, or changed");
        }
        assert_eq!(lost + receiver.count("meta "), 6001);
        assert!(lost > 0, "all fitted");
        end(sender, receiver);
    }
}

#[test]
fn frames_repacked_for_a_receiver_without_layouts_keep_their_other_metas() {
    for link in Link::all() {
        let (mut sender, mut receiver) = link.start_settled();
        // fakesink does not say that it knows layouts, or crops.
        sender.push(&["start video/x-raw,format=I420,width=32,height=24,framerate=25/1"]);
        sender.push(&["buffer count=12 mem=20000 pts=0 metas=video,region*2,crop-quarter,sei", "eos"]);
        receiver.line("eos");
        assert_none_lost(&mut receiver);
        let frames = receiver.lines_with("buffer ");
        assert_eq!(frames.len(), 12);
        assert!(frames.iter().all(|frame| frame.contains(" mem=1152:")), "{frames:#?}");
        let done = |line: &String| line.contains(" video ") || line.contains(" crop ");
        let others: Vec<_> = sender.lines_with("meta ").into_iter().filter(|line| !done(line)).collect();
        assert_eq!(others.len(), 12 * 3);
        assert_eq!(receiver.lines_with("meta "), others);
        end(sender, receiver);
    }
}

/// `videocrop` finds that the sink takes crops, and leaves them to whoever comes last: here the receiving element itself.
#[test]
fn a_crop_is_carried_out_for_a_receiver_that_cannot() {
    // What is left is 304 pixels wide and has an even height: no bytes lie between the rows, or the planes.
    let crops =
        ["left=12 top=8 right=6 bottom=2", "left=11 top=7 right=7 bottom=3", "right=18 top=9 bottom=1"];
    for format in ["I420", "NV12", "RGBA", "GRAY8", "GRAY16_LE", "RGB", "Y444"] {
        for crop in crops {
            let head = format!(
                "videotestsrc num-buffers=3 pattern=chroma-zone-plate kx2=20 ky2=20 kt=1 ! video/x-raw,format={format},width=322,height=242 ! \
                 videocrop {crop} !"
            );
            // The end of this one cannot crop, so `videocrop` does.
            let reference = Launch::pipeline("reference", &format!("{head} fakesink name=probe sync=false"));
            let reference = reference.start();
            let head = format!("{head} identity name=probe silent=true !");
            let link = Link::new(Pairing::ServerSink, Transport::Default).buf_type("nvdsucx-buf-video");
            let (sender, receiver) = link.head(&head).start();
            receiver.line("eos");
            let pictures = |peer: &Peer| -> Vec<String> {
                let lines = peer.lines_until(3, "buffer ");
                let memories =
                    lines.iter().flat_map(|line| line.split(' ').find(|word| word.starts_with("mem=")));
                memories.map(str::to_owned).collect()
            };
            assert_eq!(pictures(&receiver), pictures(&reference), "{format} {crop}");
            assert_kinds(&sender, &["crop ("]);
            assert!(receiver.lines_with("meta ").is_empty(), "cropped, and to be cropped again");
            reference.stop();
            end(sender, receiver);
        }
    }
}

#[test]
fn who_makes_buffers_is_told_which_metas_cross() {
    for pairing in [Pairing::ServerSink, Pairing::ServerSrc] {
        let link = Link::new(pairing, Transport::Default).buf_type("nvdsucx-buf-video");
        let (mut sender, receiver) = link.start_mapped();
        let answer = sender.ask("allocation video/x-raw,format=I420,width=64,height=48", "allocation ");
        let (_, metas) = answer.split_once("metas=").expect("a list of metas");
        let metas: Vec<_> = metas.split(',').collect();
        let expected = [
            "GstVideoMetaAPI",
            "GstVideoCropMetaAPI",
            "GstVideoRegionOfInterestMetaAPI",
            "GstVideoAffineTransformationAPI",
            "GstVideoTimeCodeMetaAPI",
            "GstVideoCaptionMetaAPI",
            "GstVideoAFDMetaAPI",
            "GstVideoBarMetaAPI",
            "GstVideoSEIUserDataUnregisteredMetaAPI",
            "GstAudioMetaAPI",
            "GstAudioClippingMetaAPI",
            "GstAudioLevelMetaAPI",
            "GstReferenceTimestampMetaAPI",
            "GstProtectionMetaAPI",
            "GstVideoCodecAlphaMetaAPI",
        ];
        let missing: Vec<_> = expected.into_iter().filter(|meta| !metas.contains(meta)).collect();
        assert!(missing.is_empty(), "not offered: {missing:?}; offered: {metas:?}");
        // They do not travel; elements that could leave them to a sink draw them then.
        assert!(!metas.contains(&"GstVideoOverlayCompositionMetaAPI"), "{metas:?}");
        sender.stop();
        receiver.stop();
    }
}

/// A decoder that finds `VideoCropMeta` in the answer crops with it; a source that finds `VideoMeta` uses its own strides.
#[test]
fn a_source_lays_its_frames_out_as_it_likes() {
    for link in Link::both_ways() {
        let head = "videotestsrc num-buffers=10 pattern=ball ! video/x-raw,format=I420,width=321,height=241 ! \
                    identity name=probe !";
        let link = link.clone().buf_type("nvdsucx-buf-video").head(head).sink(&zero_copy(&link)).blocked();
        let (mut sender, mut receiver) = link.start_connected();
        receiver.ask("take-layouts", "layouts-taken");
        sender.command("unblock");
        receiver.line("eos");
        assert_same_metas(&sender, &receiver, 10);
        assert_kinds(&sender, &["video id=0 flags=0x0 format=I420 321x241"]);
        end(sender, receiver);
    }
}

/// What `buf_type` has taken away.
fn zero_copy(link: &Link) -> String {
    link.sink.split(' ').filter(|property| property.starts_with("zero-copy")).collect()
}
