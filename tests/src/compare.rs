//! What left one process and what came out of the other.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use crate::peer::Peer;

/// GST_BUFFER_FLAG_DISCONT, which GStreamer's own base class sets on the first buffer of any source.
const DISCONT: u32 = 0x40;

/// Waits until `count` buffers have arrived, and panics if they are not those that were sent, from the first on.
pub fn assert_same_buffers(sender: &Peer, receiver: &Peer, count: usize) {
    let received = receiver.lines_until(count, "buffer ");
    let sent = sender.lines_until(count, "buffer ");
    assert_eq!(received.len(), count, "more buffers arrived than were sent");
    assert_same_lines(&sent, &received);
}

/// Panics if the buffers of `received` are not the first of `sent`.
pub fn assert_same_lines(sent: &[String], received: &[String]) {
    assert!(received.len() <= sent.len(), "{} of {} buffers arrived", received.len(), sent.len());
    for (sent, received) in sent.iter().zip(received) {
        assert_eq!(first_without_discont(sent), first_without_discont(received));
    }
}

/// Panics unless what arrived is the beginning of what was sent and, marked as discontinuous, its end.
///
/// What was under way in between is lost with the connection.
pub fn assert_resumed(sender: &Peer, receiver: &Peer) {
    let (sent, received) = (sender.lines_with("buffer "), receiver.lines_with("buffer "));
    let gap = received.iter().skip(1).position(|line| is_discontinuous(line));
    let gap = 1 + gap.expect("the first buffer after the gap is marked, and there is one");
    assert_same_lines(&sent, &received[..gap]);
    let after = &received[gap..];
    let last = sent.len().checked_sub(after.len()).filter(|last| *last >= gap);
    let last = &sent[last.expect("no more buffers than were sent")..];
    assert_same_wherever(last, after);
}

/// Panics unless the buffers are the same but for their position in the stream and a mark on the first one.
pub fn assert_same_wherever(sent: &[String], received: &[String]) {
    assert_eq!(sent.len(), received.len());
    for (n, (sent, received)) in sent.iter().zip(received).enumerate() {
        let received = if n == 0 { without_discont(received) } else { received.clone() };
        assert_eq!(without_number(sent), without_number(&received));
    }
}

/// Whether a buffer is marked as the first after a gap.
pub fn is_discontinuous(line: &str) -> bool {
    flags(line).1 & DISCONT != 0
}

/// A buffer without its position in the stream.
fn without_number(line: &str) -> &str {
    line.split_once(" pts=").expect("each buffer has one").1
}

fn first_without_discont(line: &str) -> String {
    if line.starts_with("buffer n=0 ") { without_discont(line) } else { line.to_owned() }
}

fn without_discont(line: &str) -> String {
    let (range, flags) = flags(line);
    format!("{}{:x}{}", &line[..range.start], flags & !DISCONT, &line[range.end..])
}

/// The flags of a buffer, and where they are.
fn flags(line: &str) -> (Range<usize>, u32) {
    let begin = line.find(" flags=0x").expect("each buffer has flags") + " flags=0x".len();
    let end = begin + line[begin..].find(' ').expect("more follows");
    (begin..end, u32::from_str_radix(&line[begin..end], 16).expect("a hexadecimal number"))
}

/// The events that passed the probe so far, without their sequence numbers, and `buffer` for each buffer.
pub fn stream(peer: &Peer) -> Vec<String> {
    let lines = peer.lines();
    lines
        .iter()
        .filter_map(|line| {
            if line.starts_with("buffer ") {
                return Some("buffer".to_owned());
            }
            Some(without_seqnum(line.strip_prefix("event ")?).to_owned())
        })
        .collect()
}

/// An event without its sequence number.
pub fn without_seqnum(event: &str) -> &str {
    &event[..event.rfind(" seqnum=").expect("each event has one")]
}

/// Looks again and again until `condition` gives something.
pub fn eventually<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "not {what} within {within:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Panics if `peer` prints a line that begins with `start` in the next `period`.
///
/// That something does not happen can only be seen by watching for some time.
pub fn assert_silent(peer: &Peer, start: &str, period: Duration) {
    let mark = peer.mark();
    let deadline = Instant::now() + period;
    while Instant::now() < deadline {
        let lines = peer.lines();
        let said = lines[mark..].iter().find(|l| l.starts_with(start));
        assert!(said.is_none(), "came too early: {said:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until `peer` has printed no line that begins with `start` for half a second, and returns how many there are.
pub fn settled(peer: &Peer, start: &str) -> usize {
    let mut last = (peer.count(start), Instant::now());
    eventually("settled", Duration::from_secs(20), || {
        let count = peer.count(start);
        if count != last.0 {
            last = (count, Instant::now());
        }
        (last.1.elapsed() > Duration::from_millis(500)).then_some(count)
    })
}
