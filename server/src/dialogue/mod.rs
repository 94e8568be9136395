//! What a connection's messages are and what answers them, wherever it is served. A [`Dialogue`] is chosen once, when
//! the handshake is over; the lane matches on it once per read (`lane::exchange`), and whatever ends a connection asks
//! it for its last words.
//!
//! The parts of the WebSocket echo that lane and engine share are here too: [`close_frame`], compression ([`deflate`]),
//! replies by template ([`templated`]) and what slows messages down on purpose ([`inject`]).

pub(crate) mod close_frame;
pub(crate) mod deflate;
pub(crate) mod inject;
pub(crate) mod templated;

use wire::deflate::{Agreed, Codec};
use wire::{CloseCode, Peer};

/// What the messages of a connection are and what answers them.
#[derive(Debug)]
pub(crate) enum Dialogue {
    /// Each WebSocket message is sent back, from where it lies.
    Echo,
    /// Replies to WebSocket messages are made apart from them: by the template of the worker's configuration if it has one,
    /// and by a codec where permessage-deflate was agreed. Boxed, so that an idle connection of the other kind stays small.
    Apart(Box<Option<Codec>>),
}

impl Dialogue {
    /// What follows a WebSocket handshake that agreed on this compression, or on none, with a server that answers by template,
    /// or does not.
    pub(crate) fn websocket(agreed: Option<Agreed>, templated: bool) -> Self {
        let codec = agreed.map(|agreed| Codec::new(agreed, Peer::Client));
        if codec.is_some() || templated { Self::Apart(Box::new(codec)) } else { Self::Echo }
    }

    /// What compresses and decompresses, if permessage-deflate was agreed.
    pub(crate) fn codec(&mut self) -> Option<&mut Codec> {
        match self {
            Self::Echo => None,
            Self::Apart(codec) => codec.as_mut().as_mut(),
        }
    }

    /// The length in bytes of the message that begins with `bytes`, as it is sent; `None` if they do not tell.
    pub(crate) fn length(&self, bytes: &[u8]) -> Option<u64> {
        match self {
            Self::Echo | Self::Apart(_) => wire::frame_len(bytes),
        }
    }

    /// Appends what a peer is told before its connection is closed.
    pub(crate) fn append_last_words(&self, out: &mut Vec<u8>, code: CloseCode, reason: &str) {
        match self {
            Self::Echo | Self::Apart(_) => close_frame::append(out, code, reason),
        }
    }
}
