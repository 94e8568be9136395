//! A connection's own state, and how it is lent to the engine that speaks for it.
//!
//! An engine (see `engine`) serves whichever connection has something to say, so that its buffers stay in the cache and
//! an idle connection has none. The library owns the stream it is given and shows it to nobody; therefore the stream
//! it is given is an adapter without a socket, which finds the connection's [`Link`] in a thread-local for as long as
//! the engine is polled. A mutex shared by both would do as well, at two locked instructions per frame.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::Bytes;
use wire::Cursor;

use crate::dialogue::Dialogue;
use crate::dialogue::deflate::CompressedAs;
use crate::transport::Watched;

/// What a connection keeps while nothing of a message is buffered.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) stream: Watched,
    /// Where the peer's bytes stand between frames.
    pub(crate) cursor: Cursor,
    /// What the messages are, and what answers them.
    pub(crate) dialogue: Dialogue,
    /// The messages that have begun and that the engine has not come to, in their order; only if it was agreed.
    pub(crate) begun: VecDeque<CompressedAs>,
    /// The next frame to be written is a compressed message.
    pub(crate) rsv1: bool,
    /// Bytes that the HTTP phase read beyond the request, until the engine has taken them.
    pub(crate) read_ahead: Option<Box<Bytes>>,
    /// Take no more from the peer: send what is due, then stand.
    pub(crate) stopping: bool,
    pub(crate) standing: Standing,
    /// Bytes of memory that the engine's buffers have grown to, as far as the adapter can see.
    pub(crate) footprint: usize,
    /// Bytes of the fragments that were put together, or of the reply that was made apart from the message.
    pub(crate) message: usize,
    /// Bytes that were compressed or decompressed since somebody looked.
    pub(crate) worked: usize,
}

/// Where an engine stands that can go no further for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Between two messages, nothing buffered: the engine is free for another connection.
    Rest,
    /// Within a message, nothing unsent: a Close frame may be sent.
    Reading,
    /// Some of a frame is sent and some is not: nothing else may be sent.
    Writing,
}

/// Calls `act` with `link` lent to the engine on this thread, and gives it back.
pub(crate) fn lend<T>(link: Link, act: impl FnOnce() -> T) -> (Link, T) {
    LENT.replace(Some(link));
    let result = act();
    (LENT.take().expect("the link lent above, as polls do not nest"), result)
}

/// Calls `act` with the link that is lent.
///
/// # Panics
/// Outside of [`lend`].
pub(crate) fn borrow<T>(act: impl FnOnce(&mut Link) -> T) -> T {
    LENT.with_borrow_mut(|link| act(link.as_mut().expect("an engine is polled with a link")))
}

thread_local! {
    static LENT: RefCell<Option<Link>> = const { RefCell::new(None) };
}
