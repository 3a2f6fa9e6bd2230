//! Memory of a device that receivers open, or do not. The device is one of this process: what a GPU's own library does is
//! tested where there is a GPU.

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nvdsucx_session::wire::FrameHeader;
use nvdsucx_session::{
    Allocation, Config, Device, DeviceMemory, Frame, Incoming, MemoryKind, Outgoing, Payload, Publisher,
    ReceiverConfig, Region, SenderConfig, Side, Subscriber,
};

use common::{SOON, config, receiver_config, sender_config};

const LEN: usize = 100_000;

/// A device whose memory is the CPU's, which it hides.
#[derive(Debug, Default)]
struct Fake {
    /// By the number that is their key.
    allocations: Mutex<HashMap<u64, Region>>,
    /// How often memory was copied.
    downloads: AtomicUsize,
    /// How often memory was copied within the device.
    duplicates: AtomicUsize,
    /// It cannot be opened.
    refuses: AtomicBool,
    /// It is not known whether it is to be opened.
    undecided: AtomicBool,
    /// How much memory was closed again.
    closed: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Open {
    region: Region,
    closed: Arc<AtomicUsize>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.closed.fetch_add(1, SeqCst);
    }
}

/// Bytes that only the device gets at.
fn hidden(bytes: &[u8]) -> Region {
    let owner: Arc<[u8]> = bytes.into();
    let (start, len) = (owner.as_ptr(), owner.len());
    // SAFETY: the slice lives as long as its owner, and nobody writes to it. That it is not the CPU's only means that it is not
    // looked at.
    unsafe { Region::new(start, len, MemoryKind::Cuda, Arc::new(owner)) }
}

fn look(region: &Region) -> &[u8] {
    // SAFETY: all regions of that kind are made by `hidden`.
    unsafe { std::slice::from_raw_parts(region.as_ptr(), region.len()) }
}

impl Fake {
    fn allocate(&self, fill: u8) -> Region {
        let region = hidden(&vec![fill; LEN]);
        self.allocations.lock().unwrap().insert(region.as_ptr() as u64, region.clone());
        region
    }

    fn downloads(&self) -> usize {
        self.downloads.load(SeqCst)
    }
}

impl Device for Fake {
    fn allocation(&self, region: &Region) -> Result<Allocation, String> {
        let start = region.as_ptr() as usize;
        Ok(Allocation { id: start as u64, start, len: region.len() })
    }

    fn key(&self, region: &Region) -> Result<Vec<u8>, String> {
        Ok((region.as_ptr() as u64).to_le_bytes().to_vec())
    }

    fn open(&self, key: &[u8], len: usize) -> Result<Option<Arc<dyn DeviceMemory>>, String> {
        if self.undecided.load(SeqCst) {
            return Ok(None);
        }
        if self.refuses.load(SeqCst) {
            return Err("it is on another device".to_owned());
        }
        let id = key.try_into().map(u64::from_le_bytes).map_err(|_| "no key".to_owned())?;
        let region = self.allocations.lock().unwrap().get(&id).cloned().ok_or("no such memory")?;
        assert_eq!(region.len(), len);
        Ok(Some(Arc::new(Open { region, closed: Arc::clone(&self.closed) })))
    }

    fn download(&self, region: &Region, to: &mut [u8]) -> Result<(), String> {
        self.downloads.fetch_add(1, SeqCst);
        to.copy_from_slice(look(region));
        Ok(())
    }

    fn duplicate(&self, regions: &[Region]) -> Result<Region, String> {
        self.duplicates.fetch_add(1, SeqCst);
        Ok(hidden(&regions.iter().flat_map(|region| look(region).to_vec()).collect::<Vec<_>>()))
    }

    fn enter(&self) -> Result<(), String> {
        Ok(())
    }
}

impl DeviceMemory for Open {
    fn region(self: Arc<Self>, offset: usize, len: usize) -> Option<Region> {
        ((offset, len) == (0, LEN)).then(|| self.region.clone())
    }
}

fn publish(device: &Arc<Fake>, wanted_peers: usize) -> Publisher {
    let sender = SenderConfig { device: Some(Arc::clone(device) as _), wanted_peers, ..sender_config() };
    Publisher::start(config(Side::Listen, 0), sender, |_| {}).unwrap()
}

fn subscribe(publisher: &Publisher, device: Option<&Arc<Fake>>, zero_copy: bool) -> Subscriber {
    let port = publisher.local_address().unwrap().port();
    let config = Config { zero_copy, ..config(Side::Connect, port) };
    let receiver =
        ReceiverConfig { device: device.map(|device| Arc::clone(device) as _), ..receiver_config() };
    Subscriber::start(config, receiver, |_| {}).unwrap()
}

/// Sends `region`, and gives what arrives.
fn pass(publisher: &Publisher, region: &Region, receivers: &[&Subscriber]) -> Vec<Payload> {
    let frame = Frame { header: FrameHeader::default(), regions: vec![region.clone()] };
    publisher.send(Outgoing::Frame(frame)).map_err(|interrupted| interrupted.0).expect("could not be sent");
    let next = |receiver: &&Subscriber| match receiver.receive().expect("no frame") {
        Incoming::Frame(frame) => frame.payload,
        Incoming::Event(event) => panic!("an event instead of a frame: {event:?}"),
    };
    receivers.iter().map(next).collect()
}

/// Whether it is in the memory of the device still; its bytes are checked.
fn stayed(payload: &Payload, fill: u8) -> bool {
    match payload {
        Payload::Mapped(mapped) if mapped.regions()[0].kind() == MemoryKind::Cuda => {
            assert_eq!(look(&mapped.regions()[0]), vec![fill; LEN]);
            true
        }
        other => {
            assert!(common::bytes(other) == vec![fill; LEN]);
            false
        }
    }
}

