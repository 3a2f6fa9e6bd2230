//! How the observed element is connected, from its `stats` property.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

/// The connections that were seen last.
pub(crate) struct Transport {
    element: gst::Element,
    peers: Mutex<Vec<String>>,
}

/// Looks at the first buffer, and then whenever [`Transport::look`] is called: a short stream may be over before.
pub(crate) fn attach(element: &gst::Element) -> Arc<Transport> {
    let transport = Arc::new(Transport { element: element.clone(), peers: Mutex::default() });
    if let Some(pad) = element.static_pad("src") {
        // Weak: the pad belongs to the element that the transport holds.
        let weak = Arc::downgrade(&transport);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            if let Some(transport) = weak.upgrade() {
                transport.look();
            }
            gst::PadProbeReturn::Remove
        });
    }
    transport
}

impl Transport {
    /// Remembers who is connected now; keeps what it knew when nobody is.
    pub(crate) fn look(&self) {
        if self.element.find_property("stats").is_none() {
            return;
        }
        let stats = self.element.property::<gst::Structure>("stats");
        let Ok(clients) = stats.get::<gst::Array>("clients") else { return };
        let seen: Vec<String> = clients.iter().filter_map(describe).collect();
        if !seen.is_empty() {
            *self.peers.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        }
    }

    /// The fields of a report for each peer.
    pub(crate) fn peers(&self) -> Vec<String> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn describe(client: &gst::glib::SendValue) -> Option<String> {
    let client = client.get::<gst::Structure>().ok()?;
    let mut line = String::new();
    for (key, field) in [("address", "address"), ("ucx", "ucx-version"), ("path", "path")] {
        if let Ok(text) = client.get::<String>(field) {
            let _ = write!(line, "{key}={text} ");
        }
    }
    let lanes = client.get::<gst::Array>("lanes").ok()?;
    let lanes = lanes.iter().filter_map(|lane| lane.get::<String>().ok()).collect::<Vec<_>>().join(",");
    let _ = write!(line, "lanes={lanes}");
    Some(line)
}
