//! Two workers in one process, connected through a listener.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ucp::{
    Context, Data, Endpoint, Event, Listener, MemoryKind, Message, Region, RegionMut, SendMode, Worker,
};

const ID: u16 = 40;
const CLIENT: u64 = 0x1234_5678_9ABC_DEF0;

struct Pair {
    to_client: Option<Endpoint>,
    to_server: Option<Endpoint>,
    _listener: Listener,
    server: Worker,
    client: Worker,
    context: Context,
}

impl Pair {
    fn new() -> Self {
        let context = Context::new("test", &[]).unwrap();
        let server = Worker::new(&context, 1, &[ID]).unwrap();
        let client = Worker::new(&context, CLIENT, &[ID]).unwrap();
        let listener = Listener::new(&server, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_address().unwrap();
        assert_ne!(address.port(), 0);
        let to_server = Some(Endpoint::connect(&client, address).unwrap());
        let mut pair = Self { to_client: None, to_server, _listener: listener, server, client, context };
        let request = pair.wait(|event| match event {
            Event::ConnectionRequest(request) => Some(request),
            _ => None,
        });
        assert_eq!(request.client_id(), CLIENT);
        assert_eq!(request.address().unwrap().ip(), address.ip());
        pair.to_client = Some(Endpoint::accept(&pair.server, request).unwrap());
        pair
    }

    /// Lets both work until `wanted` picks an event of either.
    fn wait<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            for worker in [&self.server, &self.client] {
                worker.progress();
                while let Some(event) = worker.next_event() {
                    if let Some(found) = wanted(event) {
                        return found;
                    }
                }
            }
            assert!(Instant::now() < deadline, "the event never came");
        }
    }

    fn send(&self, header: &[u8], regions: Vec<Region>, mode: SendMode) {
        self.to_server.as_ref().unwrap().send(ID, header.to_vec(), regions, mode, 7);
    }

    fn message(&mut self) -> Message {
        self.wait(|event| match event {
            Event::Message(message) => Some(message),
            _ => None,
        })
    }
}

fn bytes(data: &Data) -> &[u8] {
    match data {
        Data::Copied(bytes) => bytes,
        Data::Held(held) => held.bytes(),
        Data::Rendezvous(_) => panic!("a rendezvous"),
    }
}

#[test]
fn eager_messages_arrive_whole() {
    let mut pair = Pair::new();
    for len in [0, 1, 1024, 1025, 100_000, 3_000_000] {
        let sent: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        pair.send(b"header", vec![Region::from(sent.clone())], SendMode::Eager);
        let message = pair.message();
        assert_eq!((message.id, message.header.as_slice()), (ID, b"header".as_slice()));
        assert!(bytes(&message.data) == sent, "{len} bytes arrived changed");
    }
}

#[test]
fn a_rendezvous_lands_where_the_receiver_says() {
    let mut pair = Pair::new();
    let sent: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    // Regions, an empty one among them, land one after the other.
    let (head, tail) = sent.split_at(1_234_567);
    let regions = [head, &[], tail].map(|part| Region::from(part.to_vec())).to_vec();
    pair.send(b"", regions, SendMode::Auto);
    let Data::Rendezvous(rendezvous) = pair.message().data else { panic!("not a rendezvous") };
    let mut region = RegionMut::host(sent.len() + 1).unwrap();
    region.host_bytes_mut().unwrap()[sent.len()] = 0xEE;
    let _registration = pair.context.register(&region).unwrap();
    rendezvous.receive(region, 3);
    let (mut received, mut done) = (None, false);
    let region = pair.wait(|event| {
        match event {
            Event::Received { cookie: 3, region, result: Ok(()) } => received = Some(region),
            Event::Sent { cookie: 7, result: Ok(()), .. } => done = true,
            other => panic!("{other:?}"),
        }
        if done { received.take() } else { None }
    });
    assert!(region.host_bytes().unwrap()[..sent.len()] == sent);
    assert_eq!(region.host_bytes().unwrap()[sent.len()], 0xEE, "written past the data");
}

#[test]
fn a_region_is_kept_until_the_peer_has_fetched_it() {
    let mut pair = Pair::new();
    let memory = Arc::new(vec![1_u8; 2_000_000]);
    let keep_alive = Arc::clone(&memory);
    // SAFETY: the vector is behind an Arc and nobody writes to it.
    let region = unsafe { Region::new(memory.as_ptr(), memory.len(), MemoryKind::Host, keep_alive) };
    pair.send(b"", vec![region], SendMode::Auto);
    let Data::Rendezvous(rendezvous) = pair.message().data else { panic!("not a rendezvous") };
    assert_eq!(Arc::strong_count(&memory), 2, "let go before it was fetched");
    rendezvous.receive(RegionMut::host(2_000_000).unwrap(), 1);
    pair.wait(|event| matches!(event, Event::Sent { .. }).then_some(()));
    assert_eq!(Arc::strong_count(&memory), 1, "kept after it was sent");
}

#[test]
fn a_peer_that_goes_is_reported_and_what_is_under_way_ends() {
    let mut pair = Pair::new();
    pair.send(b"hello", vec![], SendMode::Eager);
    pair.message();
    pair.send(b"", vec![Region::from(vec![0; 5_000_000])], SendMode::Auto);
    drop(pair.message());
    drop(pair.to_client.take());
    let endpoint = pair.to_server.as_ref().unwrap().id();
    pair.wait(|event| {
        matches!(event, Event::Failed { endpoint: failed, .. } if failed == endpoint).then_some(())
    });
    drop(pair.to_server.take());
    let deadline = Instant::now() + Duration::from_secs(10);
    while pair.client.operations() > 0 {
        pair.client.progress();
        assert!(Instant::now() < deadline, "an operation never ended");
    }
}

#[test]
fn nobody_listening_is_reported_in_the_words_of_ucx() {
    let context = Context::new("test", &[]).unwrap();
    let worker = Worker::new(&context, 1, &[ID]).unwrap();
    let endpoint = Endpoint::connect(&worker, "127.0.0.1:1".parse().unwrap()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let status = loop {
        worker.progress();
        match worker.next_event() {
            Some(Event::Failed { endpoint: failed, status }) if failed == endpoint.id() => break status,
            _ => assert!(Instant::now() < deadline, "no failure was reported"),
        }
    };
    assert!(status.code() < 0 && status.to_string().contains(' '), "{status:?}");
}

#[test]
fn an_idle_worker_sleeps_and_a_message_wakes_it() {
    let mut pair = Pair::new();
    pair.send(b"", vec![], SendMode::Eager);
    pair.message();
    let woken = |worker: &Worker, within: Duration| {
        let within = Timespec::try_from(within).unwrap();
        poll(&mut [PollFd::from_borrowed_fd(worker.event_fd(), PollFlags::IN)], Some(&within)).unwrap() != 0
    };
    // UCX may have some of its own to do first; then nothing wakes it any more.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        while pair.server.progress() || pair.client.progress() || !pair.server.arm().unwrap() {}
        if !woken(&pair.server, Duration::from_millis(20)) {
            break;
        }
        assert!(Instant::now() < deadline, "woken by nothing, again and again");
    }
    // It sleeps since before the message is sent.
    pair.send(b"", vec![], SendMode::Eager);
    while pair.client.progress() {}
    assert!(woken(&pair.server, Duration::from_secs(10)), "not woken by a message");
    pair.message();
}