/// Sends until all frames stay where they are, or until `deadline`.
fn comes_to_stay(publisher: &Publisher, region: &Region, receivers: &[&Subscriber]) -> bool {
    let deadline = Instant::now() + SOON;
    while Instant::now() < deadline {
        if pass(publisher, region, receivers).iter().all(|payload| stayed(payload, 7)) {
            return true;
        }
        // The answer of the receiver is on its way.
        std::thread::yield_now();
    }
    false
}

#[test]
fn frames_stay_where_they_are_once_the_receivers_have_opened_the_memory() {
    let device = Arc::new(Fake::default());
    let publisher = publish(&device, 2);
    let receivers = [subscribe(&publisher, Some(&device), true), subscribe(&publisher, Some(&device), true)];
    let region = device.allocate(7);
    assert!(comes_to_stay(&publisher, &region, &receivers.each_ref()));
    let before = device.downloads();
    for _ in 0..100 {
        for payload in pass(&publisher, &region, &receivers.each_ref()) {
            assert!(stayed(&payload, 7));
        }
    }
    assert_eq!(device.downloads(), before, "nothing is copied any more");
    // One that comes later is told, too.
    let late = subscribe(&publisher, Some(&device), true);
    let all = [&receivers[0], &receivers[1], &late];
    let deadline = Instant::now() + SOON;
    while publisher.stats().peers.iter().filter(|peer| peer.mapped).count() < 3 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    assert!(comes_to_stay(&publisher, &region, &all));
}

#[test]
fn a_receiver_that_cannot_open_the_memory_gets_copies() {
    let device = Arc::new(Fake::default());
    let publisher = publish(&device, 1);
    device.refuses.store(true, SeqCst);
    let receiver = subscribe(&publisher, Some(&device), true);
    let region = device.allocate(7);
    for _ in 0..20 {
        assert!(!stayed(&pass(&publisher, &region, &[&receiver])[0], 7));
    }
}

#[test]
fn receivers_without_the_device_or_elsewhere_get_copies() {
    for (zero_copy, name) in [(true, "mapped"), (false, "by messages")] {
        let device = Arc::new(Fake::default());
        let publisher = publish(&device, 1);
        let receiver = subscribe(&publisher, None, zero_copy);
        for fill in 0..20 {
            let region = device.allocate(fill);
            let payload = pass(&publisher, &region, &[&receiver]).remove(0);
            assert!(!stayed(&payload, fill), "{name}");
        }
    }
}

#[test]
fn memory_that_no_frame_is_in_for_long_is_closed() {
    let device = Arc::new(Fake::default());
    let publisher = publish(&device, 1);
    let receiver = subscribe(&publisher, Some(&device), true);
    let region = device.allocate(7);
    assert!(comes_to_stay(&publisher, &region, &[&receiver]));
    let deadline = Instant::now() + 3 * SOON;
    while device.closed.load(SeqCst) == 0 {
        assert!(Instant::now() < deadline, "it stays open");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn memory_is_opened_as_soon_as_it_is_wanted() {
    let device = Arc::new(Fake::default());
    let publisher = publish(&device, 1);
    device.undecided.store(true, SeqCst);
    let receiver = subscribe(&publisher, Some(&device), true);
    let region = device.allocate(7);
    // Long enough for the receiver to be told.
    while !publisher.stats().peers.iter().all(|peer| peer.mapped) {
        pass(&publisher, &region, &[&receiver]);
    }
    for _ in 0..20 {
        assert!(!stayed(&pass(&publisher, &region, &[&receiver])[0], 7));
    }
    device.undecided.store(false, SeqCst);
    receiver.look_again();
    assert!(comes_to_stay(&publisher, &region, &[&receiver]));
}

#[test]
fn a_pipeline_that_holds_too_much_gets_copies_in_the_device() {
    let device = Arc::new(Fake::default());
    let publisher = publish(&device, 1);
    let receiver = subscribe(&publisher, Some(&device), true);
    let region = device.allocate(7);
    assert!(comes_to_stay(&publisher, &region, &[&receiver]));
    let held: Vec<_> = (0..2 * sender_config().window_frames)
        .flat_map(|_| pass(&publisher, &region, &[&receiver]))
        .collect();
    assert!(held.iter().all(|payload| stayed(payload, 7)), "all are in the device's memory");
    assert!(device.duplicates.load(SeqCst) >= sender_config().window_frames as usize);
    drop(held);
    assert!(comes_to_stay(&publisher, &region, &[&receiver]));
}

#[test]
fn memory_with_a_frame_that_was_not_taken_stays_open() {
    let device = Arc::new(Fake::default());
    let publisher = publish(&device, 1);
    let receiver = subscribe(&publisher, Some(&device), true);
    let region = device.allocate(7);
    assert!(comes_to_stay(&publisher, &region, &[&receiver]));
    let held = pass(&publisher, &region, &[&receiver]);
    let frame = Frame { header: FrameHeader::default(), regions: vec![region.clone()] };
    publisher.send(Outgoing::Frame(frame)).map_err(|interrupted| interrupted.0).expect("could not be sent");
    // Longer than memory stays open that no frame is in.
    let until = Instant::now() + Duration::from_secs(12);
    while Instant::now() < until {
        assert_eq!(device.closed.load(SeqCst), 0);
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(held);
    let Incoming::Frame(late) = receiver.receive().expect("no frame") else { panic!("an event") };
    assert!(stayed(&late.payload, 7));
    assert!(pass(&publisher, &region, &[&receiver]).iter().all(|payload| stayed(payload, 7)));
}
