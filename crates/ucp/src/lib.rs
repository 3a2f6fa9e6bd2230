//! Safe UCP.

mod region;

pub use region::{MemoryKind, Region, RegionMut};
