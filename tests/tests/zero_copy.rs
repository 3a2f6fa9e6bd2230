//! Ends on one host share memory, whatever the stream is; those that cannot exchange messages, and nobody notices.

use std::time::Duration;

use nvdsucx_tests::compare::{assert_same_buffers, assert_silent, eventually, settled, stream};
use nvdsucx_tests::link::{CONNECTED, DISCONNECTED};
use nvdsucx_tests::netns::{IPV4, Network};
use nvdsucx_tests::peer::{Launch, Peer, SOON};
use nvdsucx_tests::{Link, Pairing, Transport};

const START: &str = "start application/x-test";

/// Sends buffers that fit into the ring, and some that do not; all `count` there were so far are compared.
fn flow(sender: &mut Peer, receiver: &Peer, count: &mut usize) {
    sender.push(&["buffer count=20 mem=64 pts=0", "buffer count=20 mem=300000,7 pts=0"]);
    *count += 40;
    assert_same_buffers(sender, receiver, *count);
}

/// Ends the stream that has come to its end at the sender; nothing may have gone wrong.
fn end(sender: Peer, receiver: Peer) {
    receiver.line("eos");
    sender.line("eos");
    sender.assert_no_error();
    receiver.assert_no_error();
    sender.stop();
    receiver.stop();
}

/// Frames that go from `head` to the receiver in shared memory, from the first on. Says where the sender's are.
fn mapped(link: &Link, head: &str, count: usize) -> String {
    let head = format!("{head} ! identity name=probe silent=true !");
    let (mut sender, mut receiver) = link.clone().head(&head).blocked().start_mapped();
    sender.line("blocked");
    sender.find_next();
    receiver.find_next();
    // Else the element carries out what is left to do, such as cropping.
    receiver.ask("take-layouts", "layouts-taken");
    sender.command("unblock");
    receiver.line("eos");
    assert_same_buffers(&sender, &receiver, count);
    assert_eq!(receiver.line("where "), "where shared", "at the receiver");
    let at_the_sender = sender.line("where ");
    end(sender, receiver);
    at_the_sender
}

fn video() -> Link {
    Link::new(Pairing::ServerSink, Transport::Default).buf_type("nvdsucx-buf-video")
}

fn any() -> Link {
    Link::new(Pairing::ServerSink, Transport::Default)
}

/// Runs the lines of a script in shared memory from the first on.
fn script(link: &Link, lines: &[&str], count: usize) {
    let (mut sender, receiver) = link.start_mapped();
    sender.push(lines);
    sender.push(&["eos"]);
    receiver.line("eos");
    assert_same_buffers(&sender, &receiver, count);
    end(sender, receiver);
}

#[test]
fn ends_on_one_host_share_memory() {
    for link in Link::both() {
        let (mut sender, mut receiver) = link.start_mapped();
        sender.push(&[START]);
        let mut count = 0;
        flow(&mut sender, &receiver, &mut count);
        receiver.find_next();
        sender.push(&["buffer mem=300000"]);
        assert_same_buffers(&sender, &receiver, 41);
        assert_eq!(receiver.line("where "), "where shared");
        // The last may be counted a moment after it is there.
        eventually("counted", SOON, || {
            (sender.stat("frames"), receiver.stat("frames")).eq(&(41, 41)).then_some(())
        });
        sender.push(&["eos"]);
        end(sender, receiver);
    }
}

/// Frames go through messages, and go on to do so.
fn assert_messages(link: &Link) {
    let (mut sender, mut receiver) = link.start_connected();
    sender.push(&[START]);
    let mut count = 0;
    flow(&mut sender, &receiver, &mut count);
    assert_silent(&receiver, "error", Duration::from_millis(200));
    receiver.find_next();
    flow(&mut sender, &receiver, &mut count);
    assert_eq!(receiver.line("where "), "where private");
    assert_eq!((sender.paths(), receiver.paths()), (vec!["messages".into()], vec!["messages".into()]));
    sender.push(&["eos"]);
    end(sender, receiver);
}

