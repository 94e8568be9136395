//! The plan: everything that decides what a run sends and when, as plain data. It is valid by construction, it
//! serializes into the report, and two runs of one plan and one seed send the same messages at the same times.
//! Where the server is found is not part of it (see [`crate::host::target`]).

mod deflate;
mod expect;
pub mod fanout;
pub mod messages;
pub mod proxy;
pub(crate) mod schedule;
pub mod tls;
pub mod unfit;
pub mod url;

use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::proxy::Proxy;
use self::tls::Tls;
use crate::serde_time::Seconds;
use crate::units;
use server::numbers;

pub use deflate::{ContextTakeover, Deflate, Demand, Verify};
pub use expect::Expect;

/// What a run does: how many connections, which load, which messages, for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Connections to open, over all workers.
    pub connections: NonZeroU32,
    /// Closed or open loop.
    pub load: Load,
    /// When the measured phase ends.
    pub stop: Stop,
    /// How long the load runs before it is measured; in seconds, as all times of a plan that is saved.
    #[serde(with = "Seconds")]
    pub warmup: Duration,
    /// How long replies are waited for once the last message has been sent, in seconds; what is not here by then is lost.
    #[serde(with = "Seconds")]
    pub drain_timeout: Duration,
    /// How long the reply to a datagram is waited for (`udp://`), in seconds; it is lost then.
    #[serde(with = "Seconds", default = "default_udp_timeout")]
    pub udp_timeout: Duration,
    /// Whether datagrams of one connection pass through the kernel together (`udp://`), where it can do that.
    #[serde(default = "default_udp_offload")]
    pub udp_offload: bool,
    /// What is sent.
    pub message: Message,
    /// How much of the replies is verified.
    pub verify: Verify,
    /// Messages of the server that are passed over at the beginning of each connection, such as a greeting.
    #[serde(default)]
    pub skip_messages: u32,
    /// What answers a message.
    #[serde(default)]
    pub expect: Expect,
    /// How connections are opened.
    pub connect: Connect,
    /// How a worker waits for the next due message, or for replies.
    pub pacing: Pacing,
    /// Whether latency ends where the kernel received a reply, or where it was read.
    #[serde(default = "Timestamps::of_old_files")]
    pub timestamps: Timestamps,
    /// Whether workers run in the real-time scheduling class SCHED_FIFO.
    #[serde(default)]
    pub realtime: bool,
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// Seed of every random choice: payloads, masks, Poisson gaps.
    pub seed: u64,
}

/// What keeps messages coming.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum Load {
    /// Each connection keeps this many messages in flight; a reply makes room for the next message.
    Closed {
        /// Messages in flight per connection.
        in_flight: NonZeroU32,
    },
    /// A schedule fixed before the run says when each message is due, whatever the replies do.
    Open {
        /// Messages per second over all connections.
        rate: Rate,
        /// How the due times are spaced.
        arrival: Arrival,
    },
}

impl Load {
    /// Messages that a connection holds without allocating.
    pub fn capacity(&self) -> usize {
        match self {
            Self::Closed { in_flight } => in_flight.get() as usize,
            Self::Open { .. } => OPEN_LOOP_CAPACITY,
        }
    }
}

/// How the due times of an open loop are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// Equal gaps, connections in turn.
    Uniform,
    /// Exponential gaps and a connection drawn at random: a Poisson process on each connection.
    Poisson,
}

/// When the measured phase ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// After this long, in seconds.
    After(#[serde(with = "Seconds")] Duration),
    /// After this many messages over all connections.
    Messages(NonZeroU64),
}

/// How a worker waits for the next due message, or for replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Pacing {
    /// Open loop: sleeps until shortly before a message is due and spins the rest, with a margin that it learns from its
    /// own wake-ups; sleeps as `sleep` does in a closed loop, and where a worker may have to share its core.
    Auto,
    /// Sleeps in the kernel, with a timeout in nanoseconds.
    Sleep,
    /// Never sleeps, for a whole core: less send lag, and no reply costs the server the worker's wake-up.
    Spin,
}

/// Whether the kernel is asked when a reply reached the generator's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Timestamps {
    /// The kernel is asked; where it does not say, that is an error.
    On,
    /// It is not asked: latency ends with the reading.
    Off,
    /// It is asked; where it does not say, the time of reading stands in.
    Auto,
}

impl Timestamps {
    /// What the plans did that were saved without it.
    fn of_old_files() -> Self {
        Self::Off
    }
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Text or binary frames.
    pub kind: Kind,
    /// What the payload holds.
    pub payload: Payload,
    /// The smallest and the largest payload, in bytes, uniform between the two; ignored where it is a file.
    pub size: Sizes,
}

/// The frame type of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Text frames; the payload is UTF-8.
    Text,
    /// Binary frames.
    Binary,
}

/// What a payload holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// Random bytes, or random ASCII in text frames: incompressible.
    Random,
    /// Records of JSON, as an exchange would send them.
    Json,
    /// The whole of this file, as one message.
    File(PathBuf),
}

/// A range of payload sizes in bytes, both ends included, `min <= max`, at most 64 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "(u32, u32)", into = "(u32, u32)")]
pub struct Sizes {
    min: u32,
    max: u32,
}

/// A positive, finite number of messages per second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schemars(extend("exclusiveMinimum" = 0))]
pub struct Rate(f64);

