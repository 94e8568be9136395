//! URLs of servers: `ws://` and `wss://` (RFC 6455, 3), and `tcp://` and `udp://` for TCP and UDP alone. What is shown of one is
//! without its query, in which clients send tokens.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use hyper::Uri;
use percent_encoding::{AsciiSet, utf8_percent_encode};

/// The URL of a server: what is spoken with it, and where it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    scheme: Scheme,
    host: String,
    port: u16,
    /// With the query; empty where it has none.
    path: String,
}

/// What is spoken with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// WebSocket over plain TCP.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// TCP alone.
    Tcp,
    /// UDP alone.
    Udp,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ws, Self::Wss, Self::Tcp, Self::Udp];

    /// As it stands before `://`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl Url {
    /// The WebSocket endpoint `/` on this address.
    pub fn at(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        Self { scheme: Scheme::Ws, host, port: address.port(), path: "/".into() }
    }

    /// What is spoken.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name, an IPv4 address, or an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, 80 where a `ws` URL names none, 443 where a `wss` URL does not.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path and the query; empty in a `tcp` or `udp` URL.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The endpoint of room number `room` of several: `{room}` in the path or the query stands for the number, and without
    /// it `/room-N` is added to the path.
    #[must_use]
    pub fn of_room(&self, room: u32) -> Self {
        let path = if self.has_room() {
            self.path.replace(ROOM, &room.to_string())
        } else {
            let (path, query) = self.path.split_at(self.path.find('?').unwrap_or(self.path.len()));
            format!("{}/room-{room}{query}", path.trim_end_matches('/'))
        };
        Self { path, ..self.clone() }
    }

    /// Whether it says where the number of a room stands.
    pub fn has_room(&self) -> bool {
        self.path.contains(ROOM)
    }

    /// What the Host header says: no port where it is the scheme's own (RFC 9110, 7.2; RFC 6455, 4.1), as some servers
    /// know their own name only without it.
    pub fn authority(&self) -> String {
        if self.scheme.default_port() == Some(self.port) { self.host.clone() } else { self.host_and_port() }
    }

    /// The host and the port, as one who is to connect there is told.
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The addresses of the host.
    ///
    /// # Errors
    /// When its name cannot be resolved.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let addresses: Vec<_> = (self.host(), self.port).to_socket_addrs()?.collect();
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(addresses)
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = masked(text);
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("'{shown}' is no URL; {EXPECTED}"));
        };
        let alone = [Scheme::Tcp, Scheme::Udp].into_iter().find(|alone| scheme.eq_ignore_ascii_case(alone.name()));
        if let Some(alone) = alone {
            let name = alone.name();
            let expected = || format!("'{shown}': expected {name}://HOST:PORT, and nothing behind it");
            return without_path(alone, rest).ok_or_else(expected);
        }
        let Some((scheme, default_port)) = [Scheme::Ws, Scheme::Wss]
            .into_iter()
            .find(|known| scheme.eq_ignore_ascii_case(known.name()))
            .and_then(|scheme| Some((scheme, scheme.default_port()?)))
        else {
            return Err(format!("'{shown}' is no WebSocket URL; {EXPECTED}"));
        };
        if rest.contains('#') {
            return Err(format!("'{shown}': a WebSocket URL has no fragment; expected %23 for a '#' in path or query"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(format!("'{shown}': a WebSocket URL has no user name; send it with -H 'Authorization: …'"));
        }
        let authority = in_ascii(authority).ok_or_else(|| format!("'{shown}': the host is no domain name"))?;
        let path = utf8_percent_encode(path, &NOTHING_OF_ASCII);
        let uri: Uri =
            format!("ws://{authority}{path}").parse().map_err(|error| format!("'{shown}' is no URL: {error}"))?;
        let host =
            uri.host().filter(|host| !host.is_empty()).ok_or_else(|| format!("'{shown}' names no host"))?.to_owned();
        let port = match uri.port() {
            Some(port) => port.as_u16(),
            // hyper reads a port that is none as no port.
            None if authority != host => return Err(format!("'{shown}': the port is not a number from 1 to 65535")),
            None => default_port,
        };
        if port == 0 {
            return Err(format!("'{shown}': the port is not a number from 1 to 65535"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { scheme, host, port, path })
    }
}

impl Scheme {
    /// The port of a URL that names none (RFC 6455, 3).
    fn default_port(self) -> Option<u16> {
        match self {
            Self::Ws => Some(80),
            Self::Wss => Some(443),
            Self::Tcp | Self::Udp => None,
        }
    }
}

/// The server at what stands behind `tcp://` or `udp://`, a slash at its end left out.
fn without_path(scheme: Scheme, authority: &str) -> Option<Url> {
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '?', '#', '@']) {
        return None;
    }
    // The same hosts and ports as those of WebSocket.
    let Url { host, port, .. } = format!("ws://{authority}").parse().ok()?;
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    has_port.then_some(Url { scheme, host, port, path: String::new() })
}

/// The host of `authority` as DNS knows it (RFC 5891), and its port if there is one.
pub fn in_ascii(authority: &str) -> Option<String> {
    if authority.is_ascii() {
        return Some(authority.to_owned());
    }
    let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
    let host = idna::domain_to_ascii(host).ok().filter(|host| !host.is_empty())?;
    Some(host + port)
}

/// `text` without the secrets of the first URL in it, if it holds one: its query (and what follows), its fragment, and its
/// user name. For errors, where `text` need not be a good URL.
pub fn masked(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (shown, query) = match rest.find(['?', '#']) {
        Some(at) => (&rest[..at], &rest[at..]),
        None => (rest, ""),
    };
    let (authority, path) = shown.split_at(shown.find('/').unwrap_or(shown.len()));
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        // A password may hold a '?'.
        None if path.is_empty() && query.contains('@') => MASK.to_owned(),
        None => authority.to_owned(),
    };
    // One byte: '?' or '#'.
    let query = query.get(..1).map_or_else(String::new, |mark| format!("{mark}{MASK}"));
    format!("{scheme}://{authority}{path}{query}")
}

