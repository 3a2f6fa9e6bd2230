//! The properties that the elements share, and what the user set.

use std::sync::Arc;
use std::time::Duration;

use deepstream::nvmm::PoolConfig;
use gst::glib;
use gst::prelude::*;
use nvdsucx_session::{Config, Error, ReceiverConfig, SenderConfig, Side};

use crate::enums::{BufType, Disconnect, Leaky, MemoryType, TimestampMode};
use crate::key;
use crate::memory::cuda::Gpu;

const DEFAULT_ADDR: &str = "127.0.0.1";
const DEFAULT_PORT: i32 = 7174;
const DEFAULT_BUF_TYPE: BufType = BufType::Video;
const DEFAULT_GPU_ID: u32 = 0;
const DEFAULT_NVBUF_BATCH_SIZE: i32 = 1;
const DEFAULT_MAX_EP_NUM: u32 = 128;
const DEFAULT_HIGH_PERF: bool = true;
const DEFAULT_ZERO_COPY: bool = true;
const DEFAULT_NUM_CONNS: u32 = 1;
const MAX_NUM_CONNS: u32 = 1024;
/// The specification says 0, instances begin with this, as the plugin we stand in for has it.
const DEFAULT_NVBUF_MEMORY_TYPE: MemoryType = MemoryType::CudaUnified;
const DEFAULT_NUM_NVBUF: i32 = 4;
const DEFAULT_RAW_BUF_SIZE: u32 = 8192;
const DEFAULT_WAIT_FOR_CONNECTION: bool = true;
const DEFAULT_MAX_SIZE_BUFFERS: u32 = 64;
/// A few frames of 8K.
const DEFAULT_MAX_SIZE_BYTES: u64 = 128 << 20;
/// No limit.
const DEFAULT_MAX_SIZE_TIME: u64 = 0;
const DEFAULT_MAX_BUFFER_SIZE: u64 = 1 << 30;
const DEFAULT_MAX_HELD_BYTES: u64 = 1 << 30;
const DEFAULT_TIMESTAMP_MODE: TimestampMode = TimestampMode::Keep;
/// What a frame of video takes over TCP at the worst, several times over.
const DEFAULT_LATENCY_MS: u32 = 20;
const DEFAULT_CONNECT_TIMEOUT_MS: u32 = 10_000;
const DEFAULT_RECONNECT_INTERVAL_MS: u32 = 1000;
const DEFAULT_PEER_TIMEOUT_MS: u32 = 10_000;
const DEFAULT_BUSY_POLL_US: u32 = 0;

/// Which of the four elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    ServerSink,
    ClientSink,
    ServerSrc,
    ClientSrc,
}

impl Role {
    pub(crate) fn is_server(self) -> bool {
        matches!(self, Self::ServerSink | Self::ServerSrc)
    }

    pub(crate) fn is_sink(self) -> bool {
        matches!(self, Self::ServerSink | Self::ClientSink)
    }

    fn default_leaky(self) -> Leaky {
        // Who has one peer slows nobody else.
        if self == Self::ServerSink { Leaky::Auto } else { Leaky::No }
    }

    fn default_on_disconnect(self) -> Disconnect {
        // A server that sends to many outlives each of them.
        if self == Self::ServerSink { Disconnect::Reconnect } else { Disconnect::Error }
    }
}

/// What the user set.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    role: Role,
    addr: String,
    pub(crate) port: u16,
    pub(crate) buf_type: BufType,
    pub(crate) gpu_id: u32,
    nvbuf_batch_size: i32,
    max_ep_num: u32,
    high_perf: bool,
    zero_copy: bool,
    num_conns: u32,
    nvbuf_memory_type: MemoryType,
    num_nvbuf: i32,
    raw_buf_size: u32,
    wait_for_connection: bool,
    max_size_buffers: u32,
    max_size_bytes: u64,
    max_size_time: u64,
    leaky: Leaky,
    max_buffer_size: u64,
    max_held_bytes: u64,
    pub(crate) timestamp_mode: TimestampMode,
    latency_ms: u32,
    connect_timeout_ms: u32,
    reconnect_interval_ms: u32,
    peer_timeout_ms: u32,
    busy_poll_us: u32,
    on_disconnect: Disconnect,
    key_file: Option<String>,
}

