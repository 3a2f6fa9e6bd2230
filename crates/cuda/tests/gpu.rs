//! What needs a GPU: frames to it and back, GStreamer's memories and pools, contexts that elements share.

mod common;

use std::env;
use std::ffi::{c_int, c_uint};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use cuda::{CONTEXT_TYPE, Context, Error, Place, PlaneCopy};
use gst::prelude::*;
use gst_video::{VideoFormat, VideoInfo};
use libloading::{Library, Symbol};
use ucp::{MemoryKind, Region, RegionMut};

use common::{bytes, downloaded, gpu, on_gpu, pixels, planes, planes_of, pool, video, write};

const FORMATS: [VideoFormat; 4] =
    [VideoFormat::Nv12, VideoFormat::I420, VideoFormat::Rgba, VideoFormat::P01010le];

#[test]
fn bytes_go_to_the_gpu_and_come_back() {
    let Some(context) = gpu("bytes_go_to_the_gpu_and_come_back") else { return };
    for len in [1, 63, 4097, 3_000_001] {
        let sent = bytes(len, len as u64);
        let region = on_gpu(&context, &sent);
        assert_eq!((region.kind(), region.len()), (MemoryKind::Cuda, len));
        // From a thread that has never seen the context.
        let got = std::thread::scope(|scope| scope.spawn(|| downloaded(&region)).join()).expect("a thread");
        assert!(got == sent, "{len} bytes");
    }
}

#[test]
fn copies_of_other_lengths_and_of_the_cpu_are_refused() {
    let Some(context) = gpu("copies_of_other_lengths_and_of_the_cpu_are_refused") else { return };
    let mut memory = context.allocate(100).expect("memory");
    assert_eq!(cuda::upload(&[0; 99], &mut memory), Err(Error::Length { from: 99, to: 100 }));
    let region = on_gpu(&context, &[1; 100]);
    assert_eq!(cuda::download(&region, &mut [0; 101]), Err(Error::Length { from: 100, to: 101 }));
    assert!(matches!(cuda::download(&Region::from(vec![1]), &mut [0]), Err(Error::NotCuda { .. })));
    let mut host = RegionMut::host(1).expect("memory");
    assert!(matches!(cuda::upload(&[1], &mut host), Err(Error::NotCuda { .. })));
}

#[test]
fn frames_of_odd_sizes_go_through_a_pool() {
    let Some(context) = gpu("frames_of_odd_sizes_go_through_a_pool") else { return };
    for (format, (width, height)) in
        FORMATS.into_iter().flat_map(|format| [(format, (319, 241)), (format, (64, 48)), (format, (1, 1))])
    {
        let case = format!("{format}, {width} x {height}");
        let video = video(format, width, height);
        let here = planes(&video, video.offset(), video.stride());
        let frame = bytes(video.size(), u64::from(width));
        let pool = pool(&context, &video, 2);
        let mut buffer = pool.acquire_buffer(None).expect("a buffer");
        assert!(cuda::is_cuda(buffer.peek_memory(0)), "{case}");
        assert_eq!(Context::of(buffer.peek_memory(0)), Some(context.clone()), "{case}");
        write(&context, buffer.get_mut().expect("writable"), &frame, &video);

        let there = planes_of(&buffer, &video);
        let region = cuda::export(&buffer, buffer.memory(0).expect("a memory")).expect("exported");
        assert_eq!(region.kind(), MemoryKind::Cuda, "{case}");
        assert!(pixels(&downloaded(&region), &there) == pixels(&frame, &here), "{case}");
        drop(region);
        // As GStreamer gives it to the CPU.
        let map = buffer.map_readable().expect("mapped");
        // Before 1.24 it cuts the rows of one plane to the length of another's.
        let whole = gst::version() >= (1, 24, 0, 0) || (width % 2, height % 2) == (0, 0);
        assert!(!whole || pixels(&map, &there) == pixels(&frame, &here), "{case}, by GStreamer");
        drop(map);
        drop(buffer);
        pool.set_active(false).expect("not active");
    }
}

