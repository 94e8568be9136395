//! The server's configuration, valid by construction: what `--print-config` prints and `/config` serves.
//!
//! In JSON, sizes are bytes and durations seconds.

mod endpoint;
mod relay;
mod tls;

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::{Serialize, Serializer};
pub use wire::Template;
pub use wire::deflate::ContextTakeover;
use wire::deflate::{Direction, Effort, Level, MemoryLevel, Policy, Replies, Uncompressed, WindowBits};

pub use self::endpoint::{Endpoint, Scheme};
pub use self::relay::{RelayOptions, RelayTo, SlowReader};
pub use self::tls::{Certificate, TlsOptions};

/// Everything a server needs to know, resolved: no field means "find out later".
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The server's version.
    pub version: &'static str,
    /// Where to listen; in JSON as `--listen` takes them.
    pub listen: Vec<Endpoint>,
    /// How `wss://` addresses are encrypted; `None`: there are none.
    pub tls: Option<TlsOptions>,
    /// Whether `GET /` answers the page for browsers.
    pub page: bool,
    /// Threads and where they run.
    pub workers: Workers,
    /// Socket options as asked for.
    pub socket: SocketOptions,
    /// How messages are read and written.
    pub echo: EchoOptions,
    /// How messages are handed on to other connections; `None`: they are answered.
    pub relay: Option<RelayOptions>,
    /// How messages are compressed, if clients offer it; `None`: the offer is ignored.
    pub permessage_deflate: Option<DeflateOptions>,
    /// What a peer may use up.
    pub limits: Limits,
}

/// Threads and where they run.
#[derive(Debug, Clone, Serialize)]
pub struct Workers {
    /// How tasks are spread over the threads.
    pub runtime: Runtime,
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// Which worker gets a new connection; of no account with one runtime for all threads.
    pub balance: Balance,
    /// Cores, by worker: worker `i` runs on `pin[i % pin.len()]`; empty means that no worker is pinned.
    pub pin: Vec<usize>,
    /// Scheduler ticks between two looks at the sockets while tasks are ready.
    pub event_interval: NonZeroU32,
}

/// How tasks are spread over the worker threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// One single-threaded runtime per worker; connections never move.
    Sharded,
    /// One multi-threaded runtime with one listener; idle threads steal connections from busy ones.
    WorkStealing,
}

/// Which worker gets a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// The one that has the fewest: one thread accepts for all.
    Exact,
    /// The one that the kernel's hash of the addresses picks: each worker has listeners of its own (SO_REUSEPORT).
    Kernel,
}

impl Workers {
    /// Listening sockets per address.
    pub(crate) fn listeners(&self) -> usize {
        match (self.runtime, self.balance) {
            (Runtime::Sharded, Balance::Kernel) => self.threads.get(),
            (Runtime::Sharded, Balance::Exact) | (Runtime::WorkStealing, _) => 1,
        }
    }

    /// Runtimes, each with a thread that accepts, or is handed, its connections.
    pub(crate) fn shards(&self) -> usize {
        match self.runtime {
            Runtime::Sharded => self.threads.get(),
            Runtime::WorkStealing => 1,
        }
    }
}

/// Socket options; `None` leaves the kernel's default.
#[derive(Debug, Clone, Serialize)]
pub struct SocketOptions {
    /// TCP_NODELAY.
    pub tcp_nodelay: bool,
    /// TCP_QUICKACK, set again before every wait because the kernel forgets it at every reply.
    pub tcp_quickack: bool,
    /// SO_BUSY_POLL, microseconds.
    pub busy_poll: Option<u32>,
    /// SO_RCVBUF, bytes (before the kernel doubles it for its own bookkeeping).
    pub recv_buffer: Option<usize>,
    /// SO_SNDBUF, bytes (likewise).
    pub send_buffer: Option<usize>,
    /// Connections the kernel keeps ready for accept.
    pub backlog: u32,
    /// TCP_DEFER_ACCEPT, seconds.
    pub defer_accept: Option<u32>,
    /// TCP_FASTOPEN, length of the queue of connections not yet acknowledged.
    pub fast_open: Option<u32>,
    /// TCP_NOTSENT_LOWAT, bytes.
    pub notsent_lowat: Option<u32>,
    /// When a peer that has vanished is noticed; `None`: never, unless something is sent to it.
    pub keepalive: Option<Keepalive>,
    /// UDP_GRO and UDP_SEGMENT: datagrams of one source pass through the kernel together, where it can do that.
    pub udp_offload: bool,
}