/// How connections are opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connect {
    /// Connections opened per second over all workers; null for as fast as they go.
    pub rate: Option<Rate>,
    /// The longest a connection may take, TCP, TLS and WebSocket handshake together, in seconds.
    #[serde(with = "Seconds")]
    pub timeout: Duration,
    /// Additional request headers, in order; a report has their names only.
    pub headers: Vec<(String, String)>,
    /// Subprotocols offered, in order of preference (RFC 6455, 1.9).
    pub subprotocols: Vec<String>,
    /// How permessage-deflate is offered; null where it is not.
    pub permessage_deflate: Option<Deflate>,
    /// TCP_NODELAY on the generator's sockets.
    pub tcp_nodelay: bool,
    /// Local addresses to connect from, in turn; the kernel's choice where there are none.
    pub source_ips: Vec<IpAddr>,
    /// How TLS is spoken where the server's URL asks for it; absent where nothing was said of it.
    #[serde(default, skip_serializing_if = "Tls::is_default")]
    pub tls: Tls,
    /// The HTTP proxy that connections go through, without its password; absent where they go to the server themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
}

impl Plan {
    /// Messages per second that the plan asks for, over all connections; `None` in a closed loop.
    pub fn offered_rate(&self) -> Option<f64> {
        match self.load {
            Load::Open { rate, .. } => Some(rate.get()),
            Load::Closed { .. } => None,
        }
    }

    /// Datagrams that one connection sends together at the most. Those of an open loop are sent when each is due.
    pub fn sent_together(&self) -> usize {
        match self.load {
            Load::Closed { in_flight } if self.udp_offload => in_flight.get() as usize,
            Load::Closed { .. } | Load::Open { .. } => 1,
        }
    }

    /// Worker threads that have a connection at least.
    pub fn workers(&self) -> usize {
        self.threads.get().min(self.connections.get() as usize)
    }
}

impl Sizes {
    /// Payloads of this many bytes, at most [`MAX_MESSAGE_BYTES`].
    pub const fn exactly(bytes: u32) -> Self {
        assert!(bytes <= MAX_MESSAGE_BYTES);
        Self { min: bytes, max: bytes }
    }

    /// Payloads of so many bytes; too many are as many as there can be.
    pub fn saturating(bytes: usize) -> Self {
        Self::exactly(u32::try_from(bytes).unwrap_or(MAX_MESSAGE_BYTES).min(MAX_MESSAGE_BYTES))
    }

    /// The smallest payload in bytes.
    pub fn min(self) -> usize {
        self.min as usize
    }

    /// The largest payload in bytes.
    pub fn max(self) -> usize {
        self.max as usize
    }
}

impl TryFrom<(u32, u32)> for Sizes {
    type Error = String;

    fn try_from((min, max): (u32, u32)) -> Result<Self, String> {
        if min > max {
            return Err(format!("the range {min}..{max} ends before it begins"));
        }
        if max > MAX_MESSAGE_BYTES {
            return Err(format!("{max} bytes is more than the {MAX_MESSAGE_BYTES} a message may have"));
        }
        Ok(Self { min, max })
    }
}

impl From<Sizes> for (u32, u32) {
    fn from(sizes: Sizes) -> Self {
        (sizes.min, sizes.max)
    }
}

impl FromStr for Sizes {
    type Err = String;

    /// Reads `64`, `4KiB` or `64..4096`.
    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = |part: &str| -> Result<u32, String> {
            let size = numbers::bytes(part).map_err(|expected| format!("'{part}' is not a size; {expected}"))?;
            u32::try_from(size)
                .map_err(|_| format!("'{part}' is more than the {MAX_MESSAGE_BYTES} bytes a message may have"))
        };
        let (min, max) = match text.split_once("..") {
            Some((min, max)) => (bytes(min)?, bytes(max.strip_prefix('=').unwrap_or(max))?),
            None => (bytes(text)?, bytes(text)?),
        };
        Self::try_from((min, max))
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&units::sizes(self.min.into(), self.max.into()))
    }
}

impl Rate {
    /// Events per second.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Rate {
    type Error = String;

    fn try_from(rate: f64) -> Result<Self, String> {
        if (MIN_RATE..=MAX_RATE).contains(&rate) {
            Ok(Self(rate))
        } else {
            Err(format!("expected a rate per second above 0, from {MIN_RATE} up to {MAX_RATE}, not {rate}"))
        }
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> f64 {
        rate.0
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        numbers::number(text.strip_suffix("/s").unwrap_or(text))
            .ok_or_else(|| format!("'{text}' is not a number of events per second; expected one as 5000, 0.5 or 10k"))
            .and_then(Self::try_from)
    }
}

/// How long the reply to a datagram is waited for unless told otherwise: far more than a round trip on any network, and short
/// enough that a closed loop goes on soon.
pub const fn default_udp_timeout() -> Duration {
    Duration::from_secs(1)
}

/// Whether datagrams pass through the kernel together unless told otherwise. So are plans read that were saved before there was
/// the choice: for all but UDP it is none.
pub const fn default_udp_offload() -> bool {
    true
}

/// The largest payload, 64 MiB: a worker holds several messages of it, prebuilt.
pub const MAX_MESSAGE_BYTES: u32 = 64 << 20;

/// Messages that an open loop's connection holds without allocating.
const OPEN_LOOP_CAPACITY: usize = 16;

/// Bytes that each of them takes: when it was due, when it was sent, and what became of it.
pub const IN_FLIGHT_BYTES: u64 = 24;

/// The highest rate per second; due times are whole nanoseconds, and beyond this the gaps would vanish in rounding.
const MAX_RATE: f64 = 1e8;

/// The lowest rate per second, one in eleven days: of a lower one no message would be due in the longest run but the first.
const MIN_RATE: f64 = 1e-6;

#[cfg(test)]
pub(crate) mod tests;
