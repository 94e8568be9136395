//! A connection from the upgrade to its end: on the lane between two messages, in an engine within them, and closed in
//! the end. This is the one place that knows both the lane and the engine.

mod bounds;
mod tcp;
mod worker;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use wire::{CloseCode, Limits};

use self::bounds::{Next, TaskBounds};
pub(crate) use self::worker::Worker;
use crate::dialogue::{Dialogue, close_frame};
use crate::engine::closing::{close, send_all};
use crate::engine::conversation::Conversation;
use crate::engine::{Cause, Ended, Manner};
use crate::lane::{Departed, Lane, Parting};
use crate::limits::admission::Admission;
use crate::limits::allocator;
use crate::limits::budget::Charge;
use crate::transport::{Stream, Watched};

/// Starts echoing on an upgraded connection, of which `read_ahead` has been read already.
pub(crate) fn start(
    worker: &Arc<Worker>,
    admission: Admission,
    stream: Watched,
    read_ahead: Bytes,
    peer: SocketAddr,
    dialogue: Dialogue,
) {
    log_opening(worker, peer);
    let mut dialogue = dialogue;
    match &worker.lane {
        Some(lane) if dialogue.member().is_some() => enter_room(worker, lane, admission, stream, dialogue, &read_ahead),
        Some(lane) if read_ahead.is_empty() => enter(worker, lane, admission, stream, dialogue),
        _ => drop(tokio::spawn(run(Arc::clone(worker), admission, stream, read_ahead, dialogue))),
    }
}

/// Starts to send back every byte of an accepted connection.
pub(crate) fn start_bytes(worker: &Arc<Worker>, admission: Admission, stream: Stream, peer: SocketAddr) {
    log_opening(worker, peer);
    if let Some(lane) = &worker.lane {
        if let Err(departed) = lane.enter(admission, stream, Dialogue::bytes()) {
            depart(worker, departed);
        }
        return;
    }
    match stream.watch() {
        Ok(stream) => drop(tokio::spawn(tcp::run(Arc::clone(worker), admission, stream))),
        Err(error) => tracing::warn!(%peer, "a connection cannot be watched and is closed: {error}"),
    }
}

fn log_opening(worker: &Worker, peer: SocketAddr) {
    if worker.config.echo.log_messages {
        tracing::info!(%peer, "connection opened");
    } else {
        tracing::debug!(%peer, "connection opened");
    }
}

/// Hands a connection that stands between two messages to the lane.
fn enter(worker: &Arc<Worker>, lane: &Lane, admission: Admission, stream: Watched, dialogue: Dialogue) {
    let stream = match stream.unwatch() {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!("connection lost on its way to the lane: {error}"),
    };
    if let Err(departed) = lane.enter(admission, stream, dialogue) {
        depart(worker, departed);
    }
}

/// Hands a member of a room, of which something may have been read, to the lane.
fn enter_room(
    worker: &Arc<Worker>,
    lane: &Lane,
    admission: Admission,
    stream: Watched,
    dialogue: Dialogue,
    ahead: &[u8],
) {
    let stream = match stream.unwatch() {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!("connection lost on its way to the lane: {error}"),
    };
    if let Err(departed) = lane.enter_room(admission, stream, dialogue, ahead.to_vec()) {
        depart(worker, departed);
    }
}