/// SO_KEEPALIVE with its times, and TCP_USER_TIMEOUT, which does the same for bytes that were sent and not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Keepalive {
    /// TCP_KEEPIDLE: silence before the first probe.
    #[serde(serialize_with = "seconds")]
    pub idle: Duration,
    /// TCP_KEEPINTVL: between two probes.
    #[serde(serialize_with = "seconds")]
    pub interval: Duration,
    /// TCP_KEEPCNT: probes without an answer before the connection is dropped.
    pub probes: u32,
}

impl Keepalive {
    /// How long a peer may be gone before its connection is dropped: TCP_USER_TIMEOUT.
    pub fn patience(&self) -> Duration {
        self.idle + self.interval * self.probes
    }
}

/// How messages are read and written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoOptions {
    /// Whether connections between two messages are served by the express lane.
    pub lane: bool,
    /// How replies reach the socket.
    pub write: WriteMode,
    /// Most bytes one read takes; `None`: what the buffer holds, 512 KiB on the lane, 8 KiB or the last message off it.
    pub read_buffer: Option<usize>,
    /// Whether every message is logged.
    pub log_messages: bool,
    /// What answers text messages, if they are not sent back as they are.
    #[serde(serialize_with = "template")]
    pub reply: Option<Template>,
    /// Whether it answers binary messages too.
    pub reply_binary: bool,
    /// CPU time burnt for every message, ns.
    pub inject_cost: u32,
    /// Mean of the CPU time burnt for every message beyond that, exponentially distributed; at most 1 s.
    #[serde(serialize_with = "seconds")]
    pub inject_jitter: Duration,
    /// When workers stand still, if ever.
    pub inject_stall: Option<Stall>,
}

/// When workers stand still on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stall {
    /// How long: more than nothing, less than `every`.
    #[serde(serialize_with = "seconds")]
    pub length: Duration,
    /// From the beginning of one stall to that of the next.
    #[serde(serialize_with = "seconds")]
    pub every: Duration,
}

/// How messages are compressed (RFC 7692).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DeflateOptions {
    /// How hard replies are compressed.
    #[serde(serialize_with = "number")]
    pub level: Level,
    /// How much memory they are compressed with.
    #[serde(serialize_with = "number")]
    pub memory: MemoryLevel,
    /// Bytes of the smallest message whose reply is compressed.
    pub threshold: usize,
    /// Whose messages may refer to earlier ones, if the client agrees.
    #[serde(serialize_with = "context_takeover")]
    pub context_takeover: ContextTakeover,
    /// How far back messages may refer: replies, and a client's if it can be told.
    #[serde(serialize_with = "number")]
    pub window_bits: WindowBits,
    /// Whether a message that came uncompressed is answered as it came or compressed.
    pub uncompressed: UncompressedReply,
}

/// How a message is answered that came uncompressed on a connection that agreed on permessage-deflate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UncompressedReply {
    /// Uncompressed, in place.
    Plain,
    /// Compressed, from the threshold on.
    Compressed,
}

impl DeflateOptions {
    /// What is granted to clients.
    pub(crate) fn policy(&self) -> Policy {
        let direction = |context_takeover| Direction { context_takeover, window: self.window_bits };
        Policy {
            server: direction(self.context_takeover.of_server()),
            client: direction(self.context_takeover.of_client()),
        }
    }

    /// How compressors go about it.
    pub(crate) fn effort(&self) -> Effort {
        Effort { level: self.level, memory: self.memory }
    }

