//! Metas of this program's own. One tells nobody what is in it, so it cannot travel; another can be serialised by GStreamer
//! 1.24 and newer, with functions of its own.

use std::ffi::{CStr, c_char, c_void};
use std::sync::OnceLock;

use gst::ffi;
use gst::glib::ffi::{GFALSE, GTRUE, gboolean, gpointer};
use gst::glib::translate::IntoGlib;

/// The only meta of its kind that there is at a time; what is in it does not matter.
pub(super) fn attach(buffer: &mut gst::BufferRef) {
    static INFO: OnceLock<usize> = OnceLock::new();
    let info = *INFO.get_or_init(|| register() as usize) as *const ffi::GstMetaInfo;
    // SAFETY: the buffer is writable, as it is borrowed mutably, and GStreamer keeps what it has registered for ever.
    let meta = unsafe { ffi::gst_buffer_add_meta(buffer.as_mut_ptr(), info, std::ptr::null_mut()) };
    assert!(!meta.is_null(), "the meta cannot be attached");
}

fn register() -> *const ffi::GstMetaInfo {
    let api = register_api(c"NvdsucxTestForeignMetaAPI");
    // SAFETY: the name ends with a zero, and the functions are of the types that GStreamer calls.
    unsafe {
        ffi::gst_meta_register(
            api,
            c"NvdsucxTestForeignMeta".as_ptr(),
            size_of::<ffi::GstMeta>(),
            Some(init),
            None,
            Some(transform),
        )
    }
}

fn register_api(name: &CStr) -> gst::glib::ffi::GType {
    let mut tags = [std::ptr::null()];
    // SAFETY: the name and the list end with a zero.
    unsafe { ffi::gst_meta_api_type_register(name.as_ptr(), tags.as_mut_ptr()) }
}

unsafe extern "C" fn init(_: *mut ffi::GstMeta, _: gpointer, _: *mut ffi::GstBuffer) -> gboolean {
    GTRUE
}

/// It stays with its buffer.
unsafe extern "C" fn transform(
    _: *mut ffi::GstBuffer,
    _: *mut ffi::GstMeta,
    _: *mut ffi::GstBuffer,
    _: gst::glib::ffi::GQuark,
    _: gpointer,
) -> gboolean {
    GFALSE
}

/// A meta with a number, which it serialises.
#[repr(C)]
struct Spoken {
    meta: ffi::GstMeta,
    number: u64,
}

/// `GstByteArrayInterface`, which came with GStreamer 1.24.
#[repr(C)]
struct ByteArray {
    data: *mut u8,
    len: usize,
    resize: unsafe extern "C" fn(*mut Self, usize) -> gboolean,
    reserved: [*mut c_void; 4],
}

/// `GstMetaInfo`, which became longer with GStreamer 1.24.
#[repr(C)]
struct MetaInfo {
    api: gst::glib::ffi::GType,
    type_: gst::glib::ffi::GType,
    size: usize,
    init: ffi::GstMetaInitFunction,
    free: ffi::GstMetaFreeFunction,
    transform: ffi::GstMetaTransformFunction,
    serialize: Option<Serialize>,
    deserialize: Option<Deserialize>,
}

type Serialize = unsafe extern "C" fn(*const ffi::GstMeta, *mut ByteArray, *mut u8) -> gboolean;
type Deserialize = unsafe extern "C" fn(
    *const ffi::GstMetaInfo,
    *mut ffi::GstBuffer,
    *const u8,
    usize,
    u8,
) -> *mut ffi::GstMeta;

/// Its version of what it serialises.
const VERSION: u8 = 3;

/// A kind of such metas.
pub(super) struct Kind {
    name: &'static CStr,
    api: &'static CStr,
    info: OnceLock<usize>,
}

/// Both ends know it from the start.
pub(super) static SPOKEN: Kind =
    Kind { name: c"NvdsucxTestSpoken", api: c"NvdsucxTestSpokenAPI", info: OnceLock::new() };
/// Only who attaches it knows it.
pub(super) static UNHEARD: Kind =
    Kind { name: c"NvdsucxTestUnheard", api: c"NvdsucxTestUnheardAPI", info: OnceLock::new() };

impl Kind {
    /// Registers it, if GStreamer can serialise metas.
    pub(super) fn register(&self) -> Option<*const ffi::GstMetaInfo> {
        type New = unsafe extern "C" fn(gst::glib::ffi::GType, *const c_char, usize) -> *mut MetaInfo;
        type Register = unsafe extern "C" fn(*mut MetaInfo) -> *const ffi::GstMetaInfo;

        let library = libloading::os::unix::Library::this();
        // SAFETY: these are the types that GStreamer's headers declare.
        let (new, register) = unsafe {
            let new = library.get::<New>(b"gst_meta_info_new\0").ok()?;
            (new, library.get::<Register>(b"gst_meta_info_register\0").ok()?)
        };
        let info = *self.info.get_or_init(|| {
            let api = register_api(self.api);
            // SAFETY: the name ends with a zero, the structure is as long as the newer header has it, and the functions are of
            // the types that GStreamer calls.
            unsafe {
                let info = new(api, self.name.as_ptr(), size_of::<Spoken>());
                (*info).init = Some(init);
                (*info).transform = Some(transform);
                (*info).serialize = Some(serialize);
                (*info).deserialize = Some(deserialize);
                register(info) as usize
            }
        });
        Some(info as *const ffi::GstMetaInfo)
    }