#[test]
fn an_exported_memory_keeps_its_buffer_from_the_pool() {
    let Some(context) = gpu("an_exported_memory_keeps_its_buffer_from_the_pool") else { return };
    let pool = pool(&context, &video(VideoFormat::Nv12, 64, 48), 1);
    let busy = gst::BufferPoolAcquireParams::with_flags(gst::BufferPoolAcquireFlags::DONTWAIT);
    let buffer = pool.acquire_buffer(None).expect("a buffer");
    let region = cuda::export(&buffer, buffer.memory(0).expect("a memory")).expect("exported");
    let again = region.clone();
    drop((buffer, region));
    assert_eq!(pool.acquire_buffer(Some(&busy)).err(), Some(gst::FlowError::Eos));
    drop(again);
    assert!(pool.acquire_buffer(Some(&busy)).is_ok());
    pool.set_active(false).expect("not active");
}

#[test]
fn a_frame_that_the_cpu_wrote_is_exported() {
    let Some(context) = gpu("a_frame_that_the_cpu_wrote_is_exported") else { return };
    let video = video(VideoFormat::Rgba, 64, 48);
    let pool = pool(&context, &video, 1);
    let mut buffer = pool.acquire_buffer(None).expect("a buffer");
    let written = bytes(buffer.size(), 7);
    buffer.get_mut().expect("writable").map_writable().expect("mapped").copy_from_slice(&written);
    let there = planes_of(&buffer, &video);
    let region = cuda::export(&buffer, buffer.memory(0).expect("a memory")).expect("exported");
    assert!(pixels(&downloaded(&region), &there) == pixels(&written, &there));
    drop((region, buffer));
    pool.set_active(false).expect("not active");
}

#[test]
fn planes_are_copied_between_all_places() {
    let Some(context) = gpu("planes_are_copied_between_all_places") else { return };
    let (width, height, pitch) = (31, 7, 40);
    let sent = bytes(pitch * height, 3);
    let plane = |src, dst| PlaneCopy { src, src_pitch: pitch, dst, dst_pitch: pitch, width, height };
    let (mut one, mut two) =
        (context.allocate(sent.len()).expect("one"), context.allocate(sent.len()).expect("two"));
    let mut got = vec![0; sent.len()];
    for (src, dst) in [
        (Place::Host(sent.as_ptr().cast_mut()), Place::Device(one.as_mut_ptr())),
        (Place::Device(one.as_mut_ptr()), Place::Device(two.as_mut_ptr())),
        (Place::Device(two.as_mut_ptr()), Place::Host(got.as_mut_ptr())),
    ] {
        // SAFETY: all are as long, and nobody else has them.
        unsafe { context.copy_planes(&[plane(src, dst)]) }.expect("copied");
    }
    let rows = [(0, pitch, width, height)];
    assert!(pixels(&got, &rows) == pixels(&sent, &rows));
    // SAFETY: nothing is copied.
    unsafe { context.copy_planes(&[]) }.expect("nothing to copy");
    // SAFETY: CUDA refuses a pitch that is less than a row.
    let error = unsafe {
        let short = PlaneCopy {
            src_pitch: width - 1,
            ..plane(Place::Device(one.as_mut_ptr()), Place::Device(two.as_mut_ptr()))
        };
        context.copy_planes(&[short])
    };
    assert!(
        matches!(&error, Err(Error::Call { what: "cuMemcpy2DAsync", name, .. }) if name == "CUDA_ERROR_INVALID_VALUE"),
        "{error:?}"
    );
}

/// Tells when it is gone.
struct Kept(#[expect(dead_code, reason = "only kept")] Region, Arc<AtomicBool>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.1.store(true, SeqCst);
    }
}

