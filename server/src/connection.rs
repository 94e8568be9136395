//! A connection from the upgrade to its end.
//!
//! [`Conversation`] is the protocol phase and the seam to anything that may take over an idle connection: it runs until
//! the connection rests, is busy, or has ended.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::net::TcpStream;
use wire::{CloseCode, Cursor, Limits, Peer, Violation};

use crate::closing::{append_close, close};
use crate::deflate;
use crate::engine::{Cause, Ended, Engine, Manner};
use crate::link::{Link, Standing};
use crate::worker::Admission;

/// Starts echoing on an upgraded connection, of which `read_ahead` has been read already.
pub(crate) fn start(
    admission: Admission,
    stream: TcpStream,
    read_ahead: Bytes,
    peer: SocketAddr,
    codec: deflate::Connection,
) {
    tracing::debug!(%peer, "connection opened");
    match admission.worker.lane.clone() {
        Some(lane) if read_ahead.is_empty() => lane.enter(admission, stream, codec),
        _ => drop(tokio::spawn(run(admission, stream, read_ahead, codec))),
    }
}

/// Goes on with a connection from the lane, which has read `read_ahead`.
pub(crate) fn detour(admission: Admission, stream: std::net::TcpStream, read_ahead: Bytes, codec: deflate::Connection) {
    match TcpStream::from_std(stream) {
        Ok(stream) => drop(tokio::spawn(run(admission, stream, read_ahead, codec))),
        Err(error) => tracing::warn!("the lane cannot hand a connection on: {error}"),
    }
}

/// Closes a connection from the lane, to which `unsent` is still to be sent, because of what its peer did.
pub(crate) fn refuse(admission: Admission, stream: std::net::TcpStream, mut unsent: Vec<u8>, violation: Violation) {
    append_close(&mut unsent, violation.close_code(), &violation.to_string());
    finish(admission, stream, unsent);
}

/// Closes a connection from the lane, to which `unsent` is still to be sent, because the worker drains.
pub(crate) fn go_away(admission: Admission, stream: std::net::TcpStream, mut unsent: Vec<u8>) {
    append_close(&mut unsent, CloseCode::GOING_AWAY, GOING_AWAY);
    finish(admission, stream, unsent);
}

fn finish(admission: Admission, stream: std::net::TcpStream, unsent: Vec<u8>) {
    match TcpStream::from_std(stream) {
        Ok(stream) => drop(tokio::spawn(async move {
            close(stream, unsent, admission.worker.config.limits.close_timeout).await;
            drop(admission);
        })),
        Err(error) => tracing::warn!("the lane cannot hand a connection on: {error}"),
    }
}

/// Echoes until the connection ends, the worker drains, or the lane can take it (back); in the first two cases it is
/// closed.
async fn run(admission: Admission, stream: TcpStream, read_ahead: Bytes, codec: deflate::Connection) {
    let worker = &admission.worker;
    let config = &worker.config;
    let manner = Manner {
        write: config.echo.write,
        read_buffer: config.echo.read_buffer,
        quickack: config.socket.tcp_quickack,
        log_messages: config.echo.log_messages,
        inject_cost: config.echo.inject_cost,
        deflate: deflate::Manner::new(config),
    };
    let limits =
        Limits { max_message_size: config.limits.max_message_size, max_fragments: config.limits.max_fragments };
    let mut conversation = Conversation::new(stream, read_ahead, limits, manner, codec);
    let mut draining = pin!(worker.drain.wait());
    let mut registered = false;
    let next = std::future::poll_fn(|cx| {
        if !registered {
            // Once is enough, as the waker of a task never changes; polling this takes a lock.
            registered = true;
            let _ = draining.as_mut().poll(cx);
        }
        let stopping = worker.drain.started();
        match conversation.poll(cx, stopping) {
            Step::Ended(ended) => Poll::Ready(Next::Ended(ended)),
            Step::Idle | Step::Reading if stopping => Poll::Ready(Next::Drained),
            Step::Idle if worker.lane.is_some() => Poll::Ready(Next::Rests),
            Step::Idle | Step::Reading | Step::Writing => Poll::Pending,
        }
    })
    .await;
    let (cause, unsent) = match next {
        Next::Ended(Ended { cause, unsent }) => (Some(cause), unsent),
        Next::Drained => {
            let mut unsent = Vec::new();
            append_close(&mut unsent, CloseCode::GOING_AWAY, GOING_AWAY);
            (None, unsent)
        }
        Next::Rests => {
            let lane = worker.lane.clone().expect("a connection rests only for the lane");
            let (stream, codec) = conversation.into_parts();
            return lane.enter(admission, stream, codec);
        }
    };
    match &cause {
        Some(cause) => tracing::debug!("connection closing: {cause}"),
        None => tracing::debug!("connection closing: draining"),
    }
    if !matches!(cause, Some(Cause::Eof | Cause::Io(_))) {
        // Boxed, as it would otherwise make every open connection's task as large as a closing one's.
        Box::pin(close(conversation.into_parts().0, unsent, config.limits.close_timeout)).await;
    }
}

/// What follows the protocol phase.
enum Next {
    Ended(Ended),
    /// The worker drains.
    Drained,
    /// The lane takes over.
    Rests,
}

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
        stream: TcpStream,
        read_ahead: Bytes,
        limits: Limits,
        manner: Manner,
        codec: deflate::Connection,
    ) -> Self {
        let cursor = Cursor::new(Peer::Client, limits);
        let link = Link {
            stream,
            cursor: if codec.is_some() { cursor.with_deflate() } else { cursor },
            codec,
            begun: VecDeque::new(),
            rsv1: false,
            read_ahead: (!read_ahead.is_empty()).then(|| Box::new(read_ahead)),
            stopping: false,
            standing: Standing::Rest,
            footprint: 0,
        };
        Self { link: Some(link), engine: None, manner }
    }

    /// Goes on as far as the socket lets it; if `stopping`, only until nothing of a frame is left to send.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, stopping: bool) -> Step {
        let mut engine = self.engine.take().unwrap_or_else(|| Engine::take(self.manner));
        let mut link = self.link.take().expect("the link is back after every poll");
        link.stopping = stopping;
        let (link, polled) = engine.poll(link, cx);
        let (standing, footprint) = (link.standing, link.footprint);
        self.link = Some(link);
        match polled {
            Poll::Ready(ended) => return Step::Ended(ended),
            Poll::Pending if standing == Standing::Rest => engine.put(self.manner, footprint),
            Poll::Pending => self.engine = Some(engine),
        }
        match standing {
            Standing::Rest => Step::Idle,
            Standing::Reading => Step::Reading,
            Standing::Writing => Step::Writing,
        }
    }

    /// The socket and the codec, for what follows the conversation.
    pub(crate) fn into_parts(self) -> (TcpStream, deflate::Connection) {
        let link = self.link.expect("the link is back after every poll");
        (link.stream, link.codec)
    }
}

/// The reason in the Close frame of a server that goes down.
const GOING_AWAY: &str = "server is shutting down";
