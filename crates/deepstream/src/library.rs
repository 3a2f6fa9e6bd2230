//! Finding and loading DeepStream's libraries: here `libnvdsgst_meta.so`, with which `libnvds_meta.so` comes.
//!
//! They are never unloaded: the types they register refer to their code.

use std::env;
use std::ffi::{c_char, c_void};
use std::fs;
use std::path::{Path, PathBuf};

use gst::ffi::{GstBuffer, GstMetaInfo};
use gst::glib::ffi::{GType, gboolean};
use libloading::os::unix::{Library, RTLD_LAZY, RTLD_LOCAL, RTLD_NOW};

use crate::Error;
use crate::layout::{Layout, Sizes};
use crate::meta;
use crate::raw;

/// Environment variable with the folder of the libraries. If it is set, they are looked for nowhere else.
pub const FOLDER: &str = "NVDSUCX_DEEPSTREAM";

const NAME: &str = "libnvdsgst_meta.so";
const INSTALLED: &str = "/opt/nvidia/deepstream/deepstream/lib";

type Acquire<T> = unsafe extern "C" fn(*mut raw::Batch) -> *mut T;
type Add<P, T> = unsafe extern "C" fn(*mut P, *mut T);

/// Declares [`Functions`]: field, symbol, type.
macro_rules! functions {
    ($($field:ident = $symbol:literal: $type:ty;)*) => {
        /// What is called in the libraries.
        pub(crate) struct Functions { $(pub(crate) $field: $type,)* }

        impl Functions {
            fn find(library: &Library) -> Result<Self, Error> {
                // SAFETY: the types are those of DeepStream's headers, the same in all releases.
                unsafe { Ok(Self { $($field: *library
                    .get::<$type>(concat!($symbol, "\0").as_bytes())
                    .map_err(|_| Error::Symbol($symbol.to_owned()))?,)* }) }
            }
        }
    };
}

functions! {
    meta_api = "nvds_meta_api_get_type": unsafe extern "C" fn() -> GType;
    meta_info = "nvds_meta_get_info": unsafe extern "C" fn() -> *const GstMetaInfo;
    add_meta = "gst_buffer_add_nvds_meta": unsafe extern "C" fn(
        *mut GstBuffer, *mut c_void, *mut c_void, Option<raw::CopyFn>, Option<raw::ReleaseFn>) -> *mut raw::Meta;

    lock = "nvds_acquire_meta_lock": unsafe extern "C" fn(*mut raw::Batch);
    unlock = "nvds_release_meta_lock": unsafe extern "C" fn(*mut raw::Batch);
    user_meta_type = "nvds_get_user_meta_type": unsafe extern "C" fn(*mut c_char) -> i32;

    create_batch = "nvds_create_batch_meta": unsafe extern "C" fn(u32) -> *mut raw::Batch;
    destroy_batch = "nvds_destroy_batch_meta": unsafe extern "C" fn(*mut raw::Batch) -> gboolean;
    copy_batch = "nvds_batch_meta_copy_func": raw::CopyFn;
    release_batch = "nvds_batch_meta_release_func": raw::ReleaseFn;

    create_audio_batch = "nvds_create_audio_batch_meta": unsafe extern "C" fn(u32) -> *mut raw::Batch;
    destroy_audio_batch = "nvds_destroy_audio_batch_meta": unsafe extern "C" fn(*mut raw::Batch) -> gboolean;
    copy_audio_batch = "nvds_audio_batch_meta_copy_func": raw::CopyFn;
    release_audio_batch = "nvds_audio_batch_meta_release_func": raw::ReleaseFn;

    acquire_frame = "nvds_acquire_frame_meta_from_pool": Acquire<raw::Frame>;
    acquire_audio_frame = "nvds_acquire_audio_frame_meta_from_pool": Acquire<raw::AudioFrame>;
    acquire_object = "nvds_acquire_obj_meta_from_pool": Acquire<raw::Object>;
    acquire_classifier = "nvds_acquire_classifier_meta_from_pool": Acquire<raw::Classifier>;
    acquire_label = "nvds_acquire_label_info_meta_from_pool": Acquire<raw::Label>;
    acquire_display = "nvds_acquire_display_meta_from_pool": Acquire<raw::Display>;
    acquire_user = "nvds_acquire_user_meta_from_pool": Acquire<raw::User>;

    add_frame = "nvds_add_frame_meta_to_batch": Add<raw::Batch, raw::Frame>;
    add_audio_frame = "nvds_add_audio_frame_meta_to_audio_batch": Add<raw::Batch, raw::AudioFrame>;
    add_object = "nvds_add_obj_meta_to_frame":
        unsafe extern "C" fn(*mut raw::Frame, *mut raw::Object, *mut raw::Object);
    add_classifier = "nvds_add_classifier_meta_to_object": Add<raw::Object, raw::Classifier>;
    add_audio_classifier = "nvds_add_classifier_meta_to_audio_frame": Add<raw::AudioFrame, raw::Classifier>;
    add_label = "nvds_add_label_info_meta_to_classifier": Add<raw::Classifier, raw::Label>;
    add_display = "nvds_add_display_meta_to_frame": Add<raw::Frame, raw::Display>;
    add_user = "nvds_add_user_meta_to_batch": Add<raw::Batch, raw::User>;
    remove_user = "nvds_remove_user_meta_from_batch": Add<raw::Batch, raw::User>;
}

