//! Who is in which room, of one worker's connections; and the batches that these members are still to be given.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::batch::Batch;
use super::outbox::Held;

/// The rooms in which this worker has members, and what is to be delivered there.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    rooms: HashMap<u64, Slots>,
    /// In the order in which they came.
    deliveries: VecDeque<Delivery>,
    /// Empty ones, for the room in their lists.
    spares: Vec<Delivery>,
}

/// The members of a room: each has a number, and is known by the key of its connection.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    keys: Vec<Option<usize>>,
    free: Vec<usize>,
}

/// Batches that the members of a room are given, one member after the other.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    pub(crate) room: u64,
    pub(crate) batches: Vec<Arc<Batch>>,
    /// The same where something of them waits for somebody.
    pub(crate) held: Vec<Option<Arc<Held>>>,
    /// The member whose turn it is.
    pub(crate) next: usize,
}

impl Floor {
    /// Adds a member to a room; returns its number there.
    pub(crate) fn enter(&mut self, room: u64, key: usize) -> usize {
        self.rooms.entry(room).or_default().add(key)
    }

    /// Takes a member out of a room.
    pub(crate) fn leave(&mut self, room: u64, slot: usize) {
        let Some(slots) = self.rooms.get_mut(&room) else { return };
        if slots.remove(slot) {
            self.rooms.remove(&room);
        }
    }

    /// The delivery whose turn it is, and who is to be given it; one for a room without members is done with.
    pub(crate) fn current(&mut self) -> Option<(&mut Delivery, &Slots)> {
        while let Some(delivery) = self.deliveries.front() {
            if self.rooms.contains_key(&delivery.room) {
                break;
            }
            self.deliveries.pop_front();
        }
        let delivery = self.deliveries.front_mut()?;
        let slots = self.rooms.get(&delivery.room)?;
        Some((delivery, slots))
    }

    /// Whether nothing is to be delivered.
    pub(crate) fn is_idle(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Has a batch delivered to a room: together with what came before it, where nobody has been given that.
    pub(crate) fn add(&mut self, room: u64, batch: Arc<Batch>) {
        let mut latest = self.deliveries.iter_mut().rev().take(LOOKED_AT);
        match latest.find(|delivery| delivery.room == room) {
            Some(delivery) if delivery.next == 0 => {
                delivery.batches.push(batch);
                delivery.held.push(None);
            }
            _ => {
                let mut delivery = self.spares.pop().unwrap_or_default();
                delivery.room = room;
                delivery.batches.push(batch);
                delivery.held.push(None);
                self.deliveries.push_back(delivery);
            }
        }
    }

    /// The current delivery is through: gives its batches back.
    pub(crate) fn done(&mut self, give_back: impl FnMut(Arc<Batch>)) {
        let Some(mut delivery) = self.deliveries.pop_front() else { return };
        delivery.held.clear();
        delivery.batches.drain(..).for_each(give_back);
        delivery.next = 0;
        if self.spares.len() < SPARES && delivery.batches.capacity() <= LARGEST_SPARE {
            self.spares.push(delivery);
        }
    }
}

impl Delivery {
    /// The bytes to be written to every member alike, if it is one batch and they take no other form of it.
    #[inline]
    pub(crate) fn same_for_all(&self) -> Option<&[u8]> {
        match &self.batches[..] {
            [batch] => batch.same_for_all(),
            _ => None,
        }
    }

    /// Messages for a member that has sent none of them.
    pub(crate) fn messages(&self) -> usize {
        self.batches.iter().map(|batch| batch.len()).sum()
    }
}

impl Slots {
    /// The member with that number, if there is one; `None` behind the last.
    pub(crate) fn get(&self, slot: usize) -> Option<Option<usize>> {
        self.keys.get(slot).copied()
    }

    fn add(&mut self, key: usize) -> usize {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.keys.push(None);
            self.keys.len() - 1
        });
        self.keys[slot] = Some(key);
        slot
    }

    /// Takes one out; true if nobody is left.
    fn remove(&mut self, slot: usize) -> bool {
        self.keys[slot] = None;
        self.free.push(slot);
        self.free.len() == self.keys.len()
    }
}

/// Empty deliveries that are kept.
const SPARES: usize = 16;

/// Batches that such a one has room for.
const LARGEST_SPARE: usize = 64;

/// Deliveries among which one for the same room is looked for: enough for a few busy rooms, few enough for thousands of rooms
/// with a message each.
const LOOKED_AT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_rooms_vanish_with_their_members() {
        let mut floor = Floor::default();
        let slots: Vec<usize> = [70, 80, 90].into_iter().map(|key| floor.enter(1, key)).collect();
        floor.leave(1, slots[1]);
        assert_eq!(floor.enter(1, 85), slots[1]);
        floor.add(1, Arc::default());
        let keys = |floor: &mut Floor| {
            let (_, members) = floor.current().unwrap();
            (0..).map_while(|slot| members.get(slot)).flatten().collect::<Vec<_>>()
        };
        assert_eq!(keys(&mut floor), [70, 85, 90]);
        slots.iter().for_each(|&slot| floor.leave(1, slot));
        assert!(floor.current().is_none() && floor.rooms.is_empty() && floor.deliveries.is_empty());
    }

    #[test]
    fn what_comes_for_a_room_is_delivered_together_unless_somebody_has_been_given_it() {
        let mut floor = Floor::default();
        floor.enter(1, 10);
        floor.enter(2, 20);
        for room in [1, 2, 1, 2] {
            floor.add(room, Arc::default());
        }
        assert_eq!(floor.deliveries.iter().map(|of| (of.room, of.batches.len())).collect::<Vec<_>>(), [(1, 2), (2, 2)]);
        floor.deliveries[0].next = 1;
        floor.add(1, Arc::default());
        assert_eq!(floor.deliveries.iter().map(|of| (of.room, of.batches.len())).collect::<Vec<_>>()[2], (1, 1));
    }
}
