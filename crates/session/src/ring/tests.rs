use nvdsucx_wire::{RecordHead, RecordKind, Span};
use ucp::{Context, Region, Setting};

use super::*;
use crate::backlog::Limits;

/// Both ends, in one process.
fn ring(limits: Limits) -> (Writer, Reader) {
    let setting = Setting { name: "LOG_LEVEL", value: "fatal", force: false };
    let memory = Context::new("ring", &[setting]).unwrap().share(LEN).unwrap().mapping;
    let writer = Writer::new(memory, 7, limits);
    let reader = Reader::over(writer.memory.clone());
    (writer, reader)
}

const PLENTY: Limits = Limits { frames: 1000, bytes: u64::MAX, time: u64::MAX };

fn frame<'a>(head: &'a [u8], payload: &'a [Region]) -> Record<'a> {
    Record {
        kind: RecordKind::Frame,
        head,
        spilled: false,
        spans: &[],
        held: [&[], &[]],
        payload,
        time: None,
    }
}

fn span(len: u64) -> Span {
    Span { memory: 1, offset: 0, len }
}

#[test]
fn records_of_every_length_come_out_as_they_went_in() {
    let (mut writer, mut reader) = ring(PLENTY);
    let mut freed = Vec::new();
    for n in 0..20_000_usize {
        let head = vec![n as u8; n % 300];
        let payload = [Region::from(vec![1; n * 7 % 1000]), Region::from(vec![2; n % 5])];
        let record = frame(&head, &payload);
        writer.collect(&mut freed).unwrap();
        assert!(writer.has_room(&record), "record {n}");
        writer.write(&record);
        if n % 3 == 0 {
            continue;
        }
        for n in if n % 3 == 1 { vec![n - 1, n] } else { vec![n] } {
            let read = reader.read().unwrap().unwrap();
            assert_eq!(reader.head(), vec![n as u8; n % 300]);
            assert_eq!(read.payload, [vec![1; n * 7 % 1000], vec![2; n % 5]].concat());
        }
    }
}

#[test]
fn a_full_ring_has_no_room_until_it_is_read() {
    let (mut writer, mut reader) = ring(PLENTY);
    let mut freed = Vec::new();
    let payload = [Region::from(vec![0; MAX_RECORD - 100])];
    let record = frame(&[], &payload);
    for _ in 0..3 {
        let mut written = 0;
        while writer.has_room(&record) {
            writer.write(&record);
            written += 1;
        }
        assert!((7..=8).contains(&written), "{written}");
        while reader.read().unwrap().is_some() {}
        writer.collect(&mut freed).unwrap();
    }
}

#[test]
fn memory_is_held_until_it_is_released() {
    let (mut writer, mut reader) = ring(Limits { frames: 3, bytes: 100, ..PLENTY });
    let mut freed = Vec::new();
    let owner = Arc::new(vec![0; 40]);
    let held = [Region::owned_by(Arc::clone(&owner))];
    let spans = [span(40)];
    let record = Record { spans: &spans, held: [&held, &[]], ..frame(&[], &[]) };
    writer.write(&record);
    writer.write(&record);
    assert!(!writer.has_room(&record), "more bytes than may be in flight");
    let slots: Vec<_> = (0..2).map(|_| reader.read().unwrap().unwrap().slot.unwrap()).collect();
    writer.collect(&mut freed).unwrap();
    assert!(freed.is_empty() && writer.in_flight() == 2 && writer.is_empty());
    reader.releases().release(slots[1]);
    reader.releases().release(slots[0]);
    writer.collect(&mut freed).unwrap();
    assert!(writer.in_flight() == 0 && writer.has_room(&record));
    assert_eq!(Arc::strong_count(&owner), 4, "the frames' two, until they are dropped");
    drop((freed, held));
    assert_eq!(Arc::strong_count(&owner), 1);
}

