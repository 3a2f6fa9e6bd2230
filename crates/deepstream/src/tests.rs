//! Batch metas as other elements might leave them. All need the libraries: see `tests/common`.

use std::ffi::c_char;
use std::mem::offset_of;
use std::ptr::{self, NonNull};

use dsmeta::Batch;
use dsmeta::model::{Mask, Object, VideoBatch, VideoFrame};
use gst::glib::ffi::{GList, g_list_append, g_list_first, g_list_last};

use crate::at::At;
use crate::batch::{Kind, Locked, New};
use crate::{DeepStream, Error, FOLDER, meta, raw};

fn libraries(test: &str) -> Option<&'static DeepStream> {
    gst::init().expect("GStreamer");
    let found = DeepStream::load();
    if let Err(error) = found {
        assert!(std::env::var_os(FOLDER).is_none() && error.to_string().contains(FOLDER), "{error}");
        assert!(!crate::carries_batch(&gst::Buffer::new()));
        eprintln!("{test}: skipped, set {FOLDER} to the folder of DeepStream's libraries");
    }
    found.ok()
}

/// A buffer with one frame and two objects: the second is a part of the first, and has a mask.
fn buffer(deepstream: &'static DeepStream) -> gst::Buffer {
    let mask = Mask { data: vec![1.0; 6], threshold: 0.5, width: 3, height: 2 };
    let object = Object { parent: Some(0), mask, ..Object::default() };
    let frame = VideoFrame { objects: vec![Object::default(), object], ..VideoFrame::default() };
    let batch = VideoBatch { frames: vec![frame], ..VideoBatch::default() };
    let mut buffer = gst::Buffer::new();
    deepstream.attach(buffer.get_mut().expect("new"), &Batch::Video(batch)).expect("it fits");
    buffer
}

fn read(deepstream: &'static DeepStream, buffer: &gst::Buffer) -> VideoBatch {
    match deepstream.read(buffer) {
        Ok(Some(Batch::Video(batch))) => batch,
        other => panic!("{other:?}"),
    }
}

