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

use crate::allocator;
use crate::budget::{Charge, Holding};
use crate::closing::{append_close, close};
use crate::deflate;
use crate::engine::{Cause, Ended, Engine, Manner};
use crate::link::{Link, Standing};
use crate::worker::{Admission, Worker};

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

/// Closes a connection from the lane, to which nothing is still to be sent, because it held most when `--max-buffered` was
/// passed.
pub(crate) fn evict(admission: Admission, stream: std::net::TcpStream) {
    let mut unsent = Vec::new();
    append_close(&mut unsent, CloseCode::TRY_AGAIN_LATER, EVICTED);
    finish(admission, stream, unsent);
}

fn finish(admission: Admission, stream: std::net::TcpStream, unsent: Vec<u8>) {
    // Counted like any other reply that is not taken, but not evicted: it ends soon by itself.
    let mut charge = Charge::new(&admission.worker.share);
    charge.set(unsent.capacity());
    match TcpStream::from_std(stream) {
        Ok(stream) => drop(tokio::spawn(async move {
            close(stream, unsent, admission.worker.config.limits.close_timeout).await;
            drop((charge, admission));
        })),
        Err(error) => tracing::warn!("the lane cannot hand a connection on: {error}"),
    }
}

/// Echoes until the connection ends, the worker drains, or the lane can take it (back); in the first two cases it is
/// closed.
async fn run(admission: Admission, stream: TcpStream, read_ahead: Bytes, codec: deflate::Connection) {
    let worker = &admission.worker;
    let config = &worker.config;
    let limits =
        Limits { max_message_size: config.limits.max_message_size, max_fragments: config.limits.max_fragments };
    let mut conversation = Conversation::new(stream, read_ahead, limits, Manner::new(config), codec);
    let mut draining = pin!(worker.drain.wait());
    let mut registered = false;
    let mut holding = Holding::new(&worker.share);
    let next = std::future::poll_fn(|cx| {
        if !registered {
            // Once is enough, as the waker of a task never changes; polling this takes a lock.
            registered = true;
            let _ = draining.as_mut().poll(cx);
        }
        go_on(worker, &mut conversation, &mut holding, cx)
    })
    .await;
    let (cause, unsent) = match next {
        Next::Ended(Ended { cause, unsent }) => (Some(cause), unsent),
        Next::Drained => {
            let mut unsent = Vec::new();
            append_close(&mut unsent, CloseCode::GOING_AWAY, GOING_AWAY);
            (None, unsent)
        }
        Next::Evicted if conversation.is_writing() => {
            // Nothing but the rest of the reply may follow, and that is what is not taken.
            drop(conversation);
            allocator::return_memory();
            return tracing::debug!("connection dropped: {EVICTED}");
        }
        Next::Evicted => {
            let mut unsent = Vec::new();
            append_close(&mut unsent, CloseCode::TRY_AGAIN_LATER, EVICTED);
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
        None => tracing::debug!("connection closing: the server drains or needs the room"),
    }
    if !matches!(cause, Some(Cause::Eof | Cause::Io(_))) {
        let stream = conversation.into_parts().0;
        if holding.evicted() {
            allocator::return_memory();
        }
        drop(holding);
        let mut charge = Charge::new(&worker.share);
        charge.set(unsent.capacity());
        // Boxed, as it would otherwise make every open connection's task as large as a closing one's.
        Box::pin(close(stream, unsent, config.limits.close_timeout)).await;
    }
}

/// Goes on with a conversation as far as the socket, `--max-buffered` and the other connections let it.
fn go_on(worker: &Worker, conversation: &mut Conversation, holding: &mut Holding, cx: &mut Context<'_>) -> Poll<Next> {
    if holding.evicted() {
        return Poll::Ready(Next::Evicted);
    }
    if worker.share.is_leaving() {
        // Those that are, run before this does again.
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    let stopping = worker.drain.started();
    let step = conversation.poll(cx, stopping);
    worker.share.freed(conversation.take_worked());
    if !holding.set(conversation.held(), cx.waker()) {
        worker.relieve();
        if holding.evicted() && !matches!(step, Step::Ended(_)) {
            return Poll::Ready(Next::Evicted);
        }
    }
    match step {
        Step::Ended(ended) => Poll::Ready(Next::Ended(ended)),
        Step::Idle | Step::Reading if stopping => Poll::Ready(Next::Drained),
        Step::Idle if worker.lane.is_some() => Poll::Ready(Next::Rests),
        Step::Idle | Step::Reading | Step::Writing => Poll::Pending,
    }
}

/// What follows the protocol phase.
enum Next {
    Ended(Ended),
    /// The worker drains.
    Drained,
    /// It held most when `--max-buffered` was passed.
    Evicted,
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
            message: 0,
            worked: 0,
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

    /// Bytes of memory that are held for a message or a reply; 0 between two messages.
    pub(crate) fn held(&self) -> usize {
        match (&self.engine, &self.link) {
            (Some(_), Some(link)) => {
                let ahead = link.read_ahead.as_ref().map_or(0, |ahead| ahead.len());
                ENGINE_BYTES + link.footprint + link.message + ahead
            }
            _ => 0,
        }
    }

    /// Bytes that were compressed or decompressed since this was asked last.
    pub(crate) fn take_worked(&mut self) -> usize {
        self.link.as_mut().map_or(0, |link| std::mem::take(&mut link.worked))
    }

    /// Whether some of a reply is sent and some is not.
    pub(crate) fn is_writing(&self) -> bool {
        self.engine.is_some() && self.link.as_ref().is_some_and(|link| link.standing == Standing::Writing)
    }

    /// The socket and the codec, for what follows the conversation.
    pub(crate) fn into_parts(self) -> (TcpStream, deflate::Connection) {
        let link = self.link.expect("the link is back after every poll");
        (link.stream, link.codec)
    }
}

/// The reason in the Close frame of a server that goes down.
const GOING_AWAY: &str = "server is shutting down";

/// The reason in the Close frame of a connection that is closed so that others can be served.
const EVICTED: &str = "the server holds too much, and most for this connection; try again later";

/// Bytes of an engine beside its buffers, about.
const ENGINE_BYTES: usize = 2 << 10;
