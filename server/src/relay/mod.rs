//! Relaying (`--relay`): each message goes to the connections of the same path, which are a *room* of which each is a
//! *member*. This module is what one worker has of it; the lane receives, writes and waits.
//!
//! What the messages of one turn of a worker say to a room is a [`Batch`]: their frames, one behind the other, encoded once and
//! handed on by reference. A member whose socket takes all of it costs one write and nothing else; what the socket of a slow
//! reader does not take waits in its [`Outbox`]. Batches for members of other workers go through these workers' [`Mailbox`]es.
//! No lock is held by two workers at a time but those of a mailbox, for as long as it takes to put some pointers in, and of the
//! list of rooms, when a connection comes or goes.

mod batch;
mod counts;
mod floor;
mod mailbox;
mod member;
mod outbox;
mod rooms;
mod writing;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use self::batch::Batch;
pub(crate) use self::counts::{Cause, Counts, Stats};
pub(crate) use self::floor::{Delivery, Floor};
use self::mailbox::Mailbox;
pub(crate) use self::mailbox::Post;
pub(crate) use self::member::{Member, Said};
pub(crate) use self::outbox::{Held, MOST_SLICES, Offered, Queue};
use self::rooms::Rooms;
pub(crate) use self::rooms::{LONGEST_NAME, Place};
pub(crate) use self::writing::Writing;
use crate::config::{RelayOptions, RelayTo};
use crate::limits::budget::Share;

/// What one worker has of relaying.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Which worker this is, from 0.
    pub(crate) worker: usize,
    options: RelayOptions,
    rooms: Arc<Rooms>,
    /// Of all workers.
    mailboxes: Arc<[Mailbox]>,
    /// Of all workers.
    counts: Arc<[Counts]>,
    /// What this worker's connections hold.
    pub(crate) share: Arc<Share>,
    /// Who is in which room, of this worker's connections. Locked by the worker's own thread alone.
    floor: Mutex<Floor>,
    /// Who has left since the floor was looked at. Locked by the worker's own thread alone.
    left: Mutex<Vec<Left>>,
}

/// A member that has left: its room, and its place among those of the worker.
#[derive(Debug)]
struct Left {
    room: u64,
    slot: usize,
}

impl Relay {
    /// Relaying for the workers with these shares of `--max-buffered`.
    ///
    /// # Errors
    /// When the kernel refuses what wakes a worker up.
    pub(crate) fn for_workers(options: &RelayOptions, shares: &[Arc<Share>]) -> io::Result<Vec<Arc<Self>>> {
        let rooms = Arc::new(Rooms::new(options.rooms, shares.len()));
        let mailboxes: Arc<[Mailbox]> = shares.iter().map(|_| Mailbox::new()).collect::<io::Result<_>>()?;
        let counts: Arc<[Counts]> = shares.iter().map(|_| Counts::default()).collect();
        let relay = |(worker, share): (usize, &Arc<Share>)| {
            Arc::new(Self {
                worker,
                options: *options,
                rooms: Arc::clone(&rooms),
                mailboxes: Arc::clone(&mailboxes),
                counts: Arc::clone(&counts),
                share: Arc::clone(share),
                floor: Mutex::default(),
                left: Mutex::default(),
            })
        };
        Ok(shares.iter().enumerate().map(relay).collect())
    }

    /// A place in the room of that path, which is opened for it if need be; `compresses`: the member takes compressed
    /// messages. `None` where so many rooms are open as there may be.
    pub(crate) fn enter(self: &Arc<Self>, path: &str, compresses: bool) -> Option<Place> {
        self.rooms.enter(path, Arc::clone(self), compresses)
    }

    /// How much may wait for a member, and what becomes of the rest.
    pub(crate) fn queue(&self) -> Queue {
        Queue { bytes: self.options.queue, slow_reader: self.options.slow_reader }
    }

    /// Whether a message goes to its sender too.
    pub(crate) fn to_sender(&self) -> bool {
        self.options.to == RelayTo::All
    }

    /// This worker's counts.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts[self.worker]
    }

    /// What `/stats` answers.
    pub(crate) fn stats(&self) -> Stats {
        counts::sum(&self.counts, &self.rooms)
    }

    /// Who is in which room, those who have left taken out. Not to be locked twice.
    pub(crate) fn floor(&self) -> MutexGuard<'_, Floor> {
        let mut floor = lock(&self.floor);
        for Left { room, slot } in lock(&self.left).drain(..) {
            floor.leave(room, slot);
        }
        floor
    }

    /// What wakes this worker up when there is something in its mailbox.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.mailboxes[self.worker].bell()
    }

    /// Takes what lies in this worker's mailbox.
    pub(crate) fn take_mail(&self, into: &mut Vec<Post>) {
        self.mailboxes[self.worker].take(into);
    }

    /// Puts `posts` into the mailbox of another worker, as many as there is room for; true if that is all.
    pub(crate) fn post(&self, worker: usize, posts: &mut Vec<Post>) -> bool {
        self.mailboxes[worker].put(posts)
    }

    /// Waits a moment for another worker to empty its mailbox.
    pub(crate) fn wait_for_room(&self, worker: usize) {
        self.mailboxes[worker].wait_for_room();
    }

    /// Notes that the member in this place has left.
    fn left(&self, room: u64, slot: usize) {
        lock(&self.left).push(Left { room, slot });
    }
}

impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
