//! What runs between start and stop, in sinks and sources alike: how the session's notices reach the application.
//!
//! The session gives its notices on the transport thread, which must not wait. Messages, property notifications and
//! upstream events can run into anything an application or another element does, so a thread of its own passes them
//! on, in order. It ends by itself when the session is gone. Nobody waits for it: it may be in a callback that waits
//! for the very state change that stops the element.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use gst::glib::subclass::prelude::*;
use gst::prelude::*;
use gst::subclass::prelude::*;
use nvdsucx_session::wire::{Latency, Structured};
use nvdsucx_session::{Error, Notice, Peer};

use crate::meta::Losses;
use crate::settings::Role;

/// What an element does with the notices that are not the same for all.
pub(crate) trait Element: ElementImpl {
    /// Which of the four it is.
    fn role(&self) -> Role;
    /// Its debug category.
    fn category(&self) -> gst::DebugCategory;
    /// An upstream event came from the receiver.
    fn upstream(&self, _event: &Structured) {}
    /// The latency of the sender's pipeline changed.
    fn latency(&self, _latency: Latency) {}
    /// [`Run::ask_latency`] was called.
    fn ask_latency(&self) {}
}

enum Task {
    Notice(Notice),
    AskLatency,
}

/// What the threads of a running element share.
#[derive(Debug, Default)]
struct Shared {
    /// Notices that are still on their way are stale.
    stopped: AtomicBool,
    /// An error was posted; the first tells the cause.
    failed: Mutex<bool>,
    peers: AtomicU32,
}

/// A running element's side of the notices. Dropping it stops them.
#[derive(Debug)]
pub(crate) struct Run {
    shared: Arc<Shared>,
    tasks: mpsc::Sender<Task>,
}

impl Run {
    /// Starts passing on notices to `imp`; the function is for the session.
    pub(crate) fn start<T>(imp: &T) -> Result<(Self, impl FnMut(Notice) + Send + use<T>), gst::ErrorMessage>
    where
        T: Element,
        T::Type: IsA<gst::Element> + Send + Sync,
    {
        let shared = Arc::new(Shared::default());
        let (tasks, received) = mpsc::channel();
        let element = imp.obj().downgrade();
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(format!("{}-notices", imp.obj().name()))
            .spawn(move || {
                while let Ok(task) = received.recv() {
                    let Some(element) = element.upgrade() else { return };
                    if theirs.stopped.load(Ordering::Acquire) {
                        return;
                    }
                    perform(T::from_obj(&element), &theirs, task);
                }
            })
            .map_err(|err| gst::error_msg!(gst::CoreError::Thread, ("no thread for notices: {err}")))?;
        let notices = tasks.clone();
        // The thread has ended only if the element is gone or stopped.
        let notify = move |notice| drop(notices.send(Task::Notice(notice)));
        Ok((Self { shared, tasks }, notify))
    }

    /// Has [`Element::ask_latency`] called, where it may wait.
    pub(crate) fn ask_latency(&self) {
        drop(self.tasks.send(Task::AskLatency));
    }

    /// Peers connected now.
    pub(crate) fn peers(&self) -> u32 {
        self.shared.peers.load(Ordering::Acquire)
    }

    /// Posts the session's error, unless one was posted before.
    pub(crate) fn fail<T: Element>(&self, imp: &T, error: &Error) {
        self.fail_with(imp, error_message(error, imp.role()));
    }

    /// Posts `message`, unless an error was posted before.
    pub(crate) fn fail_with<T: Element>(&self, imp: &T, message: gst::ErrorMessage) {
        self.shared.fail(imp, message);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
    }
}

impl Shared {
    fn fail<T: Element>(&self, imp: &T, message: gst::ErrorMessage) {
        // Held while posting: whoever comes second returns only when the cause is on the bus.
        let mut failed = self.failed.lock().unwrap();
        if !std::mem::replace(&mut *failed, true) {
            imp.post_error_message(message);
        }
    }
}