#[test]
fn the_time_in_flight_is_limited() {
    let (mut writer, mut reader) = ring(Limits { time: 100, ..PLENTY });
    let at = |time| Record { time: Some(time), ..frame(&[], &[]) };
    for time in [1000, 1050, 1100] {
        assert!(writer.has_room(&at(time)));
        writer.write(&at(time));
    }
    assert!(!writer.has_room(&at(1101)));
    assert!(writer.has_room(&at(7)), "the stream began anew");
    reader.read().unwrap();
    writer.collect(&mut Vec::new()).unwrap();
    assert!(writer.has_room(&at(1150)) && !writer.has_room(&at(1151)));
    while reader.read().unwrap().is_some() {}
    writer.collect(&mut Vec::new()).unwrap();
    assert!(writer.has_room(&at(u64::MAX)), "one always goes");
}

#[test]
fn both_ends_see_how_long_frames_took() {
    let (mut writer, mut reader) = ring(PLENTY);
    assert_eq!(writer.delays().read(), None);
    let begin = Instant::now();
    writer.write(&frame(b"head", &[]));
    writer.write(&Record { kind: RecordKind::Event, ..frame(b"event", &[]) });
    while reader.read().unwrap().is_some() {}
    let delay = writer.delays().read().unwrap();
    assert!(delay.median <= begin.elapsed() * 2 + Duration::from_micros(2), "{delay:?}");
    assert_eq!(reader.delays().read(), Some(delay));
}

#[test]
fn clocks_that_differ_tell_nothing() {
    for made in [crate::monotonic() + 1_000_000_000_000, 0] {
        let (mut writer, _) = ring(PLENTY);
        writer.memory.set(MADE, made);
        let mut reader = Reader::over(writer.memory.clone());
        writer.write(&frame(b"head", &[]));
        reader.read().unwrap();
        assert_eq!(reader.delays().read(), None);
    }
}

#[test]
fn a_receiver_that_lies_is_found_out() {
    let lies: [(&str, usize, u64); 4] = [
        ("takes what was not sent", TAIL, 1 << 40),
        ("counts frames that were not sent", TAKEN, 2),
        ("releases more than it has", RELEASED, 2),
        ("releases what it does not have", RELEASED, 1),
    ];
    for (lie, word, value) in lies {
        let (mut writer, _) = ring(PLENTY);
        let held = [Region::from(vec![0; 8])];
        let spans = [span(8)];
        writer.write(&Record { spans: &spans, held: [&held, &[]], ..frame(&[], &[]) });
        writer.memory.half(SLOTS).store(77, SeqCst);
        writer.memory.set(word, value);
        assert!(writer.collect(&mut Vec::new()).is_err(), "{lie}");
    }
    let (mut writer, mut reader) = ring(PLENTY);
    writer.write(&frame(b"head", &[]));
    reader.read().unwrap();
    writer.collect(&mut Vec::new()).unwrap();
    writer.memory.set(TAIL, 0);
    assert!(writer.collect(&mut Vec::new()).is_err(), "gives back what it has taken");
}

#[test]
fn a_sender_that_lies_is_found_out() {
    for head in [4, CAPACITY + 8, u64::MAX - 7] {
        let (writer, mut reader) = ring(PLENTY);
        writer.memory.set(HEAD, head);
        assert!(reader.read().is_err(), "head {head}");
    }
}

#[test]
fn rubbish_in_the_ring_is_no_harm() {
    let (writer, mut reader) = ring(PLENTY);
    let mut state = 1_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let mut fixed = [0; RecordHead::LEN];
        fixed.fill_with(|| random() as u8 & random() as u8 & random() as u8);
        // Likely enough for a record that some are taken.
        fixed[0] &= 0xf8;
        for at in [2, 3, 7, 13, 14, 15, 17, 18, 19] {
            fixed[at] &= random() as u8 & random() as u8 & random() as u8;
        }
        let at = reader.tail % CAPACITY;
        let fits = fixed.len().min((CAPACITY - at) as usize);
        writer.memory.0.write(RECORDS + at as usize, &fixed[..fits]);
        writer.memory.set(HEAD, reader.tail + ((random() % CAPACITY) & !7));
        match reader.read() {
            Ok(_) => good += 1,
            Err(_) => bad += 1,
        }
    }
    assert!(good > 100 && bad > 100, "{good} good, {bad} bad");
}
