//! Bytes in, replies out, whatever buffer they lie in: the one place of the lane that knows what a message is and what
//! is done with it, for every kind of [`Dialogue`].

mod relayed;

use std::io;
use std::ops::Range;
use std::sync::Arc;

use wire::deflate::{Codec, EchoedDeflated, echo_deflated, reply_deflated};
use wire::{Echoed, End, Limits, Replied, Templated};

use super::turn::Turn;
use crate::config::Config;
use crate::dialogue::deflate::Compression;
use crate::dialogue::inject::{self, Injected};
use crate::dialogue::templated;
use crate::dialogue::{Apart, Dialogue};
use crate::limits::admission::Admission;
use crate::limits::budget::Share;
use crate::relay::Writing;
use crate::transport::Stream;

/// How the lines of one worker are answered.
pub(super) struct Exchange {
    limits: Limits,
    quickack: bool,
    injected: Option<Injected>,
    compression: Option<Compression>,
    templated: Option<Templated>,
    /// Replies that are made apart from their messages, meanwhile.
    replies: Vec<u8>,
    /// What is handed on to the members of rooms instead.
    pub(super) writing: Writing,
    /// What compresses that.
    packer: Option<Codec>,
    /// Told what was freed.
    share: Arc<Share>,
    /// About how long this turn has taken so far.
    pub(super) turn: Turn,
}

/// What was made of a buffer.
pub(super) struct Exchanged {
    /// Bytes at its start that were whole messages.
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

impl Exchange {
    pub(super) fn new(config: &Config, share: Arc<Share>) -> Self {
        let limits = &config.limits;
        Self {
            limits: Limits { max_message_size: limits.max_message_size, max_fragments: limits.max_fragments },
            quickack: config.socket.tcp_quickack,
            injected: Injected::new(&config.echo),
            compression: Compression::new(config),
            templated: templated::of(&config.echo),
            replies: Vec::new(),
            writing: Writing::new(),
            packer: config.permessage_deflate.map(|options| relayed::packer(&options)),
            share,
            turn: Turn::default(),
        }
    }

    /// Turns the whole messages in `bytes` into replies and sends what the socket takes.
    ///
    /// # Errors
    /// When sending fails.
    #[inline]
    pub(super) fn answer(
        &mut self,
        stream: &Stream<Admission>,
        dialogue: &mut Dialogue,
        bytes: &mut [u8],
    ) -> io::Result<Exchanged> {
        let exchanged = match dialogue {
            Dialogue::Echo => self.echo(stream, bytes),
            Dialogue::Apart(apart) => match &mut **apart {
                Apart::Reply(codec) => self.answer_apart(stream, codec.as_mut(), bytes),
                Apart::Relay(member) => Ok(self.receive(member, bytes)),
                Apart::Bytes => self.send_back(stream, bytes),
            },
        };
        if self.quickack {
            stream.acknowledge();
        }
        exchanged
    }

    #[inline]
    fn echo(&mut self, stream: &Stream<Admission>, bytes: &mut [u8]) -> io::Result<Exchanged> {
        let Echoed { consumed, written, messages, end } = wire::echo_in_place(bytes, &self.limits);
        self.count(messages, written, 1);
        let sent = if written == 0 { 0 } else { stream.send(&bytes[..written])? };
        let left = if sent < written { Left::InPlace(sent..written) } else { Left::Nothing };
        Ok(Exchanged { consumed, left, end })
    }

    /// Sends back all of `bytes`. What one read brought counts as a message.
    fn send_back(&mut self, stream: &Stream<Admission>, bytes: &[u8]) -> io::Result<Exchanged> {
        let length = bytes.len();
        self.count(usize::from(length > 0), length, 1);
        let sent = if length == 0 { 0 } else { stream.send(bytes)? };
        let left = if sent < length { Left::InPlace(sent..length) } else { Left::Nothing };
        Ok(Exchanged { consumed: length, left, end: End::Partial })
    }

    fn answer_apart(
        &mut self,
        stream: &Stream<Admission>,
        mut codec: Option<&mut Codec>,
        bytes: &mut [u8],
    ) -> io::Result<Exchanged> {
        let effort = if codec.is_some() { DEFLATED } else { TEMPLATED };
        let mut done = 0;
        loop {
            let bytes = &mut bytes[done..];
            self.replies.clear();
            let EchoedDeflated { consumed, written, messages, worked, end } = self.make(codec.as_deref_mut(), bytes);
            let replies = if self.replies.is_empty() { &bytes[..written] } else { &self.replies[..] };
            let sent = if replies.is_empty() { Ok(0) } else { stream.send(replies) };
            let unsent = sent.map(|sent| replies[sent..].to_vec());
            let length = replies.len();
            // Also if the peer has gone meanwhile: the work was done, and what it took is to be given back.
            self.count(messages, length.max(worked), effort);
            self.share.freed(worked);
            if self.replies.capacity() > KEPT_REPLIES {
                self.replies = Vec::new();
            }
            let unsent = unsent?;
            done += consumed;
            let tired = end.is_none() && self.turn.is_over();
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

    /// Makes replies to the whole messages in `bytes`, as many as may be sent at once.
    fn make(&mut self, codec: Option<&mut Codec>, bytes: &mut [u8]) -> EchoedDeflated {
        let Self { limits, compression, templated, replies: out, .. } = self;
        let Some(codec) = codec else {
            let templated = templated.as_ref().expect("without a codec replies are made apart by a template");
            let Replied { consumed, messages, end } = wire::reply(bytes, limits, templated, out);
            return EchoedDeflated { consumed, written: 0, messages, worked: 0, end };
        };
        let compression = compression.expect("it is agreed on only where the configuration has it");
        let replies = &compression.replies;
        compression.with_shared(|shared| match templated {
            Some(templated) => reply_deflated(bytes, limits, (templated, replies), codec, shared, out),
            None => echo_deflated(bytes, limits, replies, codec, shared, out),
        })
    }

    /// Counts `bytes` of replies of so many `messages` towards the turn; each byte took `effort` times a copied one's.
    #[inline]
    fn count(&mut self, messages: usize, bytes: usize, effort: u64) {
        let injected = inject::hold_up(self.injected.as_ref(), messages);
        self.turn.add_messages(messages, injected, bytes, effort);
    }
}

/// How many times as long a byte takes that is decompressed and compressed again, about.
const DEFLATED: u64 = 60;

/// The same of one that is copied into a reply by template, about.
const TEMPLATED: u64 = 2;

/// Bytes of replies made apart that a worker has room for all the time.
const KEPT_REPLIES: usize = 1 << 20;
