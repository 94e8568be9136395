//! The express lane: the connections of one worker that stand between two messages, in one epoll set that lives inside
//! the worker's tokio runtime and is served by one task.
//!
//! It holds no protocol but the commonest case: per readable socket one read into the worker's buffer, every whole data
//! frame echoed where it lies (`wire::echo_in_place`), one write from the same buffer. Anything else (a control frame, a
//! fragment, a message larger than the lane takes, a violation) hands the connection to a protocol task with the bytes
//! that were read, and that task hands it back once it stands between two messages again.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use slab::Slab;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use wire::{Echoed, End, Limits, Violation};

use crate::config::Config;
use crate::connection;
use crate::worker::{Admission, Worker};

/// One worker's lane.
#[derive(Debug)]
pub(crate) struct Lane {
    epoll: OwnedFd,
    /// The connections; `None` once the worker drains. Locked by the worker's own thread alone.
    lines: Mutex<Option<Slab<Line>>>,
}

/// A connection on the lane.
#[derive(Debug)]
struct Line {
    stream: TcpStream,
    admission: Admission,
    /// The beginning of a frame, or whatever was read behind `unsent`.
    tail: Vec<u8>,
    /// Replies that the socket did not take; while there are any, it is not read.
    unsent: Vec<u8>,
}

/// What became of a connection that was served.
enum Served {
    Stays,
    /// It leaves, for a protocol task to go on with what is in its tail.
    Detours,
    /// It leaves, to be closed because of this.
    Violates(Violation),
    /// It is over.
    Ends,
}

