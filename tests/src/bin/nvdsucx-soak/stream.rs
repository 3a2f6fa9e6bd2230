//! A stream: its processes, what is done to them, and whether they get over it.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use nvdsucx_tests::Pairing;
use nvdsucx_tests::payload::Random;
use rustix::process::Signal;

use crate::frame::Kind;
use crate::process::{Name, Process, Said, What};
use crate::run::Totals;

/// How long a stream may take until all goes on, once nothing holds it up.
const RECOVERY: Duration = Duration::from_secs(40);
/// It goes on if frames come to everybody after this time.
const SETTLED: Duration = Duration::from_millis(1500);
/// Two thirds of what passes for a stall; more is a loss.
const PEER_TIMEOUT_MS: u64 = 6000;
const FIRST_PORT: usize = 7200;

/// What is done to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Start,
    Kill,
    ShortStall,
    LongStall,
    Caps,
    Burst,
    Eos,
    RestartSender,
    RestartReceiver,
}

impl Act {
    /// The more often it is named, the more often it is done.
    const ALL: [Self; 12] = [
        Self::Kill,
        Self::Kill,
        Self::Kill,
        Self::ShortStall,
        Self::ShortStall,
        Self::LongStall,
        Self::Caps,
        Self::Burst,
        Self::Eos,
        Self::Eos,
        Self::RestartSender,
        Self::RestartReceiver,
    ];

    pub(crate) fn any(random: &mut Random) -> Self {
        Self::ALL[random.below(Self::ALL.len() as u32) as usize]
    }
}

enum Undo {
    Continue(usize),
    Start(usize),
}

/// Since the last act.
struct State {
    act: Act,
    /// The processes whose connections may end, as bits.
    touched: u32,
    undo: Option<(Instant, Undo)>,
    /// Nothing holds it up since.
    free_since: Instant,
    /// Frames come to everybody.
    calm: bool,
    /// The session that is to end.
    ends: Option<u64>,
}

/// What is known of one side's process.
struct Side {
    process: Process,
    generation: u64,
    /// Frames and bytes of this process.
    passed: (u64, u64),
    /// Its frames are in memory that both ends map.
    mapped: bool,
    /// When there was something new.
    progress: Instant,
    ended: Option<End>,
}

/// A session that has come to its end, as its sender saw it.
struct Done {
    session: u64,
    sent: u64,
    dropped: u64,
}

/// The same, as a receiver saw it.
struct End {
    session: u64,
    /// Its connection had the first frame, too.
    whole: bool,
    frames: u64,
}

pub(crate) struct Stream {
    index: usize,
    pub(crate) name: String,
    kind: Kind,
    pairing: Pairing,
    mapped: bool,
    /// The sender, and the receivers.
    sides: Vec<Side>,
    /// The sender is killed now and then, and the receivers live; or the other way round.
    mortal_sender: bool,
    session: u64,
    done: Option<Done>,
    state: State,
}

impl Stream {
    pub(crate) fn start(
        index: usize,
        pairing: Pairing,
        mapped: bool,
        kind: Kind,
        heard: &Sender<Said>,
    ) -> Result<Self, String> {
        let path = if mapped { "mapped" } else { "messages" };
        let now = Instant::now();
        let mut stream = Self {
            index,
            name: format!("{index} {} {} {path}", pairing.elements().0, kind.name()),
            kind,
            pairing,
            mapped,
            sides: Vec::new(),
            mortal_sender: (index + index / 3).is_multiple_of(2),
            session: 0,
            done: None,
            state: State {
                act: Act::Start,
                touched: !0,
                undo: None,
                free_since: now,
                calm: false,
                ends: None,
            },
        };
        let receivers = if pairing == Pairing::ServerSink && kind == Kind::Video { 2 } else { 1 };
        for side in 0..=receivers {
            let process = stream.launch(side, 0, heard)?;
            stream.sides.push(Side {
                process,
                generation: 0,
                passed: (0, 0),
                mapped: false,
                progress: now,
                ended: None,
            });
        }
        Ok(stream)
    }

    fn launch(&self, side: usize, generation: u64, heard: &Sender<Said>) -> Result<Process, String> {
        let (sink, src) = self.pairing.elements();
        let mapped = self.is_mapped(side);
        let properties = format!(
            "port={} buf-type={} zero-copy={mapped} on-disconnect=reconnect peer-timeout={PEER_TIMEOUT_MS}{}",
            FIRST_PORT + self.index,
            self.kind.buf_type(),
            if (side == 0) == (self.pairing == Pairing::ServerSrc) { " connect-timeout=0" } else { "" },
        );
        let first_session = (self.index as u64) << 40 | generation << 20;
        let args = match side {
            0 => [
                "send",
                self.kind.name(),
                &first_session.to_string(),
                &format!("{sink} max-size-buffers=16 {properties}"),
            ]
            .map(String::from),
            _ => ["receive", self.kind.name(), "3", &format!("{src} {properties}")].map(String::from),
        };
        let mut env = vec![];
        if !self.mapped {
            env.push(("UCX_TLS", "tcp"));
        }
        if !self.mortal_sender {
            // UCX 1.13 may abort if the receiver of a large buffer is killed: see the README.
            env.push(("UCX_TCP_PUT_ENABLE", "n"));
        }
        Process::start(Name { stream: self.index, side, generation }, &args, &env, heard)
    }

