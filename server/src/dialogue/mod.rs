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
    /// Anything else. Boxed, and a variant of its own no larger than two words, so that an idle connection of any kind stays
    /// small.
    Other(Box<Other>),
}

/// What the messages of a connection are and what answers them, where it is not each WebSocket message from where it lies.
#[derive(Debug)]
pub(crate) enum Other {
    /// Replies to WebSocket messages are made apart from them: by the template of the worker's configuration if it has one,
    /// and by a codec where permessage-deflate was agreed.
    Apart(Option<Box<Codec>>),
    /// There are no messages: every byte is sent back.
    Bytes,
}

impl Dialogue {
    /// What follows a WebSocket handshake that agreed on this compression, or on none, with a server that answers by template,
    /// or does not.
    pub(crate) fn websocket(agreed: Option<Agreed>, templated: bool) -> Self {
        let codec = agreed.map(|agreed| Box::new(Codec::new(agreed, Peer::Client)));
        if codec.is_some() || templated { Self::Other(Box::new(Other::Apart(codec))) } else { Self::Echo }
    }

    /// Every byte is sent back.
    pub(crate) fn bytes() -> Self {
        Self::Other(Box::new(Other::Bytes))
    }

    /// Whether every byte is sent back.
    pub(crate) fn is_bytes(&self) -> bool {
        matches!(self, Self::Other(other) if matches!(**other, Other::Bytes))
    }

    /// What compresses and decompresses, if permessage-deflate was agreed.
    pub(crate) fn codec(&mut self) -> Option<&mut Codec> {
        match self {
            Self::Echo => None,
            Self::Other(other) => match other.as_mut() {
                Other::Apart(codec) => codec.as_deref_mut(),
                Other::Bytes => None,
            },
        }
    }

    /// The length in bytes of the message that begins with `bytes`, as it is sent; `None` if they do not tell.
    pub(crate) fn length(&self, bytes: &[u8]) -> Option<u64> {
        if self.is_bytes() { None } else { wire::frame_len(bytes) }
    }

    /// Appends what a peer is told before its connection is closed.
    pub(crate) fn append_last_words(&self, out: &mut Vec<u8>, code: CloseCode, reason: &str) {
        if !self.is_bytes() {
            close_frame::append(out, code, reason);
        }
    }
}
