//! What the end-to-end tests share: real processes with the built plugin, and what they say about themselves.
//!
//! A [`Peer`] is a process that runs one pipeline, usually with the program `nvdsucx-peer`, which prints each buffer,
//! event and bus message as a line and takes commands. A [`Link`] is a pair of them, joined by the elements under test.
//! Tests wait for lines, always with a deadline.

pub mod compare;
pub mod environment;
pub mod link;
pub mod metas;
pub mod netns;
pub mod payload;
pub mod peer;
pub mod process;
pub mod roce;
pub mod room;
pub mod stranger;
pub mod testing;

pub use link::{Link, Pairing, Transport, UcxRelease};
pub use peer::{Launch, Peer};
