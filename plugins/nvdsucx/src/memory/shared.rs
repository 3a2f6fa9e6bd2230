//! Memory that receivers on this host read where it is, for the elements before a sink to write to.

use std::ops::Range;
use std::sync::OnceLock;

use gst::glib;
use gst::glib::translate::IntoGlibPtr;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_video::{VideoBufferPool, VideoInfo};
use nvdsucx_session::{Arena, Block};

/// Memory up to this length, in bytes, is the system's: what is that small is copied in any case.
const SMALL: usize = 16 << 10;
/// Alignment of longer memory of an [`Arena`], in bytes.
const ALIGNMENT: usize = 4096;

/// A block from where its alignment begins.
struct Part {
    block: Block,
    range: Range<usize>,
}

impl AsMut<[u8]> for Part {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.block.as_mut()[self.range.clone()]
    }
}

impl Part {
    /// `len` bytes, at an address that is a multiple of `alignment`, a power of two.
    fn allocate(arena: &Arena, len: usize, alignment: usize) -> Option<Self> {
        let spare = if alignment > ALIGNMENT { alignment } else { 0 };
        let mut block = arena.allocate(len.checked_add(spare)?)?;
        let start = block.as_mut().as_ptr().addr().wrapping_neg() % alignment;
        Some(Self { block, range: start..start + len })
    }
}

/// `size` bytes as `params` want them; `None` where the system should give them.
fn allocate(arena: &Arena, size: usize, params: &gst::AllocationParams) -> Option<gst::Memory> {
    let zeroed = gst::MemoryFlags::ZERO_PREFIXED | gst::MemoryFlags::ZERO_PADDED;
    if size <= SMALL || !(params.flags() - zeroed).is_empty() {
        return None;
    }
    let start = params.prefix();
    let end = start.checked_add(size)?;
    let len = end.checked_add(params.padding())?;
    let mut part = Part::allocate(arena, len, params.align().checked_add(1)?)?;
    let bytes = part.as_mut();
    if params.flags().contains(gst::MemoryFlags::ZERO_PREFIXED) {
        bytes[..start].fill(0);
    }
    if params.flags().contains(gst::MemoryFlags::ZERO_PADDED) {
        bytes[end..].fill(0);
    }
    let mut memory = gst::Memory::from_mut_slice(part);
    memory.get_mut()?.resize(start..end);
    Some(memory)
}

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub struct SharedAllocator {
        pub(super) arena: OnceLock<Arena>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SharedAllocator {
        const NAME: &'static str = "GstUcxSharedAllocator";
        type Type = super::SharedAllocator;
        type ParentType = gst::Allocator;

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            let allocator: *mut gst::ffi::GstAllocator = object.as_ptr().cast();
            // SAFETY: a GstAllocator that is being made, which nobody else knows yet; the name is static.
            unsafe { (*allocator).mem_type = c"UcxSharedMemory".as_ptr() };
        }
    }

    impl ObjectImpl for SharedAllocator {}
    impl GstObjectImpl for SharedAllocator {}

    // SAFETY: `alloc` gives memory of at least `size` bytes, or null. That memory belongs to an allocator of the bindings or of
    // GStreamer, which frees it: `free` is not called.
    unsafe impl AllocatorImpl for SharedAllocator {
        unsafe fn alloc(&self, size: usize, params: &gst::AllocationParams) -> *mut gst::ffi::GstMemory {
            let shared = self.arena.get().and_then(|arena| allocate(arena, size, params));
            match shared {
                Some(memory) => memory.into_glib_ptr(),
                // SAFETY: the parameters live. No allocator means that of the system.
                None => unsafe {
                    gst::ffi::gst_allocator_alloc(std::ptr::null_mut(), size, params.as_ptr().cast_mut())
                },
            }
        }
    }
}

glib::wrapper! {
    /// Gives memory of a session's arena, and of the system where that has none.
    pub struct SharedAllocator(ObjectSubclass<imp::SharedAllocator>) @extends gst::Allocator, gst::Object;
}

impl SharedAllocator {
    /// Gives memory of `arena`.
    pub(crate) fn new(arena: Arena) -> Self {
        let allocator: Self = glib::Object::new();
        let _ = allocator.imp().arena.set(arena);
        allocator
    }
}

/// A pool of frames as `caps` and `video`, which is the same, have them. It can do layouts and alignments.
pub(crate) fn video_pool(
    allocator: &SharedAllocator,
    caps: &gst::Caps,
    video: &VideoInfo,
) -> Result<(VideoBufferPool, u32), glib::BoolError> {
    let size = u32::try_from(video.size())
        .map_err(|_| glib::bool_error!("frames of {} bytes are too large for a pool", video.size()))?;
    let pool = VideoBufferPool::new();
    let mut config = pool.config();
    config.set_params(Some(caps), size, 0, 0);
    config.set_allocator(Some(allocator), None);
    pool.set_config(config)?;
    Ok((pool, size))
}
