//! Ends on one host share memory.
#![allow(missing_docs)]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{End, beginning, init, pair, port, some_caps, time};
use gst::prelude::*;
use gst_video::{VideoFormat, VideoInfo, VideoMeta};

const DEADLINE: Duration = Duration::from_secs(20);
const BUF_TYPE: (&str, &str) = ("buf-type", "nvdsucx-buf-any");
/// More than is copied in any case, in bytes.
const LARGE: usize = 100_000;

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "not in time: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// How frames get to or from the peers.
fn paths(end: &End) -> Vec<String> {
    let stats = end.element.property::<gst::Structure>("stats");
    let clients = stats.get::<gst::Array>("clients").unwrap();
    clients.iter().map(|client| client.get::<gst::Structure>().unwrap().get("path").unwrap()).collect()
}

fn count(end: &End, field: &str) -> u64 {
    end.element.property::<gst::Structure>("stats").get(field).unwrap()
}

fn push_events(sender: &End) {
    for event in beginning(&some_caps(), &time()) {
        assert!(sender.pad.push_event(event));
    }
}

type Query = gst::query::Allocation<gst::Query>;

/// What the sink behind `sender` proposes.
fn ask(sender: &End, caps: Option<&gst::Caps>, need_pool: bool) -> Query {
    let mut query = gst::query::Allocation::new(caps, need_pool);
    assert!(sender.pad.peer_query(&mut query));
    assert!(query.find_allocation_meta::<VideoMeta>().is_some());
    query
}

fn allocator(query: &Query) -> Option<gst::Allocator> {
    query.allocation_params().next().and_then(|(allocator, _)| allocator)
}

fn is_shared(memory: &gst::MemoryRef) -> bool {
    !memory.is_type("SystemMemory")
}

/// A sink without a peer.
fn lone_sink(settings: &[(&str, &str)]) -> End {
    let settings = [&[("port", "0"), BUF_TYPE], settings].concat();
    let sender = End::sender("nvdsucxserversink", &settings);
    sender.play();
    sender
}

/// A client of `sender`, playing.
fn client(sender: &End, settings: &[(&str, &str)]) -> End {
    let port = port(sender);
    let settings = [&[("port", &*port), BUF_TYPE], settings].concat();
    let receiver = End::receiver("nvdsucxclientsrc", &settings, &gst::Caps::new_any(), true);
    receiver.play();
    receiver
}

/// Ends that share memory, a stream that has begun, and the allocator that the sink proposes.
fn sharing_pair(server_sends: bool) -> (End, End, gst::Allocator) {
    init();
    let (sender, receiver) = pair(server_sends, BUF_TYPE.1, &gst::Caps::new_any(), true);
    // It would hold the last buffer.
    sender.element.set_property("enable-last-sample", false);
    for end in [&sender, &receiver] {
        eventually("the ends share memory", || paths(end) == ["mapped"]);
    }
    push_events(&sender);
    let allocator = allocator(&ask(&sender, Some(&some_caps()), true)).unwrap();
    (sender, receiver, allocator)
}

/// A pool that has one buffer.
fn pool_of_one(allocator: Option<&gst::Allocator>) -> gst::BufferPool {
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    config.set_params(None, LARGE as u32, 1, 1);
    config.set_allocator(allocator, Some(&gst::AllocationParams::default()));
    pool.set_config(config).unwrap();
    pool.set_active(true).unwrap();
    pool
}

fn acquire_now(pool: &gst::BufferPool) -> Result<gst::Buffer, gst::FlowError> {
    let now = gst::BufferPoolAcquireParams::with_flags(gst::BufferPoolAcquireFlags::DONTWAIT);
    pool.acquire_buffer(Some(&now))
}

fn filled(mut buffer: gst::Buffer, with: u8) -> gst::Buffer {
    buffer.get_mut().unwrap().map_writable().unwrap().fill(with);
    buffer
}

fn numbered(pool: &gst::BufferPool, number: u64) -> gst::Buffer {
    let mut buffer = pool.acquire_buffer(None).unwrap();
    let fresh = buffer.get_mut().unwrap();
    fresh.map_writable().unwrap()[..8].copy_from_slice(&number.to_le_bytes());
    buffer
}

