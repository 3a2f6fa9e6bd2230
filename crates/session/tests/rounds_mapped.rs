//! The test of `rounds.rs`, with peers that map each other's memory: `common` looks at this file's name.

#[path = "rounds.rs"]
mod rounds;
