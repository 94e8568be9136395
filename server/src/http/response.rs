//! The responses: pages, which hyper writes, and what ends the HTTP phase, as bytes.

use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SERVER};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;

use super::handshake::Refusal;
use super::page;
use crate::datagrams::{self, Tally};
use crate::relay::{self, Relay};

/// A page, which hyper writes.
pub(crate) type Page = Response<Full<Bytes>>;

/// What plain requests are answered from.
pub(crate) struct Paths<'w> {
    /// Whether there is the page for browsers.
    pub(crate) page: bool,
    /// What `/config` serves.
    pub(crate) config_json: &'w Bytes,
    /// Whether messages are answered by a template.
    pub(crate) template: bool,
    /// What `/stats` counts, if there is anything to count.
    pub(crate) relay: Option<&'w Relay>,
    /// Likewise.
    pub(crate) datagrams: Option<&'w Tally>,
}

impl Paths<'_> {
    /// The answer to a plain request for `path`. Everything here is there to be read.
    pub(crate) fn answer(&self, method: &Method, path: &str) -> Page {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return not_allowed();
        }
        match path {
            "/healthz" => with_type(PLAIN_TEXT, "ok\n"),
            "/config" => with_type("application/json", self.config_json.clone()),
            "/stats" if self.relay.is_some() || self.datagrams.is_some() => {
                with_type("application/json", self.stats().to_json())
            }
            path => match page::file(path).filter(|_| self.page) {
                Some(file) => with_headers(file),
                None => with_type("text/html; charset=utf-8", self.short_page()),
            },
        }
    }
}

impl Paths<'_> {
    /// What this server is and how to talk to it.
    fn short_page(&self) -> String {
        let does = match self.relay {
            None if self.template => "answers every message",
            None => "sends every message back",
            Some(relay) if relay.to_sender() => "hands every message on to all connections of the same path",
            Some(_) => "hands every message on to the other connections of the same path",
        };
        let counts = if self.relay.is_some() || self.datagrams.is_some() {
            ", <a href=/stats>/stats</a> what it has counted"
        } else {
            ""
        };
        SHORT_PAGE.replace("{does}", does).replace("{counts}", counts)
    }

    fn stats(&self) -> Stats {
        Stats { relay: self.relay.map(Relay::stats), udp: self.datagrams.map(Tally::stats) }
    }
}

/// What is counted.
#[derive(Debug, Serialize)]
struct Stats {
    #[serde(flatten)]
    relay: Option<relay::Stats>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp: Option<datagrams::Stats>,
}

impl Stats {
    /// JSON for people and programs, newline included.
    fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("plain data with string keys serialises");
        json.push('\n');
        json
    }
}

/// A file of the page for browsers, with what keeps the browser to it.
fn with_headers(file: &page::File) -> Page {
    let mut page = with_type(file.content_type, file.content);
    let headers = page::HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value)));
    page.headers_mut().extend(headers);
    page
}

/// The answer to another method than those that read (RFC 9110, 15.5.6).
fn not_allowed() -> Page {
    let mut page = with_type(PLAIN_TEXT, "expected GET or HEAD, or a WebSocket handshake\n");
    *page.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    page.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    page
}

fn with_type(content_type: &'static str, body: impl Into<Bytes>) -> Page {
    let mut page = Response::new(Full::new(body.into()));
    page.headers_mut().insert(SERVER, HeaderValue::from_static(PRODUCT));
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    page
}

/// The answer to a request with `method` that is refused: 426 where another upgrade request would do, mostly 400. It is
/// the connection's last, since what follows the request may be a body that nobody reads.
pub(crate) fn refuse(refusal: Refusal, method: &Method) -> Vec<u8> {
    let again = [("Connection", "Upgrade, close"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")];
    let (status, headers): (_, &[_]) = match refusal {
        Refusal::Upgrade | Refusal::WebSocketVersion => (StatusCode::UPGRADE_REQUIRED, &again),
        Refusal::Connect => (StatusCode::NOT_IMPLEMENTED, &[("Connection", "close")]),
        Refusal::Http2 => (StatusCode::HTTP_VERSION_NOT_SUPPORTED, &[("Connection", "close")]),
        Refusal::RoomName => (StatusCode::URI_TOO_LONG, &[("Connection", "close")]),
        Refusal::Rooms => (StatusCode::SERVICE_UNAVAILABLE, &[("Connection", "close"), ("Retry-After", "1")]),
        _ => (StatusCode::BAD_REQUEST, &[("Connection", "close")]),
    };
    let body = format!("{refusal}\n");
    let (date, length) = (httpdate::fmt_http_date(SystemTime::now()), body.len().to_string());
    let entity = [("Content-Type", PLAIN_TEXT), ("Content-Length", &length), ("Date", &date)];
    let mut response = head(status, headers.iter().copied().chain(entity));
    if method != Method::HEAD {
        response.extend_from_slice(body.as_bytes());
    }
    response
}

/// The answer to a good upgrade: `accepted` holds what answers the key, the others are what was chosen of the client's
/// offers.
pub(crate) fn switch(accepted: &HeaderMap, subprotocol: Option<&str>, extensions: Option<&str>) -> Vec<u8> {
    let accept = accepted.get(SEC_WEBSOCKET_ACCEPT).and_then(|accept| accept.to_str().ok());
    let accept = accept.expect("the base64 of a digest");
    let fixed = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)];
    let subprotocol = subprotocol.map(|subprotocol| ("Sec-WebSocket-Protocol", subprotocol));
    let extensions = extensions.map(|extensions| ("Sec-WebSocket-Extensions", extensions));
    head(StatusCode::SWITCHING_PROTOCOLS, fixed.into_iter().chain(subprotocol).chain(extensions))
}

/// The head of a response, its headers' names as they are given.
fn head<'h>(status: StatusCode, headers: impl Iterator<Item = (&'h str, &'h str)>) -> Vec<u8> {
    let reason = status.canonical_reason().expect("a status of RFC 9110");
    let mut head = format!("HTTP/1.1 {} {reason}\r\nServer: {PRODUCT}\r\n", status.as_str());
    headers.for_each(|(name, value)| head.extend([name, ": ", value, "\r\n"]));
    head.push_str("\r\n");
    head.into_bytes()
}

/// What a client is told of this program, and how `loadgen` knows that there is a `/config` to ask for.
const PRODUCT: &str = concat!("Fathom/", env!("CARGO_PKG_VERSION"));

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

const SHORT_PAGE: &str = "<!doctype html>
<meta charset=utf-8><meta name=viewport content='width=device-width'><title>Fathom echo server</title>
<h1>Fathom echo server</h1>
<p>This is a WebSocket server that {does}. Connect to it on any path, for example in the browser's
console:
<pre>const socket = new WebSocket(location.href.replace(/^http/, 'ws'));
socket.onmessage = event => console.log(event.data);
socket.onopen = () => socket.send('hello');</pre>
<p><a href=/healthz>/healthz</a> says whether it is up, <a href=/config>/config</a> how it is set up{counts}.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_head_has_no_body() {
        let [get, head] = [Method::GET, Method::HEAD].map(|method| refuse(Refusal::NoHost, &method));
        assert!(get.ends_with(b"\r\n\r\nthe Host header is missing\n"));
        assert!(head.ends_with(b"\r\n\r\n") && get.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
    }
}
