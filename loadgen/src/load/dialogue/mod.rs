//! What is spoken on a connection: which bytes its messages are, which bytes that come back answer them, and what is said
//! before it is closed. The lane and its ledger know no more of it than this file shows; they match on the kind of
//! [`Dialogue`] once for each read and each write, never for each message.
//!
//! A connection's messages and their times are a [`Flight`], whatever is spoken. A kind of dialogue says which bytes they
//! are: it reads what the socket gave, enters in the flight what was answered, and tells an [`Observer`]. It knows no
//! socket and no clock. Another kind is a variant of [`Protocol`] and of [`Dialogue`] here, a file beside `websocket`, and an
//! arm in `load::connect` that opens it.

mod bytes;
mod datagrams;
pub mod flight;
pub mod observer;
pub mod pending;
mod per_worker;
mod websocket;

use wire::CloseCode;
use wire::deflate::Agreed;

use crate::plan::messages::{Corpus, Volume};
use crate::plan::{Expect, Plan};
use crate::units;
use bytes::Bytes;
use datagrams::Datagrams;
use flight::Flight;
use observer::Observer;
pub use per_worker::PerWorker;
pub use websocket::closed;
use websocket::{Terms, WebSocket};

/// What the opening of a connection has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A WebSocket handshake was made.
    WebSocket {
        /// What was agreed on permessage-deflate, if it was.
        deflate: Option<Agreed>,
    },
    /// There is TCP alone.
    Bytes,
    /// There is UDP alone.
    Datagrams,
}

/// What is spoken on one connection, and where its two streams of bytes stand.
#[derive(Debug)]
pub enum Dialogue {
    /// Each WebSocket message is to be sent back as it is.
    WebSocket(WebSocket),
    /// Each byte is to be sent back.
    Bytes(Bytes),
    /// Each datagram is to be sent back. Boxed, so that the others stay as small as they are.
    Datagrams(Box<Datagrams>),
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// The server sent a Close frame.
    #[error("closed by the server with {words}")]
    Closed {
        /// What it says.
        words: String,
        /// The code to answer it with (RFC 6455, 5.5.1): its own; `None` where it has none.
        answer: Option<CloseCode>,
    },
    /// The server broke the protocol.
    #[error("protocol violation by the server: {0}")]
    Violation(wire::Violation),
    /// The server sent a message that is longer than anything that is read.
    #[error("the server sent a message longer than {} bytes, the most that is read; closed with code 1009", units::count(*.0))]
    TooLong(u64),
    /// The oldest message's reply does not come, while those to later ones do.
    #[error("a reply is missing, and {MOST_EARLY} later ones have come")]
    Missing,
    /// Of what the server sent, nobody can tell any more which message it answers.
    #[error("the server sent more bytes than it was sent")]
    Surplus,
}

impl Protocol {
    /// What was agreed on permessage-deflate, if it was.
    pub fn deflate(&self) -> Option<Agreed> {
        match self {
            Self::WebSocket { deflate } => *deflate,
            Self::Bytes | Self::Datagrams => None,
        }
    }
}

impl Dialogue {
    /// What is spoken on a connection that was opened so. Where `content` is false, replies are checked by their length
    /// only. Making the bytes of the corpus's messages, if nobody has, takes its time.
    pub fn new(protocol: Protocol, plan: &Plan, content: bool, corpus: &Corpus) -> Self {
        match protocol {
            Protocol::WebSocket { deflate } => {
                let deflate = plan.connect.permessage_deflate.zip(deflate);
                let in_order = plan.expect == Expect::Order;
                let terms = Terms { deflate, content, in_order, skip: plan.skip_messages };
                Self::WebSocket(WebSocket::new(corpus, &terms))
            }
            Protocol::Bytes => Self::Bytes(Bytes::new(corpus, content)),
            Protocol::Datagrams => Self::Datagrams(Box::new(Datagrams::new(corpus, content, plan.sent_together()))),
        }
    }

    /// Makes the bytes of what is to be sent next, where they depend on the messages before: for up to `count` messages, due
    /// or not, as far as there is room. Returns whether that took any time.
    #[inline]
    pub fn prepare(&mut self, flight: &Flight, corpus: &Corpus, per_worker: &mut PerWorker, count: usize) -> bool {
        match self {
            Self::WebSocket(websocket) => websocket.pack(flight, corpus, per_worker, count),
            Self::Bytes(_) => false,
            // A copy takes no time that counts.
            Self::Datagrams(datagrams) => {
                datagrams.make(flight, corpus);
                false
            }
        }
    }

    /// The bytes to send next; empty when all has been sent. More may follow once these are gone.
    #[inline]
    pub fn unsent<'a>(&'a self, flight: &Flight, corpus: &'a Corpus) -> &'a [u8] {
        match self {
            Self::WebSocket(websocket) => websocket.unsent(flight, corpus),
            Self::Bytes(_) => bytes::unsent(flight, corpus),
            Self::Datagrams(datagrams) => datagrams.unsent(),
        }
    }

    /// Bytes of each datagram of [`Dialogue::unsent`], but for the last one, which may be shorter; 0 where there are none.
    #[inline]
    pub fn segment(&self) -> usize {
        match self {
            Self::WebSocket(_) | Self::Bytes(_) => 0,
            Self::Datagrams(datagrams) => datagrams.segment(),
        }
    }

