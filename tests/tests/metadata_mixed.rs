//! Two releases of GStreamer, and of UCX, work together: the system's, and those of Debian testing in NVDSUCX_TESTING_ROOT.
//! Whatever both know arrives; what only the newer one knows is counted, and costs no frame.

use nvdsucx_tests::compare::assert_same_buffers;
use nvdsucx_tests::metas::{
    AUDIO_BUFFERS, VIDEO_BUFFERS, VIDEO_KINDS, assert_kinds, assert_none_lost, assert_same_metas,
    audio_kinds, audio_script, stop_having_named_once, video_script,
};
use nvdsucx_tests::peer::Peer;
use nvdsucx_tests::room::Room;
use nvdsucx_tests::testing::Testing;
use nvdsucx_tests::{Link, Transport};

/// Where a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Here,
    Testing,
}

use Place::{Here, Testing as Newer};

/// The two systems, which share memory with each other only.
struct Systems {
    room: Room,
    testing: Testing,
}

impl Systems {
    fn new() -> Self {
        let room = Room::new();
        let testing = Testing::new(&room);
        Self { room, testing }
    }

    fn by(&self, place: Place) -> Vec<String> {
        if place == Here { self.room.by() } else { self.testing.by() }
    }

    /// Each pairing, over memory that both map, and over TCP.
    fn links(&self, (sender, receiver): (Place, Place)) -> impl Iterator<Item = Link> {
        // UCX's own shared memory needs all devices, with which different releases do not connect.
        let links = Link::all().into_iter().filter(|link| link.transport != Transport::SharedMemory);
        links.map(move |mut link| {
            link.by = (self.by(sender), self.by(receiver));
            link.env("GST_DEBUG", "nvdsucx*:2")
        })
    }

    fn start(&self, link: &Link, places: (Place, Place)) -> (Peer, Peer) {
        let (mut sender, mut receiver) = link.start_settled();
        for (peer, place) in [(&mut sender, places.0), (&mut receiver, places.1)] {
            if place == Newer {
                let release = peer.ask("release", "release ");
                assert_eq!(release, format!("release {}", self.testing.gstreamer));
            }
        }
        (sender, receiver)
    }