impl Settings {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            addr: DEFAULT_ADDR.to_owned(),
            port: DEFAULT_PORT as u16,
            buf_type: DEFAULT_BUF_TYPE,
            gpu_id: DEFAULT_GPU_ID,
            nvbuf_batch_size: DEFAULT_NVBUF_BATCH_SIZE,
            max_ep_num: DEFAULT_MAX_EP_NUM,
            high_perf: DEFAULT_HIGH_PERF,
            zero_copy: DEFAULT_ZERO_COPY,
            num_conns: DEFAULT_NUM_CONNS,
            nvbuf_memory_type: DEFAULT_NVBUF_MEMORY_TYPE,
            num_nvbuf: DEFAULT_NUM_NVBUF,
            raw_buf_size: DEFAULT_RAW_BUF_SIZE,
            wait_for_connection: DEFAULT_WAIT_FOR_CONNECTION,
            max_size_buffers: DEFAULT_MAX_SIZE_BUFFERS,
            max_size_bytes: DEFAULT_MAX_SIZE_BYTES,
            max_size_time: DEFAULT_MAX_SIZE_TIME,
            leaky: role.default_leaky(),
            max_buffer_size: DEFAULT_MAX_BUFFER_SIZE,
            max_held_bytes: DEFAULT_MAX_HELD_BYTES,
            timestamp_mode: DEFAULT_TIMESTAMP_MODE,
            latency_ms: DEFAULT_LATENCY_MS,
            connect_timeout_ms: DEFAULT_CONNECT_TIMEOUT_MS,
            reconnect_interval_ms: DEFAULT_RECONNECT_INTERVAL_MS,
            peer_timeout_ms: DEFAULT_PEER_TIMEOUT_MS,
            busy_poll_us: DEFAULT_BUSY_POLL_US,
            on_disconnect: role.default_on_disconnect(),
            key_file: None,
        }
    }

    /// Takes the value of the property `name`; GObject has checked its type and range.
    pub(crate) fn set(&mut self, name: &str, value: &glib::Value) {
        match name {
            "addr" => self.addr = taken::<Option<String>>(value).unwrap_or_else(|| DEFAULT_ADDR.to_owned()),
            "port" => self.port = u16::try_from(taken::<i32>(value)).expect("range of the property"),
            "buf-type" => self.buf_type = taken(value),
            "gpu-id" => self.gpu_id = taken(value),
            "nvbuf-batch-size" => self.nvbuf_batch_size = taken(value),
            "max-ep-num" => self.max_ep_num = taken(value),
            "high-perf" => self.high_perf = taken(value),
            "zero-copy" => self.zero_copy = taken(value),
            "num-conns" => self.num_conns = taken(value),
            "nvbuf-memory-type" => self.nvbuf_memory_type = taken(value),
            "num-nvbuf" => self.num_nvbuf = taken(value),
            "raw-buf-size" => self.raw_buf_size = taken(value),
            "wait-for-connection" => self.wait_for_connection = taken(value),
            "max-size-buffers" => self.max_size_buffers = taken(value),
            "max-size-bytes" => self.max_size_bytes = taken(value),
            "max-size-time" => self.max_size_time = taken(value),
            "leaky" => self.leaky = taken(value),
            "timestamp-mode" => self.timestamp_mode = taken(value),
            "latency" => self.latency_ms = taken(value),
            "reconnect-interval" => self.reconnect_interval_ms = taken(value),
            "max-buffer-size" => self.max_buffer_size = taken(value),
            "max-held-bytes" => self.max_held_bytes = taken(value),
            "connect-timeout" => self.connect_timeout_ms = taken(value),
            "peer-timeout" => self.peer_timeout_ms = taken(value),
            "busy-poll" => self.busy_poll_us = taken(value),
            "on-disconnect" => self.on_disconnect = taken(value),
            "key-file" => self.key_file = taken(value),
            _ => unreachable!("no writable property `{name}`"),
        }
    }

    /// The value of the property `name`, unless it is one that depends on what runs.
    pub(crate) fn get(&self, name: &str) -> glib::Value {
        match name {
            "addr" => self.addr.to_value(),
            "port" => i32::from(self.port).to_value(),
            "buf-type" => self.buf_type.to_value(),
            "gpu-id" => self.gpu_id.to_value(),
            "nvbuf-batch-size" => self.nvbuf_batch_size.to_value(),
            "max-ep-num" => self.max_ep_num.to_value(),
            "high-perf" => self.high_perf.to_value(),
            "zero-copy" => self.zero_copy.to_value(),
            "num-conns" => self.num_conns.to_value(),
            "nvbuf-memory-type" => self.nvbuf_memory_type.to_value(),
            "num-nvbuf" => self.num_nvbuf.to_value(),
            "raw-buf-size" => self.raw_buf_size.to_value(),
            "wait-for-connection" => self.wait_for_connection.to_value(),
            "max-size-buffers" => self.max_size_buffers.to_value(),
            "max-size-bytes" => self.max_size_bytes.to_value(),
            "max-size-time" => self.max_size_time.to_value(),
            "leaky" => self.leaky.to_value(),
            "timestamp-mode" => self.timestamp_mode.to_value(),
            "latency" => self.latency_ms.to_value(),
            "reconnect-interval" => self.reconnect_interval_ms.to_value(),
            "max-buffer-size" => self.max_buffer_size.to_value(),
            "max-held-bytes" => self.max_held_bytes.to_value(),
            "connect-timeout" => self.connect_timeout_ms.to_value(),
            "peer-timeout" => self.peer_timeout_ms.to_value(),
            "busy-poll" => self.busy_poll_us.to_value(),
            "on-disconnect" => self.on_disconnect.to_value(),
            "key-file" => self.key_file.to_value(),
            _ => unreachable!("no property `{name}`"),
        }
    }

    /// The session's settings for either direction, with the key if there is to be one. `name` is the element's.
    pub(crate) fn config(&self, name: String) -> Result<Config, Error> {
        let max_peers = match self.role {
            Role::ServerSink => self.max_ep_num.max(self.num_conns) as usize,
            _ => 1,
        };
        Ok(Config {
            side: if self.role.is_server() { Side::Listen } else { Side::Connect },
            address: self.addr.clone(),
            port: self.port,
            buffer_type: self.buf_type.into(),
            high_performance: self.high_perf,
            zero_copy: self.zero_copy && self.high_perf,
            connect_timeout: timeout(self.connect_timeout_ms),
            longest_pause: Duration::from_millis(self.reconnect_interval_ms.into()),
            peer_timeout: timeout(self.peer_timeout_ms),
            busy_poll: Duration::from_micros(self.busy_poll_us.into()),
            on_disconnect: self.on_disconnect.into(),
            max_peers,
            key: key::find(self.key_file.as_deref())?,
            name,
        })
    }

    /// The session's settings for a sink.
    pub(crate) fn sender(&self, gpu: &Arc<Gpu>) -> SenderConfig {
        SenderConfig {
            window_frames: self.max_size_buffers,
            window_bytes: self.max_size_bytes,
            wanted_peers: if self.role == Role::ServerSink { self.num_conns as usize } else { 1 },
            window_time: (self.max_size_time > 0).then(|| Duration::from_nanos(self.max_size_time)),
            overflow: self.leaky.into(),
            device: Some(Arc::clone(gpu) as _),
            wait_for_peers: self.wait_for_connection,
        }
    }

    /// The surfaces that a source makes.
    pub(crate) fn surfaces(&self) -> PoolConfig {
        PoolConfig {
            memory: self.nvbuf_memory_type.into(),
            gpu: self.gpu_id,
            batch_size: u32::try_from(self.nvbuf_batch_size).unwrap_or(1),
            buffers: u32::try_from(self.num_nvbuf).unwrap_or_default(),
        }
    }

    /// The session's settings for a source.
    pub(crate) fn receiver(&self, gpu: &Arc<Gpu>) -> ReceiverConfig {
        // Frames of video tell their size best themselves.
        let initial_size = if self.buf_type == BufType::Video { 0 } else { self.raw_buf_size as usize };
        ReceiverConfig {
            allocator: Arc::clone(gpu) as _,
            device: Some(Arc::clone(gpu) as _),
            buffers: usize::try_from(self.num_nvbuf).unwrap_or_default(),
            initial_size,
            max_frame_size: usize::try_from(self.max_buffer_size).unwrap_or(usize::MAX),
            max_held: self.max_held_bytes,
            measure_clock: self.timestamp_mode == TimestampMode::Map,
        }
    }

    /// What a source allows for the way of a buffer, where running times are those of one clock.
    pub(crate) fn latency(&self) -> gst::ClockTime {
        match self.timestamp_mode {
            TimestampMode::Keep => gst::ClockTime::ZERO,
            TimestampMode::Map => gst::ClockTime::from_mseconds(self.latency_ms.into()),
        }
    }
}

