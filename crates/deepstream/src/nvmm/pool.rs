//! Buffers to be filled, which DeepStream's own library makes.

use std::sync::OnceLock;

use gst::ffi::GstBufferPool;
use gst::glib::ffi::GFALSE;
use gst::glib::gobject_ffi::g_object_is_floating;
use gst::glib::translate::*;
use gst::prelude::*;
use gst_video::VideoInfo;
use libloading::os::unix::Library;

use super::{Batch, Error, FORMATS, Filling, MAX_BATCH, MemoryType, read};
use crate::library::{self, Binding};

const NAME: &str = "libnvdsbufferpool.so";

type PoolNew = unsafe extern "C" fn() -> *mut GstBufferPool;

/// The library's function.
fn pool_new() -> Result<PoolNew, Error> {
    static FUNCTION: OnceLock<Result<PoolNew, Error>> = OnceLock::new();
    let load = || {
        // Lazily: it names functions of the driver that surfaces of the CPU's memory do not need.
        let library: Library = library::open(NAME, Binding::Lazy).map_err(Error::Load)?;
        // SAFETY: the type is that of DeepStream's header, the same in all releases.
        let function = unsafe { library.get::<PoolNew>(b"gst_nvds_buffer_pool_new\0").map(|found| *found) };
        // For good: it registers types whose code is in it.
        let _ = library.into_raw();
        function.map_err(|_| Error::Symbol("gst_nvds_buffer_pool_new"))
    };
    FUNCTION.get_or_init(load).clone()
}

/// Whether DeepStream's library that makes surfaces is there, or why not. It is looked for once.
pub fn available() -> Result<(), Error> {
    pool_new().map(drop)
}

/// What a [`Pool`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Where the surfaces are.
    pub memory: MemoryType,
    /// The number of the GPU that they belong to.
    pub gpu: u32,
    /// Surfaces of each buffer.
    pub batch_size: u32,
    /// Buffers that are made in advance. Others are made when they are needed.
    pub buffers: u32,
}

/// A pool of buffers with surfaces, active until it is dropped.
#[derive(Debug)]
pub struct Pool {
    pool: gst::BufferPool,
    info: VideoInfo,
    config: PoolConfig,
    /// The colour format that the pool gives its surfaces.
    color: i32,
}

impl Pool {
    /// A pool for video of `caps`, which are of `memory:NVMM`.
    pub fn new(caps: &gst::Caps, config: PoolConfig) -> Result<Self, Error> {
        let new = pool_new()?;
        let none = || Error::Pool { caps: caps.to_string(), memory: config.memory };
        let info = VideoInfo::from_caps(caps).map_err(|_| none())?;
        if config.memory.kind().is_none() {
            return Err(Error::Memory(config.memory));
        }
        // Of others it makes something that is wrong, or complains loudly.
        if !FORMATS.contains(&info.format()) || config.batch_size == 0 || config.batch_size > MAX_BATCH {
            return Err(none());
        }
        // SAFETY: gives a pool that is ours, or NULL. It may be floating still, as GObject makes objects.
        let pool: Option<gst::BufferPool> = unsafe {
            let pool = new();
            if !pool.is_null() && g_object_is_floating(pool.cast()) != GFALSE {
                Option::from_glib_none(pool)
            } else {
                Option::from_glib_full(pool)
            }
        };
        let pool = pool.ok_or_else(none)?;
        let mut parameters = pool.config();
        // The size is that of an NvBufSurface, which the pool knows better.
        parameters.set_params(Some(caps), 72, config.buffers, 0);
        parameters.set("memtype", config.memory as u32);
        parameters.set("gpu-id", config.gpu);
        parameters.set("batch-size", config.batch_size);
        pool.set_config(parameters).map_err(|_| none())?;
        pool.set_active(true).map_err(|_| none())?;
        let mut made = Self { pool, info, config, color: 0 };
        // What it says of the surfaces is checked before anything is sent.
        let (_, batch) = made.fresh()?;
        made.color = batch.surfaces[0].color;
        Ok(made)
    }

    /// What its pictures are.
    pub fn info(&self) -> &VideoInfo {
        &self.info
    }

    /// As it was made.
    pub fn config(&self) -> PoolConfig {
        self.config
    }

    /// A buffer to be filled.
    pub fn acquire(&self) -> Result<Filling<'_>, Error> {
        let (buffer, batch) = self.fresh()?;
        Ok(Filling::new(self, buffer, batch))
    }

    pub(super) fn color(&self) -> i32 {
        self.color
    }

    fn fresh(&self) -> Result<(gst::Buffer, Batch), Error> {
        let full = || Error::Pool {
            caps: self.info.to_caps().map(|caps| caps.to_string()).unwrap_or_default(),
            memory: self.config.memory,
        };
        let buffer = self.pool.acquire_buffer(None).map_err(|_| full())?;
        let batch = {
            let mapped = buffer.map_readable().map_err(|_| full())?;
            // SAFETY: that is what the library's pool makes.
            unsafe { read::batch(mapped.as_ptr(), mapped.len()) }?
        };
        let fits = batch.surfaces.len() == self.config.batch_size as usize
            && batch.surfaces.iter().all(|surface| {
                (surface.format, surface.width, surface.height)
                    == (self.info.format(), self.info.width(), self.info.height())
            });
        if !fits {
            return Err(Error::Surface(format!("is not as it was to be made: {batch:?}")));
        }
        Ok((buffer, batch))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Buffers that are out come back later, and are freed.
        let _ = self.pool.set_active(false);
    }
}