#[test]
fn ends_that_shall_not_share_memory_exchange_messages() {
    for link in Link::both() {
        let mut one_end = [link.clone(), link.clone()];
        one_end[0].by.0 = ["env", "UCX_TLS=tcp"].map(String::from).into();
        one_end[1].by.1 = ["env", "UCX_TLS=tcp"].map(String::from).into();
        let [sender_tcp, receiver_tcp] = one_end;
        for link in [
            link.clone().sink("zero-copy=false"),
            link.clone().src("zero-copy=false"),
            link.clone().sink("high-perf=false"),
            link.clone().src("high-perf=false"),
            link.clone().env("UCX_TLS", "tcp"),
            link.clone().env("UCX_TLS", "^sysv"),
            sender_tcp,
            receiver_tcp,
        ] {
            assert_messages(&link);
        }
    }
}

#[test]
fn a_stream_that_runs_goes_over_to_shared_memory_in_order() {
    for link in Link::both().into_iter().cycle().take(8) {
        let (mut sender, receiver) = link.start_connected();
        sender.push(&[START]);
        let mut count = 0;
        let mut mapped = false;
        // And some more after it.
        while !mapped {
            mapped = sender.paths() == ["mapped"];
            sender.push(&[
                "buffer count=50 mem=100",
                "custom mine, n=(int)1",
                "buffer count=5 mem=20000,1,70000 pts=5",
                "gap 5 5",
                "buffer mem=16385",
            ]);
            count += 56;
        }
        sender.push(&["eos"]);
        receiver.line("eos");
        assert_same_buffers(&sender, &receiver, count);
        sender.line("event eos");
        assert_eq!(travelling(&sender), travelling(&receiver));
        end(sender, receiver);
    }
}

/// Buffers and events, without those that either end has of its own.
fn travelling(peer: &Peer) -> Vec<String> {
    stream(peer).into_iter().filter(|e| !e.starts_with("latency") && !e.starts_with("reconfigure")).collect()
}

#[test]
fn events_of_every_size_keep_their_place() {
    for link in Link::both() {
        let (mut sender, mut receiver) = link.start_mapped();
        receiver.block();
        sender.push(&["stream-start s", "caps application/x-test filled-with=100000", "segment time"]);
        // More than the ring holds.
        for n in 0..30 {
            sender.push(&[&format!("buffer mem={n} pts=0")]);
            for _ in 0..100 {
                sender.push(&[&format!("custom mine, text=(string)\"{}\"", "x".repeat(n * 30))]);
            }
            sender.push(&[&format!("caps application/x-test,n=(int){n} filled-with={}", n * 7000)]);
        }
        sender.push(&["eos"]);
        receiver.line("blocked");
        settled(&sender, "event custom");
        receiver.command("unblock");
        receiver.line("eos");
        assert_eq!(travelling(&sender), travelling(&receiver));
        end(sender, receiver);
    }
}

#[test]
fn buffers_are_held_until_num_conns_are_there() {
    let link = any().sink("num-conns=2");
    let mut sender = link.listening().start();
    let first = link.connecting(sender.port()).start();
    sender.wait_until_mapped(1);
    sender.push(&[START, "buffer count=100 mem=20000 pts=0", "eos"]);
    assert!(settled(&sender, "pushed buffer") < 100, "there is only one client");
    assert_eq!(first.count("buffer "), 0, "there is only one client");
    let second = link.connecting(sender.port()).start();
    for receiver in [&first, &second] {
        receiver.line("eos");
        assert_same_buffers(&sender, receiver, 100);
        receiver.assert_no_error();
    }
    end(sender, first);
    second.stop();
}

