//! DeepStream's own metadata, with its own libraries in both processes. Buffers of several frames keep what is of each.

use nvdsucx_tests::Link;
use nvdsucx_tests::metas::{assert_kinds, assert_none_lost, assert_same_metas};

/// Names the folder with DeepStream's libraries.
const FOLDER: &str = "NVDSUCX_DEEPSTREAM";

#[test]
fn batches_of_deepstream_arrive_frame_by_frame() {
    if std::env::var_os(FOLDER).is_none() {
        eprintln!("skipped: {FOLDER} names no folder with DeepStream's libraries");
        return;
    }
    for link in Link::all() {
        let (mut sender, mut receiver) = link.env("GST_DEBUG", "nvdsucx*:2").start_settled();
        sender.push(&["start application/x-test"]);
        sender.push(&[
            "buffer count=24 mem=20000 metas=batch",
            "buffer count=8 mem=500 metas=region,batch",
            "eos",
        ]);
        receiver.line("eos");
        for peer in [&mut sender, &mut receiver] {
            assert_none_lost(peer);
        }
        assert_same_metas(&sender, &receiver, 32);
        let kinds =
            ["batch Video(", "batch Audio(", "batch_id: 3", "of frame 3", "parent: Some(2)", "sound 3"];
        assert_kinds(&sender, &kinds);
        sender.line("eos");
        for peer in [sender, receiver] {
            peer.assert_no_error();
            peer.stop();
        }
    }
}
