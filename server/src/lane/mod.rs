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

mod batch;
mod bounds;
mod exchange;
mod giving;
mod line;
mod relaying;
mod spares;
mod turn;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

pub(crate) use self::line::{Departed, Parting};
use self::line::{Line, Served, Workspace};
use crate::config::Config;
use crate::dialogue::Dialogue;
use crate::limits::admission::Admission;
use crate::limits::budget::Share;
use crate::limits::drain::Drain;
use crate::relay::Relay;
use crate::transport::Stream;

/// What a lane needs of its worker, and where the connections go that leave it.
pub(crate) trait Host {
    /// How the server is set up.
    fn config(&self) -> &Config;

    /// Started when the lane is to end.
    fn drain(&self) -> &Drain;

    /// What the connections hold.
    fn share(&self) -> &Arc<Share>;

    /// Whether tokio has anything to do on this worker beside accepting, given that `on_lane` connections are on the
    /// lane: serving other connections, or the timers of accept loops that pause.
    fn is_elsewhere(&self, on_lane: usize) -> bool;

    /// Goes on with a connection that has left the lane. Called while the lane is locked.
    fn depart(&self, departed: Departed);

    /// Closes the connections that hold most until the worker is within `--max-buffered`, which it may have passed.
    fn relieve(&self);

    /// Gives back what the worker does not need; `again`: something was used lately, and is to be looked at once more.
    fn tidy(&self, again: bool);
}

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
    /// What hands messages on to others, if they are not answered.
    relay: Option<Arc<Relay>>,
}

impl Lane {
    /// An empty lane, whose connections are members of rooms if there is a `relay`.
    ///
    /// # Errors
    /// When the kernel refuses an epoll set.
    pub(crate) fn new(relay: Option<Arc<Relay>>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered: every ring is reported once, and nobody has to read what the bell counts.
        epoll::add(&epoll, &bell, EventData::new_u64(BELL), EventFlags::IN | EventFlags::ET)?;
        if let Some(relay) = &relay {
            epoll::add(&epoll, relay.bell(), EventData::new_u64(MAIL), EventFlags::IN | EventFlags::ET)?;
        }
        Ok(Self { epoll, bell, lines: Mutex::new(Some(Slab::new())), untidy: AtomicBool::new(false), relay })
    }

    /// Has the lane's task tidy up soon. May be called from any thread.
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

    /// Removes a line that holds something, to be closed so that others can be served.
    pub(crate) fn evict(&self, key: usize) -> Option<Departed> {
        let line = self.lock().as_mut()?.try_remove(key)?;
        self.remove(&line);
        Some(line.depart(Parting::Eviction))
    }

