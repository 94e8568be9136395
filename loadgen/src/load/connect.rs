//! Opening connections: TCP, through a proxy or not (`proxy`); TLS on it, if that is spoken (`secure`); and what the protocol asks
//! for before the first message (`websocket`; nothing where there is TCP alone); or a socket for UDP, where nothing is asked for.

mod came;
mod refusal;
mod secure;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod websocket;

use std::net::SocketAddr;
use std::time::Duration;

use hyper::StatusCode;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::host::addresses::Addresses;
use crate::host::addresses::race::{NoAddress, deadline_after};
use crate::host::exchange::chain;
use crate::host::proxy::{self, ProxyError};
use crate::host::tls::{Client, Settled};
use crate::load::dialogue::Protocol;
use crate::load::transport::{Transport, Udp};
use crate::measure::clock::nanoseconds;
use crate::measure::tls::Secured;
use crate::plan::Connect;
use crate::plan::proxy::Proxy;
use crate::plan::url::{Scheme, Url};
pub use stream::Stream;

/// Why a connection could not be opened. What stands behind the first `": "` is a detail (see [`crate::measure::failures`]).
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TCP.
    #[error(transparent)]
    Tcp(#[from] NoAddress),
    /// The socket, once it was there.
    #[error("the connection cannot be used: {0}")]
    Socket(std::io::Error),
    /// The proxy does not connect with the server.
    #[error(transparent)]
    Proxy(Box<ProxyError>),
    /// Something that the proxy may have done as well as the server, once it had said that they are connected.
    #[error("{source}; all of it went through the proxy {proxy}, which may be the cause")]
    Between {
        /// The proxy.
        proxy: Proxy,
        /// What became of the connection.
        source: Box<ConnectError>,
    },
    /// TLS, in its handshake or later.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The server ended TCP without an answer behind the handshake of TLS, and TLS not before.
    #[error("TLS failed: {0}")]
    TlsCut(String),
    /// It ended the connection without an answer, having been shown the certificate of `--client-cert`: over TLS 1.3 it may refuse that
    /// once the handshake is over for the client.
    #[error("{0}; it may not take the certificate of --client-cert")]
    Untaken(Box<ConnectError>),
    /// The server ended the connection in the handshake of TLS, without a word.
    #[error("the server {how} the connection in the TLS handshake: {hint}")]
    TlsEnded {
        /// Closed or reset.
        how: &'static str,
        /// Why it may have.
        hint: &'static str,
    },
    /// The handshake of TLS did not come to its end.
    #[error(
        "the server did not make the TLS handshake within {}: \
         it is too busy (--connect-rate, --connect-timeout), or its port is not for TLS",
        humantime::format_duration(*.0)
    )]
    TlsSilent(Duration),
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
    #[error("the server {how} the connection without an answer to the handshake: its port may {hint}")]
    Ended {
        /// Closed or reset.
        how: &'static str,
        /// What its port may be for.
        hint: &'static str,
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
    /// What the handshake of TLS has settled, where it was made.
    pub tls: Option<Settled>,
}

impl Connection {
    /// Enters what the handshake of TLS has settled and how long it took, where it was made.
    pub fn enter_tls(&self, took: Took, into: &mut Secured) {
        if let (Some(Settled { version, cipher_suite, resumed }), Some(took)) = (self.tls, took.tls) {
            into.add(version, cipher_suite, resumed);
            into.took.saturating_record(nanoseconds(took));
        }
    }
}

/// How long the parts of an opening took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// TCP, until the connection was there; through a proxy, until that has made it; or until there was a socket for UDP.
    pub tcp: Duration,
    /// The handshake of TLS on it; `None` where that is not spoken.
    pub tls: Option<Duration>,
    /// The WebSocket handshake on it; nothing where that is not spoken.
    pub upgrade: Duration,
}

impl Took {
    /// All of it.
    pub fn all(&self) -> Duration {
        self.tcp + self.tls.unwrap_or_default() + self.upgrade
    }
}

