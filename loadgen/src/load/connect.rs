//! Opening connections: TCP by tokio, the WebSocket handshake by hyper, checked as RFC 6455, 4.1 asks of a client.

mod came;
mod refusal;
#[cfg(test)]
pub(crate) mod tests;

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::time::{Instant, timeout_at};
use wire::deflate::Agreed;

use crate::host::addresses::Addresses;
use crate::host::addresses::race::{NoAddress, deadline_after};
use crate::host::server_config;
use crate::load::transport::Transport;
use crate::plan::url::Url;
use crate::plan::{Connect, Demand};
use came::{Came, Tap};
use refusal::Query;

/// Why a connection could not be opened. What stands behind the first `": "` is a detail (see [`crate::measure::failures`]).
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TCP.
    #[error(transparent)]
    Tcp(#[from] NoAddress),
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
    /// What was agreed on permessage-deflate, if it was.
    pub deflate: Option<Agreed>,
    /// Whether the server has named itself as Fathom.
    pub is_fathom: bool,
}

/// Opens the connection of this `number` within `how.timeout`.
///
/// # Errors
/// Says what went wrong, and with which address.
pub async fn open(url: &Url, addresses: &Addresses, number: usize, how: &Connect) -> Result<Connection, ConnectError> {
    let deadline = deadline_after(how.timeout);
    let (stream, address) = addresses.connect(number, how.timeout).await?;
    let (stream, came) = Tap::new(stream);
    let query = Query::of(url);
    let (upgraded, deflate, is_fathom) = handshake(stream, url, how, deadline).await.map_err(|failed| {
        let came = Came::by_now(&came);
        match failed {
            Failed::Known(error) => error,
            Failed::Http(error) => came.explain(error, &query),
            Failed::Late if came.is_empty() => ConnectError::Silent(how.timeout),
            Failed::Late => ConnectError::Unfinished { after: how.timeout, began: came.words(&query) },
        }
    })?;
    let parts = upgraded
        .downcast::<TokioIo<Tap>>()
        .map_err(|_| ConnectError::Handshake("the upgraded connection is not the TCP stream it began as".into()))?;
    let stream = parts.io.into_inner().into_stream().into_std();
    let stream = stream.map_err(|error| ConnectError::Handshake(error.to_string()))?;
    Ok(Connection { stream: Transport::Tcp(stream), address, read_ahead: parts.read_buf.to_vec(), deflate, is_fathom })
}

/// Why there is no handshake, as far as the exchange itself can tell.
enum Failed {
    Known(ConnectError),
    Http(hyper::Error),
    Late,
}

impl From<ConnectError> for Failed {
    fn from(error: ConnectError) -> Self {
        Self::Known(error)
    }
}

async fn handshake(
    stream: Tap,
    url: &Url,
    how: &Connect,
    deadline: Instant,
) -> Result<(Upgraded, Option<Agreed>, bool), Failed> {
    // 16 random bytes (RFC 6455, 4.1).
    let key = BASE64.encode(rand::random::<[u8; 16]>());
    let mut client = hyper::client::conn::http1::Builder::new();
    let client = client.max_buf_size(MOST_HEAD_BYTES).handshake(TokioIo::new(stream));
    let (mut sender, connection) = client.await.map_err(Failed::Http)?;
    let connection = connection.with_upgrades();
    let exchange = async {
        // An answer that has begun is not given up for the sake of its body.
        let answer = timeout_at(deadline, sender.send_request(request(url, how, &key))).await;
        let answer = answer.map_err(|_| Failed::Late)?.map_err(Failed::Http)?;
        let is_fathom = server_config::is_fathom(answer.headers());
        accept(answer, url, how, &key).await.map(|(upgraded, deflate)| (upgraded, deflate, is_fathom))
    };
    tokio::pin!(connection, exchange);
    let mut ended = None;
    let result = loop {
        tokio::select! {
            biased;
            end = &mut connection, if ended.is_none() => ended = Some(end),
            result = &mut exchange => break result,
        }
    };
    match (result, ended) {
        // The exchange knows only that it was given up.
        (Err(Failed::Http(error)), Some(Err(cause))) if error.is_canceled() => Err(Failed::Http(cause)),
        (result, _) => result,
    }
}

