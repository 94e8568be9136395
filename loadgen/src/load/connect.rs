//! Opening connections: TCP, and on it what the protocol asks for before the first message (`websocket`; nothing where there
//! is TCP alone); or a socket for UDP, where nothing is asked for.

mod came;
mod refusal;
#[cfg(test)]
pub(crate) mod tests;
mod websocket;

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyper::StatusCode;

use crate::host::addresses::Addresses;
use crate::host::addresses::race::{NoAddress, deadline_after};
use crate::load::dialogue::Protocol;
use crate::load::transport::Transport;
use crate::plan::Connect;
use crate::plan::url::{Scheme, Url};

/// Why a connection could not be opened. What stands behind the first `": "` is a detail (see [`crate::measure::failures`]).
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TCP.
    #[error(transparent)]
    Tcp(#[from] NoAddress),
    /// The socket, once it was there.
    #[error("the connection cannot be used: {0}")]
    Socket(std::io::Error),
    /// HTTP.
    #[error("the WebSocket handshake failed: {}", chain(.0))]
    Http(hyper::Error),
    /// Nothing came.
    #[error(
        "the server took the connection and sent nothing within {}: \
         it is too busy (--connect-rate, --connect-timeout), or its port is not for HTTP",
        humantime::format_duration(*.0)
    )]
    Silent(Duration),
    /// Not all of an answer came.
    #[error("the server's answer did not come whole within {}: it began with {began}", humantime::format_duration(*.after))]
    Unfinished {
        /// The limit.
        after: Duration,
        /// How it began.
        began: String,
    },
    /// The server ended the connection before it sent anything.
    #[error(
        "the server {how} the connection without an answer to the handshake: its port may be for TLS (wss://), or not for HTTP"
    )]
    Ended {
        /// Closed or reset.
        how: &'static str,
    },
    /// It ended it in the middle.
    #[error("the server ended the connection in the middle of its answer to the handshake: it began with {began}")]
    CutShort {
        /// How it began.
        began: String,
    },
    /// The answer is no HTTP/1.
    #[error("the server did not answer in HTTP/1.1: it sent {what}")]
    Foreign {
        /// What it is instead.
        what: String,
    },
    /// The answer is HTTP/1, but wrong.
    #[error("the server's answer is no valid HTTP: {}; it began with {began}", chain(.source))]
    Malformed {
        /// The cause.
        source: hyper::Error,
        /// How it began.
        began: String,
    },
    /// Its head is too large.
    #[error("the head of the server's answer is too large: over {MOST_HEAD_BYTES} bytes or 100 headers")]
    TooLarge,
    /// An answer other than 101.
    #[error("the server answered {status} to the WebSocket handshake{words}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// What else it says.
        words: String,
    },
    /// A 101 without permessage-deflate.
    #[error("the server declined permessage-deflate; --permessage-deflate=prefer goes on without it")]
    Declined,
    /// A 101 that is no WebSocket handshake.
    #[error("the server's handshake is wrong: {0}")]
    Handshake(String),
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    /// Its socket.
    pub stream: Transport,
    /// Which of the server's addresses it goes to.
    pub address: SocketAddr,
    /// The bytes that came right behind the handshake.
    pub read_ahead: Vec<u8>,
    /// What its opening has settled.
    pub protocol: Protocol,
    /// Whether the server has named itself as Fathom.
    pub is_fathom: bool,
}

/// How long the parts of an opening took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// TCP, until the connection was there; or until there was a socket for UDP.
    pub tcp: Duration,
    /// What the protocol asks for on it, until the first message could be sent.
    pub upgrade: Duration,
}

/// Opens the connection of this `number` within `how.timeout`; says how long its parts took.
///
/// # Errors
/// Says what went wrong, and with which address.
pub async fn open(
    url: &Url,
    addresses: &Addresses,
    number: usize,
    how: &Connect,
) -> Result<(Connection, Took), ConnectError> {
    let (deadline, began) = (deadline_after(how.timeout), Instant::now());
    let without_handshake =
        |stream, address, protocol| Connection { stream, address, read_ahead: Vec::new(), protocol, is_fathom: false };
    if url.scheme() == Scheme::Udp {
        let (socket, address) = addresses.connect_datagrams(number, how.timeout).await?;
        let connection = without_handshake(Transport::Udp(socket), address, Protocol::Datagrams);
        return Ok((connection, Took { tcp: began.elapsed(), upgrade: Duration::ZERO }));
    }
    let (stream, address) = addresses.connect(number, how.timeout).await?;
    let tcp = began.elapsed();
    let connection = match url.scheme() {
        Scheme::Ws => websocket::open(stream, address, url, how, deadline).await?,
        Scheme::Tcp | Scheme::Udp => {
            let stream = Transport::Tcp(stream.into_std().map_err(ConnectError::Socket)?);
            without_handshake(stream, address, Protocol::Bytes)
        }
    };
    Ok((connection, Took { tcp, upgrade: began.elapsed().saturating_sub(tcp) }))
}

/// The error and its causes, since hyper's own names the step only.
fn chain(error: &hyper::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words += &format!(", {cause}");
        next = cause.source();
    }
    words
}

/// The longest head of an answer in bytes: several times what servers and proxies send, and a bound on what one that never
/// ends costs.
const MOST_HEAD_BYTES: usize = 64 << 10;