impl ConnectError {
    /// Whether a proxy between the two may have done it.
    fn may_be_a_proxys(&self) -> bool {
        match self {
            Self::TlsEnded { .. }
            | Self::TlsSilent(_)
            | Self::Silent(_)
            | Self::Unfinished { .. }
            | Self::Ended { .. }
            | Self::CutShort { .. } => true,
            Self::Untaken(error) => error.may_be_a_proxys(),
            Self::Http(error) => error.is_incomplete_message() || error.is_closed() || error.is_canceled(),
            _ => false,
        }
    }
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
    let opened = open_one(url, addresses, number, how).await;
    opened.map_err(|error| match &how.proxy {
        Some(proxy) if error.may_be_a_proxys() => {
            ConnectError::Between { proxy: proxy.clone(), source: Box::new(error) }
        }
        _ => error,
    })
}

async fn open_one(
    url: &Url,
    addresses: &Addresses,
    number: usize,
    how: &Connect,
) -> Result<(Connection, Took), ConnectError> {
    let (deadline, began) = (deadline_after(how.timeout), Instant::now());
    let without_handshake = |stream, address, read_ahead, protocol| Connection {
        stream,
        address,
        read_ahead,
        protocol,
        is_fathom: false,
        tls: None,
    };
    if url.scheme() == Scheme::Udp {
        let (socket, address) = addresses.connect_datagrams(number, how.timeout).await?;
        let stream = Transport::Udp(Udp::new(socket));
        let connection = without_handshake(stream, address, Vec::new(), Protocol::Datagrams);
        return Ok((connection, Took { tcp: began.elapsed(), tls: None, upgrade: Duration::ZERO }));
    }
    let (stream, address) = reach(url, addresses, number, how, deadline).await?;
    let tcp = began.elapsed();
    let (stream, tls, settled) = match addresses.tls() {
        None => (Stream::Plain(stream), None, None),
        Some(client) => {
            let stream = secure::secure(stream, client, how, deadline).await?;
            let Stream::Tls(ready) = &stream else { unreachable!("it was made so") };
            let settled = ready.settled();
            (stream, Some(began.elapsed().saturating_sub(tcp)), Some(settled))
        }
    };
    let mut connection = match url.scheme() {
        Scheme::Ws | Scheme::Wss => {
            let opened = websocket::open(stream, address, url, how, deadline).await;
            opened.map_err(|error| match error {
                ConnectError::TlsCut(_) | ConnectError::Ended { .. }
                    if addresses.tls().is_some_and(Client::has_shown_its_certificate) =>
                {
                    ConnectError::Untaken(Box::new(error))
                }
                error => error,
            })?
        }
        Scheme::Tcp | Scheme::Udp => {
            let (stream, read_ahead) = stream.into_transport().map_err(ConnectError::Socket)?;
            without_handshake(stream, address, read_ahead, Protocol::Bytes)
        }
    };
    connection.tls = settled;
    let upgrade = match url.scheme() {
        Scheme::Ws | Scheme::Wss => began.elapsed().saturating_sub(tcp + tls.unwrap_or_default()),
        Scheme::Tcp | Scheme::Udp => Duration::ZERO,
    };
    Ok((connection, Took { tcp, tls, upgrade }))
}

/// A TCP connection to the server, through the proxy if there is one, and where it goes to.
async fn reach(
    url: &Url,
    addresses: &Addresses,
    number: usize,
    how: &Connect,
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let connected = addresses.connect(number, how.timeout).await;
    let Some(proxy) = &how.proxy else { return Ok(connected?) };
    let through = async {
        let (stream, address) = connected.map_err(|source| ProxyError::Unreached { proxy: proxy.clone(), source })?;
        let silent = |_| ProxyError::Silent { proxy: proxy.clone(), after: how.timeout };
        let stream = timeout_at(deadline, proxy::through(stream, proxy, url)).await.map_err(silent)??;
        Ok((stream, address))
    };
    through.await.map_err(|error| ConnectError::Proxy(Box::new(error)))
}

/// The longest head of an answer in bytes: several times what servers and proxies send, and a bound on what one that never
/// ends costs.
const MOST_HEAD_BYTES: usize = 64 << 10;
