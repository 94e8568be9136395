//! Where the server listens, and what is spoken there.

use std::fmt;
use std::net::SocketAddr;

use serde::{Serialize, Serializer};

/// An address to listen on, and what is spoken there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// What is spoken there.
    pub scheme: Scheme,
    /// Where.
    pub address: SocketAddr,
}

/// What is spoken at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// WebSocket over TCP.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// TCP alone: every byte is sent back.
    Tcp,
    /// UDP: every datagram is sent back.
    Udp,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ws, Self::Wss, Self::Tcp, Self::Udp];

    /// Whether WebSocket is spoken, over whatever.
    pub fn is_websocket(self) -> bool {
        match self {
            Self::Ws | Self::Wss => true,
            Self::Tcp | Self::Udp => false,
        }
    }

    /// Whether there are connections.
    pub(crate) fn is_stream(self) -> bool {
        self != Self::Udp
    }

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

impl Endpoint {
    /// WebSocket at this address.
    pub fn ws(address: SocketAddr) -> Self {
        Self { scheme: Scheme::Ws, address }
    }

    /// The URL that clients are given.
    pub fn url(&self) -> String {
        let path = if self.scheme.is_websocket() { "/" } else { "" };
        format!("{}://{}{path}", self.scheme.name(), self.address)
    }
}

/// As `--listen` takes it: without a scheme where it is WebSocket.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Ws => self.address.fmt(f),
            scheme => write!(f, "{}://{}", scheme.name(), self.address),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
