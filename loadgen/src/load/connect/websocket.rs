//! The opening of a WebSocket connection: the handshake by hyper, checked as RFC 6455, 4.1 asks of a client.

use std::net::SocketAddr;

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

use super::came::{Came, Tap};
use super::refusal::{self, Query};
use super::{ConnectError, Connection, MOST_HEAD_BYTES, Stream, secure};
use crate::host::exchange::drive;
use crate::host::server_config;
use crate::load::dialogue::Protocol;
use crate::plan::url::Url;
use crate::plan::{Connect, Demand};

/// Makes the handshake on a connection to `address`, until the deadline.
///
/// # Errors
/// Says what went wrong.
pub async fn open(
    stream: Stream,
    address: SocketAddr,
    url: &Url,
    how: &Connect,
    deadline: Instant,
) -> Result<Connection, ConnectError> {
    let (stream, came) = Tap::new(stream);
    let query = Query::of(url);
    let (upgraded, deflate, is_fathom) = handshake(stream, url, how, deadline).await.map_err(|failed| {
        let came = Came::by_now(&came);
        match failed {
            Failed::Known(error) => error,
            Failed::Http(error) => {
                secure::beneath(&error, came.is_empty()).unwrap_or_else(|| came.explain(error, &query))
            }
            Failed::Late if came.is_empty() => ConnectError::Silent(how.timeout),
            Failed::Late => ConnectError::Unfinished { after: how.timeout, began: came.words(&query) },
        }
    })?;
    let parts = upgraded
        .downcast::<TokioIo<Tap>>()
        .map_err(|_| ConnectError::Handshake("the upgraded connection is not the stream it began as".into()))?;
    let (stream, rest) = parts.io.into_inner().into_stream().into_transport().map_err(ConnectError::Socket)?;
    let (protocol, read_ahead) = (Protocol::WebSocket { deflate }, [parts.read_buf.to_vec(), rest].concat());
    Ok(Connection { stream, address, read_ahead, protocol, is_fathom, tls: None })
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
    let exchange = async {
        // An answer that has begun is not given up for the sake of its body.
        let answer = timeout_at(deadline, sender.send_request(request(url, how, &key))).await;
        let answer = answer.map_err(|_| Failed::Late)?.map_err(Failed::Http)?;
        let is_fathom = server_config::is_fathom(answer.headers());
        accept(answer, url, how, &key).await.map(|(upgraded, deflate)| (upgraded, deflate, is_fathom))
    };
    drive(connection.with_upgrades(), exchange, |failed, cause| match failed {
        // The exchange knows only that it was given up.
        Failed::Http(error) if error.is_canceled() => Failed::Http(cause),
        failed => failed,
    })
    .await
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

/// What a server appends to the key (RFC 6455, 1.3).
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
