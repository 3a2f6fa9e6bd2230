//! Allocations that another process opens: this program, told by a variable what to do.

mod common;

use std::env;
use std::fmt::Write as _;
use std::process::Command;

use cuda::{Error, HANDLE_LEN, Opened};
use gst::prelude::*;
use ucp::Region;

use common::{bytes, downloaded, gpu, on_gpu};

/// The handle, in hexadecimal.
const HANDLE: &str = "NVDSUCX_CUDA_TEST_HANDLE";
/// `start,len` of each region in the allocation; then what the allocation's length is said to be.
const REGIONS: &str = "NVDSUCX_CUDA_TEST_REGIONS";
const LEN: usize = 3_000_000;

/// Has another process look at `regions` of the allocation that `region` is in.
fn look(region: &Region, regions: &[(usize, usize)]) {
    let allocation = cuda::allocation_of(region).expect("an allocation");
    let handle = cuda::handle_of(region).expect("a handle");
    let mut hex = String::new();
    handle.iter().for_each(|byte| write!(hex, "{byte:02x}").expect("text"));
    let regions: Vec<_> = regions.iter().map(|(start, len)| format!("{start},{len}")).collect();
    let output = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "case", "--nocapture"])
        .env(HANDLE, hex)
        .env(REGIONS, format!("{};{}", regions.join(";"), allocation.len))
        .output()
        .expect("it runs");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && said[0].contains("1 passed"), "{}{}", said[0], said[1]);
}

#[test]
fn another_process_reads_an_allocation_where_it_is() {
    let Some(context) = gpu("another_process_reads_an_allocation_where_it_is") else { return };
    let region = on_gpu(&context, &bytes(LEN, 1));
    let allocation = cuda::allocation_of(&region).expect("an allocation");
    assert_eq!(allocation.start, region.as_ptr() as usize);
    assert!(allocation.len >= LEN);
    look(&region, &[(0, LEN), (12_345, 678), (LEN - 1, 1)]);
    // After the other has closed it, it is as it was.
    assert!(downloaded(&region) == bytes(LEN, 1));
}

#[test]
fn a_memory_of_gstreamer_is_shared() {
    let Some(context) = gpu("a_memory_of_gstreamer_is_shared") else { return };
    let video = common::video(gst_video::VideoFormat::Rgba, 64, 1);
    let pool = common::pool(&context, &video, 1);
    let mut buffer = pool.acquire_buffer(None).expect("a buffer");
    common::write(&context, buffer.get_mut().expect("writable"), &bytes(256, 1), &video);
    let region = cuda::export(&buffer, buffer.memory(0).expect("a memory")).expect("exported");
    let start = region.as_ptr() as usize - cuda::allocation_of(&region).expect("an allocation").start;
    assert_eq!(start, 0, "an allocation of its own");
    look(&region, &[(0, 256)]);
}

#[test]
fn an_allocation_is_known_again() {
    let Some(context) = gpu("an_allocation_is_known_again") else { return };
    let region = on_gpu(&context, &[1; 1000]);
    // SAFETY: the region keeps it.
    let part = unsafe {
        Region::new(region.as_ptr().wrapping_add(10), 5, region.kind(), std::sync::Arc::new(region.clone()))
    };
    let whole = cuda::allocation_of(&region).expect("an allocation");
    assert_eq!(cuda::allocation_of(&part), Ok(whole));
    assert!(cuda::handle_of(&part).is_ok());
    let other = on_gpu(&context, &[1; 1000]);
    assert_ne!(cuda::allocation_of(&other).expect("an allocation").id, whole.id);
    drop((region, part));
    // Perhaps at the same place.
    let later = on_gpu(&context, &[1; 1000]);
    assert_ne!(cuda::allocation_of(&later).expect("an allocation").id, whole.id);
    assert!(matches!(cuda::allocation_of(&Region::from(vec![1])), Err(Error::NotCuda { .. })));
}

#[test]
fn handles_that_are_none_are_refused() {
    let Some(context) = gpu("handles_that_are_none_are_refused") else { return };
    for handle in [[0; HANDLE_LEN], [0xff; HANDLE_LEN], bytes(HANDLE_LEN, 9).try_into().expect("as long")] {
        let error = Opened::open(&context, &handle, 1).expect_err("no handle");
        assert!(matches!(error, Error::Call { what: "cuIpcOpenMemHandle", .. }), "{error}");
    }
    // The GPU goes on.
    assert!(downloaded(&on_gpu(&context, &[7; 10])) == [7; 10]);
}

/// What the other process does.
#[test]
fn case() {
    let (Ok(handle), Ok(regions)) = (env::var(HANDLE), env::var(REGIONS)) else { return };
    let handle: Vec<_> = (0..handle.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&handle[at..at + 2], 16).expect("hex"))
        .collect();
    let handle: [u8; HANDLE_LEN] = handle.try_into().expect("a handle");
    let (regions, len) = regions.rsplit_once(';').expect("regions");
    let len: usize = len.parse().expect("a length");
    let context = gpu("case").expect("a GPU, as the other process has one");

    let error = Opened::open(&context, &handle, 1 << 40).expect_err("it is not as long");
    assert!(matches!(error, Error::TooShort { .. }), "{error}");
    let opened = Opened::open(&context, &handle, len).expect("opened");
    for (start, count) in [(0, len + 1), (len, 1), (usize::MAX, 2), (1, usize::MAX)] {
        assert!(opened.region(start, count).is_none(), "{start}, {count}");
    }
    let sent = bytes(LEN, 1);
    let looked: Vec<_> = regions
        .split(';')
        .map(|region| {
            let (start, count) = region.split_once(',').expect("a region");
            let (start, count): (usize, usize) =
                (start.parse().expect("start"), count.parse().expect("length"));
            let region = opened.region(start, count).expect("within");
            assert!(downloaded(&region) == sent[start..start + count], "{start}, {count}");
            (region, start..start + count)
        })
        .collect();
    // Regions keep it open.
    drop(opened);
    for (region, range) in looked {
        assert!(downloaded(&region) == sent[range]);
    }
    // It was closed, and can be opened again.
    Opened::open(&context, &handle, len).expect("opened again");
}
