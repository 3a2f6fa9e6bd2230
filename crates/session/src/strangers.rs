//! Those who call at the front door and do not get in: how much is said of them, and who has to wait.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::Notice;

/// The user is warned of strangers once in this time; the rest is for the log.
const WARN_INTERVAL: Duration = Duration::from_secs(10);
/// The log takes so many lines of them
const LINES: u32 = 10;
/// in this time, and then a count.
const LINES_INTERVAL: Duration = Duration::from_secs(1);
/// After a wrong proof, the next challenge to the same address waits so long; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A client with the right key at the same address must not lose its patience.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// After this time a wrong proof is forgotten.
const MEMORY: Duration = Duration::from_secs(60);
/// Most addresses to remember.
const MAX_ADDRESSES: usize = 1024;

/// What is remembered of strangers.
#[derive(Debug)]
pub(crate) struct Strangers {
    warned: Option<Instant>,
    /// Since when `lines` and `left_out` are counted.
    since: Instant,
    lines: u32,
    left_out: u64,
    wrong: HashMap<IpAddr, Wrong>,
}

/// Wrong proofs from one address.
#[derive(Debug)]
struct Wrong {
    count: u32,
    last: Instant,
}

impl Strangers {
    pub(crate) fn new(now: Instant) -> Self {
        Self { warned: None, since: now, lines: 0, left_out: 0, wrong: HashMap::new() }
    }

    /// What to tell the user, who is not to be flooded by whoever knocks.
    pub(crate) fn notice(&mut self, text: &str, now: Instant) -> Option<Notice> {
        if self.warned.is_none_or(|last| now >= last + WARN_INTERVAL) {
            self.warned = Some(now);
            return Some(Notice::Warning(text.to_owned()));
        }
        if now >= self.since + LINES_INTERVAL && self.left_out == 0 {
            (self.since, self.lines) = (now, 0);
        }
        if self.lines < LINES {
            self.lines += 1;
            return Some(Notice::Log(text.to_owned()));
        }
        self.left_out += 1;
        None
    }

    /// The count of those of whom nothing was said, when it is time for it.
    pub(crate) fn summary(&mut self, now: Instant) -> Option<Notice> {
        if self.summary_due().is_none_or(|due| now < due) {
            return None;
        }
        let left_out = std::mem::take(&mut self.left_out);
        (self.since, self.lines) = (now, 0);
        Some(Notice::Log(format!("and {left_out} more who were not let in")))
    }

    pub(crate) fn summary_due(&self) -> Option<Instant> {
        (self.left_out > 0).then(|| self.since + LINES_INTERVAL)
    }

    /// A proof from this address was wrong.
    pub(crate) fn proved_wrong(&mut self, address: IpAddr, now: Instant) {
        self.wrong.retain(|_, wrong| now < wrong.last + MEMORY);
        let address = neighbourhood(address);
        if self.wrong.len() >= MAX_ADDRESSES && !self.wrong.contains_key(&address) {
            let oldest = self.wrong.iter().min_by_key(|(_, wrong)| wrong.last).map(|(address, _)| *address);
            oldest.map(|oldest| self.wrong.remove(&oldest));
        }
        let wrong = self.wrong.entry(address).or_insert(Wrong { count: 0, last: now });
        *wrong = Wrong { count: wrong.count.saturating_add(1), last: now };
    }

    /// When this address may get its next challenge.
    pub(crate) fn challenge_due(&self, address: IpAddr, now: Instant) -> Instant {
        let Some(wrong) = self.wrong.get(&neighbourhood(address)) else { return now };
        let pause = FIRST_PAUSE.saturating_mul(1 << (wrong.count - 1).min(16)).min(LONGEST_PAUSE);
        now.max(wrong.last + pause)
    }
}

/// One user has all addresses of an IPv6 network.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn a_flood_is_a_warning_some_lines_and_a_count() {
        let start = Instant::now();
        let mut strangers = Strangers::new(start);
        let notices: Vec<_> = (0..1000).filter_map(|_| strangers.notice("x", start)).collect();
        assert!(matches!(notices[0], Notice::Warning(_)));
        assert_eq!(notices.len(), 1 + LINES as usize);
        assert!(strangers.summary(start).is_none(), "the second is not over");
        let due = strangers.summary_due().unwrap();
        let Some(Notice::Log(text)) = strangers.summary(due) else { panic!("no count") };
        assert!(text.contains("989"), "{text}");
        assert!(strangers.summary_due().is_none());
        // And then anew.
        assert!(matches!(strangers.notice("x", due), Some(Notice::Log(_))));
        assert!(matches!(strangers.notice("x", start + WARN_INTERVAL), Some(Notice::Warning(_))));
    }

    #[test]
    fn each_wrong_proof_makes_the_pause_longer_for_that_address_only() {
        let now = Instant::now();
        let mut strangers = Strangers::new(now);
        let pause = |strangers: &Strangers, n| strangers.challenge_due(address(n), now) - now;
        assert_eq!(pause(&strangers, 1), Duration::ZERO);
        for expected in [100, 200, 400, 800, 1000, 1000] {
            strangers.proved_wrong(address(1), now);
            assert_eq!(pause(&strangers, 1), Duration::from_millis(expected));
            assert_eq!(pause(&strangers, 2), Duration::ZERO);
        }
        for _ in 0..100 {
            strangers.proved_wrong(address(1), now);
        }
        assert_eq!(pause(&strangers, 1), LONGEST_PAUSE);
        let later = now + MEMORY;
        strangers.proved_wrong(address(2), later);
        assert_eq!(strangers.challenge_due(address(1), later), later);
        assert_eq!(strangers.wrong.len(), 1, "forgotten");
    }

    #[test]
    fn neighbours_wait_together_and_memory_is_bounded() {
        let now = Instant::now();
        let mut strangers = Strangers::new(now);
        strangers.proved_wrong("2001:db8::1".parse().unwrap(), now);
        assert!(strangers.challenge_due("2001:db8::2".parse().unwrap(), now) > now);
        assert_eq!(strangers.challenge_due("2001:db8:1::1".parse().unwrap(), now), now);
        strangers.proved_wrong("::ffff:10.0.0.1".parse().unwrap(), now);
        assert!(strangers.challenge_due("10.0.0.1".parse().unwrap(), now) > now);
        for n in 0..5000 {
            strangers.proved_wrong(address(n), now + Duration::from_millis(n.into()));
        }
        assert_eq!(strangers.wrong.len(), MAX_ADDRESSES);
        assert!(strangers.wrong.contains_key(&address(4999)));
    }
}
