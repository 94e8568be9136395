//! Whole frames in, replies out, whatever buffer they lie in: the one place of the lane that knows what is done with a
//! message.

use std::io;
use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;

use socket2::SockRef;
use wire::deflate::{Codec, EchoedDeflated, echo_deflated};
use wire::{Echoed, End, Limits};

use super::line::{TURN_NS, send};
use crate::budget::Share;
use crate::config::Config;
use crate::{cost, deflate};

/// How the lines of one worker are echoed.
pub(super) struct Echo {
    limits: Limits,
    quickack: bool,
    /// Nanoseconds burnt for every message.
    inject_cost: u32,
    deflate: Option<deflate::Manner>,
    /// Replies of connections with permessage-deflate, while they are made.
    replies: Vec<u8>,
    /// Told what was freed.
    share: Arc<Share>,
    /// About how long this turn has taken so far, ns.
    pub(super) spent: u64,
}

/// What was made of a buffer.
pub(super) struct Exchanged {
    /// Bytes at its start that were whole frames.
    pub(super) consumed: usize,
    /// Replies that the socket did not take.
    pub(super) left: Left,
    /// Why it ended there.
    pub(super) end: End,
}

/// Where unsent replies are.
pub(super) enum Left {
    Nothing,
    /// In the buffer itself.
    InPlace(Range<usize>),
    Apart(Vec<u8>),
    /// None; but the turn is over, and whole frames may lie behind those that were echoed.
    ForNextTurn,
}

impl Echo {
    pub(super) fn new(config: &Config, share: Arc<Share>) -> Self {
        let limits = &config.limits;
        Self {
            limits: Limits { max_message_size: limits.max_message_size, max_fragments: limits.max_fragments },
            quickack: config.socket.tcp_quickack,
            inject_cost: config.echo.inject_cost,
            deflate: deflate::Manner::new(config),
            replies: Vec::new(),
            share,
            spent: 0,
        }
    }

    /// Turns the whole frames in `bytes` into replies and sends what the socket takes.
    ///
    /// # Errors
    /// When sending fails.
    #[inline]
    pub(super) fn exchange(
        &mut self,
        stream: &TcpStream,
        codec: &mut deflate::Connection,
        bytes: &mut [u8],
    ) -> io::Result<Exchanged> {
        let exchanged = match (codec, self.deflate) {
            (Some(codec), Some(manner)) => self.exchange_deflated(stream, codec, manner, bytes),
            _ => self.exchange_plain(stream, bytes),
        };
        if self.quickack {
            // A hint to the kernel, which forgets it with every reply.
            let _ = SockRef::from(stream).set_tcp_quickack(true);
        }
        exchanged
    }

    #[inline]
    fn exchange_plain(&mut self, stream: &TcpStream, bytes: &mut [u8]) -> io::Result<Exchanged> {
        let Echoed { consumed, written, messages, end } = wire::echo_in_place(bytes, &self.limits);
        self.count(messages, written, 1);
        let sent = if written == 0 { 0 } else { send(stream, &bytes[..written])? };
        let left = if sent < written { Left::InPlace(sent..written) } else { Left::Nothing };
        Ok(Exchanged { consumed, left, end })
    }

    fn exchange_deflated(
        &mut self,
        stream: &TcpStream,
        codec: &mut Codec,
        manner: deflate::Manner,
        bytes: &mut [u8],
    ) -> io::Result<Exchanged> {
        let mut done = 0;
        loop {
            let bytes = &mut bytes[done..];
            self.replies.clear();
            let EchoedDeflated { consumed, written, messages, worked, end } = manner
                .share(|shared| echo_deflated(bytes, &self.limits, &manner.replies, codec, shared, &mut self.replies));
            let replies = if self.replies.is_empty() { &bytes[..written] } else { &self.replies[..] };
            let sent = if replies.is_empty() { Ok(0) } else { send(stream, replies) };
            let unsent = sent.map(|sent| replies[sent..].to_vec());
            let length = replies.len();
            // Also if the peer has gone meanwhile: the work was done, and what it took is to be given back.
            self.count(messages, length.max(worked), DEFLATED);
            self.share.freed(worked);
            if self.replies.capacity() > KEPT {
                self.replies = Vec::new();
            }
            let unsent = unsent?;
            done += consumed;
            let tired = end.is_none() && self.spent > TURN_NS;
            if end.is_some() || !unsent.is_empty() || tired {
                let left = match () {
                    () if !unsent.is_empty() => Left::Apart(unsent),
                    () if tired => Left::ForNextTurn,
                    () => Left::Nothing,
                };
                return Ok(Exchanged { consumed: done, left, end: end.unwrap_or(End::Partial) });
            }
        }
    }

    /// Counts `bytes` of replies of so many `messages` towards the turn; each byte took `effort` times a copied one's.
    #[inline]
    fn count(&mut self, messages: usize, bytes: usize, effort: u64) {
        cost::burn(self.inject_cost, messages);
        self.spent +=
            messages as u64 * (MESSAGE_NS + u64::from(self.inject_cost)) + bytes as u64 / BYTES_PER_NS * effort;
    }
}

/// Nanoseconds that a small message takes, about.
const MESSAGE_NS: u64 = 40;

/// Bytes that are received, unmasked and sent in a nanosecond, about.
pub(super) const BYTES_PER_NS: u64 = 3;

/// How many times as long a byte takes that is decompressed and compressed again, about.
const DEFLATED: u64 = 60;

/// Bytes of compressed replies that a worker has room for all the time.
const KEPT: usize = 1 << 20;
