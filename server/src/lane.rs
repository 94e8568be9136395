//! The express lane: the connections of one worker that stand between two messages, in one epoll set that lives inside
//! the worker's tokio runtime and is served by one task.
//!
//! It holds no protocol but the commonest case, whole data frames (see `line`). Anything else (a control frame, a
//! fragment, a violation) hands the connection to a protocol task with the bytes that were read, and that task hands it
//! back once it stands between two messages again.
//!
//! While every connection of the worker is on the lane, its task waits in the epoll set itself, which then watches the
//! listeners too: a message costs one wait, one read and one write, as in a server that has nothing but this loop. As
//! soon as anything else is going on (a handshake, a protocol task, a pause of accept) tokio does the waiting.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::accept::Listener;
use crate::deflate;
use crate::worker::{Admission, Worker};

use self::line::{Desk, Line, Parting, Served};

mod batch;
mod echo;
mod gathered;
mod line;
mod spares;

/// One worker's lane.
#[derive(Debug)]
pub(crate) struct Lane {
    epoll: OwnedFd,
    /// Reported by the set after every [`Lane::ring`].
    bell: OwnedFd,
    /// The lane's task is to tidy up.
    untidy: AtomicBool,
    /// The connections; `None` once the worker drains. Locked by the worker's own thread alone.
    lines: Mutex<Option<Slab<Line>>>,
}

