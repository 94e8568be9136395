//! Engines: fastwebsockets with its buffers, echoing for whichever connection is lent to it.
//!
//! An engine is a coroutine that reads a message, writes it back, and so on. When it can go no further and stands
//! between two messages it holds nothing of its connection, so that it can speak for another one next: a worker with
//! thousands of connections gets by with a handful of engines, whose buffers are in the cache, and an idle connection
//! costs no buffer. Nothing is allocated for a whole uncompressed message once an engine has warmed up.

mod answer;
pub(crate) mod closing;
pub(crate) mod conversation;
mod cork;
mod link;
mod message;

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use fastwebsockets::{Frame, OpCode, Role, WebSocket, WebSocketError};
use wire::{CloseCode, Templated, Violation};

use self::answer::answer;
use self::cork::Cork;
use self::link::{Link, Standing};
use self::message::Assembly;
use crate::config::{Config, Runtime, WriteMode};
use crate::dialogue::close_frame;
use crate::dialogue::deflate::Compression;
use crate::dialogue::inject::{self, Injected};
use crate::dialogue::templated;

/// How engines read and write: those of one thread are all made for the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manner {
    write: WriteMode,
    read_buffer: Option<usize>,
    quickack: bool,
    log_messages: bool,
    injected: Option<Injected>,
    compression: Option<Compression>,
    templated: Option<Templated>,
    max_message_size: u64,
    /// Bytes of buffers that resting engines may keep, per thread.
    pooled_bytes: usize,
}

impl Manner {
    /// What the configuration says.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            write: config.echo.write,
            read_buffer: config.echo.read_buffer,
            quickack: config.socket.tcp_quickack,
            log_messages: config.echo.log_messages,
            injected: Injected::new(&config.echo),
            compression: Compression::new(config),
            templated: templated::of(&config.echo),
            max_message_size: config.limits.max_message_size,
            pooled_bytes: match config.workers.runtime {
                Runtime::Sharded => POOLED_BYTES,
                Runtime::WorkStealing => POOLED_BYTES_STEALING,
            },
        }
    }
}