#[test]
fn buffers_wait_for_the_next_client() {
    let link = any();
    let (mut sender, first) = link.start_mapped();
    sender.push(&[START, "buffer count=10 mem=100000 pts=0"]);
    first.lines_until(10, "buffer ");
    first.stop();
    sender.line(DISCONNECTED);
    sender.push(&["buffer count=100 mem=100000 pts=1", "eos"]);
    assert!(settled(&sender, "pushed buffer") < 110, "there is no client");
    let second = link.connecting(sender.port()).start();
    second.line("eos");
    assert_eq!(second.count("buffer "), 100);
    assert!(second.lines_with("buffer ").iter().all(|line| line.contains(" pts=1 ")));
    second.line("event caps application/x-test");
    end(sender, second);
}

#[test]
fn a_source_writes_to_the_memory_that_the_sink_proposes() {
    for link in Link::both() {
        let link = link.buf_type("nvdsucx-buf-video");
        let head = "videotestsrc num-buffers=100 pattern=ball ! video/x-raw,format=I420,width=642,height=482";
        assert_eq!(mapped(&link, head, 100), "where shared");
    }
}

#[test]
fn decoders_write_to_the_memory_that_the_sink_proposes() {
    let picture = "videotestsrc num-buffers=60 pattern=ball ! video/x-raw,format=I420,width=642,height=482";
    // Decoders have layouts of their own, which a fakesink would not understand.
    let link = video()
        .tail("! identity name=probe silent=true ! videoconvert ! video/x-raw,format=GRAY8 ! fakesink");
    for codec in
        ["jpegenc ! jpegdec", "vp8enc deadline=1 ! vp8dec", "x264enc speed-preset=2 bframes=2 ! avdec_h264"]
    {
        assert_eq!(mapped(&link, &format!("{picture} ! {codec}"), 60), "where shared", "{codec}");
    }
}

#[test]
fn what_elements_do_to_frames_on_their_way_arrives() {
    let picture = "videotestsrc num-buffers=60 pattern=ball ! video/x-raw,format=I420,width=642,height=482";
    for change in [
        "queue",
        "videocrop left=11 top=7 right=5",
        "videobalance saturation=0.3",
        "videoflip method=1",
        "videoscale ! video/x-raw,width=320,height=240",
        "videoconvert ! video/x-raw,format=RGBA",
        "tee",
    ] {
        mapped(&video(), &format!("{picture} ! {change}"), 60);
    }
}

#[test]
fn memory_of_the_sources_own_and_parts_of_memory_arrive() {
    // The parser cuts frames from blocks.
    let parts = "fakesrc num-buffers=20 sizetype=fixed sizemax=1000000 filltype=pattern-span ! \
                 rawvideoparse format=i420 width=322 height=242";
    assert_eq!(mapped(&video(), parts, 160), "where private");
    let frozen = "videotestsrc num-buffers=1 ! video/x-raw,format=RGBA,width=640,height=480 ! \
                  imagefreeze num-buffers=100";
    mapped(&video(), frozen, 100);
    let audio = "audiotestsrc num-buffers=20 samplesperbuffer=20000 ! \
                 audio/x-raw,format=F32LE,rate=48000,channels=2 ! audiobuffersplit output-buffer-duration=1/13";
    mapped(&any().buf_type("nvdsucx-buf-raw-audio"), audio, 109);
}

#[test]
fn a_stream_that_changes_its_size() {
    let part = |pattern: &str, size: &str| {
        format!("videotestsrc num-buffers=20 pattern={pattern} ! video/x-raw,format=NV12,{size} ! c.")
    };
    let head = format!(
        "{} {} {} {} concat name=c",
        part("ball", "width=320,height=240"),
        part("snow", "width=1280,height=720"),
        part("smpte", "width=64,height=48"),
        part("circular", "width=1920,height=1080"),
    );
    mapped(&video(), &head, 80);
}