fn taken<T: for<'a> glib::value::FromValue<'a> + 'static>(value: &glib::Value) -> T {
    value.get().expect("type of the property")
}

/// 0 is for ever.
fn timeout(milliseconds: u32) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds.into()))
}

/// The specifications of all properties of the element with that role.
pub(crate) fn properties(role: Role) -> Vec<glib::ParamSpec> {
    let mut specs = common(role);
    specs.extend(if role.is_sink() { sinks(role) } else { sources() });
    if role.is_server() {
        specs.push(
            glib::ParamSpecUInt::builder("num-clients")
                .nick("Clients")
                .blurb("Clients connected now")
                .read_only()
                .build(),
        );
    } else {
        specs.push(
            glib::ParamSpecUInt::builder("connect-timeout")
                .nick("Connect timeout")
                .blurb("Milliseconds to go on trying to connect to the server, 0 = for ever")
                .default_value(DEFAULT_CONNECT_TIMEOUT_MS)
                .build(),
        );
        specs.push(
            glib::ParamSpecUInt::builder("reconnect-interval")
                .nick("Reconnect interval")
                .blurb("Milliseconds that the pause between two attempts to connect grows to")
                .minimum(1)
                .default_value(DEFAULT_RECONNECT_INTERVAL_MS)
                .build(),
        );
    }
    specs
}

