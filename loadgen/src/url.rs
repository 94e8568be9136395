//! `ws://` URLs (RFC 6455, 3).

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use hyper::Uri;

/// The URL of a WebSocket endpoint over plain TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    host: String,
    port: u16,
    path: String,
}

impl Url {
    /// The endpoint `/` on this address.
    pub fn at(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        Self { host, port: address.port(), path: "/".into() }
    }

    /// The port, 80 where the URL names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path and the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the Host header says.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The addresses of the host.
    ///
    /// # Errors
    /// When its name cannot be resolved.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<_> = (host, self.port).to_socket_addrs()?.collect();
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(addresses)
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("'{text}' is no URL: {error}"))?;
        match uri.scheme_str() {
            Some("ws") => {}
            Some("wss") => return Err(format!("'{text}': TLS is not supported yet; expected ws://HOST:PORT/PATH")),
            _ => return Err(format!("'{text}' is no WebSocket URL; expected ws://HOST:PORT/PATH")),
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(format!("'{text}': a WebSocket URL has no user name; send it with -H 'Authorization: …'"));
        }
        let host =
            uri.host().filter(|host| !host.is_empty()).ok_or_else(|| format!("'{text}' names no host"))?.to_owned();
        let port = match uri.port() {
            Some(port) => port.as_u16(),
            // hyper reads a port that is none as no port.
            None if uri.authority().is_some_and(|a| a.as_str() != host) => {
                return Err(format!("'{text}': the port is not a number from 1 to 65535"));
            }
            None => DEFAULT_PORT,
        };
        if port == 0 {
            return Err(format!("'{text}': the port is not a number from 1 to 65535"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host, port, path })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ws://{}:{}{}", self.host, self.port, self.path)
    }
}

/// The port of a `ws` URL that names none (RFC 6455, 3).
const DEFAULT_PORT: u16 = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written() {
        for (text, written) in [
            ("ws://127.0.0.1:8181/", "ws://127.0.0.1:8181/"),
            ("ws://localhost", "ws://localhost:80/"),
            ("ws://[::1]:9/chat?room=1", "ws://[::1]:9/chat?room=1"),
            ("ws://h:1?x=1", "ws://h:1/?x=1"),
        ] {
            assert_eq!(text.parse::<Url>().unwrap().to_string(), written);
        }
        assert_eq!("ws://[::1]:9".parse::<Url>().unwrap().resolve().unwrap()[0].to_string(), "[::1]:9");
    }

    #[test]
    fn other_urls_are_refused_with_what_was_expected() {
        for bad in
            ["", "x", "http://x/", "wss://x/", "ws://", "ws:///x", "ws://a:b", "ws://a:0", "ws://a:70000", "ws://u@h/"]
        {
            let error = bad.parse::<Url>().unwrap_err();
            assert!(error.contains(bad), "{bad}: {error}");
        }
    }
}