#[test]
fn a_region_becomes_a_memory_where_it_is() {
    let Some(context) = gpu("a_region_becomes_a_memory_where_it_is") else { return };
    let layouts = FORMATS.map(|format| video(format, 320, 240)).into_iter().chain([VideoInfo::builder(
        VideoFormat::I420,
        60,
        48,
    )
    .stride(&[512; 3])
    .offset(&[0, 512 * 48, 512 * 72])
    .size(512 * 96)
    .build()
    .expect("video")]);
    for video in layouts {
        let frame = bytes(video.size(), 5);
        let region = on_gpu(&context, &frame);
        let gone = Arc::new(AtomicBool::new(false));
        let (start, len) = (region.as_ptr(), region.len());
        let kept = Arc::new(Kept(region, gone.clone()));
        // SAFETY: that region keeps it.
        let region = unsafe { Region::new(start, len, MemoryKind::Cuda, kept) };
        let memory = context.wrap(region, &video);
        assert_eq!(memory.is_some(), gst::version() >= (1, 24, 0, 0), "{video:?}");
        let Some(memory) = memory else {
            assert!(gone.load(SeqCst), "dropped, as it was not needed");
            continue;
        };
        assert!(cuda::is_cuda(&memory) && Context::of(&memory) == Some(context.clone()));
        let mut buffer = gst::Buffer::new();
        buffer.make_mut().append_memory(memory);
        assert!(
            buffer.make_mut().peek_memory_mut(0).is_ok_and(|memory| cuda::Writing::new(memory).is_err()),
            "read-only"
        );

        let again = cuda::export(&buffer, buffer.memory(0).expect("a memory")).expect("exported");
        assert_eq!(again.as_ptr(), start);
        assert!(downloaded(&again) == frame);
        drop(again);
        let rows = planes(&video, video.offset(), video.stride());
        assert!(pixels(&buffer.map_readable().expect("mapped"), &rows) == pixels(&frame, &rows), "{video:?}");
        assert!(!gone.load(SeqCst));
        drop(buffer);
        assert!(gone.load(SeqCst), "dropped with the memory");
    }
}

/// A stream of CUDA's, and what the tests do with it.
struct Stream {
    cuda: Library,
    handle: usize,
}

impl Stream {
    /// Made in the context that is current.
    fn new(flags: c_uint) -> Self {
        // SAFETY: it is loaded already, and this is its type.
        let cuda = unsafe { Library::new("libcuda.so.1") }.expect("the driver");
        let mut handle = 0;
        // SAFETY: the type is that of cuda.h; it writes to the variable.
        let made = unsafe {
            let create: Symbol<'_, unsafe extern "C" fn(*mut usize, c_uint) -> c_int> =
                cuda.get(b"cuStreamCreate\0").expect("a function");
            create(&mut handle, flags)
        };
        assert_eq!(made, 0);
        Self { cuda, handle }
    }

    /// Has the GPU read `from` many times.
    fn read(&self, from: &Region, to: &mut RegionMut) {
        // SAFETY: the type is that of cuda.h; both have as many bytes.
        unsafe {
            let copy: Symbol<'_, unsafe extern "C" fn(u64, u64, usize, usize) -> c_int> =
                self.cuda.get(b"cuMemcpyDtoDAsync_v2\0").expect("a function");
            for _ in 0..20 {
                assert_eq!(copy(to.as_mut_ptr() as u64, from.as_ptr() as u64, to.len(), self.handle), 0);
            }
        }
    }

    fn is_done(&self) -> bool {
        // SAFETY: the type is that of cuda.h.
        let query: Symbol<'_, unsafe extern "C" fn(usize) -> c_int> =
            unsafe { self.cuda.get(b"cuStreamQuery\0") }.expect("a function");
        // SAFETY: the stream lives.
        unsafe { query(self.handle) == 0 }
    }
}

