//! The tests of `session.rs`, with peers that map each other's memory: `common` looks at this file's name.

#[path = "session.rs"]
mod session;
