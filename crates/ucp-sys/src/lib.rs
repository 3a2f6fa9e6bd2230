//! Raw bindings to UCP, the protocol layer of [UCX](https://openucx.org), made from the headers of UCX 1.13 with
//! `bindgen` and checked in. The system's `libucp` is found by pkg-config and linked dynamically; releases from 1.13 on
//! keep this interface.
//!
//! Documentation of every item: `ucp/api/ucp.h`.
#![allow(missing_docs, non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(clippy::all, clippy::pedantic, unused_qualifications, unreachable_pub)]
#![no_std]

include!("bindings.rs");
