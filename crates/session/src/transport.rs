//! The transport thread: the only one that touches UCX.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nvdsucx_wire as wire;
use wire::Hello;
use wire::message::Kind;

use crate::doorbell::Doorbell;
use crate::links::{DOOR_INTERVAL, LinkEvent, Links, earliest};
use crate::{Config, Error, Notice};

/// How long the thread looks for more to do before it sleeps. Waking it up again costs more than that.
const SPIN: Duration = Duration::from_micros(20);
/// The same while GPUs copy. To be woken by one takes longer than most copies, and it copies nothing else meanwhile.
const SPIN_WHILE_COPYING: Duration = Duration::from_micros(250);

/// The longest sleep. UCX can miss to wake a thread: its shared memory does so through abstract sockets, which do not reach
/// another network namespace.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// What a publisher or a subscriber does on the transport thread.
pub(crate) trait Role {
    /// Something happened to a link.
    fn handle(&mut self, links: &mut Links, event: LinkEvent);
    /// Does what the element's side asks for. Returns whether there was anything to do for the stream.
    fn poll(&mut self, links: &mut Links) -> bool;
    /// When `poll` is to be called even if nothing happens.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// The handle to a running transport thread. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Transport {
    doorbell: Arc<Doorbell>,
    stop: Arc<AtomicBool>,
    local_address: Option<SocketAddr>,
    thread: Option<JoinHandle<()>>,
}

impl Transport {
    /// Starts the thread. Returns once UCX is up and, on the listening side, the port is bound.
    pub(crate) fn start<R: Role>(
        config: Config,
        hello: Hello,
        doorbell: Arc<Doorbell>,
        notify: impl FnMut(Notice) + Send + 'static,
        role: impl FnOnce() -> R + Send + 'static,
    ) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, started) = sync_channel(1);
        let (thread_bell, thread_stop) = (Arc::clone(&doorbell), Arc::clone(&stop));
        let thread = thread::Builder::new()
            .name(config.name.clone())
            .spawn(move || {
                let links = match Links::new(config, hello, &thread_bell, Box::new(notify)) {
                    Ok(links) => links,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                if ready.send(Ok(links.local_address())).is_ok() {
                    run(links, role(), &thread_bell, &thread_stop);
                }
            })
            .map_err(|error| Error::Thread(error.to_string()))?;
        let local_address =
            started.recv().unwrap_or_else(|_| Err(Error::Thread("it ended at once".to_owned())))?;
        Ok(Self { doorbell, stop, local_address, thread: Some(thread) })
    }

    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        self.local_address
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.doorbell.ring();
        if let Some(thread) = self.thread.take() {
            // A panic has been reported on standard error.
            let _ = thread.join();
        }
    }
}

fn run<R: Role>(mut links: Links, mut role: R, doorbell: &Doorbell, stop: &AtomicBool) {
    let busy_poll = links.config().busy_poll;
    // When anything happened last, and when something of the stream did. Signs of life and answers of clocks are not of it: they
    // come though it stands.
    let (mut active, mut streamed) = (Instant::now(), Instant::now());
    // When there will be something to do though nothing happens; and when to look for it, at the latest.
    let (mut due, mut look_at) = (None, active);
    while !stop.load(Ordering::SeqCst) {
        let mut busy = doorbell.answer();
        busy |= links.progress();
        let now = links.now();
        // While nothing happens only UCX is asked, and the locks are left to those who have something to send or to take.
        if busy || now >= look_at {
            let link_due = links.tick();
            loop {
                let events = links.take_events();
                if events.is_empty() {
                    break;
                }
                busy = true;
                for event in events {
                    if !matches!(event, LinkEvent::Control(_, Kind::Pong(_))) {
                        streamed = now;
                    }
                    role.handle(&mut links, event);
                }
            }
            if role.poll(&mut links) {
                (busy, streamed) = (true, now);
            }
            due = earliest(link_due, role.deadline());
            look_at = due.unwrap_or(now + DOOR_INTERVAL).min(now + DOOR_INTERVAL);
        }
        let spin = if links.is_copying() { SPIN_WHILE_COPYING } else { SPIN };
        if busy {
            (active, look_at) = (now, now);
        } else if now < (active + spin).max(streamed + busy_poll) {
            std::hint::spin_loop();
        } else {
            let timeout = due.map_or(LONGEST_SLEEP, |due| {
                due.saturating_duration_since(Instant::now()).min(LONGEST_SLEEP)
            });
            let [at_the_door, ..] = doorbell.sleep(links.event_fds(), timeout, || links.arm());
            if at_the_door {
                links.attend_door();
            }
            look_at = now;
        }
    }
    drop(role);
    links.close("its pipeline was stopped");
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::{OnDisconnect, Side};

    /// Counts how often it is asked.
    struct Counting(Arc<AtomicU32>);

    impl Role for Counting {
        fn handle(&mut self, _: &mut Links, _: LinkEvent) {}

        fn poll(&mut self, _: &mut Links) -> bool {
            self.0.fetch_add(1, Ordering::SeqCst);
            false
        }
    }

    #[test]
    fn the_role_is_left_alone_while_the_thread_only_looks() {
        let config = Config {
            side: Side::Listen,
            address: "127.0.0.1".to_owned(),
            port: 0,
            buffer_type: wire::BufferType::Any,
            high_performance: true,
            zero_copy: false,
            connect_timeout: None,
            longest_pause: Duration::from_secs(1),
            peer_timeout: None,
            on_disconnect: OnDisconnect::Fail,
            // It never sleeps.
            busy_poll: Duration::from_secs(3600),
            max_peers: 1,
            key: None,
            name: "looks".to_owned(),
        };
        let asked = Arc::new(AtomicU32::new(0));
        let role = Counting(Arc::clone(&asked));
        let doorbell = Arc::new(Doorbell::new().expect("a doorbell"));
        let transport = Transport::start(config, Hello::default(), doorbell, drop, || role);
        let transport = transport.expect("a transport thread");
        let (begin, before) = (Instant::now(), asked.load(Ordering::SeqCst));
        while asked.load(Ordering::SeqCst) < before + 20 {
            assert!(begin.elapsed() < Duration::from_secs(60), "it is not asked at all");
            thread::yield_now();
        }
        assert!(begin.elapsed() >= 10 * DOOR_INTERVAL, "it is asked in every round");
        drop(transport);
    }
}