    /// The first `bytes` of [`Dialogue::unsent`], whole datagrams where there are any, have been sent at `now`; returns the
    /// messages that are thereby sent whole.
    #[inline]
    pub fn sent(&mut self, flight: &mut Flight, corpus: &Corpus, bytes: usize, now: u64) -> Volume {
        match self {
            Self::WebSocket(websocket) => websocket.sent(flight, corpus, bytes, now),
            Self::Bytes(_) => bytes::sent(flight, corpus, bytes, now),
            Self::Datagrams(datagrams) => datagrams.sent(flight, corpus, bytes, now),
        }
    }

    /// Takes the next bytes that came, and enters in `flight` which messages they answer. Where they are datagrams,
    /// each has `segment` bytes but the last one, which may be shorter.
    ///
    /// # Errors
    /// When the server closed the connection or sent what no server may send.
    #[inline]
    pub fn received(
        &mut self,
        flight: &mut Flight,
        corpus: &Corpus,
        per_worker: &mut PerWorker,
        bytes: &[u8],
        segment: usize,
        observer: &mut impl Observer,
    ) -> Result<(), Gone> {
        match self {
            Self::WebSocket(websocket) => websocket.received(flight, corpus, per_worker, bytes, observer),
            Self::Bytes(stream) => stream.received(flight, corpus, bytes, observer),
            Self::Datagrams(datagrams) => {
                datagrams.received(flight, corpus, bytes, segment, observer);
                Ok(())
            }
        }
    }

    /// Whether a reply has come in part.
    #[inline]
    pub fn mid_reply(&self) -> bool {
        match self {
            Self::WebSocket(websocket) => websocket.mid_reply(),
            Self::Bytes(stream) => stream.mid_reply(),
            Self::Datagrams(_) => false,
        }
    }

    /// Whether what came asks for bytes to be sent that belong to no message.
    #[inline]
    pub fn owes_control(&self) -> bool {
        match self {
            Self::WebSocket(websocket) => websocket.owes_pongs(),
            Self::Bytes(_) | Self::Datagrams(_) => false,
        }
    }

    /// Makes a Ping to be sent next, at `now`, where there is such a thing and room for it. Returns whether it did.
    pub fn ping(&mut self, now: u64) -> bool {
        match self {
            Self::WebSocket(websocket) => websocket.ping(now),
            Self::Bytes(_) | Self::Datagrams(_) => false,
        }
    }

    /// Gives up the Pings that wait for their Pongs; how many there were.
    pub fn give_up_pings(&mut self) -> u64 {
        match self {
            Self::WebSocket(websocket) => websocket.give_up_pings(),
            Self::Bytes(_) | Self::Datagrams(_) => 0,
        }
    }

    /// Whether wrong messages have come that may turn out to be no replies.
    pub fn has_ambiguous(&self) -> bool {
        match self {
            Self::WebSocket(websocket) => websocket.has_ambiguous(),
            Self::Bytes(_) | Self::Datagrams(_) => false,
        }
    }

    /// Gives up the messages that were sent before this time and have no reply, where such a one is lost.
    pub fn expire(&mut self, flight: &mut Flight, corpus: &Corpus, before: u64, observer: &mut impl Observer) {
        match self {
            Self::WebSocket(_) | Self::Bytes(_) => {}
            Self::Datagrams(datagrams) => datagrams.expire(flight, corpus, before, observer),
        }
    }

    /// Whether the connection can go on without the messages that it has lost.
    pub fn outlives_losses(&self) -> bool {
        matches!(self, Self::Datagrams(_))
    }

    /// Ends the connection: what is left of its messages is lost, and of what is ambiguous it is taken that it was the
    /// corrupted reply.
    pub fn abandon(&mut self, flight: &mut Flight, corpus: &Corpus, observer: &mut impl Observer) {
        match self {
            Self::WebSocket(websocket) => websocket.abandon(flight, corpus, observer),
            Self::Bytes(_) => flight.abandon(observer),
            Self::Datagrams(datagrams) => datagrams.abandon(flight, corpus, observer),
        }
    }

    /// Appends what the server is told before the connection is closed; nothing where a message has been sent in part.
    pub fn append_last_words(&self, flight: &Flight, out: &mut Vec<u8>, code: Option<CloseCode>) {
        match self {
            Self::WebSocket(_) => websocket::append_close(flight, out, code),
            Self::Bytes(_) | Self::Datagrams(_) => {}
        }
    }

    /// What it means that the server has ended its stream, in words.
    pub fn end_of_stream(&self) -> &'static str {
        match self {
            Self::WebSocket(_) => "closed by the server without a Close frame",
            Self::Bytes(_) | Self::Datagrams(_) => "closed by the server",
        }
    }
}

impl Gone {
    /// The code to close the connection with; `None` where it is closed without one.
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Gone::Closed { answer, .. } => *answer,
            Gone::Missing | Gone::Surplus => Some(CloseCode::NORMAL),
            Gone::Violation(violation) => Some(violation.close_code()),
            Gone::TooLong(_) => Some(CloseCode::MESSAGE_TOO_BIG),
        }
    }
}

/// Messages answered before the oldest one that are kept: 24 bytes each.
const MOST_EARLY: usize = 1 << 16;
