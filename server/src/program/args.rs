//! The flags, by concern, and what they mean: the one place where a [`Config`] is made.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clap::Parser;
use wire::deflate::{Level, MemoryLevel, WindowBits, given_without_extension};

use super::addresses::{Listen, resolve};
use super::limit_args::LimitArgs;
use super::logging::LogFormat;
use super::manual::ManualArgs;
use super::numbers::{bytes, count, count_in};
use super::relay_args::RelayArgs;
use super::tls_args::TlsArgs;
use super::values::{
    KeepaliveFlag, MOST_INT, MOST_THREADS, Pin, Switch, context_takeover, jitter, level, memory_level, read_buffer,
    socket_bytes, stall, window_bits,
};
use crate::Error;
use crate::config::{
    Balance, Config, ContextTakeover, DeflateOptions, EchoOptions, Endpoint, Runtime, SocketOptions, Stall, Template,
    UncompressedReply, Workers, WriteMode,
};
use crate::listen::cpus;

/// A WebSocket echo server, and one for TCP and UDP alone.
///
/// Listens, answers /healthz, /config and the WebSocket upgrade on any path, and sends every message back. SIGINT or
/// SIGTERM drains it; a second one ends it at once. RUST_LOG filters its logs (default: info).
#[derive(Debug, Parser)]
#[command(version, args_override_self = true, max_term_width = 110)]
pub(super) struct Args {
    /// Address to listen on, or name: every address of this machine that it stands for. Before it tcp:// echoes the bytes of
    /// TCP connections, udp:// datagrams, wss:// WebSocket messages over TLS, ws:// or nothing WebSocket messages. Repeatable. Port 0 picks a free one for each address. [::]
    /// takes IPv4 as well, unless an IPv4 address with the same port is given too
    #[arg(long, value_name = "[SCHEME://]HOST:PORT", default_value = "127.0.0.1:8181")]
    listen: Vec<Listen>,
    /// Answer GET / with a page that connects, sends messages and shows their round-trip times in a browser
    #[arg(long, value_name = "on|off", value_enum, hide_possible_values = true, default_value_t = Switch::On)]
    page: Switch,
    /// Print the effective configuration as JSON (what /config serves) and exit
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    workers: WorkerArgs,
    #[command(flatten)]
    socket: SocketArgs,
    #[command(flatten)]
    echo: EchoArgs,
    #[command(flatten)]
    relay: RelayArgs,
    #[command(flatten)]
    deflate: DeflateArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    logs: LogArgs,
    #[command(flatten)]
    pub(super) manual: ManualArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Workers")]
struct WorkerArgs {
    /// Worker threads, at most 1024 [default: the cores available]
    #[arg(long, value_name = "N", value_parser = count_in::<NonZeroUsize, 1, MOST_THREADS>)]
    threads: Option<NonZeroUsize>,
    /// One runtime per worker, or one runtime whose threads steal work
    #[arg(long, value_enum, default_value_t = Runtime::Sharded)]
    runtime: Runtime,
    /// Which worker gets a new connection: the one with the fewest (exact), or the one that a hash of the addresses
    /// picks (kernel), which may leave workers idle, and lets other programs of the same user join the port
    /// (SO_REUSEPORT) [default: exact]
    #[arg(long, value_name = "exact|kernel", value_enum, hide_possible_values = true)]
    balance: Option<Balance>,
    /// Pin worker i to the i-th core: of those allowed (on), or of a list such as 0,2-3
    #[arg(long, value_name = "off|on|CORES", default_value = "off")]
    pin: Pin,
    /// Task polls between two looks at the sockets while tasks are ready
    #[arg(long, value_name = "N", default_value = "61", value_parser = count::<NonZeroU32>)]
    event_interval: NonZeroU32,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sockets (unset: the kernel's default)")]
struct SocketArgs {
    /// TCP_NODELAY: send small replies without waiting for acknowledgements
    #[arg(long, value_name = "on|off", value_enum, hide_possible_values = true, default_value_t = Switch::On)]
    tcp_nodelay: Switch,
    /// TCP_QUICKACK: acknowledge at once; set again before every wait, which costs a system call
    #[arg(long, value_name = "on|off", value_enum, hide_possible_values = true, default_value_t = Switch::Off)]
    tcp_quickack: Switch,
    /// SO_BUSY_POLL in microseconds
    #[arg(long, value_name = "USEC", value_parser = count_in::<u32, 0, MOST_INT>)]
    busy_poll: Option<u32>,
    /// SO_RCVBUF, such as 256KiB; the kernel cuts it at net.core.rmem_max
    #[arg(long, value_name = "BYTES", value_parser = socket_bytes)]
    recv_buffer: Option<u64>,
    /// SO_SNDBUF, such as 256KiB; the kernel cuts it at net.core.wmem_max
    #[arg(long, value_name = "BYTES", value_parser = socket_bytes)]
    send_buffer: Option<u64>,
    /// Connections the kernel keeps ready for accept; it cuts them at net.core.somaxconn
    #[arg(long, value_name = "N", default_value = "4096", value_parser = count_in::<u32, 1, MOST_INT>)]
    backlog: u32,
    /// TCP_DEFER_ACCEPT in seconds: accept a connection only once its first bytes are there
    #[arg(long, value_name = "SECONDS", value_parser = count_in::<u32, 0, MOST_INT>)]
    defer_accept: Option<u32>,
    /// TCP_FASTOPEN: length of the queue of connections that sent data in their SYN
    #[arg(long, value_name = "N", value_parser = count_in::<u32, 0, MOST_INT>)]
    fast_open: Option<u32>,
    /// TCP_NOTSENT_LOWAT: writable only while fewer bytes than this wait unsent
    #[arg(long, value_name = "BYTES", value_parser = socket_bytes)]
    notsent_lowat: Option<u64>,
    /// SO_KEEPALIVE: a silent peer is probed after IDLE, then every INTERVAL, and dropped after so many PROBES without
    /// an answer; a peer that takes nothing of what was sent is dropped after the same time (TCP_USER_TIMEOUT). Times
    /// are whole seconds
    #[arg(long, value_name = "off|IDLE,INTERVAL,PROBES", default_value = "60s,10s,6")]
    keepalive: KeepaliveFlag,
    /// UDP_GRO and UDP_SEGMENT: datagrams of one source that wait together are received and sent back as one, which the kernel
    /// takes apart again; off: each by itself
    #[arg(long, value_name = "on|off", value_enum, hide_possible_values = true, default_value_t = Switch::On)]
    udp_offload: Switch,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Echo")]
struct EchoArgs {
    /// Express lane: one epoll set per worker for connections between two messages. It corks, keeps a connection on its
    /// worker and logs no messages [default: on, where --write, --runtime and --log-messages allow it]
    #[arg(long, value_name = "on|off", value_enum, hide_possible_values = true)]
    lane: Option<Switch>,
    /// One write per read (cork), one per frame, or one per frame without copying the payload (vectored)
    #[arg(long, value_name = "MODE", value_enum, default_value_t = WriteMode::Cork)]
    write: WriteMode,
    /// Most bytes that one read takes, 128 B to 16 MiB [default: 512 KiB on the lane, which takes no more; off it 8
    /// KiB, more after larger messages]
    #[arg(long, value_name = "BYTES", value_parser = read_buffer)]
    read_buffer: Option<u64>,
    /// Answer text messages by this text instead of sending them back as they are: {} is the message, {{ and }} are braces. A
    /// reply larger than --max-message-size closes the connection with 1009 [default: the message as it is]
    #[arg(long, value_name = "TEMPLATE")]
    reply: Option<Template>,
    /// Answer binary messages by --reply too
    #[arg(long, requires = "reply")]
    reply_binary: bool,
    /// CPU time to burn for every message, in nanoseconds, at most 1000000: a slow-down of known size, to try
    /// comparisons on
    #[arg(long, value_name = "NS", default_value = "0", value_parser = count_in::<u32, 0, 1_000_000>)]
    inject_cost: u32,
    /// Mean of a random CPU time (exponentially distributed, the same at every start) to burn for every message beyond
    /// --inject-cost, at most 1s: service times of known spread
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = jitter)]
    inject_jitter: Duration,
    /// All workers stand still for LENGTH in every INTERVAL, as 20ms/1s: pauses of known size
    #[arg(long, value_name = "LENGTH/INTERVAL", default_value = "none", value_parser = stall)]
    // Spelled out so that clap takes the value for what it is: `none` has been given.
    inject_stall: std::option::Option<Stall>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Compression (--deflate-* only with --permessage-deflate on)")]
struct DeflateArgs {
    /// Compress messages for clients that offer permessage-deflate (RFC 7692); off ignores the offer
    #[arg(long, value_name = "on|off", value_enum, hide_possible_values = true, default_value_t = Switch::Off)]
    permessage_deflate: Switch,
    /// How hard replies are compressed, 1 (fastest) to 9 (smallest) [default: 3]
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    deflate_level: Option<Level>,
    /// Smallest message whose reply is compressed; what smaller ones save is not worth the time [default: 64 B]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    deflate_threshold: Option<u64>,
    /// Whose messages may refer to earlier ones, if the client agrees: smaller, for at most 170 KiB (server; 200 KiB
    /// with --deflate-memory 9) and 50 KiB (client) of every connection that has used it [default: off]
    #[arg(long, value_name = "off|server|client|both", value_parser = context_takeover(), hide_possible_values = true)]
    deflate_context_takeover: Option<ContextTakeover>,
    /// Window, as a power of two in bytes: how far back messages may refer, 9 to 15 [default: 15]
    #[arg(long, value_name = "BITS", value_parser = window_bits)]
    deflate_window_bits: Option<WindowBits>,
    /// Memory level, 1 to 9: 2^(level + 5) positions of 4 bytes are remembered (8: 32 KiB) [default: 8]
    #[arg(long, value_name = "LEVEL", value_parser = memory_level)]
    deflate_memory: Option<MemoryLevel>,
    /// How a message is answered that came uncompressed: plain, or compressed from the threshold on [default: plain]
    #[arg(long, value_name = "plain|compressed", value_enum, hide_possible_values = true)]
    deflate_uncompressed: Option<UncompressedReply>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logs")]
struct LogArgs {
    /// Format of the log lines on stderr
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Log connections, and every message (peer, opcode, size, and of text the first 256 bytes), at level info; slow
    #[arg(long)]
    log_messages: bool,
}

impl Args {
    /// How logs are to look.
    pub(super) fn log_format(&self) -> LogFormat {
        self.logs.log_format
    }

    /// Whether the configuration is to be printed instead of served.
    pub(super) fn print_config(&self) -> bool {
        self.print_config
    }

    /// The configuration that these flags mean on this machine.
    pub(super) fn lower(self) -> Result<Config, Error> {
        let Self { listen, page, tls, workers, socket, echo, relay, deflate, limits, logs, print_config: _, manual: _ } =
            self;
        let against_lane = [
            ("--runtime work-stealing", workers.runtime == Runtime::WorkStealing),
            ("--write per-frame or vectored", echo.write != WriteMode::Cork),
            ("--log-messages", logs.log_messages),
        ];
        let against_relay = [("--lane off", echo.lane == Some(Switch::Off)), ("--reply", echo.reply.is_some())];
        let relay = relay.lower(&[&against_lane[..], &against_relay].concat())?;
        let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let listen = resolve(&listen)?;
        for_websocket(
            &listen,
            &[
                ("--reply", echo.reply.is_some()),
                ("--relay", relay.is_some()),
                ("--permessage-deflate on", deflate.permessage_deflate == Switch::On),
            ],
        )?;
        let limits = limits.lower(&listen)?;
        let length = echo.reply.as_ref().map_or(0, |reply| reply.reply_len(0));
        if u64::try_from(length).unwrap_or(u64::MAX) > limits.max_message_size {
            return Err(Error::NoReply { length, most: limits.max_message_size });
        }
        Ok(Config {
            version: env!("CARGO_PKG_VERSION"),
            tls: tls.lower(&listen)?,
            listen,
            page: page.into(),
            workers: Workers {
                runtime: workers.runtime,
                threads: match workers.threads {
                    Some(threads) => threads,
                    None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
                },
                balance: balance(workers.balance, workers.runtime)?,
                pin: cores(workers.pin)?,
                event_interval: workers.event_interval,
            },
            socket: SocketOptions {
                tcp_nodelay: socket.tcp_nodelay.into(),
                tcp_quickack: socket.tcp_quickack.into(),
                busy_poll: socket.busy_poll,
                recv_buffer: socket.recv_buffer.map(bytes),
                send_buffer: socket.send_buffer.map(bytes),
                backlog: socket.backlog,
                defer_accept: socket.defer_accept,
                fast_open: socket.fast_open,
                notsent_lowat: socket.notsent_lowat.map(|size| u32::try_from(size).unwrap_or(u32::MAX)),
                keepalive: socket.keepalive.0,
                udp_offload: socket.udp_offload.into(),
            },
            echo: EchoOptions {
                lane: lane(echo.lane, &against_lane)?,
                write: echo.write,
                read_buffer: echo.read_buffer.map(bytes),
                log_messages: logs.log_messages,
                reply: echo.reply,
                reply_binary: echo.reply_binary,
                inject_cost: echo.inject_cost,
                inject_jitter: echo.inject_jitter,
                inject_stall: echo.inject_stall,
            },
            relay,
            permessage_deflate: deflate.lower()?,
            limits,
        })
    }
}

impl DeflateArgs {
    fn lower(self) -> Result<Option<DeflateOptions>, Error> {
        let given = [
            ("--deflate-level", self.deflate_level.is_some()),
            ("--deflate-threshold", self.deflate_threshold.is_some()),
            ("--deflate-context-takeover", self.deflate_context_takeover.is_some()),
            ("--deflate-window-bits", self.deflate_window_bits.is_some()),
            ("--deflate-memory", self.deflate_memory.is_some()),
            ("--deflate-uncompressed", self.deflate_uncompressed.is_some()),
        ];
        let enabled = self.permessage_deflate == Switch::On;
        if let Some(flag) = given_without_extension(enabled, &given) {
            return Err(Error::NoDeflate { flag });
        }
        if !enabled {
            return Ok(None);
        }
        let threshold = self.deflate_threshold.unwrap_or(DEFLATE_THRESHOLD);
        Ok(Some(DeflateOptions {
            level: self.deflate_level.unwrap_or_default(),
            memory: self.deflate_memory.unwrap_or_default(),
            threshold: usize::try_from(threshold).unwrap_or(usize::MAX),
            context_takeover: self.deflate_context_takeover.unwrap_or(ContextTakeover::Off),
            window_bits: self.deflate_window_bits.unwrap_or_default(),
            uncompressed: self.deflate_uncompressed.unwrap_or(UncompressedReply::Plain),
        }))
    }
}

/// Refuses flags that are for WebSocket, and whether they were given, where nothing else is listened for.
fn for_websocket(listen: &[Endpoint], flags: &[(&'static str, bool)]) -> Result<(), Error> {
    let websocket = listen.iter().any(|endpoint| endpoint.scheme.is_websocket());
    match flags.iter().find(|(_, given)| *given) {
        Some(&(flag, _)) if !websocket => Err(Error::NoWebSocket { flag }),
        _ => Ok(()),
    }
}

/// Who gets a new connection.
fn balance(asked: Option<Balance>, runtime: Runtime) -> Result<Balance, Error> {
    match (asked, runtime) {
        (Some(Balance::Kernel), Runtime::WorkStealing) => Err(Error::NoBalance),
        (asked, _) => Ok(asked.unwrap_or(Balance::Exact)),
    }
}

/// Whether there is a lane; `against` are the choices that rule it out, and whether they were made.
fn lane(asked: Option<Switch>, against: &[(&'static str, bool)]) -> Result<bool, Error> {
    let obstacle = against.iter().find_map(|&(choice, made)| made.then_some(choice));
    match (asked, obstacle) {
        (Some(Switch::On), Some(obstacle)) => Err(Error::NoLane { obstacle }),
        (asked, obstacle) => Ok(asked != Some(Switch::Off) && obstacle.is_none()),
    }
}

/// The cores that `--pin` means on this machine.
fn cores(pin: Pin) -> Result<Vec<usize>, Error> {
    let allowed = || cpus::allowed().map_err(Error::AllowedCores);
    match pin {
        // Then nobody needs to know them, which a sandbox may refuse to tell.
        Pin::Off => Ok(Vec::new()),
        Pin::Allowed => allowed(),
        Pin::Cores(cores) => {
            let allowed = allowed()?;
            match cores.iter().find(|core| !allowed.contains(core)) {
                Some(&core) => Err(Error::CoreNotAllowed { core, allowed }),
                None => Ok(cores),
            }
        }
    }
}

/// Bytes: below, a compressed message of JSON is hardly smaller than the message.
const DEFLATE_THRESHOLD: u64 = 64;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Args::command().debug_assert();
    }
}