/// DeepStream's libraries, loaded, and of a known release.
pub(crate) struct Loaded {
    pub(crate) functions: Functions,
    pub(crate) layout: Layout,
    /// `NVDS_AUDIO_BATCH_META`, which differs between releases.
    pub(crate) audio_batch: i32,
}

impl Loaded {
    pub(crate) fn load() -> Result<Self, Error> {
        if meta::api().is_some() && mapped(NAME).is_none() {
            return Err(Error::Taken);
        }
        let library = open(NAME, Binding::Now).map_err(Error::Load)?;
        let functions = Functions::find(&library)?;
        // Even if the release turns out to be unknown: see the module's text.
        let _ = library.into_raw();
        // SAFETY: they register the meta, once.
        unsafe {
            (functions.meta_api)();
            (functions.meta_info)();
        }
        let (sizes, audio_batch) = probe(&functions)?;
        Ok(Self { layout: Layout::of(sizes)?, functions, audio_batch })
    }
}

/// Where to look for the library `name`, in order.
fn places(name: &str) -> Vec<PathBuf> {
    if let Some(loaded) = mapped(name) {
        return vec![loaded];
    }
    match env::var_os(FOLDER).filter(|folder| !folder.is_empty()) {
        Some(folder) => vec![Path::new(&folder).join(name)],
        // Without a folder the loader looks in LD_LIBRARY_PATH and its own places.
        None => vec![name.into(), Path::new(INSTALLED).join(name)],
    }
}

/// The library that this process has already. Another copy could not register its types. The loader does not find it by
/// name: it has none, and may have come from any folder.
fn mapped(name: &str) -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines()
        .filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])))
        .find(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name)))
        .map(Path::to_owned)
}

/// When the functions that a library needs of others are looked up.
#[derive(Clone, Copy)]
pub(crate) enum Binding {
    Now = RTLD_NOW as isize,
    /// When they are called, which some may never be.
    Lazy = RTLD_LAZY as isize,
}

/// Opens the library `name`; or says why that cannot be done, for each place where it may be.
pub(crate) fn open(name: &str, binding: Binding) -> Result<Library, String> {
    let mut reasons = Vec::new();
    for place in places(name) {
        // SAFETY: DeepStream's libraries do nothing when they are loaded.
        match unsafe { Library::open(Some(&place), binding as i32 | RTLD_LOCAL) } {
            Ok(library) => return Ok(library),
            Err(error) => reasons.push(words(&error)),
        }
    }
    Err(reasons.join("; "))
}

/// What dlopen said, which names the file.
fn words(error: &libloading::Error) -> String {
    match error {
        libloading::Error::DlOpen { desc } => format!("{desc:?}").trim_matches('"').to_owned(),
        other => other.to_string(),
    }
}

/// Makes a batch of each kind, and looks at the size of what is in its pools.
fn probe(functions: &Functions) -> Result<(Sizes, i32), Error> {
    // SAFETY: the start of a batch meta, and the pools, are the same in all releases; pools that are there are good for
    // reading. The batches are destroyed here, and nobody else has them.
    unsafe {
        let size = |pool: *mut raw::Pool| if pool.is_null() { 0 } else { (*pool).element_size };
        let batch = (functions.create_batch)(1);
        let audio = (functions.create_audio_batch)(1);
        if batch.is_null() || audio.is_null() {
            return Err(Error::Batch("cannot be made"));
        }
        let sizes = Sizes {
            frame: size((*batch).frame_pool.as_ptr()),
            object: size((*batch).object_pool.as_ptr()),
            classifier: size((*batch).classifier_pool.as_ptr()),
            display: size((*batch).display_pool.as_ptr()),
            user: size((*batch).user_pool.as_ptr()),
            label: size((*batch).label_pool.as_ptr()),
            audio_frame: size((*audio).frame_pool.as_ptr()),
        };
        let audio_batch = (*audio).base.meta_type;
        (functions.destroy_batch)(batch);
        (functions.destroy_audio_batch)(audio);
        Ok((sizes, audio_batch))
    }
}