/// The URL, its query masked.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.name(), self.host, self.port)?;
        match self.path.split_once('?') {
            Some((path, _)) => write!(f, "{path}?{MASK}"),
            None => f.write_str(&self.path),
        }
    }
}

/// As it is displayed.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stands for the number of a room.
const ROOM: &str = "{room}";

/// What is expected of what is no URL that is known.
const EXPECTED: &str = "expected ws://HOST:PORT/PATH, wss://HOST:PORT/PATH, tcp://HOST:PORT or udp://HOST:PORT";

/// What stands in place of a secret.
const MASK: &str = "***";

/// What is encoded in a path: what is not ASCII, and nothing else, as the user may mean what is encoded already.
const NOTHING_OF_ASCII: AsciiSet = AsciiSet::EMPTY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written() {
        for (text, written, path) in [
            ("ws://127.0.0.1:8181/", "ws://127.0.0.1:8181/", "/"),
            ("WS://localhost", "ws://localhost:80/", "/"),
            ("wss://localhost", "wss://localhost:443/", "/"),
            ("WSS://[::1]:9/chat?room=1", "wss://[::1]:9/chat?***", "/chat?room=1"),
            ("ws://[::1]:9/chat?room=1", "ws://[::1]:9/chat?***", "/chat?room=1"),
            ("ws://h:1?x=1", "ws://h:1/?***", "/?x=1"),
            ("ws://h:1/a@b:c", "ws://h:1/a@b:c", "/a@b:c"),
            ("ws://b\u{fc}cher.example:9/", "ws://xn--bcher-kva.example:9/", "/"),
            ("tcp://127.0.0.1:7", "tcp://127.0.0.1:7", ""),
            ("TCP://[::1]:7/", "tcp://[::1]:7", ""),
            ("tcp://localhost:80", "tcp://localhost:80", ""),
            ("udp://127.0.0.1:7", "udp://127.0.0.1:7", ""),
            ("Udp://[::1]:7/", "udp://[::1]:7", ""),
            ("ws://h/\u{e4}%20b/?\u{e4}", "ws://h:80/%C3%A4%20b/?***", "/%C3%A4%20b/?%C3%A4"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.path()), (written, path));
            assert_eq!(format!("{url:?}"), written);
        }
        assert_eq!("ws://[::1]:9".parse::<Url>().unwrap().resolve().unwrap()[0].to_string(), "[::1]:9");
    }

    #[test]
    fn a_room_is_a_path_of_its_own() {
        for (text, path) in [
            ("ws://h/", "/room-7"),
            ("ws://h/chat/", "/chat/room-7"),
            ("ws://h/chat?token=1", "/chat/room-7?token=1"),
            ("ws://h/chat/{room}/x?r={room}", "/chat/7/x?r=7"),
        ] {
            assert_eq!(text.parse::<Url>().unwrap().of_room(7).path(), path);
        }
    }

    #[test]
    fn the_host_header_has_a_port_where_it_is_not_the_scheme_s_own() {
        for (text, host) in [
            ("ws://h/", "h"),
            ("ws://h:80/", "h"),
            ("ws://h:8080/", "h:8080"),
            ("ws://h:443/", "h:443"),
            ("wss://h:443/", "h"),
            ("wss://h:80/", "h:80"),
            ("ws://[::1]/", "[::1]"),
            ("ws://[::1]:9/", "[::1]:9"),
            ("ws://b\u{fc}cher/", "xn--bcher-kva"),
        ] {
            assert_eq!(text.parse::<Url>().unwrap().authority(), host, "{text}");
        }
    }

    #[test]
    fn other_urls_are_refused_with_what_was_expected() {
        for bad in [
            "",
            "x",
            "http://x/",
            "ws://",
            "wss://",
            "wss://a:0",
            "ws:///x",
            "ws://a:b",
            "ws://a:0",
            "ws://a:70000",
            "ws://a b/",
            "ws://\u{fc}\u{0}/",
            "ws://\u{fc}:x/",
            "tcp://",
            "tcp://h",
            "tcp://[::1]",
            "tcp://h:0",
            "tcp://h:1/path",
            "udp://h",
            "udp://h:0",
            "udp://h:1/path",
            "quic://h:1",
        ] {
            let error = bad.parse::<Url>().unwrap_err();
            assert!(error.contains(bad), "{bad}: {error}");
        }
        for (bad, said) in [
            ("ws://u:SECRET@h/p", "'ws://***@h/p': a WebSocket URL has no user name"),
            ("ws://h/p#SECRET", "'ws://h/p#***': a WebSocket URL has no fragment"),
            ("ws://h/p?a#SECRET", "'ws://h/p?***': a WebSocket URL has no fragment"),
            ("tcp://h:1/?SECRET", "'tcp://h:1/?***': expected tcp://HOST:PORT"),
            ("udp://u:SECRET@h:1", "'udp://***@h:1': expected udp://HOST:PORT"),
            ("ws://h:0/?SECRET", "'ws://h:0/?***': the port"),
            ("ws://h/?SEC RET", "'ws://h/?***' is no URL"),
            ("wss://u:SECRET@h/p", "'wss://***@h/p': a WebSocket URL has no user name"),
            ("ws://u:SEC?RET@h", "'ws://***?***': the port"),
        ] {
            let error = bad.parse::<Url>().unwrap_err();
            assert!(error.starts_with(said), "{bad}: {error}");
        }
    }
}