    /// All metas of a script must arrive.
    fn run(&self, places: (Place, Place), script: &[String], count: usize, kinds: &[&str]) {
        let script: Vec<_> = script.iter().map(String::as_str).collect();
        for link in self.links(places) {
            let (mut sender, mut receiver) = self.start(&link, places);
            receiver.ask("take-layouts", "layouts-taken");
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
    }

    /// Everything that both releases know.
    fn run_all(&self, places: (Place, Place)) {
        self.run(places, &video_script(), VIDEO_BUFFERS, VIDEO_KINDS);
        for planar in [false, true] {
            self.run(places, &audio_script(planar), AUDIO_BUFFERS, audio_kinds(planar));
        }
        self.media(places);
        self.room.assert_empty();
    }

    /// Frames of real sources, whose elements negotiate with ours.
    fn media(&self, places: (Place, Place)) {
        let video = "videotestsrc num-buffers=20 pattern=snow ! \
                     video/x-raw,format=NV12,width=1921,height=1081,framerate=30/1 ! identity name=probe !";
        let audio = "audiotestsrc num-buffers=50 ! audio/x-raw,format=S16LE,rate=48000,channels=2 ! \
                     identity name=probe !";
        for (buf_type, head, count) in
            [("nvdsucx-buf-video", video, 20), ("nvdsucx-buf-raw-audio", audio, 50)]
        {
            for link in self.links(places) {
                let link = link.buf_type(buf_type).head(head).blocked();
                let (mut sender, mut receiver) = self.start(&link, places);
                receiver.ask("take-layouts", "layouts-taken");
                sender.command("unblock");
                receiver.line("eos");
                assert_same_buffers(&sender, &receiver, count);
                for peer in [&mut sender, &mut receiver] {
                    assert_none_lost(peer);
                }
                end(sender, receiver);
            }
        }
    }
}

fn end(sender: Peer, receiver: Peer) {
    sender.line("eos");
    for peer in [sender, receiver] {
        peer.assert_no_error();
        peer.stop();
    }
}

#[test]
fn a_sender_here_and_a_receiver_in_testing() {
    Systems::new().run_all((Here, Newer));
}

#[test]
fn a_sender_in_testing_and_a_receiver_here() {
    Systems::new().run_all((Newer, Here));
}

#[test]
fn both_in_testing() {
    let systems = Systems::new();
    systems.run_all((Newer, Newer));
    let script = ["start application/x-test", "buffer count=12 mem=20000 metas=all"].map(String::from);
    let kinds = ["relations Some", "Object {", "Class {", "Tracking {", "Segmentation {", "links: [Link {"];
    systems.run((Newer, Newer), &script, 12, &kinds);
    // A meta of an application's own that GStreamer serialises, and what 1.28 has beside a timestamp.
    let script =
        ["start application/x-test", "buffer count=12 mem=20000 metas=spoken*2,region,timestamp-info"];
    let kinds = ["NvdsucxTestSpoken ", "timestamp timestamp/x-ptp", "info=clock, synced=(boolean)true;"];
    systems.run((Newer, Newer), &script.map(String::from), 12, &kinds);
}

#[test]
fn on_testing_a_finding_of_a_kind_that_is_not_known_is_counted_and_the_others_arrive() {
    let systems = Systems::new();
    let places = (Newer, Newer);
    for link in systems.links(places) {
        let (mut sender, mut receiver) = systems.start(&link, places);
        sender.push(&["start application/x-test", "buffer count=12 mem=20000 metas=relations-odd", "eos"]);
        receiver.line("eos");
        assert_same_buffers(&sender, &receiver, 12);
        let others: Vec<_> = sender
            .lines_with("meta ")
            .iter()
            .map(|meta| meta.replace(", Other { name: \"nvdsucx-test\" }", ""))
            .collect();
        assert!(others.iter().all(|meta| meta.contains("Tracking {") && !meta.contains("nvdsucx-test")));
        assert_eq!(receiver.lines_with("meta "), others);
        assert_eq!((sender.stat("metas-lost"), receiver.stat("metas-lost")), (12, 0));
        stop_having_named_once(sender, "nvdsucx-test of GstAnalyticsRelationMetaAPI");
        receiver.assert_no_error();
        receiver.stop();
    }
}

#[test]
fn who_makes_buffers_in_testing_is_told_that_analytics_cross() {
    let systems = Systems::new();
    let places = (Newer, Newer);
    for link in systems.links(places) {
        let (mut sender, receiver) = systems.start(&link, places);
        // Whoever attaches them has loaded their library.
        sender.push(&["start application/x-test", "buffer count=2 mem=1000 metas=relations"]);
        receiver.lines_until(2, "buffer ");
        let answer = sender.ask("allocation application/x-test", "allocation ");
        assert!(answer.contains("GstAnalyticsRelationMetaAPI"), "{answer}");
        sender.stop();
        receiver.stop();
    }
}

#[test]
fn a_meta_that_only_a_sender_in_testing_can_read_is_counted() {
    let systems = Systems::new();
    for (places, newest) in [((Newer, Newer), 0), ((Newer, Here), 12 + 12)] {
        for link in systems.links(places) {
            let (mut sender, mut receiver) = systems.start(&link, places);
            sender.push(&["start application/x-test"]);
            sender.push(&["buffer count=12 mem=20000 metas=unheard,spoken,sei,timestamp-info", "eos"]);
            receiver.line("eos");
            assert_same_buffers(&sender, &receiver, 12);
            assert_eq!(sender.count("meta "), 12 * 4);
            // The timestamp itself arrives everywhere.
            assert_eq!(receiver.count("meta "), if places.1 == Newer { 12 * 3 } else { 12 * 2 });
            assert_eq!((sender.stat("metas-lost"), receiver.stat("metas-lost")), (0, 12 + newest));
            for peer in [sender, receiver] {
                peer.assert_no_error();
                peer.stop();
            }
        }
    }
}

#[test]
fn what_only_a_sender_in_testing_knows_is_counted_and_the_frame_arrives() {
    let systems = Systems::new();
    let places = (Newer, Here);
    for link in systems.links(places) {
        let (mut sender, mut receiver) = systems.start(&link, places);
        sender.push(&[
            "start application/x-test",
            "buffer count=12 mem=20000 metas=region,relations,sei",
            "eos",
        ]);
        receiver.line("eos");
        assert_same_buffers(&sender, &receiver, 12);
        let sent = sender.lines_with("meta ");
        let (relations, others): (Vec<_>, Vec<_>) =
            sent.into_iter().partition(|line| line.contains(" relations Some"));
        assert_eq!((relations.len(), others.len()), (12, 24));
        assert_eq!(receiver.lines_with("meta "), others);
        assert_eq!((sender.stat("metas-lost"), receiver.stat("metas-lost")), (0, 12));
        stop_having_named_once(receiver, "GstAnalyticsRelationMetaAPI");
        sender.assert_no_error();
        sender.stop();
    }
}