    /// How messages of at most `max_message_size` bytes are answered.
    pub(crate) fn replies(&self, max_message_size: u64) -> Replies {
        let uncompressed = match self.uncompressed {
            UncompressedReply::Plain => Uncompressed::AsIs,
            UncompressedReply::Compressed => Uncompressed::Compressed,
        };
        Replies { threshold: self.threshold, uncompressed, max_message_size }
    }
}

/// How replies reach the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteMode {
    /// One write for all replies to what one read brought.
    Cork,
    /// Each frame copied into one buffer and written at once.
    PerFrame,
    /// Each frame written at once, header and payload as two slices.
    Vectored,
}

/// What a peer may use up.
#[derive(Debug, Clone, Serialize)]
pub struct Limits {
    /// Largest message, bytes over all its fragments.
    pub max_message_size: u64,
    /// Most fragments of one message.
    pub max_fragments: u32,
    /// Most bytes held for messages that are not whole and replies that are not taken, over all connections.
    pub max_buffered: u64,
    /// Most connections over all workers, those in their handshake included.
    pub max_connections: usize,
    /// Most datagrams per second of one source that each worker answers; `None`: all of them.
    pub udp_limit: Option<NonZeroU32>,
    /// From accept, or from the last HTTP request, until the next request's head has come.
    #[serde(serialize_with = "seconds")]
    pub handshake_timeout: Duration,
    /// From a Close frame sent until the peer has closed.
    #[serde(serialize_with = "seconds")]
    pub close_timeout: Duration,
    /// From the shutdown signal until connections are dropped.
    #[serde(serialize_with = "seconds")]
    pub drain_timeout: Duration,
}

/// What the kernel granted of [`SocketOptions`], read back from a listening socket.
///
/// A field is `None` where the option was left alone, or refused for want of a privilege.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// TCP_NODELAY.
    pub tcp_nodelay: bool,
    /// SO_BUSY_POLL, microseconds.
    pub busy_poll: Option<u32>,
    /// SO_RCVBUF, bytes: half of what the kernel reports.
    pub recv_buffer: Option<usize>,
    /// SO_SNDBUF, bytes: half of what the kernel reports.
    pub send_buffer: Option<usize>,
    /// The backlog under net.core.somaxconn.
    pub backlog: u32,
    /// TCP_DEFER_ACCEPT, seconds: the kernel counts in retransmissions, hence other figures than asked for.
    pub defer_accept: Option<u32>,
    /// TCP_FASTOPEN, 0 where net.ipv4.tcp_fastopen forbids it.
    pub fast_open: Option<u32>,
    /// TCP_NOTSENT_LOWAT, bytes.
    pub notsent_lowat: Option<u32>,
    /// SO_KEEPALIVE and its times.
    pub keepalive: Option<Keepalive>,
}

/// The sections of the configuration as `/config` serves it.
pub const SECTIONS: [&str; 11] = [
    "version",
    "listen",
    "tls",
    "page",
    "workers",
    "socket",
    "echo",
    "relay",
    "permessage_deflate",
    "limits",
    "granted",
];

/// The configuration in force: what was asked for and what the kernel made of it.
#[derive(Debug, Serialize)]
pub(crate) struct Effective<'a> {
    /// What was asked for.
    #[serde(flatten)]
    pub(crate) config: &'a Config,
    /// What the kernel granted of `socket`.
    pub(crate) granted: &'a Granted,
}

impl Effective<'_> {
    /// JSON for people and programs, newline included.
    pub(crate) fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("plain data with string keys serialises");
        json.push('\n');
        json
    }
}

fn number<N: Copy + Into<u8>, S: Serializer>(number: &N, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8((*number).into())
}

fn context_takeover<S: Serializer>(value: &ContextTakeover, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.name())
}

fn template<S: Serializer>(template: &Option<Template>, serializer: S) -> Result<S::Ok, S::Error> {
    match template {
        Some(template) => serializer.collect_str(template),
        None => serializer.serialize_none(),
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