    /// Of two receivers of mapped frames one does without.
    fn is_mapped(&self, side: usize) -> bool {
        self.mapped && side < 2
    }

    /// The processes that are never killed, and what they are called.
    pub(crate) fn steady(&self) -> Vec<(u32, String)> {
        let steady = if self.mortal_sender { 1..self.sides.len() } else { 0..1 };
        steady
            .map(|side| (self.sides[side].process.pid(), format!("{} {}", self.name, side_name(side))))
            .collect()
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.state.calm
    }

    fn failure(&self, side: usize, what: &str) -> String {
        let mut text =
            format!("stream {}, {}: {what} (last act: {:?})", self.name, side_name(side), self.state.act);
        for (n, side) in self.sides.iter().enumerate() {
            text += &format!("\n  {} (process {}) said last:", side_name(n), side.process.pid());
            for line in &side.process.said {
                text += &format!("\n    {line}");
            }
        }
        text
    }

    /// What one of its processes has said.
    pub(crate) fn heard(&mut self, said: Said, totals: &mut Totals) -> Result<(), String> {
        let n = said.by.side;
        let current = said.by.generation == self.sides[n].generation;
        match said.what {
            What::Ended if !current => Ok(()),
            What::Ended => Err(self.failure(n, "has ended by itself")),
            What::Complaint(line) => {
                let bad = ["CRITICAL", "-WARNING **", "panicked", "Assertion", "ERROR"];
                let is_bad = bad.iter().any(|word| line.contains(word));
                self.sides[n].process.keep(line.clone());
                if is_bad { Err(self.failure(n, &line)) } else { Ok(()) }
            }
            What::Line(line) => {
                if current && !line.starts_with("at ") {
                    self.sides[n].process.keep(line.clone());
                }
                self.line(n, current, &line, totals)
            }
        }
    }

