//! What a request asks for, judged by its head alone (RFC 6455, 4.2.1), and what is chosen of the client's offers.

use hyper::body::Body;
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Method, Request, Version};
use wire::deflate::{Agreed, Policy};
use wire::extension::{Malformed, token};

use crate::relay::LONGEST_NAME;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A lawful upgrade.
    Upgrade,
    /// A request that must be refused.
    Refused(Refusal),
    /// An ordinary page.
    Page,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("a WebSocket handshake is a GET request")]
    Method,
    #[error("a WebSocket handshake needs HTTP/1.1")]
    HttpVersion,
    #[error("the Host header is missing")]
    NoHost,
    #[error("the Host header must be given once")]
    SeveralHosts,
    #[error("the Host header must be HOST or HOST:PORT")]
    MalformedHost,
    #[error("this server is no proxy")]
    Connect,
    #[error("this server speaks HTTP/1.1, not HTTP/2")]
    Http2,
    #[error("the request ended before its head was complete")]
    Incomplete,
    #[error("a WebSocket handshake has no body")]
    Body,
    #[error("the header 'Upgrade: websocket' is missing")]
    Upgrade,
    #[error("the header 'Connection: Upgrade' is missing")]
    Connection,
    #[error("the only supported Sec-WebSocket-Version is 13")]
    WebSocketVersion,
    #[error("Sec-WebSocket-Version must be given once")]
    SeveralWebSocketVersions,
    #[error("the Sec-WebSocket-Key header is missing")]
    NoKey,
    #[error("Sec-WebSocket-Key must be the base64 of 16 bytes, given once")]
    MalformedKey,
    #[error("Sec-WebSocket-Protocol must be a list of tokens")]
    MalformedSubprotocol,
    #[error("this path would be one room more than --relay-rooms allows; try again later")]
    Rooms,
    #[error("this path is the name of a room, which may have {LONGEST_NAME} bytes at the most")]
    RoomName,
    #[error("{0}")]
    Extensions(#[from] Malformed),
}

/// Judges a request.
pub(crate) fn judge<B: Body>(request: &Request<B>) -> Asked {
    let headers = request.headers();
    let upgrade = has_token(headers, UPGRADE, "websocket");
    let page = !upgrade && !headers.contains_key(SEC_WEBSOCKET_KEY) && !headers.contains_key(SEC_WEBSOCKET_VERSION);
    let refusal = if request.method() == Method::CONNECT {
        Some(Refusal::Connect)
    } else if page {
        wrong_host(request)
    } else {
        wrong_upgrade(request, upgrade)
    };
    match refusal {
        Some(refusal) => Asked::Refused(refusal),
        None if page => Asked::Page,
        None => Asked::Upgrade,
    }
}

/// What is wrong with the Host header, of any request (RFC 9112, 3.2).
fn wrong_host<B>(request: &Request<B>) -> Option<Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => (request.version() >= Version::HTTP_11).then_some(Refusal::NoHost),
        (Some(_), Some(_)) => Some(Refusal::SeveralHosts),
        (Some(host), None) => (!host.as_bytes().iter().copied().all(is_host_byte)).then_some(Refusal::MalformedHost),
    }
}

/// What is wrong with a request that has some of the headers of a WebSocket handshake (RFC 6455, 4.2.1).
fn wrong_upgrade<B: Body>(request: &Request<B>, upgrade: bool) -> Option<Refusal> {
    let headers = request.headers();
    let mut versions = headers.get_all(SEC_WEBSOCKET_VERSION).iter();
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    if request.method() != Method::GET {
        return Some(Refusal::Method);
    }
    if request.version() != Version::HTTP_11 {
        return Some(Refusal::HttpVersion);
    }
    if let Some(refusal) = wrong_host(request) {
        return Some(refusal);
    }
    if !upgrade {
        return Some(Refusal::Upgrade);
    }
    if !has_token(headers, CONNECTION, "upgrade") {
        return Some(Refusal::Connection);
    }
    // Its bytes would be taken for frames.
    if !request.body().is_end_stream() {
        return Some(Refusal::Body);
    }
    match (versions.next(), versions.next()) {
        (Some(_), Some(_)) => return Some(Refusal::SeveralWebSocketVersions),
        (Some(version), None) if version == "13" => {}
        _ => return Some(Refusal::WebSocketVersion),
    }
    match (keys.next(), keys.next()) {
        (None, _) => Some(Refusal::NoKey),
        (Some(key), None) if is_nonce(key.as_bytes()) => None,
        _ => Some(Refusal::MalformedKey),
    }
}