fn common(role: Role) -> Vec<glib::ParamSpec> {
    let (address, port) = if role.is_server() {
        (
            "Address to listen on",
            "TCP port to listen on, 0 = any free one, which can be read back while it runs",
        )
    } else {
        ("Address of the server to connect to", "TCP port of the server to connect to")
    };
    vec![
        glib::ParamSpecString::builder("addr")
            .nick("Address")
            .blurb(address)
            .default_value(DEFAULT_ADDR)
            .build(),
        glib::ParamSpecInt::builder("port")
            .nick("Port")
            .blurb(port)
            .minimum(0)
            .maximum(65_535)
            .default_value(DEFAULT_PORT)
            .build(),
        glib::ParamSpecEnum::builder_with_default("buf-type", DEFAULT_BUF_TYPE)
            .nick("Buffer type")
            .blurb("What the buffers hold; must be equal at both ends")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("gpu-id")
            .nick("GPU")
            .blurb("GPU for GPU memory; not used where all memory is the CPU's")
            .default_value(DEFAULT_GPU_ID)
            .mutable_ready()
            .build(),
        glib::ParamSpecInt::builder("nvbuf-batch-size")
            .nick("Batch size")
            .blurb("Most frames in one NVMM buffer; without effect on memory of the CPU")
            .minimum(1)
            .default_value(DEFAULT_NVBUF_BATCH_SIZE)
            .build(),
        glib::ParamSpecUInt::builder("max-ep-num")
            .nick("Most endpoints")
            .blurb("Most endpoints at once: the clients a server sink takes; other elements have one")
            .minimum(1)
            .maximum(i32::MAX as u32)
            .default_value(DEFAULT_MAX_EP_NUM)
            .build(),
        glib::ParamSpecBoolean::builder("high-perf")
            .nick("High performance")
            .blurb("Use RDMA and shared memory where they are; FALSE keeps to TCP")
            .default_value(DEFAULT_HIGH_PERF)
            .build(),
        glib::ParamSpecBoolean::builder("zero-copy")
            .nick("Zero copy")
            .blurb("Share memory with a peer on this host, so that buffers are not copied; FALSE always sends them")
            .default_value(DEFAULT_ZERO_COPY)
            .build(),
        glib::ParamSpecUInt::builder("peer-timeout")
            .nick("Peer timeout")
            .blurb("Milliseconds of silence after which a connected peer counts as lost, 0 = never")
            .default_value(DEFAULT_PEER_TIMEOUT_MS)
            .build(),
        glib::ParamSpecUInt::builder("busy-poll")
            .nick("Busy poll")
            .blurb("Microseconds to look for more before sleeping, which takes all of a CPU and saves the time to wake up")
            .default_value(DEFAULT_BUSY_POLL_US)
            .build(),
        glib::ParamSpecEnum::builder_with_default("on-disconnect", role.default_on_disconnect())
            .nick("On disconnect")
            .blurb("What happens when a peer is lost before the stream has ended")
            .build(),
        glib::ParamSpecString::builder("key-file")
            .nick("Key file")
            .blurb(
                "File with the key that both ends must have; not set: the environment's NVDSUCX_KEY_FILE or \
                 NVDSUCX_KEY, or else no key",
            )
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("What was carried so far, and to or from whom")
            .read_only()
            .build(),
    ]
}

