//! [`Conversation`]: the protocol phase of one connection. It runs until the connection rests, waits, or has ended.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;
use wire::{Cursor, Limits, Peer};

use super::link::{Link, Standing};
use super::{Ended, Engine, Manner};
use crate::dialogue::Dialogue;
use crate::transport::Watched;

/// The protocol phase of a connection: an engine while it has something to say, and no more than a [`Link`] otherwise.
pub(crate) struct Conversation {
    /// Taken only while the engine is polled.
    link: Option<Link>,
    /// Present within a message.
    engine: Option<Engine>,
    manner: Manner,
}

/// How far a conversation has come.
#[derive(Debug)]
pub(crate) enum Step {
    /// Between two messages; the task is woken when more arrives.
    Idle,
    /// Within a message that has not wholly arrived, or before a reply of which nothing is sent.
    Reading,
    /// Within a frame that is partly sent.
    Writing,
    /// Over.
    Ended(Ended),
}

impl Conversation {
    pub(crate) fn new(
        stream: Watched,
        read_ahead: Bytes,
        limits: Limits,
        manner: Manner,
        mut dialogue: Dialogue,
    ) -> Self {
        let cursor = Cursor::new(Peer::Client, limits);
        let link = Link {
            stream,
            cursor: if dialogue.codec().is_some() { cursor.with_deflate() } else { cursor },
            dialogue,
            begun: VecDeque::new(),
            rsv1: false,
            read_ahead: (!read_ahead.is_empty()).then(|| Box::new(read_ahead)),
            stopping: false,
            standing: Standing::Rest,
            footprint: 0,
            message: 0,
            worked: 0,
        };
        Self { link: Some(link), engine: None, manner }
    }

    /// Goes on as far as the socket lets it; if `stopping`, only until nothing of a frame is left to send.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, stopping: bool) -> Step {
        let mut engine = self.engine.take().unwrap_or_else(|| Engine::take(&self.manner));
        let mut link = self.link.take().expect("the link is back after every poll");
        link.stopping = stopping;
        let (link, polled) = engine.poll(link, cx);
        let (standing, footprint) = (link.standing, link.footprint);
        self.link = Some(link);
        match polled {
            Poll::Ready(ended) => return Step::Ended(ended),
            Poll::Pending if standing == Standing::Rest => engine.put(&self.manner, footprint),
            Poll::Pending => self.engine = Some(engine),
        }
        match standing {
            Standing::Rest => Step::Idle,
            Standing::Reading => Step::Reading,
            Standing::Writing => Step::Writing,
        }
    }

    /// Bytes of memory that are held for a message, a reply, or a record of TLS that is not whole; 0 between two messages.
    pub(crate) fn held(&self) -> usize {
        let Some(link) = &self.link else { return 0 };
        let engine = match &self.engine {
            Some(_) => {
                let ahead = link.read_ahead.as_ref().map_or(0, |ahead| ahead.len());
                ENGINE_BYTES + link.footprint + link.message + ahead
            }
            None => 0,
        };
        engine + link.stream.held()
    }

    /// Bytes that were compressed or decompressed since this was asked last.
    pub(crate) fn take_worked(&mut self) -> usize {
        self.link.as_mut().map_or(0, |link| std::mem::take(&mut link.worked))
    }

    /// Whether some of a reply is sent and some is not.
    pub(crate) fn is_writing(&self) -> bool {
        self.engine.is_some() && self.link.as_ref().is_some_and(|link| link.standing == Standing::Writing)
    }

    /// The stream and the dialogue, for what follows the conversation.
    pub(crate) fn into_parts(self) -> (Watched, Dialogue) {
        let link = self.link.expect("the link is back after every poll");
        (link.stream, link.dialogue)
    }
}

/// Bytes of an engine beside its buffers, about.
const ENGINE_BYTES: usize = 2 << 10;
