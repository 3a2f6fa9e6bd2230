//! The run: who is disturbed when, and the report.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use nvdsucx_tests::Pairing;
use nvdsucx_tests::payload::Random;

use crate::frame::Kind;
use crate::process::{Said, What};
use crate::stream::{Act, Stream};
use crate::watch::{self, Series};

const TICK: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_secs(1);
const TELL_EVERY: Duration = Duration::from_secs(20);
/// For the last to recover, and for all to end.
const AT_THE_END: Duration = Duration::from_secs(60);

/// What has happened in all.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) dropped: u64,
    pub(crate) connections: u64,
    pub(crate) ends: u64,
    acts: BTreeMap<String, u64>,
    /// Without frames, where nothing was done to the stream.
    pub(crate) worst_gap: Worst,
    /// Until frames came again.
    pub(crate) worst_recovery: Worst,
    pub(crate) worst_stop: Worst,
}

#[derive(Debug, Default)]
pub(crate) struct Worst(Duration, String);

impl Worst {
    pub(crate) fn take(&mut self, duration: Duration, whose: &str) {
        if duration > self.0 {
            *self = Self(duration, whose.to_owned());
        }
    }
}

/// Runs for `length`.
pub(crate) fn run(length: Duration, seed: u64) -> Result<(), String> {
    println!("soak: {} s, seed {seed}", length.as_secs());
    let mut run = Run::start(length, seed).map_err(|e| with_seed(seed, &e))?;
    let result = run.go().and_then(|()| run.finish());
    result.map_err(|e| with_seed(seed, &e))
}

fn with_seed(seed: u64, error: &str) -> String {
    format!("FAILED with seed {seed}: {error}")
}

struct Run {
    begin: Instant,
    length: Duration,
    random: Random,
    streams: Vec<Stream>,
    heard: Receiver<Said>,
    told: Sender<Said>,
    totals: Totals,
    processes: Vec<(u32, Series)>,
    segments: Series,
}

impl Run {
    fn start(length: Duration, seed: u64) -> Result<Self, String> {
        let (told, heard) = channel();
        let mut streams = Vec::new();
        for pairing in [Pairing::ServerSink, Pairing::ServerSrc] {
            for mapped in [true, false] {
                for kind in Kind::ALL {
                    streams.push(Stream::start(streams.len(), pairing, mapped, kind, &told)?);
                }
            }
        }
        let steady = streams.iter().flat_map(Stream::steady);
        let processes = steady.map(|(pid, name)| (pid, Series::new(name))).collect();
        Ok(Self {
            begin: Instant::now(),
            length,
            random: Random::new(seed),
            streams,
            heard,
            told,
            totals: Totals::default(),
            processes,
            segments: Series::new("all processes".to_owned()),
        })
    }

    /// Disturbs one after the other until the time is over, and lets them recover.
    fn go(&mut self) -> Result<(), String> {
        let mut next_look = self.begin;
        let mut next_tell = self.begin + TELL_EVERY;
        let mut next_act = self.begin;
        loop {
            self.listen()?;
            for stream in &mut self.streams {
                stream.tick(&self.told)?;
            }
            let now = Instant::now();
            if now >= next_look {
                next_look = now + LOOK_EVERY;
                for (pid, series) in &mut self.processes {
                    series.look_at_process(self.begin, *pid);
                }
                self.segments.look_at_segments(self.begin)?;
            }
            if now >= next_tell {
                next_tell = now + TELL_EVERY;
                let Totals { frames, bytes, acts, connections, .. } = &self.totals;
                let acts: u64 = acts.values().sum();
                println!(
                    "{:>5} s: {frames} frames, {} MB, {acts} acts, {connections} connections",
                    self.begin.elapsed().as_secs(),
                    bytes / 1_000_000
                );
            }
            let over = self.begin.elapsed() >= self.length;
            if over && self.streams.iter().all(Stream::is_calm) {
                return Ok(());
            }
            if !over && now >= next_act {
                next_act = now + Duration::from_millis((100 + self.random.below(700)).into());
                self.act()?;
            }
        }
    }

    /// Takes in what was said, for one tick.
    fn listen(&mut self) -> Result<(), String> {
        let until = Instant::now() + TICK;
        loop {
            match self.heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(said) => self.streams[said.by.stream].heard(said, &mut self.totals)?,
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err("nobody is left".to_owned()),
            }
        }
    }

    fn act(&mut self) -> Result<(), String> {
        let mut calm: Vec<_> = self.streams.iter_mut().filter(|stream| stream.is_calm()).collect();
        if calm.is_empty() {
            return Ok(());
        }
        let act = Act::any(&mut self.random);
        let which = self.random.below(calm.len() as u32) as usize;
        calm[which].act(act, &mut self.random)?;
        *self.totals.acts.entry(format!("{act:?}")).or_default() += 1;
        Ok(())
    }

    /// Ends all processes, and reports.
    fn finish(&mut self) -> Result<(), String> {
        let length = self.begin.elapsed();
        self.streams.iter_mut().for_each(Stream::quit);
        let deadline = Instant::now() + AT_THE_END;
        for stream in &mut self.streams {
            stream.wait(deadline)?;
        }
        while let Ok(said) = self.heard.try_recv() {
            if !matches!(said.what, What::Ended) {
                self.streams[said.by.stream].heard(said, &mut self.totals)?;
            }
        }
        watch::assert_nothing_left()?;
        let mut report = String::new();
        let mut checked = self.segments.check_segments(length, &mut report);
        for (_, series) in &self.processes {
            checked = checked.and(series.check_process(length, &mut report));
        }
        let Totals { frames, bytes, dropped, connections, ends, acts, worst_gap, worst_recovery, worst_stop } =
            &self.totals;
        println!("{frames} frames, {} MB received and checked", bytes / 1_000_000);
        println!(
            "{connections} connections, {ends} ends of streams, {dropped} frames dropped by leaky sinks"
        );
        println!("done to the streams: {acts:?}");
        for (what, Worst(duration, whose)) in
            [("gap", worst_gap), ("recovery", worst_recovery), ("stop", worst_stop)]
        {
            println!("worst {what}: {} ms ({whose})", duration.as_millis());
        }
        println!("processes that lived all along, early -> late:\n{report}nothing left behind");
        checked
    }
}
