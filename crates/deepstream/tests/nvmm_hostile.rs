//! Buffers that say of themselves what cannot be. No library is needed for that.

use std::ffi::c_void;

use deepstream::nvmm::{self, Error, MemoryType};
use gst_video::VideoFormat;

/// NvBufSurface, as it is in releases from 8.0 on.
#[repr(C)]
#[derive(Clone, Copy)]
struct Head {
    gpu: u32,
    batch_size: u32,
    filled: u32,
    contiguous: u32,
    memory: i32,
    list: *mut c_void,
    rest: [u64; 5],
}

/// The beginning of NvBufSurfaceParams.
#[repr(C)]
#[derive(Clone, Copy)]
struct Params {
    width: u32,
    height: u32,
    pitch: u32,
    format: i32,
    layout: i32,
    descriptor: u64,
    data_size: u32,
    data: *mut u8,
    planes: u32,
    plane_width: [u32; 4],
    plane_height: [u32; 4],
    plane_pitch: [u32; 4],
    plane_offset: [u32; 4],
    plane_size: [u32; 4],
    bytes_per_pixel: [u32; 4],
}

/// NvBufSurfaceParams, in releases from 8.0 on and in those before.
#[repr(C)]
union Long {
    params: Params,
    all: [u64; 52],
}
#[repr(C)]
union Short {
    params: Params,
    all: [u64; 48],
}

/// A batch of two NV12 surfaces.
struct Batch {
    head: Head,
    params: [Params; 2],
    data: Vec<u8>,
}

impl Batch {
    fn new() -> Self {
        gst::init().expect("GStreamer");
        let data = vec![1; 512 * 72];
        let params = Params {
            width: 63,
            height: 47,
            pitch: 512,
            format: 6,
            layout: 0,
            descriptor: 0,
            data_size: data.len() as u32,
            data: data.as_ptr().cast_mut(),
            planes: 2,
            plane_width: [64, 32, 0, 0],
            plane_height: [48, 24, 0, 0],
            plane_pitch: [512, 512, 0, 0],
            plane_offset: [0, 512 * 48, 0, 0],
            plane_size: [512 * 48, 512 * 24, 0, 0],
            bytes_per_pixel: [1, 2, 0, 0],
        };
        let head = Head {
            gpu: 0,
            batch_size: 2,
            filled: 1,
            contiguous: 0,
            memory: 6,
            list: std::ptr::null_mut(),
            rest: [0; 5],
        };
        Self { head, params: [params; 2], data }
    }

    /// What is read of it, in a memory of `len` bytes.
    fn read(&self, len: usize) -> Result<(nvmm::Batch, usize), Error> {
        let long = self.params.map(|params| {
            let mut long = Long { all: [0; 52] };
            long.params = params;
            long
        });
        let short = self.params.map(|params| {
            let mut short = Short { all: [0; 48] };
            short.params = params;
            short
        });
        let list = if len == 64 { short.as_ptr().cast::<c_void>() } else { long.as_ptr().cast() };
        let head = Box::new(Head { list: list.cast_mut(), ..self.head });
        // SAFETY: the head has as many bytes.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const *head).cast::<u8>(), len.min(72)) };
        let mut buffer = gst::Buffer::with_size(len).expect("a buffer");
        buffer.make_mut().copy_from_slice(0, bytes).expect("as long");
        // SAFETY: where it has a length that is known it has two surfaces, as it says, unless it says what is refused.
        let exported = unsafe { nvmm::export(&buffer) }?;
        Ok((exported.batch, exported.regions.len()))
    }
}

/// Changes a batch that is all right, and tells why it is refused then.
fn refused(change: impl FnOnce(&mut Batch)) -> String {
    let mut batch = Batch::new();
    change(&mut batch);
    batch.read(72).expect_err("it is wrong").to_string()
}

