//! The nvdsucx protocol: bytes in, values out, no I/O.
#![forbid(unsafe_code)]

mod schema {
    #![allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
    include!(concat!(env!("OUT_DIR"), "/nvdsucx.v1.rs"));
}

pub use schema::*;