fn number(buffer: &gst::Buffer) -> u64 {
    u64::from_le_bytes(buffer.map_readable().unwrap()[..8].try_into().unwrap())
}

#[test]
fn memory_of_the_sink_is_lent_to_the_receiver() {
    for server_sends in [true, false] {
        let (sender, receiver, allocator) = sharing_pair(server_sends);
        let pool = pool_of_one(Some(&allocator));
        sender.pad.push(filled(pool.acquire_buffer(None).unwrap(), 7)).unwrap();
        let arrived = receiver.skip_to_buffer();
        assert_eq!(arrived.map_readable().unwrap().as_slice(), [7; LARGE]);
        let busy = acquire_now(&pool);
        assert_eq!(busy, Err(gst::FlowError::Eos), "the receiver has it, and nothing was copied");
        drop(arrived);
        eventually("the memory is back", || acquire_now(&pool).is_ok());
        pool.set_active(false).unwrap();
    }
}

#[test]
fn a_pool_that_has_no_more_gets_its_buffer_back_soon() {
    let (sender, receiver, allocator) = sharing_pair(true);
    let pool = pool_of_one(Some(&allocator));
    let start = Instant::now();
    for n in 0..50 {
        // Waits for the one before.
        let buffer = pool.acquire_buffer(None).unwrap();
        sender.pad.push(filled(buffer, n)).unwrap();
        drop(receiver.skip_to_buffer());
    }
    // The sink looks every 10 ms; 100 ms would be the longest sleep.
    assert!(start.elapsed() < Duration::from_millis(50 * 50), "{:?} for 50 buffers", start.elapsed());
    pool.set_active(false).unwrap();
}

#[test]
fn other_memory_is_the_senders_again_at_once() {
    let (sender, receiver, _) = sharing_pair(true);
    let pool = pool_of_one(None);
    sender.pad.push(filled(pool.acquire_buffer(None).unwrap(), 7)).unwrap();
    let arrived = receiver.skip_to_buffer();
    filled(acquire_now(&pool).unwrap(), 8);
    assert_eq!(arrived.map_readable().unwrap().as_slice(), [7; LARGE]);
    pool.set_active(false).unwrap();
}

#[test]
fn who_writes_to_lent_memory_gets_a_copy() {
    let (sender, receiver, allocator) = sharing_pair(false);
    let pool = pool_of_one(Some(&allocator));
    sender.pad.push(filled(pool.acquire_buffer(None).unwrap(), 7)).unwrap();
    let mut arrived = receiver.skip_to_buffer();
    assert!(arrived.peek_memory(0).flags().contains(gst::MemoryFlags::READONLY));
    arrived.make_mut().map_writable().unwrap().fill(8);
    assert_eq!(arrived.map_readable().unwrap().as_slice(), [8; LARGE]);
    // The copy has set the memory free.
    let mut returned = None;
    eventually("the memory is back", || {
        returned = acquire_now(&pool).ok();
        returned.is_some()
    });
    assert_eq!(returned.take().unwrap().map_readable().unwrap().as_slice(), [7; LARGE]);
    pool.set_active(false).unwrap();
}

#[test]
fn lent_memories_arrive_apart() {
    let (sender, receiver, allocator) = sharing_pair(true);
    let sizes = [LARGE, 0, 2 * LARGE];
    let mut buffer = gst::Buffer::new();
    for (size, with) in sizes.into_iter().zip(1..) {
        let mut memory = allocator.alloc(size, None).unwrap();
        memory.get_mut().unwrap().map_writable().unwrap().fill(with);
        buffer.make_mut().append_memory(memory);
    }
    sender.pad.push(buffer).unwrap();
    let arrived = receiver.skip_to_buffer();
    for ((memory, size), with) in arrived.iter_memories().zip(sizes).zip(1..) {
        assert_eq!(memory.map_readable().unwrap().as_slice(), vec![with; size]);
    }
    assert_eq!(arrived.n_memory(), sizes.len());
}