#[test]
fn both_layouts_are_read() {
    for len in [64, 72] {
        let mut good = Batch::new();
        good.params[1].width = 64;
        good.params[1].format = 34;
        let (batch, regions) = good.read(len).expect("all is well");
        assert_eq!(
            (batch.memory, batch.filled, batch.surfaces.len(), regions),
            (MemoryType::System, 1, 2, 1)
        );
        assert_eq!(batch.surfaces.iter().map(|surface| surface.width).collect::<Vec<_>>(), [63, 64]);
        assert!(batch.surfaces.iter().all(|surface| surface.format == VideoFormat::Nv12));
        assert_eq!(batch.surfaces[1].color, 34);
        assert_eq!(batch.surfaces[0].planes[1].offset, 512 * 48);
        assert_eq!(batch.surfaces[0].len, good.data.len());
    }
}

#[test]
fn other_lengths_are_refused_and_told() {
    for len in [0, 8, 63, 65, 71, 80, 4096] {
        let error = Batch::new().read(len).expect_err("no such release");
        assert!(matches!(error, Error::Release(_)), "{error}");
        assert!(error.to_string().contains("72 (8.0 to 9.1)"), "{error}");
    }
    let mut buffer = gst::Buffer::with_size(72).expect("a buffer");
    buffer.make_mut().append_memory(gst::Memory::with_size(72));
    // SAFETY: it is not followed.
    let error = unsafe { nvmm::export(&buffer) }.expect_err("two memories");
    assert!(error.to_string().contains("2 memories"), "{error}");
}

#[test]
fn counts_that_cannot_be_are_refused() {
    assert!(refused(|batch| batch.head.batch_size = 0).contains("has 0 surfaces"));
    assert!(refused(|batch| batch.head.batch_size = u32::MAX).contains("4294967295 surfaces"));
    assert!(refused(|batch| batch.head.filled = 3).contains("3 of 2 surfaces filled"));
    assert!(refused(|batch| batch.params[1].planes = 0).contains("surface 1 with 0 planes"));
    assert!(refused(|batch| batch.params[0].planes = 5).contains("surface 0 with 5 planes"));
    assert!(refused(|batch| batch.params[0].planes = 1).contains("where NV12 has 2"));
}

#[test]
fn planes_outside_of_their_surface_are_refused() {
    let plane = |change: fn(&mut Params)| {
        let error = refused(|batch| change(&mut batch.params[0]));
        assert!(
            error.contains("plane 1 that does not fit") || error.contains("plane 0 that does not fit"),
            "{error}"
        );
    };
    plane(|params| params.plane_offset[1] += 1);
    plane(|params| params.plane_offset[1] = u32::MAX);
    plane(|params| params.plane_pitch[1] = u32::MAX);
    plane(|params| params.plane_pitch[0] = 63);
    plane(|params| params.plane_height[1] = u32::MAX);
    plane(|params| params.plane_height[1] = 0);
    plane(|params| params.plane_width[0] = 0);
    plane(|params| params.plane_width[1] = u32::MAX);
    plane(|params| params.bytes_per_pixel[0] = u32::MAX);
    plane(|params| params.data_size -= 1);
    assert!(refused(|batch| batch.params[0].data_size = 0).contains("without memory"));
    assert!(refused(|batch| batch.params[0].data = std::ptr::null_mut()).contains("without memory"));
    assert!(
        refused(|batch| batch.params[0].data = std::ptr::without_provenance_mut(usize::MAX))
            .contains("bytes from")
    );
}

#[test]
fn what_cannot_be_reached_is_refused_with_what_to_do() {
    assert!(refused(|batch| batch.params[0].layout = 1).contains("nvvideoconvert"));
    assert!(refused(|batch| batch.params[0].format = 64).contains("color format 64"));
    assert!(refused(|batch| batch.params[0].width = 0).contains("0 x 47"));
    assert!(refused(|batch| batch.head.memory = 99).contains("type 99"));
    for (number, name) in [(4, "surface array"), (5, "handle"), (7, "CUDA array")] {
        let error = refused(|batch| batch.head.memory = number);
        assert!(error.contains(name) && error.contains("nvbuf-memory-type"), "{error}");
    }
}