#[test]
fn a_memory_is_freed_when_elements_have_read_it() {
    const DEFAULT: c_uint = 0;
    const NON_BLOCKING: c_uint = 1;

    let Some(context) = gpu("a_memory_is_freed_when_elements_have_read_it") else { return };
    let video = video(VideoFormat::Rgba, 4096, 4096);
    let mut to = context.allocate(video.size()).expect("memory");
    let _entered = context.enter().expect("entered");
    let mut done_after_drop = |stream: &Stream| {
        let region: Region = context.allocate(video.size()).expect("memory").into();
        // So that what it is in is not freed, for which CUDA waits.
        let kept = region.clone();
        let memory = context.wrap(region, &video)?;
        stream.read(&kept, &mut to);
        drop(memory);
        Some(stream.is_done())
    };
    let element = Stream::new(DEFAULT);
    let Some(done) = done_after_drop(&element) else {
        eprintln!("GStreamer before 1.24 wraps nothing");
        return;
    };
    assert!(done, "all that the element queued");
    // As UCX's.
    let other = Stream::new(NON_BLOCKING);
    let waited = (0..20).all(|_| done_after_drop(&other) == Some(true));
    // What stands in for the driver queues nothing.
    let queues = env::var_os("NVDSUCX_CUDA_STAND_IN").is_none();
    assert_ne!(waited, queues, "for what is not an element's");
}

#[test]
fn formats_that_there_are_no_pools_for_are_refused() {
    let Some(context) = gpu("formats_that_there_are_no_pools_for_are_refused") else { return };
    let video = video(VideoFormat::V210, 64, 48);
    let caps = video.to_caps().expect("caps");
    assert!(matches!(context.pool(&caps, 0, 0, 0), Err(Error::Pool { .. })));
    let audio = gst::Caps::new_empty_simple("audio/x-raw");
    assert!(matches!(context.pool(&audio, 0, 0, 0), Err(Error::Pool { .. })));
}

#[test]
fn contexts_are_of_a_gpu_that_is_there() {
    let Some(context) = gpu("contexts_are_of_a_gpu_that_is_there") else { return };
    assert_eq!(context.device(), 0);
    assert!(!context.name().expect("a name").is_empty());
    assert_ne!(context.uuid().expect("a UUID"), [0; 16]);
    let (free, total) = context.free_bytes().expect("free bytes");
    assert!(0 < free && free <= total, "{free} of {total}");
    let error = Context::new(1000).expect_err("there are not so many");
    assert!(matches!(error, Error::NoSuchDevice { device: 1000, .. }), "{error}");
    assert!(context.allocate(1 << 46).is_err_and(|error| error.to_string().contains("memory is full")));
    let entered = context.enter().expect("entered");
    context.make_current().expect("current");
    context.make_current().expect("current, again");
    drop(entered);
}

#[test]
fn elements_of_a_pipeline_share_a_context() {
    if gpu("elements_of_a_pipeline_share_a_context").is_none() {
        return;
    }
    let pipeline = gst::Pipeline::new();
    let [one, two] = [(); 2].map(|()| gst::ElementFactory::make("identity").build().expect("identity"));
    pipeline.add_many([&one, &two]).expect("added");
    gst::Element::link_many([&one, &two]).expect("linked");
    let context = Context::for_element(&one, 0).expect("a context");
    assert_eq!(Context::for_element(&one, 0), Ok(context.clone()));
    assert_eq!(Context::for_element(&two, 0), Ok(context.clone()));

    let shared = two.context(CONTEXT_TYPE).expect("it was told of it");
    let mut ours = None;
    assert!(!cuda::handle_set_context(&one, &shared, 1, &mut ours) && ours.is_none());
    assert!(cuda::handle_set_context(&one, &shared, 0, &mut ours));
    assert_eq!(ours, Some(context.clone()));
    let mut query = gst::query::Context::new(CONTEXT_TYPE);
    assert!(!cuda::handle_context_query(&one, &mut query, || None));
    assert!(cuda::handle_context_query(&one, &mut query, || ours));
    let mut answered = None;
    assert!(cuda::handle_set_context(&one, &query.context_owned().expect("answered"), 0, &mut answered));
    assert_eq!(answered, Some(context));
}
