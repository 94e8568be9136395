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

use crate::relay::Member;

/// What the messages of a connection are and what answers them.
#[derive(Debug)]
pub(crate) enum Dialogue {
    /// Each WebSocket message is sent back, from where it lies.
    Echo,
    /// Anything else. Boxed, so that an idle connection of any kind stays small.
    Apart(Box<Apart>),
}

/// What the messages of a connection are and what answers them, where it is not each WebSocket message from where it lies.
#[derive(Debug)]
pub(crate) enum Apart {
    /// Replies to WebSocket messages are made apart from them: by the template of the worker's configuration if it has one, and by a codec where permessage-deflate was
    /// agreed.
    Reply(Option<Codec>),
    /// They are handed on to the other members of a room. Boxed, so that it does not make the other kind larger.
    Relay(Box<Member>),
    /// There are no messages: every byte is sent back.
    Bytes,
}

impl Dialogue {
    /// What follows a WebSocket handshake that agreed on this compression, or on none, with a server that answers by template,
    /// or does not.
    pub(crate) fn websocket(agreed: Option<Agreed>, templated: bool) -> Self {
        let codec = agreed.map(|agreed| Codec::new(agreed, Peer::Client));
        if codec.is_some() || templated { Self::Apart(Box::new(Apart::Reply(codec))) } else { Self::Echo }
    }

    /// What follows a WebSocket handshake with a server that relays.
    pub(crate) fn relay(member: Member) -> Self {
        Self::Apart(Box::new(Apart::Relay(Box::new(member))))
    }

    /// Every byte is sent back.
    pub(crate) fn bytes() -> Self {
        Self::Apart(Box::new(Apart::Bytes))
    }

    /// Whether every byte is sent back.
    pub(crate) fn is_bytes(&self) -> bool {
        matches!(self, Self::Apart(apart) if matches!(**apart, Apart::Bytes))
    }

    /// The member of a room that the connection is, if it is one.
    pub(crate) fn member(&mut self) -> Option<&mut Member> {
        match self {
            Self::Apart(apart) => match &mut **apart {
                Apart::Relay(member) => Some(member),
                Apart::Reply(_) | Apart::Bytes => None,
            },
            Self::Echo => None,
        }
    }

    /// Bytes that the dialogue itself holds for messages that are not whole, or not taken.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::Apart(apart) => match &**apart {
                Apart::Relay(member) => member.held(),
                Apart::Reply(_) | Apart::Bytes => 0,
            },
            Self::Echo => 0,
        }
    }

    /// What compresses and decompresses, if permessage-deflate was agreed.
    pub(crate) fn codec(&mut self) -> Option<&mut Codec> {
        match self {
            Self::Echo => None,
            Self::Apart(apart) => match &mut **apart {
                Apart::Reply(codec) => codec.as_mut(),
                Apart::Relay(member) => member.codec.as_mut(),
                Apart::Bytes => None,
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