#[test]
fn a_layout_arrives_with_lent_memory() {
    let (sender, receiver, allocator) = sharing_pair(true);
    let mut buffer = gst::Buffer::new();
    let fresh = buffer.make_mut();
    fresh.append_memory(allocator.alloc(LARGE, None).unwrap());
    let flags = gst_video::VideoFrameFlags::empty();
    VideoMeta::add_full(fresh, flags, VideoFormat::Gray8, 200, 200, &[1000], &[256]).unwrap();
    sender.pad.push(buffer).unwrap();
    let arrived = receiver.skip_to_buffer();
    let meta = arrived.meta::<VideoMeta>().unwrap();
    assert_eq!((meta.offset(), meta.stride()), (&[1000][..], &[256][..]));
}

#[test]
fn either_end_can_do_without() {
    for (sink, source) in [("false", "true"), ("true", "false")] {
        let sender = lone_sink(&[("zero-copy", sink)]);
        let receiver = client(&sender, &[("zero-copy", source)]);
        push_events(&sender);
        for with in 0..50 {
            sender.pad.push(gst::Buffer::from_mut_slice(vec![with; LARGE])).unwrap();
            assert_eq!(receiver.skip_to_buffer().map_readable().unwrap().as_slice(), [with; LARGE]);
            assert_eq!(
                (paths(&sender), paths(&receiver)),
                (vec!["messages".into()], vec!["messages".into()])
            );
        }
    }
}

#[test]
fn a_stream_that_runs_changes_over_to_shared_memory() {
    init();
    let sender = lone_sink(&[]);
    push_events(&sender);
    let allocator = allocator(&ask(&sender, None, false)).unwrap();
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    config.set_params(None, LARGE as u32, 0, 0);
    config.set_allocator(Some(&allocator), None);
    pool.set_config(config).unwrap();
    pool.set_active(true).unwrap();
    let (pad, buffers) = (sender.pad.clone(), pool.clone());
    let pushing = thread::spawn(move || {
        let pushed = (0..).map(|number| pad.push(numbered(&buffers, number)));
        pushed.take_while(Result::is_ok).count()
    });
    let receiver = client(&sender, &[]);
    let mut expected = 0;
    let mut left = None;
    while left != Some(0) {
        assert_eq!(number(&receiver.skip_to_buffer()), expected);
        expected += 1;
        let mapped = paths(&sender) == ["mapped"] && paths(&receiver) == ["mapped"];
        left = left.map(|left: u32| left - 1).or(mapped.then_some(1000));
    }
    sender.stop();
    pushing.join().unwrap();
    pool.set_active(false).unwrap();
}

#[test]
fn a_leaky_sink_drops_what_a_peer_has_no_room_for() {
    let sender = lone_sink(&[("leaky", "upstream"), ("max-size-buffers", "4")]);
    let receiver = client(&sender, &[]);
    eventually("memory is shared", || paths(&sender) == ["mapped"]);
    push_events(&sender);
    let source = receiver.element.static_pad("src").unwrap();
    let kind = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
    let block = source.add_probe(kind, |_, _| gst::PadProbeReturn::Ok).unwrap();
    let pad = sender.pad.clone();
    thread::spawn(move || {
        (0..100).try_for_each(|n| pad.push(gst::Buffer::from_mut_slice(vec![n; LARGE])).map(drop))
    });
    eventually("all were sent or dropped", || count(&sender, "frames") + count(&sender, "dropped") == 100);
    let frames = count(&sender, "frames");
    assert!((4..20).contains(&frames), "{frames} of 100 were sent");
    source.remove_probe(block);
    for n in 0..4 {
        assert_eq!(receiver.skip_to_buffer().map_readable().unwrap()[0], n);
    }
}

#[test]
fn a_sink_proposes_a_pool_for_raw_video() {
    init();
    let sender = lone_sink(&[]);
    let info = VideoInfo::builder(VideoFormat::I420, 320, 240).build().unwrap();
    let caps = info.to_caps().unwrap();
    let query = ask(&sender, Some(&caps), true);
    let (pool, size, ..) = query.allocation_pools().next().unwrap();
    let pool = pool.unwrap();
    assert_eq!(size as usize, info.size());
    for option in [&**gst_video::BUFFER_POOL_OPTION_VIDEO_META, gst_video::BUFFER_POOL_OPTION_VIDEO_ALIGNMENT]
    {
        assert!(pool.has_option(option), "{option}");
    }
    assert_eq!(pool.config().allocator().unwrap().0, allocator(&query));
    pool.set_active(true).unwrap();
    let buffer = pool.acquire_buffer(None).unwrap();
    assert_eq!(buffer.size(), info.size());
    assert!(is_shared(buffer.peek_memory(0)));
    drop(buffer);
    pool.set_active(false).unwrap();
}