fn request(url: &Url, how: &Connect, key: &str) -> Request<Empty<Bytes>> {
    let mut request = Request::builder()
        .uri(url.path())
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(header::SEC_WEBSOCKET_KEY, key)
        .header(header::SEC_WEBSOCKET_VERSION, "13");
    if !how.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header(header::HOST, url.authority());
    }
    if !how.subprotocols.is_empty() {
        request = request.header(header::SEC_WEBSOCKET_PROTOCOL, how.subprotocols.join(", "));
    }
    if let Some(deflate) = &how.permessage_deflate {
        request = request.header(header::SEC_WEBSOCKET_EXTENSIONS, deflate.offer().header());
    }
    for (name, value) in &how.headers {
        request = request.header(name, value);
    }
    request.body(Empty::new()).expect("the plan's headers are valid, the others are constants")
}

/// Checks the server's answer (RFC 6455, 4.1) and takes the connection over.
async fn accept(
    mut response: Response<Incoming>,
    url: &Url,
    how: &Connect,
    key: &str,
) -> Result<(Upgraded, Option<Agreed>), Failed> {
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let words = refusal::words(response, &Query::of(url)).await;
        return Err(ConnectError::Refused { status, words }.into());
    }
    let headers = response.headers();
    let wrong = |what: String| Err(ConnectError::Handshake(what).into());
    if !lists(headers, header::UPGRADE, "websocket") {
        return wrong("no 'Upgrade: websocket'".into());
    }
    if !lists(headers, header::CONNECTION, "upgrade") {
        return wrong("no 'Connection: Upgrade'".into());
    }
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize();
    let Some(accept) = headers.get(header::SEC_WEBSOCKET_ACCEPT) else {
        return wrong("no Sec-WebSocket-Accept, so it is no WebSocket server's".into());
    };
    if accept.as_bytes() != BASE64.encode(digest).as_bytes() {
        return wrong("its Sec-WebSocket-Accept is not the one for the key that was sent".into());
    }
    let deflate = extensions(headers, how)?;
    if let Some(chosen) = headers.get(header::SEC_WEBSOCKET_PROTOCOL) {
        if !how.subprotocols.iter().any(|offered| chosen == offered.as_str()) {
            return wrong(format!("it chose a subprotocol that was not offered: {chosen:?}"));
        }
    } else if !how.subprotocols.is_empty() {
        return wrong(format!("it chose none of the subprotocols {:?}", how.subprotocols));
    }
    Ok((hyper::upgrade::on(&mut response).await.map_err(Failed::Http)?, deflate))
}

/// What the server made of the offer (RFC 6455, 9.1).
fn extensions(headers: &HeaderMap, how: &Connect) -> Result<Option<Agreed>, ConnectError> {
    let answers = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS);
    let Some(deflate) = &how.permessage_deflate else {
        return match answers.iter().next() {
            Some(extensions) => {
                Err(ConnectError::Handshake(format!("it chose extensions that were not offered: {extensions:?}")))
            }
            None => Ok(None),
        };
    };
    match deflate.offer().judge(answers.iter().map(header::HeaderValue::as_bytes)) {
        Ok(None) if deflate.demand == Demand::On => Err(ConnectError::Declined),
        Ok(agreed) => Ok(agreed),
        Err(refused) => {
            let answers: Vec<_> = answers.iter().map(|answer| String::from_utf8_lossy(answer.as_bytes())).collect();
            Err(ConnectError::Handshake(format!("{refused}; it answered '{}'", answers.join(", "))))
        }
    }
}

fn lists(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
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

/// What a server appends to the key (RFC 6455, 1.3).
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The longest head of an answer in bytes: several times what servers and proxies send, and a bound on what one that never
/// ends costs.
const MOST_HEAD_BYTES: usize = 64 << 10;
