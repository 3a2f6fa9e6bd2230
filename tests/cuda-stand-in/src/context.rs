//! Contexts, and which are current in a thread.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::ffi::Handle;
use crate::memory;

/// How many GPUs there are.
pub(crate) const DEVICES: usize = 2;

#[derive(Clone, Copy)]
struct Context {
    device: usize,
    /// Of a primary context: how often it is retained.
    retained: Option<usize>,
}

static CONTEXTS: Mutex<BTreeMap<Handle, Context>> = Mutex::new(BTreeMap::new());
static INITIALIZED: AtomicBool = AtomicBool::new(false);

/// Contexts that were pushed. Without a destructor, so that it is there even when a thread ends.
#[derive(Clone, Copy)]
struct Stack {
    contexts: [Handle; 16],
    len: usize,
}

thread_local! {
    static STACK: Cell<Stack> = const { Cell::new(Stack { contexts: [0; 16], len: 0 }) };
}

fn contexts() -> MutexGuard<'static, BTreeMap<Handle, Context>> {
    CONTEXTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handle that there was not before.
pub(crate) fn new_handle() -> Handle {
    // 1 and 2 are CUDA's default streams.
    static NEXT: AtomicUsize = AtomicUsize::new(0x1000);
    NEXT.fetch_add(1, Relaxed)
}

/// Finds the GPUs, or none, if the environment hides them.
pub(crate) fn initialize() -> Result<()> {
    match std::env::var("CUDA_VISIBLE_DEVICES") {
        Ok(visible) if visible.is_empty() || visible.starts_with('-') => Err(Error::NoDevice),
        _ => {
            INITIALIZED.store(true, Relaxed);
            Ok(())
        }
    }
}

pub(crate) fn devices() -> Result<usize> {
    if INITIALIZED.load(Relaxed) { Ok(DEVICES) } else { Err(Error::NotInitialized) }
}

pub(crate) fn device(ordinal: i32) -> Result<usize> {
    let count = devices()?;
    usize::try_from(ordinal).ok().filter(|device| *device < count).ok_or(Error::InvalidDevice)
}

/// The context that a GPU has anyway; active until it is released as often.
pub(crate) fn retain_primary(device: usize) -> Handle {
    let mut contexts = contexts();
    for (handle, context) in contexts.iter_mut() {
        if let Context { device: of, retained: Some(retained) } = context
            && *of == device
        {
            *retained += 1;
            return *handle;
        }
    }
    let handle = new_handle();
    contexts.insert(handle, Context { device, retained: Some(1) });
    handle
}

pub(crate) fn release_primary(device: usize) -> Result<()> {
    let mut contexts = contexts();
    let found = contexts.iter_mut().find_map(|(handle, context)| match context {
        Context { device: of, retained: Some(retained) } if *of == device => Some((*handle, retained)),
        _ => None,
    });
    let (handle, retained) = found.ok_or(Error::InvalidContext)?;
    *retained -= 1;
    if *retained == 0 {
        contexts.remove(&handle);
        memory::free_all(handle);
    }
    Ok(())
}

pub(crate) fn is_primary_active(device: usize) -> bool {
    contexts().values().any(|context| context.device == device && context.retained.is_some())
}

/// A new one, which is current then.
pub(crate) fn create(device: usize) -> Result<Handle> {
    let handle = new_handle();
    contexts().insert(handle, Context { device, retained: None });
    push(handle)?;
    Ok(handle)
}

pub(crate) fn destroy(handle: Handle) -> Result<()> {
    let mut contexts = contexts();
    if contexts.get(&handle).is_none_or(|context| context.retained.is_some()) {
        return Err(Error::InvalidContext);
    }
    contexts.remove(&handle);
    memory::free_all(handle);
    if top() == Some(handle) {
        pop()?;
    }
    Ok(())
}

pub(crate) fn push(handle: Handle) -> Result<()> {
    device_of(handle)?;
    let mut stack = STACK.get();
    *stack.contexts.get_mut(stack.len).ok_or(Error::OutOfMemory)? = handle;
    stack.len += 1;
    STACK.set(stack);
    Ok(())
}

pub(crate) fn pop() -> Result<Handle> {
    let handle = top().ok_or(Error::InvalidContext)?;
    let mut stack = STACK.get();
    stack.len -= 1;
    STACK.set(stack);
    Ok(handle)
}

/// Takes the place of the one that is current; 0 for that which was before it.
pub(crate) fn set(handle: Handle) -> Result<()> {
    if handle != 0 {
        device_of(handle)?;
    }
    if top().is_some() {
        pop()?;
    }
    if handle == 0 { Ok(()) } else { push(handle) }
}

/// That which is current in this thread, whether it still exists or not.
pub(crate) fn top() -> Option<Handle> {
    let stack = STACK.get();
    stack.contexts[..stack.len].last().copied()
}

/// That which is current in this thread, and its GPU.
pub(crate) fn current() -> Result<(Handle, usize)> {
    let handle = top().ok_or(Error::InvalidContext)?;
    let device = contexts().get(&handle).ok_or(Error::ContextIsDestroyed)?.device;
    Ok((handle, device))
}

/// Of this context, or of that which is current if it is 0.
pub(crate) fn of_or_current(handle: Handle) -> Result<(Handle, usize)> {
    if handle == 0 { current() } else { Ok((handle, device_of(handle)?)) }
}

fn device_of(handle: Handle) -> Result<usize> {
    contexts().get(&handle).map(|context| context.device).ok_or(Error::InvalidContext)
}