    pub(super) fn attach(&self, buffer: &mut gst::BufferRef, number: u64) {
        let info = self.register().expect("only asked for where GStreamer serialises metas");
        // SAFETY: the buffer is writable, as it is borrowed mutably, and the meta is of this kind.
        unsafe { add(buffer.as_mut_ptr(), info, number) };
    }

    /// The text of `meta`, if it is of this kind.
    pub(super) fn text(&self, meta: &gst::MetaRef<'_, gst::Meta>) -> Option<String> {
        let info = *self.info.get()? as *const ffi::GstMetaInfo;
        // SAFETY: GStreamer keeps what it has registered for ever; what has this API is of this kind.
        unsafe {
            let is_it = (*info).api == meta.api().into_glib();
            is_it.then(|| {
                format!("{} {}", self.name.to_string_lossy(), (*meta.as_ptr().cast::<Spoken>()).number)
            })
        }
    }
}

/// # Safety
///
/// `buffer` is writable, and `info` of a kind that is `Spoken`.
unsafe fn add(buffer: *mut ffi::GstBuffer, info: *const ffi::GstMetaInfo, number: u64) -> *mut ffi::GstMeta {
    // SAFETY: as promised.
    unsafe {
        let meta = ffi::gst_buffer_add_meta(buffer, info, std::ptr::null_mut());
        assert!(!meta.is_null(), "the meta cannot be attached");
        (*meta.cast::<Spoken>()).number = number;
        meta
    }
}

unsafe extern "C" fn serialize(
    meta: *const ffi::GstMeta,
    bytes: *mut ByteArray,
    version: *mut u8,
) -> gboolean {
    // SAFETY: GStreamer calls this with a meta of this kind, and bytes that can be resized.
    unsafe {
        let (number, len) = ((*meta.cast::<Spoken>()).number.to_le_bytes(), (*bytes).len);
        if ((*bytes).resize)(bytes, len + number.len()) != GTRUE {
            return GFALSE;
        }
        (*bytes).len = len + number.len();
        std::ptr::copy_nonoverlapping(number.as_ptr(), (*bytes).data.add(len), number.len());
        *version = VERSION;
        GTRUE
    }
}

unsafe extern "C" fn deserialize(
    info: *const ffi::GstMetaInfo,
    buffer: *mut ffi::GstBuffer,
    data: *const u8,
    len: usize,
    version: u8,
) -> *mut ffi::GstMeta {
    if version != VERSION || len != 8 {
        return std::ptr::null_mut();
    }
    // SAFETY: GStreamer calls this with as many bytes as it says, and a buffer that is writable.
    unsafe { add(buffer, info, u64::from_le_bytes(data.cast::<[u8; 8]>().read())) }
}

/// `GstAnalyticsMtdImpl`: a kind of thing that analytics find. The rest is not used.
#[repr(C)]
struct MtdImpl {
    name: *const c_char,
    rest: [usize; 21],
}

// SAFETY: nobody changes it.
unsafe impl Sync for MtdImpl {}

static UNKNOWN: MtdImpl = MtdImpl { name: c"nvdsucx-test".as_ptr(), rest: [0; 21] };

/// Adds a thing of a kind that only this program knows to what analytics found.
pub(super) fn attach_unknown_thing(buffer: &mut gst::BufferRef) {
    type AddMeta = unsafe extern "C" fn(*mut ffi::GstBuffer) -> *mut c_void;
    type AddThing = unsafe extern "C" fn(*mut c_void, *const MtdImpl, usize, *mut [usize; 2]) -> *mut c_void;

    // SAFETY: the library is GStreamer's, the functions are of the types that its headers declare, and the buffer is writable,
    // as it is borrowed mutably.
    unsafe {
        let library = libloading::os::unix::Library::new("libgstanalytics-1.0.so.0")
            .expect("only asked for where GStreamer has analytics");
        let add_meta =
            library.get::<AddMeta>(b"gst_buffer_add_analytics_relation_meta\0").expect("its function");
        let add_thing =
            library.get::<AddThing>(b"gst_analytics_relation_meta_add_mtd\0").expect("its function");
        let thing = add_thing(add_meta(buffer.as_mut_ptr()), &raw const UNKNOWN, 8, &mut [0; 2]);
        assert!(!thing.is_null(), "the thing cannot be added");
        // It stays loaded.
        std::mem::forget(library);
    }
}