fn sinks(role: Role) -> Vec<glib::ParamSpec> {
    let mut specs = vec![
        glib::ParamSpecBoolean::builder("wait-for-connection")
            .nick("Wait for connection")
            .blurb("Hold buffers while nobody is connected; FALSE drops them")
            .default_value(DEFAULT_WAIT_FOR_CONNECTION)
            .build(),
        glib::ParamSpecUInt::builder("max-size-buffers")
            .nick("Most buffers in flight")
            .blurb("Most buffers sent to a peer and not yet taken by it, or, on this host, not yet let go of")
            .minimum(1)
            .default_value(DEFAULT_MAX_SIZE_BUFFERS)
            .build(),
        glib::ParamSpecUInt64::builder("max-size-bytes")
            .nick("Most bytes in flight")
            .blurb(
                "Most bytes sent to a peer and not yet taken by it, or, on this host, not yet let go of; one buffer \
                 of any size always goes",
            )
            .default_value(DEFAULT_MAX_SIZE_BYTES)
            .build(),
        glib::ParamSpecUInt64::builder("max-size-time")
            .nick("Most time in flight")
            .blurb(
                "Most nanoseconds between the timestamps of the oldest and the newest buffer sent to a peer and not \
                 yet taken by it, 0 = no limit",
            )
            .default_value(DEFAULT_MAX_SIZE_TIME)
            .build(),
        glib::ParamSpecEnum::builder_with_default("leaky", role.default_leaky())
            .nick("Leaky")
            .blurb("What happens to a buffer that a peer has no room for")
            .build(),
    ];
    if role == Role::ServerSink {
        specs.push(
            glib::ParamSpecUInt::builder("num-conns")
                .nick("Connections")
                .blurb("Clients that must be connected before the first buffer goes out")
                .minimum(1)
                .maximum(MAX_NUM_CONNS)
                .default_value(DEFAULT_NUM_CONNS)
                .build(),
        );
    }
    specs
}

fn sources() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("nvbuf-memory-type", MemoryType::Default)
            .nick("NVMM memory type")
            .blurb("Where NVMM output buffers are made; without effect on memory of the CPU")
            .mutable_ready()
            .build(),
        glib::ParamSpecInt::builder("num-nvbuf")
            .nick("Buffers")
            .blurb("Buffers to make ahead, 0 = as many as are needed")
            .minimum(0)
            .default_value(DEFAULT_NUM_NVBUF)
            .build(),
        glib::ParamSpecUInt::builder("raw-buf-size")
            .nick("Raw buffer size")
            .blurb("Bytes to make raw buffers with at first; larger ones are taken too")
            .default_value(DEFAULT_RAW_BUF_SIZE)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt64::builder("max-buffer-size")
            .nick("Largest buffer")
            .blurb("Bytes of the largest buffer taken; a larger one is an error")
            .default_value(DEFAULT_MAX_BUFFER_SIZE)
            .build(),
        glib::ParamSpecUInt64::builder("max-held-bytes")
            .nick("Most bytes held")
            .blurb("Bytes of memory here that downstream may hold buffers in before the sender has to wait")
            .default_value(DEFAULT_MAX_HELD_BYTES)
            .build(),
        glib::ParamSpecEnum::builder_with_default("timestamp-mode", DEFAULT_TIMESTAMP_MODE)
            .nick("Timestamp mode")
            .blurb("What running time buffers have: the sender's, or this pipeline's for the same moment")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("latency")
            .nick("Latency")
            .blurb("Milliseconds allowed for the way of a buffer, with timestamp-mode=map")
            .default_value(DEFAULT_LATENCY_MS)
            .build(),
    ]
}
