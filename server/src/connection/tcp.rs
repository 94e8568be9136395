//! TCP alone, off the lane: every byte is sent back, and nothing is read while anything is unsent. On the lane,
//! `lane::exchange` does the same.

use std::future::{Future, poll_fn};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::worker::Worker;
use crate::dialogue::inject::{self, Injected};
use crate::engine::closing::close;
use crate::limits::admission::Admission;
use crate::limits::allocator;
use crate::limits::budget::Holding;
use crate::transport::Watched;

/// Sends back what comes until the peer ends the stream, the connection fails or is evicted, or the worker drains.
pub(super) async fn run(worker: Arc<Worker>, admission: Admission, stream: Watched) {
    let mut draining = pin!(worker.drain.wait());
    let mut registered = false;
    let mut tcp = Tcp {
        injected: Injected::new(&worker.config.echo),
        holding: Holding::new(&worker.share),
        unsent: Vec::new(),
        sent: 0,
        stream,
        worker: &worker,
    };
    let end = poll_fn(|cx| {
        if !registered {
            // Once is enough, as the waker of a task never changes; polling this takes a lock.
            registered = true;
            let _ = draining.as_mut().poll(cx);
        }
        tcp.poll(cx)
    })
    .await;
    match end {
        End::Stream => {}
        End::Evicted => {
            tracing::debug!("connection dropped: its unsent replies took most memory");
            drop(tcp);
            allocator::return_memory();
        }
        End::Drain => {
            let Tcp { stream, mut unsent, sent, holding, .. } = tcp;
            unsent.drain(..sent);
            // Counted until it is sent, but not evicted: it ends soon by itself.
            // Boxed, as it would otherwise make every open connection's task as large as a closing one's.
            Box::pin(close(stream, unsent, worker.config.limits.close_timeout)).await;
            drop(holding);
        }
    }
    drop(admission);
}

/// A connection, and what its peer has not taken yet.
struct Tcp<'w> {
    stream: Watched,
    /// Of this the first `sent` bytes are gone.
    unsent: Vec<u8>,
    sent: usize,
    holding: Holding,
    injected: Option<Injected>,
    worker: &'w Arc<Worker>,
}

/// Why nothing more is sent back.
enum End {
    /// The peer has ended the stream, or the connection failed.
    Stream,
    /// The connection held most when `--max-buffered` was passed.
    Evicted,
    /// The worker drains.
    Drain,
}

impl Tcp<'_> {
    /// Goes on as far as the socket, `--max-buffered` and the other connections let it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if self.holding.evicted() {
                return Poll::Ready(End::Evicted);
            }
            if self.worker.drain.started() {
                return Poll::Ready(End::Drain);
            }
            if self.worker.share.is_leaving() {
                // The tasks that are to give up what they hold run before this one is polled again.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let went_on = if self.unsent.is_empty() { self.send_back(cx) } else { self.send(cx) };
            if ready!(went_on).is_none() {
                return Poll::Ready(End::Stream);
            }
        }
    }

    /// Reads once and sends what the socket takes of it; `None` at the end of the stream.
    fn send_back(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let config = &self.worker.config;
        let mut buffer = [const { MaybeUninit::uninit() }; BUFFER];
        let most = config.echo.read_buffer.unwrap_or(BUFFER).min(BUFFER);
        let mut window = ReadBuf::uninit(&mut buffer[..most]);
        if ready!(Pin::new(&mut self.stream).poll_read(cx, &mut window)).is_err() || window.filled().is_empty() {
            return Poll::Ready(None);
        }
        let came = window.filled();
        if config.echo.log_messages {
            tracing::info!(peer = self.stream.peer().map(tracing::field::display), bytes = came.len(), "bytes");
        }
        inject::hold_up(self.injected.as_ref(), 1);
        let sent = match Pin::new(&mut self.stream).poll_write(cx, came) {
            Poll::Ready(Ok(sent)) => sent,
            Poll::Ready(Err(_)) => return Poll::Ready(None),
            Poll::Pending => 0,
        };
        if config.socket.tcp_quickack {
            self.stream.acknowledge();
        }
        if sent < came.len() {
            (self.unsent, self.sent) = (came[sent..].to_vec(), 0);
            if !self.holding.set(self.unsent.capacity(), cx.waker()) {
                self.worker.relieve();
            }
        }
        Poll::Ready(Some(()))
    }

    /// Goes on sending what is unsent; `None` if the connection has failed.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unsent[self.sent..])) {
            Ok(sent) if sent > 0 => self.sent += sent,
            _ => return Poll::Ready(None),
        }
        if self.sent == self.unsent.len() {
            self.worker.share.freed(self.unsent.capacity());
            (self.unsent, self.sent) = (Vec::new(), 0);
            self.holding.set(0, cx.waker());
        }
        Poll::Ready(Some(()))
    }
}

/// Bytes that one read takes at the most: what a peer does not take of its replies is no more than this.
const BUFFER: usize = 16 << 10;
