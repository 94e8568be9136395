//! What a request asks for, judged by its head alone (RFC 6455, 4.2.1), and the answers to all but a good upgrade.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode, Version};
use wire::deflate::{Agreed, Policy};
use wire::extension::Malformed;

/// A response with a whole body, empty in the case of an upgrade.
pub(crate) type Answer = Response<Full<Bytes>>;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A lawful upgrade.
    Upgrade,
    /// An upgrade that must be refused.
    Refused(Refusal),
    /// An ordinary page.
    Page,
}

/// Why an upgrade is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("a WebSocket handshake is a GET request")]
    Method,
    #[error("a WebSocket handshake needs HTTP/1.1")]
    HttpVersion,
    #[error("the Host header is missing")]
    Host,
    #[error("the header 'Upgrade: websocket' is missing")]
    Upgrade,
    #[error("the header 'Connection: Upgrade' is missing")]
    Connection,
    #[error("the only supported Sec-WebSocket-Version is 13")]
    WebSocketVersion,
    #[error("the Sec-WebSocket-Key header is missing")]
    NoKey,
    #[error("Sec-WebSocket-Key must be the base64 of 16 bytes, given once")]
    MalformedKey,
    #[error("{0}")]
    Extensions(#[from] Malformed),
}

/// Judges a request.
pub(crate) fn judge<B>(request: &Request<B>) -> Asked {
    let headers = request.headers();
    let upgrade = has_token(headers, UPGRADE, "websocket");
    if !upgrade && !headers.contains_key(SEC_WEBSOCKET_KEY) && !headers.contains_key(SEC_WEBSOCKET_VERSION) {
        return Asked::Page;
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let refusal = if request.method() != Method::GET {
        Refusal::Method
    } else if request.version() != Version::HTTP_11 {
        Refusal::HttpVersion
    } else if !headers.contains_key(HOST) {
        Refusal::Host
    } else if !upgrade {
        Refusal::Upgrade
    } else if !has_token(headers, CONNECTION, "upgrade") {
        Refusal::Connection
    } else if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        Refusal::WebSocketVersion
    } else {
        match (keys.next(), keys.next()) {
            (None, _) => Refusal::NoKey,
            (Some(key), None) if is_nonce(key.as_bytes()) => return Asked::Upgrade,
            _ => Refusal::MalformedKey,
        }
    };
    Asked::Refused(refusal)
}

/// The answer to an upgrade that is refused: 426 where another upgrade request would do, else 400.
pub(crate) fn refuse(refusal: Refusal) -> Answer {
    let mut answer = text(StatusCode::BAD_REQUEST, format!("{refusal}\n"));
    if matches!(refusal, Refusal::Upgrade | Refusal::WebSocketVersion) {
        *answer.status_mut() = StatusCode::UPGRADE_REQUIRED;
        let headers = answer.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    answer
}

/// The first subprotocol that the client offers, if any. An echo suits them all, and a client that insists on one
/// works only if the server picks it.
pub(crate) fn subprotocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let offers = headers.get(SEC_WEBSOCKET_PROTOCOL)?.as_bytes();
    let first = offers.split(|&byte| byte == b',').next()?.trim_ascii();
    if first.is_empty() { None } else { HeaderValue::from_bytes(first).ok() }
}

/// What of the client's offers of permessage-deflate is granted, and the header that says so; `None` for nothing.
pub(crate) fn deflate(headers: &HeaderMap, policy: &Policy) -> Result<Option<(Agreed, HeaderValue)>, Refusal> {
    let granted = policy.grant(headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().map(HeaderValue::as_bytes))?;
    Ok(granted.map(|(agreed, response)| {
        (agreed, HeaderValue::try_from(response).expect("names and numbers make a header's value"))
    }))
}

/// The answer to a plain request.
pub(crate) fn page(path: &str, config_json: &Bytes) -> Answer {
    match path {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/config" => answer(StatusCode::OK, "application/json", config_json.clone()),
        _ => answer(StatusCode::OK, "text/html; charset=utf-8", PAGE),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    answer(status, "text/plain; charset=utf-8", body)
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Whether one of the comma-separated values of `name` is `token`, whatever its case.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .any(|value| value.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Whether `key` can be the base64 of 16 bytes: 22 characters and two of padding.
fn is_nonce(key: &[u8]) -> bool {
    key.len() == 24
        && key.ends_with(b"==")
        && key[..22].iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

const PAGE: &str = "<!doctype html>
<meta charset=utf-8><meta name=viewport content='width=device-width'><title>Fathom echo server</title>
<h1>Fathom echo server</h1>
<p>This is a WebSocket server that sends every message back. Connect to it on any path, for example in the browser's
console:
<pre>const socket = new WebSocket(location.href.replace(/^http/, 'ws'));
socket.onmessage = event => console.log(event.data);
socket.onopen = () => socket.send('hello');</pre>
<p><a href=/healthz>/healthz</a> says whether it is up, <a href=/config>/config</a> how it is set up.
";

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("host", "a"),
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value)).body(()).unwrap()
    }

    fn with(name: &str, value: &str) -> Asked {
        judge(&request(&GOOD.map(|(n, v)| if n == name { (n, value) } else { (n, v) })))
    }

    #[test]
    fn a_good_upgrade_lacks_nothing() {
        assert_eq!(judge(&request(&GOOD)), Asked::Upgrade);
        let reasons = [
            ("host", Refusal::Host),
            ("upgrade", Refusal::Upgrade),
            ("connection", Refusal::Connection),
            ("sec-websocket-version", Refusal::WebSocketVersion),
            ("sec-websocket-key", Refusal::NoKey),
        ];
        for (missing, reason) in reasons {
            let rest: Vec<_> = GOOD.into_iter().filter(|(name, _)| *name != missing).collect();
            assert_eq!(judge(&request(&rest)), Asked::Refused(reason), "without {missing}");
        }
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(with("sec-websocket-version", "8"), Asked::Refused(Refusal::WebSocketVersion));
        for key in ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=A", "dGhlIHNhbXBsZSBub25j!Q=="] {
            assert_eq!(with("sec-websocket-key", key), Asked::Refused(Refusal::MalformedKey), "{key:?}");
        }
        assert_eq!(with("connection", "keep-alive"), Asked::Refused(Refusal::Connection));
        let mut twice = request(&GOOD);
        twice.headers_mut().append("sec-websocket-key", HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        assert_eq!(judge(&twice), Asked::Refused(Refusal::MalformedKey));
    }

    #[test]
    fn method_and_http_version_are_checked() {
        let mut post = request(&GOOD);
        *post.method_mut() = Method::POST;
        assert_eq!(judge(&post), Asked::Refused(Refusal::Method));
        let mut old = request(&GOOD);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(judge(&old), Asked::Refused(Refusal::HttpVersion));
        assert_eq!(judge(&request(&[("host", "a")])), Asked::Page);
        assert_eq!(judge(&request(&[("host", "a"), ("upgrade", "h2c"), ("connection", "upgrade")])), Asked::Page);
    }

    #[test]
    fn the_first_subprotocol_is_picked() {
        let pick = |offer| subprotocol(request(&[("sec-websocket-protocol", offer)]).headers());
        assert_eq!(pick("chat, superchat").unwrap(), "chat");
        assert_eq!(pick(" ,chat"), None);
        assert_eq!(subprotocol(&HeaderMap::new()), None);
    }
}
