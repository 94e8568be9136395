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

    /// Adds what other workers have for this one's members to what is to be delivered; false if something is to be delivered
    /// before. Meanwhile the mailbox fills up and those who send wait: otherwise all that they can send would lie here.
    pub(crate) fn take_mail(&mut self, relay: &Relay, floor: &mut Floor) -> bool {
        let idle = floor.is_idle();
        if idle {
            relay.take_mail(&mut self.mail);
            self.mail.drain(..).for_each(|Post { room, batch }| floor.add(room, batch));
        }
        idle
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

#[cfg(test)]
mod tests {
    use wire::OpCode;

    use super::*;
    use crate::config::{RelayOptions, RelayTo, SlowReader};
    use crate::limits::budget::Share;

    #[test]
    fn mail_is_taken_only_when_all_is_delivered_so_that_those_who_send_it_wait() {
        let options = RelayOptions { to: RelayTo::All, queue: 1, slow_reader: SlowReader::DropNewest, rooms: 1 };
        let relays = Relay::for_workers(&options, &Share::split(1 << 20, 2, &Arc::default())).unwrap();
        let (sender, receiver) = (&relays[0], &relays[1]);
        let place = receiver.enter("/", false).unwrap();
        let mut posts: Vec<Post> = (0..20)
            .map(|_| {
                let mut batch = Batch::default();
                batch.push(1, OpCode::Binary, &vec![0; 1 << 20]);
                Post { room: place.room.id, batch: Arc::new(batch) }
            })
            .collect();
        let (mut writing, mut floor) = (Writing::new(), Floor::default());
        floor.enter(place.room.id, 7);
        assert!(!sender.post(1, &mut posts));
        assert!(writing.take_mail(receiver, &mut floor));
        floor.current().unwrap().0.next = 1;
        for _ in 0..3 {
            assert!(!sender.post(1, &mut posts) && posts.len() == 12, "{} posts are left", posts.len());
            assert!(!writing.take_mail(receiver, &mut floor), "somebody is still to be given what was taken before");
        }
        floor.done(drop);
        assert!(writing.take_mail(receiver, &mut floor));
        assert!(!sender.post(1, &mut posts) && posts.len() == 8, "{} posts are left", posts.len());
    }
}
