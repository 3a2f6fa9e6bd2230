//! Safe UCP, for programs that send active messages over client-server connections.
//!
//! Who owns what: one thread makes a [`Context`] and a [`Worker`] on it and keeps both; neither they nor anything made
//! from them ([`Listener`], [`Endpoint`], [`HeldData`], [`Rendezvous`], [`Registration`], [`Segment`]) is `Send`. UCX
//! calls back only inside [`Worker::progress`], and every callback does one thing: it queues an [`Event`], which the
//! owner fetches with [`Worker::next_event`] afterwards. So no user code ever runs inside UCX.
//!
//! Every posted operation owns what it touches (header bytes, [`Region`]s, [`RegionMut`]) until its completion event.
//!
//! All `unsafe` code for UCX is in this crate.

mod address;
mod context;
mod endpoint;
mod event;
mod listener;
mod operation;
mod orphans;
mod region;
mod shared;
mod status;
mod worker;

pub use context::{Context, Registration, Setting, version};
pub use endpoint::{Endpoint, EndpointId};
pub use event::{Data, Event, HeldData, Message, Rendezvous};
pub use listener::{ConnectionRequest, Listener};
pub use operation::SendMode;
pub use orphans::Maker;
pub use region::{MemoryKind, Region, RegionMut};
pub use shared::{Access, Mapping, Segment, Shared};
pub use status::Status;
pub use worker::Worker;