    fn line(&mut self, n: usize, current: bool, line: &str, totals: &mut Totals) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "wrong:" || word == "error" {
            return Err(self.failure(n, line));
        }
        if !current {
            return Ok(());
        }
        let field = |name: &str| {
            let value = rest.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.and_then(|value| value.parse::<u64>().ok()).unwrap_or(u64::MAX)
        };
        match word {
            "session" => self.session = field("id"),
            "joined" => {
                if self.state.calm || self.state.touched & 1 << n == 0 {
                    return Err(self.failure(n, "a connection was lost that nothing was done to"));
                }
                totals.connections += 1;
                self.progress(n, totals);
            }
            "at" => {
                let passed = (field("frames"), field("bytes"));
                let before = std::mem::replace(&mut self.sides[n].passed, passed);
                self.sides[n].mapped = field("mapped") == 1;
                totals.frames += passed.0 - before.0;
                totals.bytes += passed.1 - before.1;
                self.progress(n, totals);
            }
            "end" => {
                totals.ends += 1;
                let (session, frames) = (field("session"), field("frames"));
                self.sides[n].ended = Some(End { session, whole: field("first") == 0, frames });
            }
            "done" => {
                let (session, sent, dropped) = (field("session"), field("sent"), field("dropped"));
                self.done = Some(Done { session, sent, dropped });
                totals.dropped += dropped;
            }
            "stopped" => totals.worst_stop.take(Duration::from_millis(field("ms")), &self.name),
            _ => {}
        }
        Ok(())
    }

    fn progress(&mut self, n: usize, totals: &mut Totals) {
        let (now, since) = (Instant::now(), self.state.free_since);
        if self.state.undo.is_none() {
            let gap = now.saturating_duration_since(self.sides[n].progress.max(since));
            let worst = if self.state.calm { &mut totals.worst_gap } else { &mut totals.worst_recovery };
            worst.take(gap, &format!("{} after {:?}", self.name, self.state.act));
        }
        self.sides[n].progress = now;
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, heard: &Sender<Said>) -> Result<(), String> {
        let now = Instant::now();
        if let Some((due, undo)) = self.state.undo.take() {
            if now < due {
                self.state.undo = Some((due, undo));
                return Ok(());
            }
            match undo {
                Undo::Continue(n) => self.sides[n].process.signal(Signal::CONT)?,
                Undo::Start(n) => {
                    let generation = self.sides[n].generation;
                    let process = self.launch(n, generation, heard)?;
                    self.sides[n].process = process;
                }
            }
            self.state.free_since = now;
        }
        let receivers = self.sides.iter().enumerate().skip(1);
        let (slowest, progress) =
            receivers.map(|(n, side)| (n, side.progress)).min_by_key(|(_, at)| *at).ok_or("no receiver")?;
        if !self.state.calm && progress >= self.state.free_since + SETTLED {
            self.settle()?;
        } else if now > self.state.free_since.max(progress) + RECOVERY {
            return Err(self.failure(slowest, &format!("no frame for {RECOVERY:?}")));
        }
        Ok(())
    }

    /// Everybody has frames again.
    fn settle(&mut self) -> Result<(), String> {
        self.state.calm = true;
        let Some(session) = self.state.ends.take() else { return Ok(()) };
        let Some(done) = self.done.take().filter(|done| done.session == session) else {
            return Err(self.failure(0, &format!("session {session} did not come to its end")));
        };
        for n in 1..self.sides.len() {
            let Some(end) = self.sides[n].ended.take().filter(|end| end.session == session) else {
                return Err(self.failure(n, &format!("the end of session {session} did not arrive")));
            };
            // A frame that is dropped for one of several may have gone to the others.
            if end.whole && self.sides.len() == 2 && end.frames + done.dropped != done.sent {
                let Done { sent, dropped, .. } = done;
                let text = format!("{} of {sent} frames arrived, and {dropped} were dropped", end.frames);
                return Err(self.failure(n, &text));
            }
        }
        Ok(())
    }

    /// Does something to it, which must be calm.
    pub(crate) fn act(&mut self, act: Act, random: &mut Random) -> Result<(), String> {
        if let Some(n) = (1..self.sides.len()).find(|&n| self.sides[n].mapped != self.is_mapped(n)) {
            return Err(self.failure(n, "frames do not come by the way that was asked for"));
        }
        let receiver = 1 + random.below(self.sides.len() as u32 - 1) as usize;
        let now = Instant::now();
        let millis = |random: &mut Random, from: u32, to: u32| {
            Duration::from_millis((from + random.below(to - from)).into())
        };
        // Without the sender all are lost.
        let touched = |n: usize| if n == 0 { !0 } else { 1 << n };
        let mut state = State { act, touched: 0, undo: None, free_since: now, calm: false, ends: None };
        match act {
            Act::Start => {}
            Act::Kill => {
                let n = if self.mortal_sender { 0 } else { receiver };
                self.sides[n].process.kill().map_err(|e| self.failure(n, &e))?;
                let side = &mut self.sides[n];
                (side.generation, side.passed, side.ended) = (side.generation + 1, (0, 0), None);
                state.touched = touched(n);
                state.undo = Some((now + millis(random, 0, 1500), Undo::Start(n)));
            }
            Act::ShortStall | Act::LongStall => {
                let n = random.below(self.sides.len() as u32) as usize;
                self.sides[n].process.signal(Signal::STOP).map_err(|e| self.failure(n, &e))?;
                let period = match act {
                    Act::ShortStall => millis(random, 50, 2000),
                    _ => millis(random, PEER_TIMEOUT_MS as u32 + 1000, PEER_TIMEOUT_MS as u32 + 3000),
                };
                state.touched = if act == Act::ShortStall { 0 } else { touched(n) };
                state.undo = Some((now + period, Undo::Continue(n)));
            }
            Act::Caps => self.sides[0].process.ask("caps"),
            Act::Burst => self.sides[0].process.ask(&format!("burst {}", 20 + random.below(200))),
            Act::Eos => {
                state.touched = !0;
                state.ends = Some(self.session);
                self.sides[0].process.ask("eos");
            }
            Act::RestartSender => {
                state.touched = !0;
                self.sides[0].process.ask("restart");
            }
            Act::RestartReceiver => {
                state.touched = touched(receiver);
                self.sides[receiver].process.ask("restart");
            }
        }
        self.state = state;
        Ok(())
    }

    /// Asks all to stop.
    pub(crate) fn quit(&mut self) {
        self.sides.iter_mut().for_each(|side| side.process.quit());
    }

    /// Waits until all have ended, and well.
    pub(crate) fn wait(&mut self, deadline: Instant) -> Result<(), String> {
        for n in 0..self.sides.len() {
            match self.sides[n].process.wait(deadline) {
                Ok(status) if status.success() => {}
                Ok(status) => return Err(self.failure(n, &format!("ended with {status}"))),
                Err(e) => return Err(self.failure(n, &e)),
            }
        }
        Ok(())
    }
}

fn side_name(n: usize) -> String {
    if n == 0 { "sender".to_owned() } else { format!("receiver {n}") }
}