#[test]
fn buffers_of_every_size() {
    for link in Link::both() {
        // Up to 16 KiB they go through the ring itself, which has 512 KiB.
        let mut lines = vec![START.to_owned(), "buffer pts=0".into(), "buffer mem=0,0 pts=0".into()];
        let mut count = 2;
        for round in 0..30 {
            for len in [1, 64, 4095, 16_383, 16_384, 16_385, 65_536, 100_000 + round * 40_000] {
                lines.push(format!("buffer seed={round} mem={len} pts={round}"));
                count += 1;
            }
            lines.push(format!("buffer mem=0,{round},16384,0 seed=5"));
            lines.push(format!("buffer mem=16000,0,{} seed=5", 380 + round));
            count += 2;
        }
        lines.push("buffer count=50 mem=3000x15".into());
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        script(&link, &lines, count + 50);
    }
}

#[test]
fn thousands_of_lines_of_text() {
    let lines = ["start text/x-raw,format=utf8", "buffer count=10000 mem=64 pts=0 duration=1000"];
    script(&any().buf_type("nvdsucx-buf-text"), &lines, 10_000);
}

#[test]
fn audio_and_encoded_video() {
    let audio = "audiotestsrc num-buffers=500 samplesperbuffer=5000 wave=pink-noise ! \
                 audio/x-raw,format=S16LE,rate=44100,channels=2";
    mapped(&any().buf_type("nvdsucx-buf-raw-audio"), audio, 500);
    let encoded = "videotestsrc num-buffers=90 pattern=snow ! video/x-raw,width=320,height=240 ! \
                   x264enc speed-preset=1 key-int-max=15 bitrate=4000";
    mapped(&any().tail("! identity name=probe ! h264parse ! avdec_h264 ! fakesink sync=false"), encoded, 90);
}

#[test]
fn buffers_of_100_megabytes() {
    script(&any(), &[START, "buffer mem=1", "buffer count=3 mem=104857600", "buffer mem=2"], 5);
}

#[test]
fn video_in_8k() {
    let head = "videotestsrc num-buffers=6 ! video/x-raw,format=NV12,width=7680,height=4320";
    assert_eq!(mapped(&video(), head, 6), "where shared");
}

#[test]
fn a_receiver_that_changes_its_frames_changes_nobody_elses() {
    let head = "videotestsrc num-buffers=100 ! video/x-raw,format=I420,width=640,height=480 ! tee name=tee \
                tee. ! queue ! videobalance hue=0.7 ! fakesink sync=false \
                tee. ! queue ! identity name=probe silent=true !";
    let link = video().head(head).sink("num-conns=2").blocked();
    let mut sender = link.listening().start();
    let changes =
        link.clone().tail("! identity name=probe silent=true ! videobalance hue=-0.5 ! fakesink sync=false");
    let mut receivers = [&link, &changes].map(|link| link.connecting(sender.port()).start());
    sender.wait_until_mapped(2);
    sender.command("unblock");
    for receiver in &mut receivers {
        receiver.line("eos");
        assert_same_buffers(&sender, receiver, 100);
    }
    let [first, second] = receivers;
    second.stop();
    end(sender, first);
}

#[test]
fn one_source_for_two_sinks() {
    let head = "videotestsrc num-buffers=60 pattern=ball ! video/x-raw,format=I420,width=640,height=480 ! \
                identity name=probe silent=true ! tee name=tee";
    let sink = "tee. ! queue ! nvdsucxserversink port=0 sync=false";
    let mut sender = Launch::blocked_pipeline("sender", &format!("{head} {sink} {sink}")).start();
    let ports = sender.lines_until(2, "port=");
    let mut receivers: Vec<_> = ports
        .iter()
        .map(|port| video().connecting(port["port=".len()..].parse().expect("a port")).start())
        .collect();
    for receiver in &mut receivers {
        receiver.wait_until_mapped(1);
        receiver.find_next();
    }
    sender.command("unblock");
    for receiver in receivers {
        receiver.line("eos");
        assert_same_buffers(&sender, &receiver, 60);
        assert_eq!(receiver.line("where "), "where shared");
        receiver.assert_no_error();
        receiver.stop();
    }
    sender.line("eos");
    sender.stop();
}

