//! Connecting, again and again: what to try when. Pure decisions but for the name's resolution.

use std::hash::{BuildHasher, RandomState};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::doorbell::Doorbell;
use crate::links::LinkId;
use crate::{Config, Error};

const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What is to be done next.
pub(crate) enum Next {
    /// All is well, or over.
    Nothing,
    /// Come again then.
    Wait(Instant),
    /// Connect to this address.
    Try(SocketAddr),
    /// It took too long.
    GiveUp(Error),
}

enum State {
    Resolving(Receiver<Result<Vec<SocketAddr>, Error>>),
    Pausing { until: Instant },
    Trying(LinkId),
    Connected,
    Stopped,
}

pub(crate) struct Connector {
    state: State,
    doorbell: Arc<Doorbell>,
    /// As the user gave it.
    address: String,
    timeout: Option<Duration>,
    started: Instant,
    addresses: Vec<SocketAddr>,
    attempts: usize,
    pause: Duration,
    longest_pause: Duration,
    cause: String,
}

impl Connector {
    pub(crate) fn new(config: &Config, doorbell: Arc<Doorbell>) -> Self {
        let address = match config.address.contains(':') {
            true => format!("[{}]:{}", config.address, config.port),
            false => format!("{}:{}", config.address, config.port),
        };
        Self {
            state: State::Resolving(resolve_aside(config, &doorbell)),
            doorbell,
            address,
            timeout: config.connect_timeout,
            started: Instant::now(),
            addresses: Vec::new(),
            attempts: 0,
            pause: FIRST_PAUSE.min(config.longest_pause),
            longest_pause: config.longest_pause,
            cause: "the name is not resolved yet".to_owned(),
        }
    }

    /// The connection was lost: begin again.
    pub(crate) fn start_over(&mut self, config: &Config) {
        *self = Self::new(config, Arc::clone(&self.doorbell));
    }

    pub(crate) fn stop(&mut self) {
        self.state = State::Stopped;
    }

    pub(crate) fn succeeded(&mut self) {
        self.state = State::Connected;
    }

    pub(crate) fn trying(&mut self, attempt: LinkId) {
        self.state = State::Trying(attempt);
    }

    pub(crate) fn attempt(&self) -> Option<LinkId> {
        match self.state {
            State::Trying(attempt) => Some(attempt),
            _ => None,
        }
    }

    /// All addresses of the name are tried in turn; after each round there is a pause.
    pub(crate) fn attempt_failed(&mut self, cause: String) {
        self.cause = cause;
        let round_done = self.attempts.is_multiple_of(self.addresses.len().max(1));
        let pause = if round_done { spread(self.pause) } else { Duration::ZERO };
        if round_done {
            self.pause = (self.pause * 2).min(self.longest_pause);
        }
        self.state = State::Pausing { until: Instant::now() + pause };
    }

    pub(crate) fn next(&mut self, now: Instant) -> Next {
        if let State::Resolving(answer) = &self.state {
            match answer.try_recv() {
                Ok(Ok(addresses)) => {
                    self.addresses = addresses;
                    self.state = State::Pausing { until: now };
                }
                Ok(Err(error)) => {
                    self.state = State::Stopped;
                    return Next::GiveUp(error);
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    self.attempt_failed("no thread for the resolver".to_owned());
                }
            }
        }
        let give_up = match self.state {
            State::Connected | State::Stopped => return Next::Nothing,
            _ => self.timeout.map(|timeout| self.started + timeout),
        };
        if let (Some(give_up), Some(after)) = (give_up, self.timeout)
            && now >= give_up
        {
            let error = Error::Connect { address: self.address.clone(), after, cause: self.cause.clone() };
            return Next::GiveUp(error);
        }
        match self.state {
            State::Pausing { until } if now >= until && !self.addresses.is_empty() => {
                let address = self.addresses[self.attempts % self.addresses.len()];
                self.attempts += 1;
                Next::Try(address)
            }
            State::Pausing { until } => Next::Wait(give_up.map_or(until, |give_up| give_up.min(until))),
            // The doorbell rings when the name is resolved; an attempt has its own deadline.
            _ => give_up.map_or(Next::Nothing, Next::Wait),
        }
    }
}

/// Up to a quarter shorter or longer, by chance: clients that have lost the same server do not come back all at once.
fn spread(pause: Duration) -> Duration {
    // The keys are the standard library's way to random numbers.
    let chance = RandomState::new().hash_one(()) as f64 / u64::MAX as f64;
    pause.mul_f64(0.75 + chance / 2.0)
}

/// The addresses of a host. May take the resolver's time.
pub(crate) fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let host = host.trim();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let error = |cause: String| Error::Resolve { host: host.to_owned(), cause };
    let addresses: Vec<_> =
        (host, port).to_socket_addrs().map_err(|cause| error(cause.to_string()))?.collect();
    if addresses.is_empty() {
        return Err(error("the name has no address".to_owned()));
    }
    Ok(addresses)
}

/// Resolves in a thread of its own: the resolver can take its time and cannot be interrupted.
fn resolve_aside(config: &Config, doorbell: &Arc<Doorbell>) -> Receiver<Result<Vec<SocketAddr>, Error>> {
    let (sender, receiver) = channel();
    let (host, port, doorbell) = (config.address.clone(), config.port, Arc::clone(doorbell));
    let resolver = thread::Builder::new().name("nvdsucx-resolve".to_owned());
    // Without a thread the sender is dropped, which the receiver reports.
    let _ = resolver.spawn(move || {
        // Nobody listens any more when the session has ended meanwhile.
        let _ = sender.send(resolve(&host, port));
        doorbell.ring();
    });
    receiver
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn pauses_grow_to_the_longest() {
        let mut connector = Connector {
            state: State::Stopped,
            doorbell: Arc::new(Doorbell::new().unwrap()),
            address: String::new(),
            timeout: None,
            started: Instant::now(),
            addresses: Vec::new(),
            attempts: 0,
            pause: FIRST_PAUSE,
            longest_pause: Duration::from_millis(200),
            cause: String::new(),
        };
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            let before = Instant::now();
            connector.attempt_failed("nobody there".to_owned());
            let State::Pausing { until } = connector.state else { panic!("it goes on at once") };
            longest = longest.max(until - before);
        }
        assert!((150..300).contains(&longest.as_millis()), "{longest:?}");
    }

    #[test]
    fn pauses_differ_by_a_quarter_at_most() {
        let pauses: HashSet<_> = (0..100).map(|_| spread(Duration::from_secs(1))).collect();
        assert!(pauses.len() > 50, "hardly by chance: {pauses:?}");
        assert!(pauses.iter().all(|pause| (750..=1250).contains(&pause.as_millis())), "{pauses:?}");
    }
}
