//! What two processes say about the metas of their buffers.

use crate::compare::assert_same_buffers;
use crate::peer::{Peer, SOON};

/// `push` commands for a stream of video frames, 64x48 in I420, with all metas of video that every release knows: each in 12
/// variants, several of one kind, all together, and none at all.
pub fn video_script() -> Vec<String> {
    let mut lines = vec!["start video/x-raw,format=I420,width=64,height=48,framerate=25/1".to_owned()];
    let each = ["video", "crop", "region", "affine", "timestamp", "timecode", "caption", "afd", "bar"];
    let more =
        ["protection", "known", "strange", "payload", "sei", "alpha", "region*9", "caption*4,sei*3,known*2"];
    for (seed, kinds) in each.into_iter().chain(more).enumerate() {
        lines.push(format!("buffer count=12 mem=20000 pts=0 duration=40000000 seed={seed} metas={kinds}"));
    }
    lines.push(
        "buffer count=12 mem=20000 pts=0 metas=video,crop,clipping,level,region*3,timecode*2".to_owned(),
    );
    // More than fits into the header of an active message.
    lines.push("buffer count=12 mem=20000 seed=77 metas=video,payload*5,strange*20,region*40".to_owned());
    lines.push("buffer count=5 mem=20000 pts=7".to_owned());
    lines
}

/// How many buffers [`video_script`] pushes.
pub const VIDEO_BUFFERS: usize = 17 * 12 + 2 * 12 + 5;

/// `push` commands for a stream of audio.
pub fn audio_script(planar: bool) -> Vec<String> {
    let (caps, kind) = if planar {
        let mask = "channel-mask=(bitmask)0x3f,layout=non-interleaved";
        (format!("audio/x-raw,format=F32LE,rate=48000,channels=6,{mask}"), "audio-planar")
    } else {
        ("audio/x-raw,format=S16LE,rate=48000,channels=2,layout=interleaved".to_owned(), "audio")
    };
    vec![
        format!("start {caps}"),
        format!("buffer count=12 mem=9600 seed=3 metas={kind}"),
        format!("buffer count=12 mem=9600 seed=4 metas={kind},clipping,level,timestamp,known"),
        "buffer count=12 mem=9600 seed=5 metas=clipping*2,level".to_owned(),
        "buffer count=5 mem=9600".to_owned(),
    ]
}

/// How many buffers [`audio_script`] pushes.
pub const AUDIO_BUFFERS: usize = 3 * 12 + 5;

/// What must be found in the sender's text after [`video_script`]: kinds, and variants of them.
pub const VIDEO_KINDS: &[&str] = &[
    "video id=0",
    "masks=[31, 15, 15, 0]",
    "crop (",
    "region \"vehicle\"",
    "region \"Fußgänger\"",
    "detection{confidence=(gdouble)0.",
    "object_id{id=(gint)",
    "color/model-2{",
    "nothing{}",
    "middle=(GstStructure)middle{inner=(GstStructure)inner{",
    "affine [[",
    "timestamp timestamp/x-ntp",
    "duration=None",
    "timecode ",
    "flags=0x1 jam=Some",
    "flags=0x2 jam=None",
    "flags=0x3 jam=",
    "jam=Some((1709231398, 123456, 19800))",
    "caption Cea608Raw",
    "caption Cea608S3341a",
    "caption Cea708Raw",
    "caption Cea708Cdp",
    "afd 0 DvbEtsi",
    "afd 1 AtscA53",
    "SmpteSt20161",
    "letterbox=true",
    "letterbox=false",
    "protection application/x-cenc{",
    "custom tags=[\"video\"] NvdsucxTestKnown{",
    "custom tags=[\"orientation\", \"size\"] NvdsucxTestStrange{",
    "custom tags=[] NvdsCustomPayload{payload=(GstBuffer)",
    "type=(guint)11259375",
    "type=(guint)16702650",
    "sei [",
    "alpha (Some(",
    "clipping start=",
    "level ",
];

/// What must be found in the sender's text after [`audio_script`].
pub fn audio_kinds(planar: bool) -> &'static [&'static str] {
    if planar {
        &["audio F32le NonInterleaved rate=48000 channels=6", "offsets=[0, 1600, ", "offsets=[1600, 3200,"]
    } else {
        &["audio S16le Interleaved rate=48000 channels=2", "voice=true", "clipping start=", "timestamp "]
    }
}

/// Waits until `count` buffers have arrived, and panics if they are not those that were sent, or if their metas are not.
pub fn assert_same_metas(sender: &Peer, receiver: &Peer, count: usize) {
    assert_same_buffers(sender, receiver, count);
    let (sent, received) = (sender.lines_with("meta "), receiver.lines_with("meta "));
    assert!(!sent.is_empty(), "no meta was sent at all");
    for (sent, received) in sent.iter().zip(&received) {
        assert_eq!(sent, received, "what was sent, and what arrived");
    }
    assert_eq!(sent.len(), received.len(), "the number of metas that were sent, and that arrived");
}

/// Panics if one of `texts` is nowhere among the metas that `peer` has told about.
pub fn assert_kinds(peer: &Peer, texts: &[&str]) {
    let metas = peer.lines_with("meta ");
    let missing: Vec<_> =
        texts.iter().filter(|text| !metas.iter().any(|meta| meta.contains(**text))).collect();
    assert!(missing.is_empty(), "not among {} metas: {missing:?}", metas.len());
}

/// Panics if `peer` has lost a meta.
pub fn assert_none_lost(peer: &mut Peer) {
    let complaints: Vec<_> = peer.stderr().into_iter().filter(|line| line.contains("meta")).collect();
    assert_eq!(peer.stat("metas-lost"), 0, "{complaints:#?}");
}

/// Stops `peer`, whose stream has ended well. Panics unless it has warned of the loss of metas of this kind, and once only.
pub fn stop_having_named_once(mut peer: Peer, kind: &str) {
    peer.line("eos");
    peer.assert_no_error();
    peer.ask("stop", "stopped ");
    // All of its log is there when it has ended.
    assert!(peer.wait_exit(SOON).success());
    peer.assert_clean();
    let log = peer.stderr();
    assert_eq!(log.iter().filter(|line| line.contains(kind)).count(), 1, "{log:#?}");
}