impl Lane {
    /// An empty lane.
    ///
    /// # Errors
    /// When the kernel refuses an epoll set.
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered: every ring is reported once, and nobody has to read what the bell counts.
        epoll::add(&epoll, &bell, EventData::new_u64(BELL), EventFlags::IN | EventFlags::ET)?;
        Ok(Self { epoll, bell, lines: Mutex::new(Some(Slab::new())), untidy: AtomicBool::new(false) })
    }

    /// Has the lane's task tidy up, which is soon. From any thread.
    pub(crate) fn ask_to_tidy(&self) {
        self.untidy.store(true, Ordering::Release);
        self.ring();
    }

    /// Gives back the room of lines that have left.
    pub(crate) fn shrink(&self) {
        if let Some(lines) = self.lock().as_mut()
            && lines.len() < lines.capacity() / 4
        {
            lines.shrink_to_fit();
        }
    }

    /// The lines that hold something: how much, and by what key each can be evicted.
    pub(crate) fn holders(&self) -> Vec<(usize, usize)> {
        let lines = self.lock();
        let lines = lines.iter().flat_map(Slab::iter);
        lines.map(|(key, line)| (line.held(), key)).filter(|(bytes, _)| *bytes > 0).collect()
    }

    /// Closes a line that holds something, so that others can be served.
    pub(crate) fn evict(&self, key: usize) {
        let line = self.lock().as_mut().and_then(|lines| lines.try_remove(key));
        if let Some(line) = line {
            self.remove(&line);
            line.part(Parting::Eviction);
        }
    }

    /// Makes the lane's task look whether the worker drains, is to tidy up or has connections elsewhere, from any thread.
    pub(crate) fn ring(&self) {
        // It cannot fail: the counter is far from full.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Takes a connection that stands between two messages with nothing buffered.
    pub(crate) fn enter(&self, admission: Admission, stream: tokio::net::TcpStream, codec: deflate::Connection) {
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => return tracing::debug!("connection lost on its way to the lane: {error}"),
        };
        let mut lines = self.lock();
        let Some(open) = lines.as_mut() else {
            drop(lines);
            return Line::new(stream, admission, codec).part(Parting::Drain);
        };
        let entry = open.vacant_entry();
        match epoll::add(&self.epoll, &stream, EventData::new_u64(entry.key() as u64), EventFlags::IN) {
            Ok(()) => drop(entry.insert(Line::new(stream, admission, codec))),
            Err(error) => tracing::warn!("the lane cannot take a connection: {error}"),
        }
    }

    /// Serves the lane until the worker drains; then every connection on it is told to go away. The worker accepts on
    /// `listeners`.
    ///
    /// # Errors
    /// When the epoll set cannot be watched.
    pub(crate) async fn run(self: Arc<Self>, worker: Arc<Worker>, listeners: Vec<Arc<Listener>>) -> io::Result<()> {
        for listener in &listeners {
            epoll::add(&self.epoll, listener, EventData::new_u64(BELL), EventFlags::ONESHOT)?;
        }
        let watched = watch(Arc::clone(&self))?;
        let mut draining = pin!(worker.drain.wait());
        let mut desk = Desk::new(&worker.config, Arc::clone(&worker.share));
        // Tasks that are about to end have their turn before nobody else is thought to need one.
        let mut yielded = false;
        while !worker.drain.started() {
            if self.untidy.load(Ordering::Relaxed) && self.untidy.swap(false, Ordering::Acquire) {
                worker.tidy(desk.tidy());
            }
            if worker.is_elsewhere(self.len()) {
                yielded = false;
                let mut ready = tokio::select! {
                    biased;
                    () = &mut draining => break,
                    ready = watched.readable() => ready?,
                };
                let turn = self.turn(&mut desk, &worker, Some(&NO_WAIT))?;
                worker.relieve();
                if turn == Turn::Idle {
                    ready.clear_ready();
                    continue;
                }
            } else if yielded {
                for listener in &listeners {
                    epoll::modify(
                        &self.epoll,
                        listener,
                        EventData::new_u64(BELL),
                        EventFlags::IN | EventFlags::ONESHOT,
                    )?;
                }
                self.turn(&mut desk, &worker, None)?;
                worker.relieve();
            }
            // Accepts, timers and protocol tasks have their turn.
            tokio::task::yield_now().await;
            yielded = true;
        }
        let lines = self.lock().take();
        for (_, line) in lines.into_iter().flatten() {
            self.remove(&line);
            line.part(Parting::Drain);
        }
        Ok(())
    }

    /// Connections on the lane.
    fn len(&self) -> usize {
        self.lock().as_ref().map_or(0, Slab::len)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Slab<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A socket that goes on living elsewhere must be taken out of the set; closing one would do so by itself.
    fn remove(&self, line: &Line) {
        if let Err(error) = epoll::delete(&self.epoll, line.stream()) {
            tracing::warn!("the lane cannot let go of a connection: {error}");
        }
    }

    /// Serves sockets until the turn is over, somebody rings or is elsewhere, or nothing is ready. With `patience` of
    /// `None` it then waits instead, for ever.
    fn turn(&self, desk: &mut Desk, worker: &Worker, patience: Option<&Timespec>) -> io::Result<Turn> {
        let mut lines = self.lock();
        let Some(lines) = lines.as_mut() else { return Ok(Turn::Idle) };
        let mut rung = false;
        loop {
            while let Some(key) = desk.batch.next() {
                if key == BELL {
                    rung = true;
                    continue;
                }
                self.serve(lines, key as usize, desk);
                if desk.ends_turn() {
                    return Ok(Turn::Over);
                }
            }
            if rung || (patience.is_none() && worker.is_elsewhere(lines.len())) {
                return Ok(Turn::Over);
            }
            if !desk.batch.wait(&self.epoll, patience)? {
                return Ok(Turn::Idle);
            }
        }
    }

    /// Serves a connection, if it still is one.
    #[inline]
    fn serve(&self, lines: &mut Slab<Line>, key: usize, desk: &mut Desk) {
        let Some(line) = lines.get_mut(key) else { return };
        match line.serve(desk) {
            Served::Waits => {}
            Served::Turns(interest) => {
                if epoll::modify(&self.epoll, line.stream(), EventData::new_u64(key as u64), interest).is_err() {
                    lines.remove(key);
                }
            }
            Served::Leaves(parting) => {
                let line = lines.remove(key);
                self.remove(&line);
                line.part(parting);
            }
            Served::Ends => drop(lines.remove(key)),
        }
    }
}

/// How a turn ended.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing more was ready.
    Idle,
    /// Others may have something to do.
    Over,
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

/// What a listener or the bell says; no connection has this number.
const BELL: u64 = u64::MAX;

const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
