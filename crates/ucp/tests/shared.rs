//! Memory that two processes share.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ucp::{Access, Context, Endpoint, Listener, Mapping, Setting, Status, Worker};

/// Set for the process that owns the memory: the port on which it takes orders.
const PORT: &str = "UCP_TEST_OWNER_PORT";
const LEN: usize = 3 * 4096;

/// What sessions set: endpoints have lanes over TCP alone.
const SETTINGS: [Setting<'_>; 1] = [Setting { name: "CM_USE_ALL_DEVICES", value: "n", force: false }];

/// Shares memory, and does as it is told until the test hangs up.
#[test]
fn owner() {
    let Ok(port) = std::env::var(PORT) else { return };
    let mut orders = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
    let context = Context::new("owner", &SETTINGS).unwrap();
    let shared = context.share(LEN).unwrap();
    let key: Vec<String> = shared.segment.key().iter().map(u8::to_string).collect();
    writeln!(orders, "{} {}", shared.segment.address(), key.join(" ")).unwrap();
    let lines = BufReader::new(orders.try_clone().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let offset = words[1].parse().unwrap();
        let value = match words[0] {
            "write" => u64::from(shared.mapping.write(offset, words[2].as_bytes())),
            "load" => shared.mapping.atomic_u64(offset).unwrap().load(Ordering::Acquire),
            "orphan" => segment() as u64,
            order => panic!("{order}?"),
        };
        writeln!(orders, "{value}").unwrap();
    }
}

/// The process that owns the memory, as seen from the test.
struct Owner {
    process: Child,
    orders: BufReader<TcpStream>,
    address: u64,
    key: Vec<u8>,
}

impl Owner {
    fn new() -> Self {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "owner", "--nocapture"])
            .env(PORT, door.local_addr().unwrap().port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let orders = BufReader::new(door.accept().unwrap().0);
        orders.get_ref().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut owner = Self { process, orders, address: 0, key: Vec::new() };
        let greeting = owner.answer();
        let mut words = greeting.trim().split(' ');
        owner.address = words.next().unwrap().parse().unwrap();
        owner.key = words.map(|word| word.parse().unwrap()).collect();
        owner
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.orders.read_line(&mut line).unwrap();
        line
    }

    fn order(&mut self, order: &str) -> u64 {
        writeln!(self.orders.get_mut(), "{order}").unwrap();
        self.answer().trim().parse().unwrap()
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        assert!(!self.process.wait().unwrap().success());
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A process's end of a connection.
struct End {
    endpoint: Endpoint,
    _listener: Listener,
    _worker: Worker,
    context: Context,
}

impl End {
    fn new(settings: &[Setting<'_>]) -> Self {
        let context = Context::new("test", settings).unwrap();
        let worker = Worker::new(&context, 1, &[]).unwrap();
        let listener = Listener::new(&worker, "127.0.0.1:0".parse().unwrap()).unwrap();
        let endpoint = Endpoint::connect(&worker, listener.local_address().unwrap()).unwrap();
        Self { endpoint, _listener: listener, _worker: worker, context }
    }

    fn map(&self, owner: &Owner, access: Access) -> Mapping {
        self.endpoint.map(&owner.key, owner.address, LEN, access).unwrap()
    }
}

/// The line of `/proc/self/maps` about a mapping.
fn line(mapping: &Mapping) -> String {
    let start = format!("{:x}-", mapping.as_ptr().addr());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().find(|line| line.starts_with(&start)).unwrap().to_owned()
}

/// The system's number for the memory, which stands where others have their inode.
fn number(mapping: &Mapping) -> String {
    line(mapping).split_whitespace().nth(4).unwrap().to_owned()
}

/// Whether the system still has it.
fn exists(number: &str) -> bool {
    let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    segments.lines().any(|line| line.split_whitespace().nth(1) == Some(number))
}

fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_one_writes_the_other_reads() {
    let (mut owner, end) = (Owner::new(), End::new(&SETTINGS));
    let mapping = end.map(&owner, Access::ReadWrite);
    let mut bytes = [1; LEN];
    assert!(mapping.read(0, &mut bytes));
    assert_eq!(bytes, [0; LEN]);
    assert_eq!(owner.order("write 4095 hello"), 1);
    assert!(mapping.read(4095, &mut bytes[..5]));
    assert_eq!(&bytes[..5], b"hello");
    let mut appended = b"oh, ".to_vec();
    assert!(mapping.read_into(4095, 5, &mut appended));
    assert_eq!(appended, b"oh, hello");

    assert!(mapping.write(8192, &7_u64.to_ne_bytes()));
    assert_eq!(owner.order("load 8192"), 7);
    assert_eq!(mapping.atomic_u64(8192).unwrap().fetch_add(u64::MAX - 10, Ordering::AcqRel), 7);
    assert_eq!(owner.order("load 8192"), u64::MAX - 3);
}

#[test]
fn a_mapping_for_reading_is_read_only() {
    let (mut owner, end) = (Owner::new(), End::new(&SETTINGS));
    let mapping = end.map(&owner, Access::Read);
    assert_eq!(line(&mapping).split_whitespace().nth(1), Some("r--s"));
    assert!(!mapping.write(0, b"x"));
    assert!(mapping.atomic_u64(0).is_none() && mapping.atomic_u32(0).is_none());
    assert_eq!(owner.order("write 0 hello"), 1);
    let mut byte = [0];
    assert!(mapping.read(4, &mut byte) && byte == *b"o");
    assert!(mapping.into_blocks(4096).is_empty());
}

#[test]
fn a_mapping_outlives_the_other_process_and_everything_of_ucx() {
    let (mut owner, end) = (Owner::new(), End::new(&SETTINGS));
    assert_eq!(owner.order("write 5000 hello"), 1);
    let mapping = Arc::new(end.map(&owner, Access::Read));
    let number = number(&mapping);
    let region = mapping.region(5000, 5).unwrap();
    drop((end, mapping));
    owner.kill();
    assert_eq!(region.host_bytes(), Some(b"hello".as_slice()));
    assert!(exists(&number));
    drop(region);
    wait("the memory is left", || !exists(&number));
}

#[test]
fn memory_whose_owner_is_gone_cannot_be_mapped() {
    let (mut owner, end) = (Owner::new(), End::new(&SETTINGS));
    owner.kill();
    let result = end.endpoint.map(&owner.key, owner.address, LEN, Access::Read);
    assert_eq!(result.unwrap_err(), Status::UNREACHABLE);
}

#[test]
fn the_owner_of_a_segment_may_let_go_of_it_and_keep_its_mapping() {
    let end = End::new(&SETTINGS);
    let shared = end.context.share(1).unwrap();
    let (key, address) = (shared.segment.key().to_vec(), shared.segment.address());
    let number = number(&shared.mapping);
    assert_eq!((shared.segment.len(), shared.mapping.len()), (4096, 4096));
    drop(shared.segment);
    assert!(shared.mapping.write(0, b"hello"));
    let other = end.endpoint.map(&key, address, 4096, Access::Read).unwrap();
    drop(shared.mapping);
    let mut bytes = [0; 5];
    assert!(other.read(0, &mut bytes) && &bytes == b"hello");
    drop(other);
    wait("the memory is left", || !exists(&number));
}

#[test]
fn keys_that_are_none_are_refused() {
    let (owner, end) = (Owner::new(), End::new(&SETTINGS));
    let map = |key: &[u8], address, len| end.endpoint.map(key, address, len, Access::Read);
    let Owner { key, address, .. } = &owner;
    assert_eq!(map(&[], *address, LEN).unwrap_err(), Status::INVALID_PARAM);
    assert_eq!(map(&[0xff; 4096], u64::MAX, LEN).unwrap_err(), Status::INVALID_PARAM);
    assert_eq!(map(&[0xff; 5000], u64::MAX, LEN).unwrap_err(), Status::INVALID_PARAM);
    assert_eq!(map(key, address + 4096, LEN).unwrap_err(), Status::INVALID_PARAM);
    for len in [0, LEN + 1, usize::MAX] {
        assert_eq!(map(key, *address, len).unwrap_err(), Status::INVALID_ADDR, "{len} bytes");
    }
    // Cut short, it names a segment as long as the entry is whole.
    assert!(map(&key[..key.len() / 2], *address, LEN).is_err());
    for len in 0..key.len() {
        drop(map(&key[..len], *address, LEN));
    }
    // With a bit changed it may name something that exists. Whatever it is, it can be read.
    for bit in 0..key.len() * 8 {
        let mut key = key.clone();
        key[bit / 8] ^= 1 << (bit % 8);
        if let Ok(mapping) = map(&key, *address, LEN) {
            assert!(mapping.read(0, &mut [0; LEN]));
        }
    }
    assert!(map(key, *address, LEN).is_ok());
}

#[test]
fn what_a_dead_process_had_not_marked_for_removal_is_removed() {
    let end = End::new(&SETTINGS);
    let mut owner = Owner::new();
    let (orphan, ours) = (owner.order("orphan 0").to_string(), segment());
    let mapping = end.endpoint.map(&owner.key, owner.address, LEN, Access::Read).unwrap();
    let (theirs, us) = (mapping.maker().unwrap(), end.context.share(LEN).unwrap().mapping.maker().unwrap());
    for maker in [theirs, us] {
        maker.clear_up();
    }
    assert!(exists(&orphan) && exists(&ours.to_string()), "both are alive");
    owner.kill();
    theirs.clear_up();
    assert!(!exists(&orphan) && exists(&ours.to_string()));
    assert_eq!(mapping.mappings(), Some(1), "ours is left");
    // SAFETY: it touches no memory; the segment is the test's own.
    assert_eq!(unsafe { libc::shmctl(ours, libc::IPC_RMID, std::ptr::null_mut()) }, 0);
}

/// A segment that is attached nowhere, and there to stay.
fn segment() -> i32 {
    // SAFETY: it makes a segment, and touches no memory.
    let id = unsafe { libc::shmget(libc::IPC_PRIVATE, LEN, libc::IPC_CREAT | 0o600) };
    assert!(id >= 0);
    id
}

#[test]
fn memory_that_is_there_to_stay_is_not_mapped() {
    let end = End::new(&SETTINGS);
    let id = segment();
    let key = [1_u64.to_ne_bytes().as_slice(), &[0, 12], &id.to_ne_bytes(), &4096_u64.to_ne_bytes()].concat();
    let result = end.endpoint.map(&key, 4096, LEN, Access::Read);
    // SAFETY: as above; the segment is the test's own.
    assert_eq!(unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) }, 0);
    assert_eq!(result.unwrap_err(), Status::UNREACHABLE);
    assert!(!exists(&id.to_string()));
}

#[test]
fn without_shared_memory_in_ucx_there_is_none() {
    let owner = Owner::new();
    for transports in ["tcp", "tcp,posix"] {
        let end = End::new(&[Setting { name: "TLS", value: transports, force: true }]);
        assert_eq!(end.context.share(LEN).unwrap_err(), Status::UNSUPPORTED, "{transports}");
        let result = end.endpoint.map(&owner.key, owner.address, LEN, Access::Read);
        assert_eq!(result.unwrap_err(), Status::UNSUPPORTED, "{transports}");
    }
}

#[test]
fn nothing_is_reached_beyond_the_end() {
    let context = Context::new("test", &SETTINGS).unwrap();
    let mapping = Arc::new(context.share(4096).unwrap().mapping);
    assert_eq!(context.share(0).unwrap_err(), Status::INVALID_PARAM);
    for offset in [4096, 4097, usize::MAX - 7, usize::MAX] {
        assert!(mapping.atomic_u64(offset).is_none() && mapping.atomic_u32(offset).is_none());
        assert!(!mapping.read(offset, &mut [0]) && !mapping.read_into(offset, 1, &mut Vec::new()));
        assert!(!mapping.write(offset, b"x") && mapping.region(offset, 1).is_none());
    }
    for offset in [4089, 4095, 1, 4] {
        assert!(mapping.atomic_u64(offset).is_none(), "a u64 at {offset}");
    }
    assert!(mapping.atomic_u64(4088).is_some() && mapping.atomic_u32(4092).is_some());
    assert!(!mapping.read(1, &mut [0; 4096]) && mapping.region(0, 4097).is_none());
    assert!(mapping.region(1, usize::MAX).is_none());
    assert!(mapping.region(4096, 0).unwrap().host_bytes().unwrap().is_empty());
}

#[test]
fn blocks_keep_the_memory_together() {
    let end = End::new(&SETTINGS);
    let shared = end.context.share(3 * 4096).unwrap();
    let (segment, number) = (&shared.segment, number(&shared.mapping));
    let peer = end.endpoint.map(segment.key(), segment.address(), segment.len(), Access::Read).unwrap();
    // What is left over belongs to no block.
    let mut blocks = shared.mapping.into_blocks(5000);
    assert_eq!(blocks.iter().map(ucp::RegionMut::len).collect::<Vec<_>>(), [5000, 5000]);
    let mut last = blocks.pop().unwrap();
    drop((blocks, shared.segment));
    last.host_bytes_mut().unwrap().fill(9);
    let mut bytes = vec![1; 3 * 4096];
    assert!(peer.read(0, &mut bytes));
    assert!(bytes == [vec![0; 5000], vec![9; 5000], vec![0; 3 * 4096 - 10000]].concat());
    drop(peer);
    assert!(exists(&number));
    drop(last);
    wait("the memory is left", || !exists(&number));
}

#[test]
fn only_the_user_can_map_it() {
    let context = Context::new("test", &SETTINGS).unwrap();
    let shared = context.share(4096).unwrap();
    let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let number = number(&shared.mapping);
    let ours = segments.lines().find(|line| line.split_whitespace().nth(1) == Some(number.as_str())).unwrap();
    // Marked for removal, and for the owner alone.
    assert_eq!(ours.split_whitespace().nth(2), Some("1600"), "{ours}");
}