impl Lane {
    /// An empty lane.
    ///
    /// # Errors
    /// When the kernel refuses an epoll set.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, lines: Mutex::new(Some(Slab::new())) })
    }

    /// Takes a connection that stands between two messages with nothing buffered.
    pub(crate) fn enter(&self, admission: Admission, stream: tokio::net::TcpStream) {
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => return tracing::debug!("connection lost on its way to the lane: {error}"),
        };
        let mut lines = self.lock();
        let Some(open) = lines.as_mut() else {
            drop(lines);
            return connection::go_away(admission, stream, Vec::new());
        };
        let entry = open.vacant_entry();
        match epoll::add(&self.epoll, &stream, EventData::new_u64(entry.key() as u64), EventFlags::IN) {
            Ok(()) => drop(entry.insert(Line { stream, admission, tail: Vec::new(), unsent: Vec::new() })),
            Err(error) => tracing::warn!("the lane cannot take a connection: {error}"),
        }
    }

    /// Serves the lane until the worker drains; then every connection on it is told to go away.
    ///
    /// # Errors
    /// When the epoll set cannot be watched.
    pub(crate) async fn run(self: Arc<Self>, worker: Arc<Worker>) -> io::Result<()> {
        let watched = watch(Arc::clone(&self))?;
        let mut draining = pin!(worker.drain.wait());
        let mut server = Server::new(&worker.config);
        while !worker.drain.started() {
            let mut ready = tokio::select! {
                biased;
                () = &mut draining => break,
                ready = watched.readable() => ready?,
            };
            if server.serve_ready(&self)? {
                ready.clear_ready();
            } else {
                // A full lane lets accepts, timers and protocol tasks have their turn.
                tokio::task::yield_now().await;
            }
        }
        let lines = self.lock().take();
        for (_, line) in lines.into_iter().flatten() {
            self.remove(&line);
            connection::go_away(line.admission, line.stream, line.unsent);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Slab<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A socket that goes on living elsewhere must be taken out of the set; closing one would do so by itself.
    fn remove(&self, line: &Line) {
        if let Err(error) = epoll::delete(&self.epoll, &line.stream) {
            tracing::warn!("the lane cannot let go of a connection: {error}");
        }
    }
}

/// The lane's task: its buffers, and how it reads.
struct Server {
    buffer: Box<[u8]>,
    limits: Limits,
    read_at_most: usize,
    quickack: bool,
}

impl Server {
    fn new(config: &Config) -> Self {
        let max_message_size = config.limits.max_message_size.min(LANE_MESSAGE);
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            limits: Limits { max_message_size, max_fragments: config.limits.max_fragments },
            read_at_most: config.echo.read_buffer.unwrap_or(BUFFER),
            quickack: config.socket.tcp_quickack,
        }
    }

    /// Serves what is ready, [`ROUNDS`] times at the most; returns whether nothing more was ready.
    fn serve_ready(&mut self, lane: &Lane) -> io::Result<bool> {
        let mut lines = lane.lock();
        let Some(lines) = lines.as_mut() else { return Ok(true) };
        for _ in 0..ROUNDS {
            let mut events = [const { MaybeUninit::uninit() }; EVENTS];
            let ready = match epoll::wait(&lane.epoll, &mut events, Some(&NO_WAIT)) {
                Ok(([], _)) => return Ok(true),
                Ok((ready, _)) => ready,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for &mut Event { data, .. } in ready {
                let key = data.u64() as usize;
                let Some(line) = lines.get_mut(key) else { continue };
                let served = self.serve(lane, key, line);
                if matches!(served, Served::Stays) {
                    continue;
                }
                let line = lines.remove(key);
                match served {
                    Served::Stays | Served::Ends => {}
                    Served::Detours => {
                        lane.remove(&line);
                        connection::detour(line.admission, line.stream, Bytes::from(line.tail));
                    }
                    Served::Violates(violation) => {
                        lane.remove(&line);
                        connection::refuse(line.admission, line.stream, line.unsent, violation);
                    }
                }
            }
        }
        Ok(false)
    }

    #[inline]
    fn serve(&mut self, lane: &Lane, key: usize, line: &mut Line) -> Served {
        if !line.unsent.is_empty() {
            match send(&line.stream, &line.unsent) {
                Ok(sent) if sent < line.unsent.len() => {
                    line.unsent.drain(..sent);
                    return Served::Stays;
                }
                Ok(_) => line.unsent = Vec::new(),
                Err(_) => return Served::Ends,
            }
            if epoll::modify(&lane.epoll, &line.stream, EventData::new_u64(key as u64), EventFlags::IN).is_err() {
                return Served::Ends;
            }
            // What was read behind the replies may need a protocol task, which must not wait for more to come.
            return self.echo(lane, key, line, 0);
        }
        let kept = line.tail.len();
        let end = self.buffer.len().min(kept + self.read_at_most);
        let received = match (&line.stream).read(&mut self.buffer[kept..end]) {
            Ok(0) => return Served::Ends,
            Ok(received) => received,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Served::Stays;
            }
            Err(_) => return Served::Ends,
        };
        self.echo(lane, key, line, received)
    }

    /// Echoes the whole frames of the line's tail and of the `received` bytes behind its place in the buffer.
    #[inline]
    fn echo(&mut self, lane: &Lane, key: usize, line: &mut Line, received: usize) -> Served {
        let kept = line.tail.len();
        if kept > 0 {
            self.buffer[..kept].copy_from_slice(&line.tail);
            line.tail = Vec::new();
        }
        let bytes = &mut self.buffer[..kept + received];
        let Echoed { consumed, written, end, .. } = wire::echo_in_place(bytes, &self.limits);
        if consumed < bytes.len() {
            line.tail = bytes[consumed..].to_vec();
        }
        if written > 0 {
            match send(&line.stream, &bytes[..written]) {
                Ok(sent) if sent < written => line.unsent = bytes[sent..written].to_vec(),
                Ok(_) => {}
                Err(_) => return Served::Ends,
            }
        }
        if self.quickack {
            // A hint to the kernel, which forgets it with every reply.
            let _ = SockRef::from(&line.stream).set_tcp_quickack(true);
        }
        match end {
            End::Violation(violation) => return Served::Violates(violation),
            End::Detour if line.unsent.is_empty() => return Served::Detours,
            End::Detour | End::Partial => {}
        }
        if !line.unsent.is_empty() {
            let interest = epoll::modify(&lane.epoll, &line.stream, EventData::new_u64(key as u64), EventFlags::OUT);
            if interest.is_err() {
                return Served::Ends;
            }
        }
        Served::Stays
    }
}

/// Sends what the socket takes; 0 if it takes nothing now.
#[inline]
fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        result => result,
    }
}

/// Has tokio watch the lane's epoll set.
#[allow(unsafe_code)]
fn watch(lane: Arc<Lane>) -> io::Result<AsyncFd<Watched>> {
    // SAFETY: `Watched` names one descriptor for ever, which the lane owns and which stays open as long as the lane that
    // `Watched` holds.
    unsafe { AsyncFd::register_with_interest(Watched(lane), Interest::READABLE) }.map_err(io::Error::from)
}

/// The epoll set as tokio watches it.
struct Watched(Arc<Lane>);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.epoll.as_raw_fd()
    }
}

/// Bytes: the worker's one buffer. A read takes all that a socket holds unless it is a large message, and what lies in
/// it stays in the core's cache.
const BUFFER: usize = 256 << 10;

/// Bytes: the largest message on the lane. Its frame must fit into the buffer behind any tail; and a frame that comes in
/// many pieces would be copied with each of them.
const LANE_MESSAGE: u64 = 64 << 10;

/// Sockets taken from the epoll set at a time.
const EVENTS: usize = 64;

/// Times that the epoll set is asked before everybody else has a turn: with [`EVENTS`] sockets each and about 5 us for
/// each of them, others wait for 1.3 ms at the most, or for 256 full buffers where all peers send large messages.
const ROUNDS: usize = 4;

const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