#[test]
fn a_sink_proposes_what_is_asked_for_and_can_be_used() {
    init();
    let sender = lone_sink(&[]);
    let video = VideoInfo::builder(VideoFormat::I420, 320, 240).build().unwrap().to_caps().unwrap();
    let mut of_gpu = video.clone();
    of_gpu.make_mut().set_features_simple(Some(gst::CapsFeatures::new(["memory:CUDAMemory"])));
    for (caps, need_pool, offers) in [
        (Some(&video), true, (1, 1)),
        (Some(&video), false, (0, 1)),
        (Some(&some_caps()), true, (0, 1)),
        (None, true, (0, 1)),
        (Some(&of_gpu), true, (0, 0)),
    ] {
        let query = ask(&sender, caps, need_pool);
        let found = (query.allocation_pools().count(), query.allocation_params().count());
        assert_eq!(found, offers, "{caps:?} {need_pool}");
    }
    for without in ["zero-copy", "high-perf"] {
        let query = ask(&lone_sink(&[(without, "false")]), Some(&video), true);
        assert_eq!(query.allocation_pools().count() + query.allocation_params().count(), 0, "{without}");
    }
}

#[test]
fn memory_is_as_it_was_asked_for() {
    init();
    let sender = lone_sink(&[]);
    let allocator = allocator(&ask(&sender, None, false)).unwrap();
    let zeroed = gst::MemoryFlags::ZERO_PREFIXED | gst::MemoryFlags::ZERO_PADDED;
    for size in [LARGE, LARGE + 1, 2 * LARGE] {
        // A block comes back with whatever was in it.
        let mut dirty = allocator.alloc(size + 300, None).unwrap();
        dirty.get_mut().unwrap().map_writable().unwrap().fill(0xff);
        drop(dirty);
        for align in [1, 64, 4096, 65536] {
            let params = gst::AllocationParams::new(zeroed, align - 1, 100, 200);
            let mut memory = allocator.alloc(size, Some(&params)).unwrap();
            assert!(is_shared(&memory));
            assert_eq!(memory.sizes(), (size, 100, size + 300));
            memory.get_mut().unwrap().resize_maxsize(..);
            let map = memory.map_readable().unwrap();
            assert_eq!(map.len(), size + 300);
            assert_eq!(map.as_ptr().addr() % align, 0);
            assert!(map[..100].iter().chain(&map[100 + size..]).all(|byte| *byte == 0));
        }
    }
    for (size, flags) in [(1000, gst::MemoryFlags::empty()), (LARGE, gst::MemoryFlags::NO_SHARE)] {
        let params = gst::AllocationParams::new(flags, 63, 10, 20);
        let memory = allocator.alloc(size, Some(&params)).unwrap();
        assert!(!is_shared(&memory));
        assert_eq!((memory.sizes().0, memory.sizes().1), (size, 10));
    }
}

#[test]
fn memory_outlives_the_sink() {
    let (sender, receiver, allocator) = sharing_pair(true);
    let pool = pool_of_one(Some(&allocator));
    sender.pad.push(filled(pool.acquire_buffer(None).unwrap(), 7)).unwrap();
    let arrived = receiver.skip_to_buffer();
    let mut before = allocator.alloc(LARGE, None).unwrap();
    assert!(is_shared(&before));
    drop(sender);
    before.get_mut().unwrap().map_writable().unwrap().fill(9);
    let after = allocator.alloc(LARGE, None).unwrap();
    assert!(!is_shared(&after));
    assert_eq!(after.size(), LARGE);
    assert_eq!(arrived.map_readable().unwrap().as_slice(), [7; LARGE]);
    drop(receiver);
    assert_eq!(arrived.map_readable().unwrap().as_slice(), [7; LARGE]);
    pool.set_active(false).unwrap();
}
