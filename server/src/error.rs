//! What can stop the server from starting or running. A peer can cause none of these.

use std::io;
use std::path::PathBuf;

use crate::config::Endpoint;

/// A failure of the server itself, named by the flag that asked for it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be bound or listened on.
    #[error("--listen {address}: {source}")]
    Listen {
        /// The address as given.
        address: Endpoint,
        /// The system's reason.
        source: io::Error,
    },
    /// A name to listen on cannot be looked up.
    #[error("--listen {host}:{port}: {source}")]
    Name {
        /// The name as given.
        host: String,
        /// The port as given.
        port: u16,
        /// The system's reason.
        source: io::Error,
    },
    /// The kernel refused a socket option outright (a smaller grant is a warning, not an error).
    #[error("--{flag}: {source}")]
    SocketOption {
        /// The flag that set the option, without dashes.
        flag: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The cores this process may use cannot be read.
    #[error("--pin: reading the allowed cores: {0}")]
    AllowedCores(#[source] io::Error),
    /// `--pin` names a core that this process may not use.
    #[error("--pin {core}: this process may not run on that core (it may use {allowed:?})")]
    CoreNotAllowed {
        /// The core asked for.
        core: usize,
        /// The cores of the process's affinity mask.
        allowed: Vec<usize>,
    },
    /// `--lane on` was asked for together with what the lane cannot do.
    #[error("--lane on does not go with {obstacle}")]
    NoLane {
        /// The flag that rules it out.
        obstacle: &'static str,
    },
    /// `--relay` was asked for together with what it cannot do.
    #[error("--relay does not go with {obstacle}")]
    NoRelay {
        /// The flag that rules it out.
        obstacle: &'static str,
    },
    /// The text of `--reply` alone is larger than a message may be, so that every reply would be refused.
    #[error(
        "--reply has {length} bytes without the message, and --max-message-size allows {most}: it could answer nothing"
    )]
    NoReply {
        /// Bytes of the reply to an empty message.
        length: usize,
        /// Bytes of the largest message.
        most: u64,
    },
    /// A flag of permessage-deflate was given without permessage-deflate.
    #[error("{flag} needs --permessage-deflate on")]
    NoDeflate {
        /// The flag.
        flag: &'static str,
    },
    /// A flag that is for WebSocket messages was given where none can come.
    #[error("{flag} is for WebSocket, and no --listen is for ws:// or wss://")]
    NoWebSocket {
        /// The flag.
        flag: &'static str,
    },
    /// An address to listen on needs a certificate, and none was given.
    #[error("--listen {address} needs --tls-cert and --tls-key, or --tls-self-signed")]
    NoCertificate {
        /// The address as given.
        address: Endpoint,
    },
    /// A flag that is for TLS was given where none is spoken.
    #[error("{flag} is for TLS, and no --listen is for wss://")]
    NoTls {
        /// The flag.
        flag: &'static str,
    },
    /// A file that TLS needs cannot be used.
    #[error("{flag} {}: {reason}", path.display())]
    TlsFile {
        /// The flag.
        flag: &'static str,
        /// The file as given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that TLS needs cannot be read.
    #[error("{flag} {}: {source}", path.display())]
    TlsUnread {
        /// The flag.
        flag: &'static str,
        /// The file as given.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There is no certificate, or no keys for tickets, although nothing that was given is wrong.
    #[error("TLS: {0}")]
    Tls(String),
    /// `--udp-limit` was given where no datagram can come.
    #[error("--udp-limit is for UDP, and no --listen is for udp://")]
    NoDatagrams,
    /// A worker's thread or runtime could not be started, or its thread not pinned.
    #[error("worker {worker}: {source}")]
    Worker {
        /// The worker's index, from 0.
        worker: usize,
        /// The system's reason.
        source: io::Error,
    },
    /// A worker ended although nobody asked it to.
    #[error("worker {worker} panicked")]
    WorkerPanicked {
        /// The worker's index, from 0.
        worker: usize,
    },
    /// The thread that accepts connections for all workers could not be started.
    #[error("the accepting thread: {0}")]
    Acceptor(#[source] io::Error),
    /// The thread that accepts connections for all workers ended although nobody asked it to.
    #[error("the accepting thread panicked")]
    AcceptorPanicked,
    /// `--balance kernel` was asked for where all threads share one listening socket.
    #[error("--balance kernel does not go with --runtime work-stealing, whose threads share one listening socket")]
    NoBalance,
    /// Signal handlers could not be installed.
    #[error("installing signal handlers: {0}")]
    Signals(#[source] io::Error),
    /// What was asked for cannot be printed.
    #[error("writing to stdout: {0}")]
    Stdout(#[source] io::Error),
}
