//! Messages that NVIDIA's schema does not have: they stand in fields of ours only.

use prost::{Message, Oneof};

/// The sensor of a frame.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sensor {
    #[prost(uint32, tag = "1")]
    pub(crate) source_id: u32,
    #[prost(string, tag = "2")]
    pub(crate) uri: String,
    #[prost(string, tag = "3")]
    pub(crate) id: String,
    #[prost(string, tag = "4")]
    pub(crate) name: String,
}

/// A region of interest.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Region {
    #[prost(sint32, tag = "1")]
    pub(crate) id: i32,
    #[prost(sint32, tag = "2")]
    pub(crate) parent_id: i32,
    #[prost(uint32, tag = "3")]
    pub(crate) x: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) y: u32,
    #[prost(uint32, tag = "5")]
    pub(crate) width: u32,
    #[prost(uint32, tag = "6")]
    pub(crate) height: u32,
    #[prost(string, repeated, tag = "7")]
    pub(crate) params: Vec<String>,
    #[prost(double, tag = "8")]
    pub(crate) confidence: f64,
}

/// Analytics metadata and its relations.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Analytics {
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<AnalyticsItem>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) relations: Vec<Relation>,
}

/// One piece of it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AnalyticsItem {
    #[prost(oneof = "ItemKind", tags = "1, 2, 3")]
    pub(crate) kind: Option<ItemKind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ItemKind {
    #[prost(message, tag = "1")]
    Detection(Detection),
    #[prost(message, tag = "2")]
    Classification(Classification),
    #[prost(message, tag = "3")]
    Tracking(Tracking),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Detection {
    #[prost(string, tag = "1")]
    pub(crate) label: String,
    #[prost(sint32, tag = "2")]
    pub(crate) x: i32,
    #[prost(sint32, tag = "3")]
    pub(crate) y: i32,
    #[prost(sint32, tag = "4")]
    pub(crate) width: i32,
    #[prost(sint32, tag = "5")]
    pub(crate) height: i32,
    #[prost(float, tag = "6")]
    pub(crate) rotation: f32,
    #[prost(float, tag = "7")]
    pub(crate) confidence: f32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Classification {
    #[prost(message, repeated, tag = "1")]
    pub(crate) classes: Vec<Class>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Class {
    #[prost(string, tag = "1")]
    pub(crate) label: String,
    #[prost(float, tag = "2")]
    pub(crate) confidence: f32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Tracking {
    #[prost(uint64, tag = "1")]
    pub(crate) tracking_id: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) first_seen: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) last_seen: u64,
    #[prost(bool, tag = "4")]
    pub(crate) lost: bool,
}

/// How one item, by its index, stands to another.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Relation {
    #[prost(uint32, tag = "1")]
    pub(crate) from: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) to: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) kinds: u32,
}