/// Goes on with a connection that has left the lane, in a task of its own.
pub(crate) fn depart(worker: &Arc<Worker>, departed: Departed) {
    let Departed { admission, stream, mut dialogue, mut unsent, parting } = departed;
    let mut stream = match stream.watch() {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!("the lane cannot hand a connection on: {error}"),
    };
    // Of a message from somebody else, before anything else.
    let rest = dialogue.member().map(|member| member.outbox.rest()).unwrap_or_default();
    match parting {
        Parting::Detour(read_ahead) => {
            return drop(tokio::spawn(run(Arc::clone(worker), admission, stream, read_ahead, dialogue)));
        }
        // Only the rest of the reply may be sent now, and the peer does not take it: there is no room for last words.
        Parting::Eviction if !rest.is_empty() || !unsent.is_empty() => {
            return tracing::debug!("connection dropped: its unsent replies took most memory");
        }
        Parting::Refusal(violation) => {
            dialogue.append_last_words(&mut unsent, violation.close_code(), &violation.to_string())
        }
        Parting::Drain => dialogue.append_last_words(&mut unsent, CloseCode::GOING_AWAY, GOING_AWAY),
        Parting::SlowReader => dialogue.append_last_words(&mut unsent, CloseCode::POLICY_VIOLATION, SLOW_READER),
        Parting::Farewell => {}
        Parting::Eviction => dialogue.append_last_words(&mut unsent, CloseCode::TRY_AGAIN_LATER, EVICTED),
    }
    stream.stop_reading();
    // Counted like any other reply that is not taken, but not evicted: it ends soon by itself. The rest is counted already.
    let mut charge = Charge::new(&worker.share);
    charge.set(unsent.capacity());
    let limit = worker.config.limits.close_timeout;
    tokio::spawn(async move {
        if send_all(&mut stream, rest, limit).await {
            close(stream, unsent, limit).await;
        }
        drop((charge, admission));
    });
}

/// Echoes in an engine until the connection ends, is evicted, the worker drains, or the lane can take it; it is closed
/// in all cases but the last.
async fn run(worker: Arc<Worker>, admission: Admission, stream: Watched, read_ahead: Bytes, dialogue: Dialogue) {
    let config = &worker.config;
    let limits =
        Limits { max_message_size: config.limits.max_message_size, max_fragments: config.limits.max_fragments };
    let mut conversation = Conversation::new(stream, read_ahead, limits, Manner::new(config), dialogue);
    let mut draining = pin!(worker.drain.wait());
    let mut registered = false;
    let mut bounds = TaskBounds::new(Arc::clone(&worker));
    let next = std::future::poll_fn(|cx| {
        if !registered {
            // Once is enough, as the waker of a task never changes; polling this takes a lock.
            registered = true;
            let _ = draining.as_mut().poll(cx);
        }
        bounds.go_on(&mut conversation, cx)
    })
    .await;
    let (cause, unsent) = match next {
        Next::Ended(Ended { cause, unsent }) => (Some(cause), unsent),
        Next::Drained => {
            let mut unsent = Vec::new();
            close_frame::append(&mut unsent, CloseCode::GOING_AWAY, GOING_AWAY);
            (None, unsent)
        }
        Next::Evicted if conversation.is_writing() => {
            // Only the rest of the reply may be sent now, and the peer does not take it: there is no room for a Close
            // frame.
            drop(conversation);
            allocator::return_memory();
            return tracing::debug!("connection dropped: {EVICTED}");
        }
        Next::Evicted => {
            let mut unsent = Vec::new();
            close_frame::append(&mut unsent, CloseCode::TRY_AGAIN_LATER, EVICTED);
            (None, unsent)
        }
        Next::Rests => {
            let lane = worker.lane.as_ref().expect("a connection rests only for the lane");
            let (stream, dialogue) = conversation.into_parts();
            return enter(&worker, lane, admission, stream, dialogue);
        }
    };
    match &cause {
        Some(cause) => tracing::debug!("connection closing: {cause}"),
        None => tracing::debug!("connection closing: the server drains or needs the room"),
    }
    if !matches!(cause, Some(Cause::Eof | Cause::Io(_))) {
        let stream = conversation.into_parts().0;
        if bounds.evicted() {
            allocator::return_memory();
        }
        drop(bounds);
        let mut charge = Charge::new(&worker.share);
        charge.set(unsent.capacity());
        // Boxed, as it would otherwise make every open connection's task as large as a closing one's.
        Box::pin(close(stream, unsent, config.limits.close_timeout)).await;
    }
}

/// The reason in the Close frame of a server that goes down.
const GOING_AWAY: &str = "server is shutting down";

/// The reason in the Close frame of a connection for which more waits than may.
const SLOW_READER: &str = "messages wait for this connection, and more than may";

/// The reason in the Close frame of a connection that is closed so that others can be served.
const EVICTED: &str = "the server holds too much, and most for this connection; try again later";