#[test]
fn one_client_shares_memory_and_another_gets_messages() {
    let link = any().sink("num-conns=2");
    let mut sender = link.listening().start();
    let first = link.connecting(sender.port()).start();
    sender.wait_until_mapped(1);
    let second = link.clone().env("UCX_TLS", "tcp").connecting(sender.port()).start();
    second.line(CONNECTED);
    sender.push(&[START]);
    for n in 1..=10 {
        sender.push(&["buffer count=50 mem=100", "custom mine, a=(int)1", "buffer count=10 mem=300000,5"]);
        for receiver in [&first, &second] {
            assert_same_buffers(&sender, receiver, 60 * n);
        }
    }
    let mut paths = sender.paths();
    paths.sort();
    assert_eq!(paths, ["mapped", "messages"]);
    sender.push(&["eos"]);
    second.line("eos");
    second.assert_no_error();
    end(sender, first);
    second.stop();
}

#[test]
fn a_client_that_comes_late_and_one_that_comes_back() {
    let link = any();
    let (mut sender, first) = link.start_mapped();
    sender.push(&[START, "buffer count=30 mem=100000 pts=0"]);
    assert_same_buffers(&sender, &first, 30);
    for n in 1..=5 {
        let mark = sender.mark();
        let mut late = link.connecting(sender.port()).start();
        late.wait_until_mapped(1);
        sender.line_after(mark, CONNECTED);
        sender.push(&[&format!("buffer count=20 seed={n} mem=100000,10 pts=0"), "buffer mem=10"]);
        let sent = sender.lines_until(30 + 21 * n, "buffer ");
        let received = late.lines_until(21, "buffer ");
        let bytes = |line: &String| line[line.find(" mem=").expect("memories")..].to_owned();
        let sent: Vec<_> = sent[sent.len() - 21..].iter().map(bytes).collect();
        assert_eq!(sent, received.iter().map(bytes).collect::<Vec<_>>());
        late.line("event caps application/x-test");
        late.assert_no_error();
        late.stop();
        assert_same_buffers(&sender, &first, 30 + 21 * n);
    }
    sender.push(&["eos"]);
    end(sender, first);
}

/// `sender` and `receiver` are commands that run what follows elsewhere.
fn separated(sender: &[&str], receiver: &[&str]) -> [Link; 2] {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    Link::both().map(|mut link| {
        link.by = (words(sender), words(receiver));
        link
    })
}

#[test]
fn ends_that_cannot_share_memory_exchange_messages() {
    let user = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+dac_read_search \
                --ambient-caps=+dac_read_search --";
    let user: Vec<&str> = user.split_whitespace().collect();
    let users = ["unshare", "--user", "--map-root-user"];
    let mut places = vec![&["unshare", "--ipc"][..], &user];
    let possible = std::process::Command::new(users[0]).args(&users[1..]).arg("true").status();
    if possible.is_ok_and(|status| status.success()) {
        places.push(&users);
    } else {
        eprintln!("not tested: user namespaces, which cannot be made here (in a chroot, say)");
    }
    for elsewhere in places {
        for link in separated(elsewhere, &[]).into_iter().chain(separated(&[], elsewhere)) {
            assert_messages(&link);
        }
    }
}

#[test]
fn ends_with_other_process_ids_or_another_network_still_share_memory() {
    let processes = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let mut links: Vec<_> =
        separated(&processes, &[]).into_iter().chain(separated(&[], &processes)).collect();
    let network = Network::new(2);
    for mut link in Link::both() {
        link.addr = IPV4[0].into();
        let ends = (network.in_container_at(0), network.in_container_at(1));
        link.by = if link.pairing == Pairing::ServerSink { ends } else { (ends.1, ends.0) };
        links.push(link);
    }
    for link in links {
        let (mut sender, receiver) = link.start_mapped();
        sender.push(&[START]);
        let mut count = 0;
        flow(&mut sender, &receiver, &mut count);
        sender.push(&["eos"]);
        end(sender, receiver);
    }
}