/// How an engine's conversation ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) cause: Cause,
    /// What is still to be sent, the Close frame included if one is due.
    pub(crate) unsent: Vec<u8>,
}

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error("closed by the peer")]
    Closed,
    #[error("ended by the peer without a Close frame")]
    Eof,
    #[error("{0}")]
    Io(#[source] std::io::Error),
    #[error("{0}")]
    Violation(#[source] Violation),
    /// Something that the library refuses and the cursor does not know.
    #[error("{0}")]
    Library(#[source] WebSocketError),
}

/// A coroutine that echoes.
pub(crate) struct Engine {
    coroutine: Pin<Box<dyn Future<Output = Ended> + Send>>,
}

impl Engine {
    fn new(manner: Manner) -> Self {
        Self { coroutine: Box::pin(echo(manner)) }
    }

    /// Lets the engine speak for `link` as far as it can. Pending: `link.standing` says where it stands, and the task
    /// of `cx` is woken when the socket lets it go on.
    pub(crate) fn poll(&mut self, link: Link, cx: &mut Context<'_>) -> (Link, Poll<Ended>) {
        link::lend(link, || self.coroutine.as_mut().poll(cx))
    }

    /// An engine of this thread's pool, or a new one.
    pub(crate) fn take(manner: &Manner) -> Self {
        POOL.with_borrow_mut(|pool| pool.take(manner)).unwrap_or_else(|| Self::new(manner.clone()))
    }

    /// Gives a resting engine whose buffers have grown to `footprint` bytes to this thread's pool.
    pub(crate) fn put(self, manner: &Manner, footprint: usize) {
        POOL.with_borrow_mut(|pool| pool.put(manner, self, footprint));
    }
}

/// Reads messages and writes them back until the conversation ends.
async fn echo(manner: Manner) -> Ended {
    let mut ws = WebSocket::after_handshake(Cork::new(manner.write, manner.read_buffer, manner.quickack), Role::Server);
    // The cursor knows the limit, over all fragments of a message; `wire` judges Close frames by the current registry.
    ws.set_max_message_size(usize::MAX);
    ws.set_auto_close(false);
    ws.set_writev(manner.write != WriteMode::PerFrame);
    // A frame reaches the cork as header and payload, to be copied once or not at all.
    ws.set_writev_threshold(0);
    let cause = converse(&mut ws, &manner).await;
    let mut unsent = ws.into_inner().into_unsent();
    match &cause {
        Cause::Violation(violation) => close_frame::append(&mut unsent, violation.close_code(), &violation.to_string()),
        Cause::Library(error) => close_frame::append(&mut unsent, CloseCode::PROTOCOL_ERROR, &error.to_string()),
        Cause::Closed | Cause::Eof | Cause::Io(_) => {}
    }
    Ended { cause, unsent }
}

async fn converse(ws: &mut WebSocket<Cork>, manner: &Manner) -> Cause {
    let mut assembly = Assembly::default();
    let mut begun = None;
    let mut packed = Vec::new();
    let mut worked = 0;
    loop {
        if worked > TIRED {
            worked = 0;
            // Messages that the library has read need not wait for the socket: others would.
            link::borrow(|link| link.standing = Standing::Writing);
            tokio::task::yield_now().await;
        }
        if packed.capacity() > PACKED {
            packed = Vec::new();
        }
        let frame = match ws.read_frame().await {
            Ok(frame) => frame,
            Err(WebSocketError::UnexpectedEOF) => return Cause::Eof,
            Err(WebSocketError::InvalidUTF8) => return Cause::Violation(Violation::InvalidUtf8),
            Err(WebSocketError::IoError(error)) => {
                // The cork reports a violation that way when the library comes to it, which may be late: the bytes
                // before it are lawful frames, but the library may find fault with what they say.
                let violation = error.get_ref().and_then(|inner| inner.downcast_ref::<Violation>());
                return violation.copied().map_or_else(|| Cause::Io(error), Cause::Violation);
            }
            Err(error) => return Cause::Library(error),
        };
        if matches!(frame.opcode, OpCode::Text | OpCode::Binary) {
            begun = link::borrow(|link| link.begun.pop_front()).flatten();
        }
        let reply = match frame.opcode {
            OpCode::Text | OpCode::Binary | OpCode::Continuation => match assembly.push(frame) {
                Ok(Some(message)) => {
                    inject::hold_up(manner.injected.as_ref(), 1);
                    match answer(manner, message, begun, &mut packed, &mut worked) {
                        Ok(reply) => reply,
                        Err(violation) => return Cause::Violation(violation),
                    }
                }
                Ok(None) => {
                    link::borrow(|link| link.message = assembly.len());
                    continue;
                }
                Err(violation) => return Cause::Violation(violation),
            },
            OpCode::Close => {
                return match wire::parse_close(&frame.payload) {
                    Err(violation) => Cause::Violation(violation),
                    Ok(_) => match ws.write_frame(Frame::close_raw(frame.payload)).await {
                        Ok(()) => Cause::Closed,
                        Err(error) => Cause::Library(error),
                    },
                };
            }
            // The library has answered a Ping; an unsolicited Pong needs no answer.
            OpCode::Ping | OpCode::Pong => continue,
        };
        match ws.write_frame(reply).await {
            Ok(()) => link::borrow(|link| link.message = 0),
            Err(WebSocketError::IoError(error)) => return Cause::Io(error),
            Err(error) => return Cause::Library(error),
        }
    }
}

/// The engines of a thread that rest.
#[derive(Default)]
struct Pool {
    manner: Option<Manner>,
    engines: Vec<(Engine, usize)>,
    footprint: usize,
    /// An engine was taken since [`tidy`] last looked.
    used: bool,
}

/// Gives up the resting engines of this thread with large buffers, if none was needed lately; true if it is to be
/// called again to see to that.
pub(crate) fn tidy() -> bool {
    POOL.with_borrow_mut(|pool| {
        let used = std::mem::take(&mut pool.used);
        if !used {
            pool.engines.retain(|(_, footprint)| *footprint <= SMALL_ENGINE);
            pool.footprint = pool.engines.iter().map(|(_, footprint)| footprint).sum();
        }
        used && pool.engines.iter().any(|(_, footprint)| *footprint > SMALL_ENGINE)
    })
}

impl Pool {
    /// The engine that rested last: its buffers are the likeliest to be in the cache.
    fn take(&mut self, manner: &Manner) -> Option<Engine> {
        if self.manner.as_ref() != Some(manner) {
            *self = Self { manner: Some(manner.clone()), ..Self::default() };
        }
        let (engine, footprint) = self.engines.pop()?;
        self.used = true;
        self.footprint -= footprint;
        Some(engine)
    }

    fn put(&mut self, manner: &Manner, engine: Engine, footprint: usize) {
        let fits = self.engines.len() < POOLED_ENGINES && self.footprint + footprint <= manner.pooled_bytes;
        if fits && self.manner.as_ref() == Some(manner) {
            self.engines.push((engine, footprint));
            self.footprint += footprint;
        }
    }
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::new(Pool::default());
}

/// Bytes that are compressed or decompressed before other tasks have their turn: some milliseconds, or one message.
const TIRED: usize = 1 << 20;

/// Bytes: the largest buffer for compressed replies that an engine keeps.
const PACKED: usize = 64 << 10;

/// Resting engines kept per thread. More than one is needed only while connections stand within a message, and those
/// that do so at once are few unless the network is slow.
const POOLED_ENGINES: usize = 64;

/// Bytes of buffers kept per thread: a few engines for large messages, not the remains of a burst of them. What is not
/// used is given up by [`tidy`].
const POOLED_BYTES: usize = 8 << 20;

/// Bytes kept per thread of the work-stealing runtime, whose threads cannot be told to tidy up while they sleep.
const POOLED_BYTES_STEALING: usize = 512 << 10;

/// Bytes of buffers that any engine may keep: twice the library's first one.
const SMALL_ENGINE: usize = 16 << 10;