/// The first subprotocol that the client offers, if any. An echo suits them all, and a client that insists on one
/// works only if the server picks it. Several headers are one list in several pieces (RFC 6455, 11.3.4), whose empty
/// elements count for nothing (RFC 9110, 5.6.1).
pub(crate) fn subprotocol(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut first = None;
    for offer in elements(headers, SEC_WEBSOCKET_PROTOCOL).filter(|offer| !offer.is_empty()) {
        let offer = token(offer).ok_or(Refusal::MalformedSubprotocol)?;
        first.get_or_insert(offer);
    }
    Ok(first)
}

/// What of the client's offers of permessage-deflate is granted, and the header that says so; `None` for nothing.
pub(crate) fn deflate(headers: &HeaderMap, policy: &Policy) -> Result<Option<(Agreed, String)>, Refusal> {
    Ok(policy.grant(headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().map(HeaderValue::as_bytes))?)
}

/// Whether one of the comma-separated values of `name` is `token`, whatever its case.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    elements(headers, name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The comma-separated values of all headers of that name.
fn elements(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
}

/// Whether a byte may stand in a host or before its port (RFC 3986, 3.2.2 and 2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}

/// Whether `key` can be the base64 of 16 bytes: 22 characters and two of padding.
fn is_nonce(key: &[u8]) -> bool {
    key.len() == 24
        && key.ends_with(b"==")
        && key[..22].iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

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

    fn request(headers: &[(&str, &str)]) -> Request<String> {
        let request = Request::get("/");
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value))
            .body(String::new())
            .unwrap()
    }

    fn with(name: &str, value: &str) -> Asked {
        judge(&request(&GOOD.map(|(n, v)| if n == name { (n, value) } else { (n, v) })))
    }

    #[test]
    fn a_good_upgrade_lacks_nothing() {
        assert_eq!(judge(&request(&GOOD)), Asked::Upgrade);
        let reasons = [
            ("host", Refusal::NoHost),
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
    fn what_may_come_once_may_not_come_twice() {
        for (name, refusal) in [
            ("host", Refusal::SeveralHosts),
            ("sec-websocket-version", Refusal::SeveralWebSocketVersions),
            ("sec-websocket-key", Refusal::MalformedKey),
        ] {
            let mut twice = request(&GOOD);
            let value = twice.headers()[name].clone();
            twice.headers_mut().append(name, value);
            assert_eq!(judge(&twice), Asked::Refused(refusal), "{name}");
        }
    }

    #[test]
    fn a_body_makes_an_upgrade_none() {
        let mut with_body = request(&GOOD);
        "hello".clone_into(with_body.body_mut());
        assert_eq!(judge(&with_body), Asked::Refused(Refusal::Body));
    }

    #[test]
    fn every_request_names_one_host() {
        let host = |hosts: &[&str]| judge(&request(&hosts.iter().map(|host| ("host", *host)).collect::<Vec<_>>()));
        for good in ["", "a", "a.b:80", "[::1]:8181", "[fe80::1%25eth0]", "x_y"] {
            assert_eq!(host(&[good]), Asked::Page, "{good:?}");
        }
        for bad in ["a b", "a/b", "u@a", "a?b", "\"a\"", "<a>"] {
            assert_eq!(host(&[bad]), Asked::Refused(Refusal::MalformedHost), "{bad:?}");
        }
        assert_eq!(host(&[]), Asked::Refused(Refusal::NoHost));
        assert_eq!(host(&["a", "a"]), Asked::Refused(Refusal::SeveralHosts));
        let mut old = request(&[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(judge(&old), Asked::Page);
    }

    #[test]
    fn the_first_subprotocol_is_picked() {
        let pick = |offers: &[&str]| {
            let offers: Vec<_> = offers.iter().map(|offer| ("sec-websocket-protocol", *offer)).collect();
            subprotocol(request(&offers).headers()).map(|picked| picked.map(str::to_owned))
        };
        for (offers, picked) in [
            (&["chat, superchat"][..], Some("chat")),
            (&[" ,chat"], Some("chat")),
            (&["", "chat"], Some("chat")),
            (&["a", "b"], Some("a")),
            (&[], None),
            (&["", " , "], None),
        ] {
            assert_eq!(pick(offers), Ok(picked.map(str::to_owned)), "{offers:?}");
        }
        for bad in ["foo bar", "\"a,b,c\"", "good, b/d", "f\u{e9}"] {
            assert_eq!(pick(&[bad]), Err(Refusal::MalformedSubprotocol), "{bad:?}");
        }
    }
}
