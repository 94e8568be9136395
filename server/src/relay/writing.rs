//! The batches that a worker's members fill in this turn, and those for other workers that found no room in their mailboxes.

use std::collections::HashMap;
use std::sync::Arc;

use super::Relay;
use super::batch::Batch;
use super::floor::Floor;
use super::mailbox::Post;
use super::member::Said;
use super::rooms::Room;

/// What a worker's members have said since it was last handed out.
#[derive(Debug)]
pub(crate) struct Writing {
    /// Counts how often it was handed out; never 0.
    turn: u64,
    /// One for each room in which something was said.
    open: Vec<(Arc<Room>, Arc<Batch>)>,
    /// Where a room's batch lies among them.
    by_room: HashMap<u64, usize>,
    /// Bytes in them.
    bytes: usize,
    /// Empty batches that nobody else refers to.
    spares: Vec<Arc<Batch>>,
    /// What other workers' mailboxes had no room for, by worker.
    unposted: Vec<Vec<Post>>,
    /// The room for what comes out of the own mailbox.
    mail: Vec<Post>,
}

impl Writing {
    pub(crate) fn new() -> Self {
        Self {
            turn: 1,
            open: Vec::new(),
            by_room: HashMap::new(),
            bytes: 0,
            spares: Vec::new(),
            unposted: Vec::new(),
            mail: Vec::new(),
        }
    }

    /// The batch of a room, for a member that has something to say; `said` says where it was before.
    pub(crate) fn batch(&mut self, room: &Arc<Room>, said: &mut Said) -> &mut Batch {
        if said.turn != self.turn {
            let next = self.open.len();
            let index = *self.by_room.entry(room.id).or_insert(next);
            if index == next {
                self.open.push((Arc::clone(room), self.spares.pop().unwrap_or_default()));
            }
            *said = Said { turn: self.turn, index };
        }
        Arc::get_mut(&mut self.open[said.index].1).expect("nobody else has it before it is handed out")
    }

    /// Counts bytes put into a batch.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Whether anything was said, or waits for a mailbox.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.unposted.iter().all(Vec::is_empty)
    }

    /// Whether it is to be handed out before more is read.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= FULL
    }

    /// Whether a member that put something there last has said any of what is being delivered.
    pub(crate) fn has_said(&self, said: Said) -> bool {
        said.turn + 1 == self.turn
    }

    /// Hands out what was said: to this worker's members, and to those of others.
    pub(crate) fn hand_out(&mut self, relay: &Relay, floor: &mut Floor) {
        if self.open.is_empty() {
            return;
        }
        for (room, mut batch) in self.open.drain(..) {
            Arc::get_mut(&mut batch).expect("nobody else has it before it is handed out").finish();
            for worker in room.workers().filter(|&worker| worker != relay.worker) {
                if self.unposted.len() <= worker {
                    self.unposted.resize_with(worker + 1, Vec::new);
                }
                self.unposted[worker].push(Post { room: room.id, batch: Arc::clone(&batch) });
            }
            floor.add(room.id, batch);
        }
        self.by_room.clear();
        self.bytes = 0;
        self.turn += 1;
    }

    /// Adds what other workers have for this one's members to what is to be delivered.
    pub(crate) fn take_mail(&mut self, relay: &Relay, floor: &mut Floor) {
        relay.take_mail(&mut self.mail);
        self.mail.drain(..).for_each(|Post { room, batch }| floor.add(room, batch));
    }

    /// Posts what is for other workers.
    ///
    /// # Errors
    /// A worker whose mailbox has no room for all of it.
    pub(crate) fn post(&mut self, relay: &Relay) -> Result<(), usize> {
        let mut full = None;
        for (worker, posts) in self.unposted.iter_mut().enumerate() {
            if !posts.is_empty() && !relay.post(worker, posts) {
                full = Some(worker);
            }
        }
        full.map_or(Ok(()), Err)
    }

    /// Takes back a batch that was delivered, if nobody refers to it any more.
    pub(crate) fn take_back(&mut self, mut batch: Arc<Batch>) {
        if self.spares.len() < SPARES
            && let Some(empty) = Arc::get_mut(&mut batch)
        {
            empty.clear();
            self.spares.push(batch);
        }
    }

    /// Gives up what is kept for the next messages.
    pub(crate) fn tidy(&mut self) {
        self.spares = Vec::new();
        self.by_room.shrink_to_fit();
        self.open.shrink_to_fit();
    }
}

/// Bytes of messages that are handed out before more is read: what members make the server hold is this, what one read brings,
/// and one message.
const FULL: usize = 256 << 10;

/// Empty batches that are kept.
const SPARES: usize = 16;