/// Calls `change` with the batch, its frame, and its objects.
fn change(
    deepstream: &'static DeepStream,
    buffer: &gst::Buffer,
    change: impl FnOnce(&Locked<'_>, At<'_, raw::Frame>, &[At<'_, raw::Object>]),
) {
    let locked = Locked::of(&deepstream.loaded, buffer).expect("a known kind").expect("a batch");
    let frames = locked.batch().get().frames.elements(&locked, "frames", 1).expect("one");
    // SAFETY: it is a batch with video.
    let frame = unsafe { frames[0].part::<raw::Frame>(0) };
    let objects = frame.get().objects.elements(&locked, "objects", 2).expect("two");
    change(&locked, frame, &objects);
}

/// Where the batch has its list of frames.
fn frame_list(buffer: &gst::Buffer) -> *mut *mut GList {
    let batch = meta::batch_of(buffer).expect("a batch").as_ptr();
    // SAFETY: the list is there.
    unsafe { batch.byte_add(offset_of!(raw::Batch, frames)).cast() }
}

#[test]
fn deepstream_batch_without_room_is_read_as_one_with_room() {
    let Some(deepstream) = libraries("deepstream_batch_without_room") else { return };
    let buffer = buffer(deepstream);
    change(deepstream, &buffer, |locked, _, _| {
        // SAFETY: it is there.
        unsafe { locked.batch().part::<u32>(offset_of!(raw::Batch, max_frames)) }.set(0);
    });
    assert_eq!(read(deepstream, &buffer).max_frames_in_batch, 1);
}

#[test]
fn deepstream_label_without_end_is_read_up_to_the_end_of_its_array() {
    let Some(deepstream) = libraries("deepstream_label_without_end") else { return };
    let buffer = buffer(deepstream);
    change(deepstream, &buffer, |locked, _, objects| {
        locked.loaded.layout.object_rest(objects[0]).update(|rest| rest.label = [b'x' as c_char; raw::LABEL]);
    });
    assert_eq!(read(deepstream, &buffer).frames[0].objects[0].label, "x".repeat(127));
}

#[test]
fn deepstream_mask_is_read_only_if_it_has_a_value_for_each_pixel() {
    let Some(deepstream) = libraries("deepstream_mask_is_read_only_if") else { return };
    let buffer = buffer(deepstream);
    assert_eq!(read(deepstream, &buffer).frames[0].objects[1].mask.data, [1.0; 6]);
    for (width, height) in [(4, 2), (u32::MAX, u32::MAX)] {
        change(deepstream, &buffer, |locked, _, objects| {
            let rest = locked.loaded.layout.object_rest(objects[1]);
            rest.update(|rest| (rest.mask.width, rest.mask.height) = (width, height));
        });
        assert_eq!(read(deepstream, &buffer).frames[0].objects[1].mask.data, []);
    }
}

#[test]
fn deepstream_parent_in_another_frame_is_none() {
    let Some(deepstream) = libraries("deepstream_parent_in_another_frame") else { return };
    let (buffer, other) = (buffer(deepstream), buffer(deepstream));
    assert_eq!(read(deepstream, &buffer).frames[0].objects[1].parent, Some(0));
    change(deepstream, &other, |_, _, others| {
        change(deepstream, &buffer, |_, _, objects| {
            objects[1].update(|object| object.parent = crate::at::Link::to(others[0]));
        });
    });
    assert_eq!(read(deepstream, &buffer).frames[0].objects[1].parent, None);
}

#[test]
fn deepstream_count_of_shapes_is_not_believed() {
    let Some(deepstream) = libraries("deepstream_count_of_shapes") else { return };
    let buffer = buffer(deepstream);
    change(deepstream, &buffer, |locked, frame, _| {
        let display =
            locked.acquire(|batch| batch.display_pool, |functions| functions.acquire_display).expect("one");
        display.update(|display| {
            (display.num_rects, display.num_texts, display.num_lines) = (17, u32::MAX, 1000);
            (display.num_arrows, display.num_circles) = (17, 17);
        });
        // SAFETY: both are of this batch, and the display meta is in no list yet.
        unsafe { (locked.loaded.functions.add_display)(frame.as_ptr(), display.as_ptr()) };
    });
    let display = &read(deepstream, &buffer).frames[0].displays[0];
    let counts = [display.rects.len(), display.texts.len(), display.lines.len(), display.arrows.len()];
    assert_eq!((counts, display.circles.len()), ([16; 4], 16));
}

#[test]
fn deepstream_list_with_nothing_in_an_element_is_read_without_it() {
    let Some(deepstream) = libraries("deepstream_list_with_nothing_in_an_element") else { return };
    let buffer = buffer(deepstream);
    let list = frame_list(&buffer);
    // SAFETY: it is a list, which the library frees without a look at what is in it.
    unsafe { *list = g_list_append(*list, ptr::null_mut()) };
    assert_eq!(read(deepstream, &buffer).frames.len(), 1);
}

#[test]
fn deepstream_list_that_leads_back_to_itself_is_refused() {
    let Some(deepstream) = libraries("deepstream_list_that_leads_back_to_itself") else { return };
    let buffer = buffer(deepstream);
    let list = frame_list(&buffer);
    // SAFETY: it is a list, and is one again before the library looks at it.
    unsafe {
        let last = g_list_last(*list);
        (*last).next = g_list_first(last);
        let error = deepstream.read(&buffer);
        (*last).next = ptr::null_mut();
        assert_eq!(error, Err(Error::TooMany { what: "frames", limit: dsmeta::MAX_FRAMES }));
    }
}

#[test]
fn deepstream_pool_that_cannot_grow_is_refused() {
    let Some(deepstream) = libraries("deepstream_pool_that_cannot_grow") else { return };
    // SAFETY: any number will do; the buffer gets it, and frees it.
    let batch = unsafe { (deepstream.loaded.functions.create_batch)(0) };
    let mut buffer = gst::Buffer::new();
    let new = New::of(&deepstream.loaded, Kind::Video, NonNull::new(batch).expect("a batch"));
    new.attach(buffer.get_mut().expect("new")).expect("room");
    let batch = VideoBatch { frames: vec![VideoFrame::default()], ..VideoBatch::default() };
    let error = deepstream.attach(buffer.get_mut().expect("new"), &Batch::Video(batch));
    assert_eq!(error, Err(Error::Batch("has a pool that cannot grow")));
}

#[test]
fn deepstream_batch_of_another_kind_is_refused() {
    let Some(deepstream) = libraries("deepstream_batch_of_another_kind") else { return };
    let mut buffer = buffer(deepstream);
    let set_type = |buffer: &gst::Buffer, meta_type| {
        let batch = meta::batch_of(buffer).expect("a batch").as_ptr();
        // SAFETY: the batch lives, and nobody else has it.
        unsafe { (*batch).base.meta_type = meta_type };
    };
    set_type(&buffer, 1000);
    let refused = Error::Batch("is neither for video nor for audio");
    assert_eq!(deepstream.read(&buffer), Err(refused.clone()));
    assert_eq!(deepstream.payload(&buffer), None);
    assert_eq!(deepstream.set_payload(buffer.get_mut().expect("the only reference"), 1, b""), Err(refused));
    set_type(&buffer, raw::BATCH_META);
}

#[test]
fn deepstream_payload_is_found_behind_other_user_metas() {
    let Some(deepstream) = libraries("deepstream_payload_is_found") else { return };
    let mut buffer = buffer(deepstream);
    change(deepstream, &buffer, |locked, _, _| {
        for meta_type in [7, 12_345] {
            let user =
                locked.acquire(|batch| batch.user_pool, |functions| functions.acquire_user).expect("one");
            user.update(|user| user.base.meta_type = meta_type);
            // SAFETY: the element is one of this batch, and in no list yet.
            unsafe { (locked.loaded.functions.add_user)(locked.batch().as_ptr(), user.as_ptr()) };
        }
    });
    assert_eq!(deepstream.payload(&buffer), None);
    let writable = buffer.get_mut().expect("the only reference");
    deepstream.set_payload(writable, 5, b"ours").expect("room");
    assert!(deepstream.payload(writable) == Some((5, b"ours".to_vec())));
    assert!(deepstream.remove_payload(writable));
    change(deepstream, &buffer, |locked, _, _| {
        assert_eq!(locked.batch().get().users.elements(locked, "user metas", 2).expect("two").len(), 2);
    });
}
