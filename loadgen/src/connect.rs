//! Opening connections: TCP by tokio, the WebSocket handshake by hyper, checked as RFC 6455, 4.1 asks of a client.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::time::timeout_at;
use wire::deflate::Agreed;

use crate::addresses::{Addresses, NoAddress, deadline_after};
use crate::plan::{Connect, Demand};
use crate::url::Url;

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TCP.
    #[error(transparent)]
    Tcp(#[from] NoAddress),
    /// HTTP.
    #[error("the WebSocket handshake failed: {0}")]
    Http(#[from] hyper::Error),
    /// An answer other than 101.
    #[error("the server answered {status} to the WebSocket handshake{}", if body.is_empty() { String::new() } else { format!(": {body}") })]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The beginning of the answer's body.
        body: String,
    },
    /// A 101 without permessage-deflate.
    #[error("the server declined permessage-deflate; --permessage-deflate=prefer goes on without it")]
    Declined,
    /// A 101 that is no WebSocket handshake.
    #[error("the server's handshake is wrong: {0}")]
    Handshake(String),
    /// It took too long.
    #[error("no connection within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    /// Its socket.
    pub stream: TcpStream,
    /// Which of the server's addresses it goes to.
    pub address: SocketAddr,
    /// The bytes that came right behind the handshake.
    pub read_ahead: Vec<u8>,
    /// What was agreed on permessage-deflate, if it was.
    pub deflate: Option<Agreed>,
}

/// Opens the connection of this `number` within `how.timeout`.
///
/// # Errors
/// Says what went wrong, and with which address.
pub async fn open(url: &Url, addresses: &Addresses, number: usize, how: &Connect) -> Result<Connection, ConnectError> {
    let deadline = deadline_after(how.timeout);
    let (stream, address) = addresses.connect(number, how.timeout).await?;
    let answered = timeout_at(deadline, handshake(stream, address, url, how)).await;
    answered.map_err(|_| ConnectError::Timeout(how.timeout))?
}

async fn handshake(
    stream: tokio::net::TcpStream,
    address: SocketAddr,
    url: &Url,
    how: &Connect,
) -> Result<Connection, ConnectError> {
    let key = fastwebsockets::handshake::generate_key();
    // fastwebsockets' own client handshake prints to stderr when a connection fails, and it does not check the key.
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = connection.with_upgrades();
    let exchange = async {
        let response = sender.send_request(request(url, how, &key)).await?;
        accept(response, how, &key).await
    };
    tokio::pin!(connection, exchange);
    let mut open = true;
    let (upgraded, deflate) = loop {
        tokio::select! {
            upgraded = &mut exchange => break upgraded?,
            // Its error, if any, reaches the exchange too.
            _ = &mut connection, if open => open = false,
        }
    };
    let parts = upgraded
        .downcast::<TokioIo<tokio::net::TcpStream>>()
        .map_err(|_| ConnectError::Handshake("the upgraded connection is not the TCP stream it began as".into()))?;
    let stream = parts.io.into_inner();
    let stream = stream.into_std().map_err(|error| ConnectError::Handshake(error.to_string()))?;
    Ok(Connection { stream, address, read_ahead: parts.read_buf.to_vec(), deflate })
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
    mut response: Response<hyper::body::Incoming>,
    how: &Connect,
    key: &str,
) -> Result<(hyper::upgrade::Upgraded, Option<Agreed>), ConnectError> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status();
        return Err(ConnectError::Refused { status, body: beginning(response).await });
    }
    let headers = response.headers();
    let wrong = |what: String| Err(ConnectError::Handshake(what));
    if !lists(headers, header::UPGRADE, "websocket") {
        return wrong("no 'Upgrade: websocket'".into());
    }
    if !lists(headers, header::CONNECTION, "upgrade") {
        return wrong("no 'Connection: Upgrade'".into());
    }
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize();
    if headers.get(header::SEC_WEBSOCKET_ACCEPT).map(|value| value.as_bytes()) != Some(BASE64.encode(digest).as_bytes())
    {
        return wrong("Sec-WebSocket-Accept does not answer the key".into());
    }
    let deflate = extensions(headers, how)?;
    if let Some(chosen) = headers.get(header::SEC_WEBSOCKET_PROTOCOL) {
        if !how.subprotocols.iter().any(|offered| chosen == offered.as_str()) {
            return wrong(format!("it chose a subprotocol that was not offered: {chosen:?}"));
        }
    } else if !how.subprotocols.is_empty() {
        return wrong(format!("it chose none of the subprotocols {:?}", how.subprotocols));
    }
    Ok((hyper::upgrade::on(&mut response).await?, deflate))
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

/// The first line of a short answer's body, for the error message.
async fn beginning(response: Response<hyper::body::Incoming>) -> String {
    let body = http_body_util::Limited::new(response.into_body(), REFUSAL_BYTES);
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    String::from_utf8_lossy(&body).lines().next().unwrap_or_default().trim().to_owned()
}

/// What a server appends to the key (RFC 6455, 1.3).
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// How much of a refusal's body is read, in bytes: a line of explanation, not a page.
const REFUSAL_BYTES: usize = 4096;
