//! The express lane: the connections of one worker that stand between two messages, in one epoll set that lives inside
//! the worker's tokio runtime and is served by one task.
//!
//! It holds no protocol but the commonest case, whole data frames (see `line`). Anything else (a control frame, a
//! fragment, a violation) hands the connection to a protocol task with the bytes that were read, and that task hands it
//! back once it stands between two messages again.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::deflate;
use crate::worker::{Admission, Worker};

use self::line::{Desk, Line, Parting, Served};

mod line;

/// One worker's lane.
#[derive(Debug)]
pub(crate) struct Lane {
    epoll: OwnedFd,
    /// The connections; `None` once the worker drains. Locked by the worker's own thread alone.
    lines: Mutex<Option<Slab<Line>>>,
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

    /// Serves the lane until the worker drains; then every connection on it is told to go away.
    ///
    /// # Errors
    /// When the epoll set cannot be watched.
    pub(crate) async fn run(self: Arc<Self>, worker: Arc<Worker>) -> io::Result<()> {
        let watched = watch(Arc::clone(&self))?;
        let mut draining = pin!(worker.drain.wait());
        let mut desk = Desk::new(&worker.config);
        while !worker.drain.started() {
            let mut ready = tokio::select! {
                biased;
                () = &mut draining => break,
                ready = watched.readable() => ready?,
            };
            if serve_ready(&self, &mut desk)? {
                ready.clear_ready();
            } else {
                // A full lane lets accepts, timers and protocol tasks have their turn.
                tokio::task::yield_now().await;
            }
        }
        let lines = self.lock().take();
        for (_, line) in lines.into_iter().flatten() {
            self.remove(&line);
            line.part(Parting::Drain);
        }
        Ok(())
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
}

/// Serves what is ready, a turn's worth at the most; returns whether nothing more was ready.
fn serve_ready(lane: &Lane, desk: &mut Desk) -> io::Result<bool> {
    let mut lines = lane.lock();
    let Some(lines) = lines.as_mut() else { return Ok(true) };
    let mut echoed = 0;
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
            match line.serve(desk) {
                Served::Waits { sent } => echoed += sent,
                Served::Turns(interest) => {
                    if epoll::modify(&lane.epoll, line.stream(), EventData::new_u64(key as u64), interest).is_err() {
                        lines.remove(key);
                    }
                }
                Served::Leaves(parting) => {
                    let line = lines.remove(key);
                    lane.remove(&line);
                    line.part(parting);
                }
                Served::Ends => drop(lines.remove(key)),
            }
        }
        if echoed > TURN {
            break;
        }
    }
    Ok(false)
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

/// Sockets taken from the epoll set at a time.
const EVENTS: usize = 64;

/// Times that the epoll set is asked before everybody else has a turn: with [`EVENTS`] sockets each and about 5 us for
/// each of them, others wait for 1.3 ms at the most.
const ROUNDS: usize = 4;

/// Bytes of replies after which the epoll set is not asked again in this turn: about 1 ms of copying. With the sockets
/// already taken from the set others wait for [`EVENTS`] full buffers more at the worst, 16 MiB or 5 ms.
const TURN: usize = 4 << 20;

const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
