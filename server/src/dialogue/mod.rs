//! What a connection's messages are and what answers them, wherever it is served. A [`Dialogue`] is chosen once, when
//! the handshake is over; the lane matches on it once per read (`lane::exchange`), and whatever ends a connection asks
//! it for its last words.
//!
//! The parts of the WebSocket echo that lane and engine share are here too: [`close_frame`], compression ([`deflate`])
//! and what slows messages down on purpose ([`inject`]).

pub(crate) mod close_frame;
pub(crate) mod deflate;
pub(crate) mod inject;

use wire::deflate::{Agreed, Codec};
use wire::{CloseCode, Peer};

/// What the messages of a connection are and what answers them.
#[derive(Debug)]
pub(crate) enum Dialogue {
    /// Each WebSocket message is sent back.
    Echo,
    /// The same, where permessage-deflate was agreed; boxed, as most connections have no codec.
    EchoDeflated(Box<Codec>),
}

impl Dialogue {
    /// What follows a WebSocket handshake that agreed on this compression, or on none.
    pub(crate) fn websocket(agreed: Option<Agreed>) -> Self {
        Self::with_codec(agreed.map(|agreed| Box::new(Codec::new(agreed, Peer::Client))))
    }

    /// A WebSocket echo with this codec, or without.
    pub(crate) fn with_codec(codec: Option<Box<Codec>>) -> Self {
        codec.map_or(Self::Echo, Self::EchoDeflated)
    }

    /// The codec, for an engine to go on with.
    pub(crate) fn into_codec(self) -> Option<Box<Codec>> {
        match self {
            Self::Echo => None,
            Self::EchoDeflated(codec) => Some(codec),
        }
    }

    /// The length in bytes of the message that begins with `bytes`, as it is sent; `None` if they do not tell.
    pub(crate) fn length(&self, bytes: &[u8]) -> Option<u64> {
        match self {
            Self::Echo | Self::EchoDeflated(_) => wire::frame_len(bytes),
        }
    }

    /// Appends what a peer is told before its connection is closed.
    pub(crate) fn append_last_words(&self, out: &mut Vec<u8>, code: CloseCode, reason: &str) {
        match self {
            Self::Echo | Self::EchoDeflated(_) => close_frame::append(out, code, reason),
        }
    }
}
