//! A stand-in for NVIDIA's driver, so that what uses CUDA can be tested where there is no GPU: by GStreamer's own elements, by
//! UCX built with CUDA, and by our code, none of which knows.
//!
//! `cargo xtask test` puts it in the place of three libraries. As `libcuda.so.1` it has two GPUs, whose memory is the CPU's: each
//! allocation is a file in memory, which other processes open by the handle that CUDA has for that. It lives as long as
//! anybody has it mapped, and nothing is left when all are gone, however they went. What is free on a GPU is found in the
//! kernel's list of mappings, so it is true of all processes together.
//! As `libnvcuvid.so.1` and `libnvidia-ml.so.1` it can do nothing: without these, GStreamer's and UCX's libraries do not load.
//!
//! It is strict where callers are easily wrong: what needs a context fails without a current one, a context that is destroyed
//! takes its memory along, addresses and lengths have to be within an allocation.
//!
//! It does not show
//! * how long anything takes: the CPU copies,
//! * what is forgotten to be waited for: every copy is done when the call returns, every stream idle, every event past,
//! * what a GPU cannot reach: each reaches the other's memory, the CPU reaches all of it, and nothing that touches it there fails,
//! * kernels, decoders, managed memory, memory pools, memory that is mapped by hand: they are refused. CUDA's runtime asks for
//!   more than there is here, so what uses that (DeepStream's libraries) does not run.

mod context;
mod error;
mod exports;
mod ffi;
mod memory;

#[cfg(test)]
mod tests;
