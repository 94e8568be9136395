//! The rooms of a server, by path. A room is there as long as it has members, and there is a limit to how many are there at a
//! time (`--relay-rooms`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{Relay, lock};

/// All rooms.
#[derive(Debug)]
pub(super) struct Rooms {
    most: usize,
    workers: usize,
    list: Mutex<List>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct List {
    /// By path, with the number of members.
    rooms: HashMap<Arc<str>, (Arc<Room>, usize)>,
    members: u64,
    next_room: u64,
    next_member: u64,
}

/// A room, as all workers see it.
#[derive(Debug)]
pub(crate) struct Room {
    /// No other room has this number, before or after.
    pub(crate) id: u64,
    path: Arc<str>,
    /// Members, by worker.
    members: Box<[AtomicUsize]>,
    /// Members that take compressed messages.
    compressing: AtomicUsize,
}

/// A member's place in a room, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) relay: Arc<Relay>,
    pub(crate) room: Arc<Room>,
    /// No other member has this number, before or after.
    pub(crate) member: u64,
    pub(crate) compresses: bool,
    /// Its number among those of the worker, once it is among them.
    pub(crate) slot: Option<usize>,
}

impl Rooms {
    pub(super) fn new(most: usize, workers: usize) -> Self {
        Self { most, workers, list: Mutex::default(), refused: AtomicU64::new(0) }
    }

    pub(super) fn enter(&self, path: &str, relay: Arc<Relay>, compresses: bool) -> Option<Place> {
        let mut list = lock(&self.list);
        let list = &mut *list;
        if !list.rooms.contains_key(path) {
            if list.rooms.len() >= self.most {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            let path: Arc<str> = path.into();
            let members = (0..self.workers).map(|_| AtomicUsize::new(0)).collect();
            let room = Room { id: list.next_room, path: Arc::clone(&path), members, compressing: AtomicUsize::new(0) };
            list.next_room += 1;
            list.rooms.insert(path, (Arc::new(room), 0));
        }
        let (room, members) = list.rooms.get_mut(path)?;
        *members += 1;
        list.members += 1;
        list.next_member += 1;
        // Before the client can know that it is in: what is sent after that reaches it.
        room.members[relay.worker].fetch_add(1, Ordering::Release);
        room.compressing.fetch_add(usize::from(compresses), Ordering::Relaxed);
        Some(Place { room: Arc::clone(room), member: list.next_member, compresses, relay, slot: None })
    }

    fn leave(&self, place: &Place) {
        let Place { room, relay, compresses, .. } = place;
        let mut list = lock(&self.list);
        list.members -= 1;
        room.members[relay.worker].fetch_sub(1, Ordering::Release);
        room.compressing.fetch_sub(usize::from(*compresses), Ordering::Relaxed);
        let Some((_, members)) = list.rooms.get_mut(&room.path) else { return };
        *members -= 1;
        if *members == 0 {
            list.rooms.remove(&room.path);
            if list.rooms.capacity() > 64 && list.rooms.len() < list.rooms.capacity() / 4 {
                list.rooms.shrink_to_fit();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.list).rooms.len()
    }

    pub(super) fn members(&self) -> u64 {
        lock(&self.list).members
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Room {
    /// The workers that have members here.
    pub(crate) fn workers(&self) -> impl Iterator<Item = usize> {
        let is_there = |members: &AtomicUsize| members.load(Ordering::Acquire) > 0;
        self.members.iter().enumerate().filter_map(move |(worker, members)| is_there(members).then_some(worker))
    }

    /// Whether somebody here takes compressed messages.
    pub(crate) fn compresses(&self) -> bool {
        self.compressing.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.relay.left(self.room.id, slot);
        }
        self.relay.rooms.leave(self);
    }
}

/// Bytes of a path that can be a room: names are counted nowhere, and thousands of them may be kept (`--relay-rooms`).
pub(crate) const LONGEST_NAME: usize = 1024;