    /// Wakes the lane's task, which then looks whether the worker drains, is to tidy up or has connections off the
    /// lane. May be called from any thread.
    pub(crate) fn ring(&self) {
        // It cannot fail: the counter is far from full.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Takes a connection that stands between two messages with nothing buffered.
    ///
    /// # Errors
    /// The connection, once the worker drains.
    pub(crate) fn enter(&self, admission: Admission, stream: Stream, dialogue: Dialogue) -> Result<(), Departed> {
        let mut lines = self.lock();
        let Some(open) = lines.as_mut() else {
            return Err(Line::new(stream, admission, dialogue).depart(Parting::Drain));
        };
        let entry = open.vacant_entry();
        match epoll::add(&self.epoll, &stream, EventData::new_u64(entry.key() as u64), EventFlags::IN) {
            Ok(()) => drop(entry.insert(Line::new(stream, admission, dialogue))),
            Err(error) => tracing::warn!("the lane cannot take a connection: {error}"),
        }
        Ok(())
    }

    /// Serves the lane until the worker drains; then every connection on it is told to go away. The worker accepts on
    /// `listeners`.
    ///
    /// # Errors
    /// When the epoll set cannot be watched.
    pub(crate) async fn run(self: Arc<Self>, host: impl Host, listeners: Vec<impl AsFd>) -> io::Result<()> {
        for listener in &listeners {
            epoll::add(&self.epoll, listener, EventData::new_u64(BELL), EventFlags::ONESHOT)?;
        }
        // What wakes the lane's set up would wake tokio's as well, at the cost of whoever sends: tokio does not watch it
        // where the lane has long been waiting by itself.
        let (mut watched, mut alone) = (None, 0_u32);
        let mut draining = pin!(host.drain().wait());
        let mut workspace = Workspace::new(host.config(), Arc::clone(host.share()));
        // The lane waits by itself only after the other tasks have run once more: one of them may be about to hand a
        // connection to the lane, or to end.
        let (mut yielded, mut turn) = (false, TurnEnd::Idle);
        while !host.drain().started() {
            if self.untidy.load(Ordering::Relaxed) && self.untidy.swap(false, Ordering::Acquire) {
                host.tidy(workspace.tidy());
            }
            if host.is_elsewhere(self.len()) {
                (yielded, alone) = (false, 0);
                if watched.is_none() {
                    watched = watch(&self);
                }
                let mut ready = None;
                if turn != TurnEnd::Unfinished {
                    tokio::select! {
                        biased;
                        () = &mut draining => break,
                        told = readable(watched.as_ref()) => ready = told?,
                    }
                }
                turn = self.take_turn(&mut workspace, &host, Some(&NO_WAIT))?;
                host.relieve();
                if turn == TurnEnd::Idle {
                    ready.iter_mut().for_each(AsyncFdReadyGuard::clear_ready);
                    continue;
                }
            } else if yielded {
                alone += u32::from(watched.is_some());
                if alone > LONG_ALONE {
                    watched = None;
                }
                for listener in &listeners {
                    epoll::modify(
                        &self.epoll,
                        listener,
                        EventData::new_u64(BELL),
                        EventFlags::IN | EventFlags::ONESHOT,
                    )?;
                }
                turn = self.take_turn(&mut workspace, &host, None)?;
                host.relieve();
            }
            // Accepts, timers and protocol tasks have their turn.
            tokio::task::yield_now().await;
            yielded = true;
        }
        let lines = self.lock().take();
        for (_, line) in lines.into_iter().flatten() {
            self.remove(&line);
            host.depart(line.depart(Parting::Drain));
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

    /// Takes a connection out of the epoll set. A closed socket leaves the set by itself; one that is served off the
    /// lane from now on does not.
    fn remove(&self, line: &Line) {
        if let Err(error) = epoll::delete(&self.epoll, line.stream()) {
            tracing::warn!("the lane cannot let go of a connection: {error}");
        }
    }

    /// One turn, of whichever kind the lane is.
    fn take_turn(
        &self,
        workspace: &mut Workspace,
        host: &impl Host,
        patience: Option<&Timespec>,
    ) -> io::Result<TurnEnd> {
        match &self.relay {
            None => self.turn(workspace, host, patience),
            Some(relay) => self.relay_turn(relay, workspace, host, patience),
        }
    }

    /// Serves sockets until the turn is over, the bell rings, a connection is off the lane, or nothing is ready. With
    /// `patience` of `None` it waits where nothing is ready, for as long as that takes.
    fn turn(&self, workspace: &mut Workspace, host: &impl Host, patience: Option<&Timespec>) -> io::Result<TurnEnd> {
        let mut lines = self.lock();
        let Some(lines) = lines.as_mut() else { return Ok(TurnEnd::Idle) };
        let mut rung = false;
        loop {
            while let Some(key) = workspace.batch.next() {
                if key == BELL {
                    rung = true;
                    continue;
                }
                self.serve(lines, key as usize, workspace, host);
                if workspace.ends_turn() {
                    return Ok(TurnEnd::Over);
                }
            }
            if rung || (patience.is_none() && host.is_elsewhere(lines.len())) {
                return Ok(TurnEnd::Over);
            }
            if !workspace.batch.wait(&self.epoll, patience)? {
                return Ok(TurnEnd::Idle);
            }
        }
    }

    /// Serves the connection of that key, if it is still on the lane.
    #[inline]
    fn serve(&self, lines: &mut Slab<Line>, key: usize, workspace: &mut Workspace, host: &impl Host) {
        let Some(line) = lines.get_mut(key) else { return };
        match line.serve(workspace) {
            Served::Waits => {}
            Served::WaitsFor(interest) => {
                if epoll::modify(&self.epoll, line.stream(), EventData::new_u64(key as u64), interest).is_err() {
                    lines.remove(key);
                }
            }
            Served::Leaves(parting) => {
                let line = lines.remove(key);
                self.remove(&line);
                host.depart(line.depart(parting));
            }
            Served::Ends => drop(lines.remove(key)),
        }
    }
}

/// How a turn ended.
#[derive(Debug, PartialEq, Eq)]
enum TurnEnd {
    /// No socket was ready any more.
    Idle,
    /// Its time was used up, or a task off the lane may have something to do.
    Over,
    /// Its time was used up, and there is more to do of which no socket tells.
    Unfinished,
}

/// Has tokio watch the lane's epoll set; `None` if the kernel refuses, as it does where too many descriptors are watched.
#[allow(unsafe_code)]
fn watch(lane: &Arc<Lane>) -> Option<AsyncFd<EpollSet>> {
    // SAFETY: `EpollSet` names one descriptor for ever, which the lane owns and which stays open as long as the lane
    // that `EpollSet` holds.
    let watched = unsafe { AsyncFd::register_with_interest(EpollSet(Arc::clone(lane)), Interest::READABLE) };
    watched.inspect_err(|error| tracing::debug!("tokio cannot watch the lane's epoll set: {error}")).ok()
}

/// Waits until something in the lane's set is ready; a moment if nobody watches it.
async fn readable(watched: Option<&AsyncFd<EpollSet>>) -> io::Result<Option<AsyncFdReadyGuard<'_, EpollSet>>> {
    let Some(watched) = watched else {
        tokio::time::sleep(UNWATCHED).await;
        return Ok(None);
    };
    watched.readable().await.map(Some)
}

/// The epoll set as tokio watches it.
struct EpollSet(Arc<Lane>);

impl AsRawFd for EpollSet {
    fn as_raw_fd(&self) -> RawFd {
        self.0.epoll.as_raw_fd()
    }
}

/// The key under which the listeners and the bell are in the epoll set; no connection has this number.
const BELL: u64 = u64::MAX;

/// The key of what other workers ring when they have something for this one's members.
const MAIL: u64 = u64::MAX - 1;

/// Turns that the lane takes one after the other, each of which it has waited for by itself, before tokio no longer watches its
/// set: a thousand small messages, so that it costs little to have tokio watch it again where connections come and go.
const LONG_ALONE: u32 = 4;

/// After so long the lane looks at its set where tokio is to watch it and cannot.
const UNWATCHED: Duration = Duration::from_millis(1);

const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