fn perform<T>(imp: &T, shared: &Shared, task: Task)
where
    T: Element,
    T::Type: IsA<gst::Element> + Send + Sync,
{
    let cat = imp.category();
    match task {
        Task::AskLatency => imp.ask_latency(),
        Task::Notice(Notice::Joined(peer)) => {
            gst::info!(
                cat,
                imp = imp,
                "{} connected ({}, UCX {}) over {}",
                peer.address,
                peer.software,
                peer.ucx_version,
                peer.lanes.join(", ")
            );
            shared.peers.fetch_add(1, Ordering::AcqRel);
            post_peer(imp, peer_structure("nvdsucx-client-connected", &peer).build());
        }
        Task::Notice(Notice::Left { peer, reason, orderly, .. }) => {
            gst::info!(cat, imp = imp, "{} left: {reason}", peer.address);
            // Peers are joined before they leave, so this does not go below 0.
            shared.peers.fetch_sub(1, Ordering::AcqRel);
            let structure = peer_structure("nvdsucx-client-disconnected", &peer)
                .field("reason", reason)
                .field("orderly", orderly)
                .build();
            post_peer(imp, structure);
        }
        Task::Notice(Notice::Warning(text)) => {
            gst::element_imp_warning!(imp, gst::ResourceError::Failed, ("{text}"));
        }
        Task::Notice(Notice::Log(text)) => gst::warning!(cat, imp = imp, "{text}"),
        Task::Notice(Notice::Failed(error)) => shared.fail(imp, error_message(&error, imp.role())),
        Task::Notice(Notice::Upstream(event)) => imp.upstream(&event),
        Task::Notice(Notice::Latency(latency)) => imp.latency(latency),
        Task::Notice(other) => gst::debug!(cat, imp = imp, "{other:?}"),
    }
}

fn peer_structure(name: &'static str, peer: &Peer) -> gst::structure::Builder {
    gst::Structure::builder(name)
        .field("address", &peer.address)
        .field("software", &peer.software)
        .field("ucx-version", &peer.ucx_version)
        .field("lanes", gst::Array::new(&peer.lanes))
}

fn post_peer<T>(imp: &T, structure: gst::Structure)
where
    T: Element,
    T::Type: IsA<gst::Element> + Send + Sync,
{
    let element = imp.obj();
    let element = element.upcast_ref::<gst::Element>();
    // Refused only where nobody listens.
    let _ = element.post_message(gst::message::Element::builder(structure).src(element).build());
    if imp.role().is_server() {
        element.notify("num-clients");
    }
}

/// `error` for the bus: its own words, under the code that fits best.
pub(crate) fn error_message(error: &Error, role: Role) -> gst::ErrorMessage {
    use gst::ResourceError;
    let code = match error {
        Error::Ucx(_) => return gst::error_msg!(gst::LibraryError::Init, ("{error}")),
        Error::Thread(_) => return gst::error_msg!(gst::CoreError::Thread, ("{error}")),
        Error::Resolve { .. } => ResourceError::NotFound,
        Error::Listen { .. } => ResourceError::Busy,
        Error::Connect { .. } if role.is_sink() => ResourceError::OpenWrite,
        Error::Connect { .. } => ResourceError::OpenRead,
        Error::Refused { .. } | Error::Key { .. } => ResourceError::Settings,
        Error::Unauthenticated { .. } => ResourceError::NotAuthorized,
        Error::Disconnected { .. } if role.is_sink() => ResourceError::Write,
        Error::Disconnected { .. } => ResourceError::Read,
        Error::FrameTooLarge { .. } | Error::OutOfMemory(_) => ResourceError::NoSpaceLeft,
        _ => ResourceError::Failed,
    };
    gst::error_msg!(code, ("{error}"))
}

/// What the user sees of a session's numbers.
pub(crate) fn stats(stats: &nvdsucx_session::Stats, lost_metas: &Losses, role: Role) -> gst::Structure {
    let clients = stats.peers.iter().map(|peer| {
        let nanoseconds = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        gst::Structure::builder("application/x-nvdsucx-client-stats")
            .field("address", &peer.address)
            .field("lanes", gst::Array::new(&peer.lanes))
            .field("ucx-version", &peer.ucx_version)
            .field("path", if peer.mapped { "mapped" } else { "messages" })
            .field("frames", peer.frames)
            .field("bytes", peer.bytes)
            .field("in-flight", peer.in_flight)
            .field("dropped", peer.dropped)
            .field_if_some("latency-p50", peer.delay.map(|delay| nanoseconds(delay.median)))
            .field_if_some("latency-p99", peer.delay.map(|delay| nanoseconds(delay.p99)))
            .build()
            .to_send_value()
    });
    gst::Structure::builder("application/x-nvdsucx-stats")
        .field("frames", stats.frames)
        .field("bytes", stats.bytes)
        .field("in-flight", stats.peers.iter().map(|peer| peer.in_flight).sum::<u64>())
        .field("dropped", stats.dropped())
        .field("dropped-unconnected", stats.dropped_unconnected)
        .field("dropped-slow", stats.dropped_slow)
        .field("dropped-flushed", stats.dropped_flushed)
        .field("copied", stats.copied)
        .field("joined", stats.joined)
        .field("lost", stats.lost)
        .field("too-slow", stats.too_slow)
        // Of many clients it is not known which of them has been there before.
        .field_if("reconnects", stats.joined.saturating_sub(1), role != Role::ServerSink)
        .field("refused", stats.refused)
        .field("metas-lost", lost_metas.count())
        .field("clients", clients.collect::<gst::Array>())
        .build()
}
