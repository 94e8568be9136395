//! The bytes that connections hold between two turns, bounded over all of them (`--max-buffered`): what has come of
//! messages that are not whole yet, and replies that their peers do not take.
//!
//! Every worker counts what its own connections hold and reserves room for it from what is left for all, some at a
//! time, so that the count that all workers share is seldom touched. Half of the limit belongs to the workers from the
//! beginning, in equal parts: one worker's connections cannot starve another's. A connection that holds nothing, which
//! is nearly every one at nearly every time, is not counted and costs nothing here.
//!
//! The limit is enforced after a read that passes it, not before (see `Worker::relieve`): a worker may be over its
//! limit by one read.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use slab::Slab;
use tokio::sync::Notify;

/// What one worker's connections hold, and the room that it has reserved for that.
#[derive(Debug)]
pub(crate) struct Share {
    /// Bytes that no worker has reserved.
    free: Arc<AtomicUsize>,
    /// Bytes that this worker never gives up.
    own: usize,
    /// Bytes reserved at a time.
    chunk: usize,
    reserved: AtomicUsize,
    held: AtomicUsize,
    /// Of `held`, what belongs to protocol tasks that were told to close their connections and have not run since.
    leaving: AtomicUsize,
    /// The protocol tasks that hold something.
    holders: Mutex<Slab<Holder>>,
    /// Bytes freed since the worker tidied up last.
    freed: AtomicUsize,
    /// So much was freed that giving it back to the kernel is worth the time.
    untidy: AtomicBool,
    /// Told when a share becomes untidy, the same for all workers.
    housekeeper: Arc<Notify>,
}

/// A protocol task that holds something.
#[derive(Debug)]
struct Holder {
    bytes: usize,
    /// It is to close its connection.
    evicted: bool,
    waker: Waker,
}

impl Share {
    /// The shares of so many workers in `limit` bytes.
    pub(crate) fn split(limit: usize, workers: usize, housekeeper: &Arc<Notify>) -> Vec<Arc<Self>> {
        let own = limit / 2 / workers.max(1);
        let free = Arc::new(AtomicUsize::new(limit - own * workers));
        let chunk = (own / 8).clamp(1, LARGEST_CHUNK);
        let share = |_| {
            Arc::new(Self {
                free: Arc::clone(&free),
                own,
                chunk,
                reserved: AtomicUsize::new(own),
                held: AtomicUsize::new(0),
                leaving: AtomicUsize::new(0),
                holders: Mutex::default(),
                freed: AtomicUsize::new(0),
                untidy: AtomicBool::new(false),
                housekeeper: Arc::clone(housekeeper),
            })
        };
        (0..workers).map(share).collect()
    }

    /// Counts bytes as held; false if that passes the limit.
    fn hold(&self, bytes: usize) -> bool {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        self.excess() == 0
    }

    /// Counts bytes as held no longer.
    fn release(&self, bytes: usize) {
        let held = self.held.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        let reserved = self.reserved.load(Ordering::Relaxed);
        let keep = self.own.max(held + self.chunk);
        if reserved > keep + self.chunk
            && self.reserved.compare_exchange(reserved, keep, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.free.fetch_add(reserved - keep, Ordering::Relaxed);
        }
        self.freed(bytes);
    }

    /// Bytes held beyond what can be reserved: 0 unless the limit is passed.
    #[inline]
    pub(crate) fn excess(&self) -> usize {
        let held = self.held.load(Ordering::Relaxed);
        let missing = held.saturating_sub(self.reserved.load(Ordering::Relaxed));
        if missing == 0 || self.reserve(missing) { 0 } else { missing }
    }

    #[cold]
    fn reserve(&self, missing: usize) -> bool {
        [missing.next_multiple_of(self.chunk), missing].into_iter().any(|bytes| {
            let taken =
                self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(bytes)).is_ok();
            if taken {
                self.reserved.fetch_add(bytes, Ordering::Relaxed);
            }
            taken
        })
    }

    /// Bytes beyond the limit that no task is about to give up yet: 0 unless the limit is passed.
    #[inline]
    pub(crate) fn wanted(&self) -> usize {
        match self.excess() {
            0 => 0,
            excess => excess.saturating_sub(self.leaving.load(Ordering::Relaxed)),
        }
    }

    /// Whether the limit is passed and protocol tasks are about to give up what they hold: others are to wait for their
    /// turn, or would take in more before anything is freed.
    #[inline]
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed) > 0 && self.excess() > 0
    }

    /// How much more than what is wanted is to be given up at once, so that the next message does not meet the limit
    /// again.
    pub(crate) fn slack(&self) -> usize {
        self.reserved.load(Ordering::Relaxed) / 16
    }

    /// The protocol tasks that hold something: how much, and by what key each can be evicted.
    pub(crate) fn holders(&self) -> Vec<(usize, usize)> {
        self.lock().iter().filter(|(_, holder)| !holder.evicted).map(|(key, holder)| (holder.bytes, key)).collect()
    }

    /// Has a protocol task close its connection, when it runs.
    pub(crate) fn evict(&self, key: usize) {
        let mut holders = self.lock();
        let Some(holder) = holders.get_mut(key).filter(|holder| !holder.evicted) else { return };
        holder.evicted = true;
        holder.waker.wake_by_ref();
        self.leaving.fetch_add(holder.bytes, Ordering::Relaxed);
    }

    /// Notes that about so many bytes were freed. Once they add up to much, the worker is asked to have them returned.
    pub(crate) fn freed(&self, bytes: usize) {
        if !self.untidy.load(Ordering::Relaxed) && self.freed.fetch_add(bytes, Ordering::Relaxed) + bytes > UNTIDY {
            self.tidy_again();
        }
    }

    /// Whether it is time to tidy up; what is freed from now on counts for the next time.
    pub(crate) fn tidy(&self) -> bool {
        if !self.untidy.swap(false, Ordering::Relaxed) {
            return false;
        }
        self.freed.store(0, Ordering::Relaxed);
        true
    }

    /// Has the worker tidy up once more.
    pub(crate) fn tidy_again(&self) {
        self.untidy.store(true, Ordering::Relaxed);
        self.housekeeper.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Holder>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that are held by one owner, counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    share: Arc<Share>,
    bytes: usize,
}

impl Charge {
    /// Nothing yet.
    pub(crate) fn new(share: &Arc<Share>) -> Self {
        Self { share: Arc::clone(share), bytes: 0 }
    }

    /// How many bytes are counted.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts so many bytes from now on; false if that passes the limit.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes >= before {
            return self.share.hold(bytes - before);
        }
        self.share.release(before - bytes);
        true
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.share.release(self.bytes);
    }
}

/// What a protocol task holds, counted until this is dropped; it can be evicted.
#[derive(Debug)]
pub(crate) struct Holding {
    share: Arc<Share>,
    key: Option<usize>,
}

impl Holding {
    /// Nothing yet.
    pub(crate) fn new(share: &Arc<Share>) -> Self {
        Self { share: Arc::clone(share), key: None }
    }

    /// Counts so many bytes from now on, held by the task that `waker` wakes; false if that passes the limit.
    pub(crate) fn set(&mut self, bytes: usize, waker: &Waker) -> bool {
        if bytes == 0 {
            self.clear();
            return true;
        }
        let mut holders = self.share.lock();
        let key =
            *self.key.get_or_insert_with(|| holders.insert(Holder { bytes: 0, evicted: false, waker: waker.clone() }));
        let Some(holder) = holders.get_mut(key).filter(|holder| !holder.evicted) else { return true };
        let before = std::mem::replace(&mut holder.bytes, bytes);
        if bytes >= before {
            return self.share.hold(bytes - before);
        }
        self.share.release(before - bytes);
        true
    }

    /// Whether the connection is to be closed, since others need the room.
    pub(crate) fn evicted(&self) -> bool {
        self.key.is_some_and(|key| self.share.lock().get(key).is_some_and(|holder| holder.evicted))
    }

    fn clear(&mut self) {
        if let Some(key) = self.key.take() {
            let holder = self.share.lock().remove(key);
            if holder.evicted {
                self.share.leaving.fetch_sub(holder.bytes, Ordering::Relaxed);
            }
            self.share.release(holder.bytes);
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Of `found`, pairs of a size and what has that size, the largest ones that together make up `wanted` bytes; all of
/// them if they do not.
pub(crate) fn largest<T>(mut found: Vec<(usize, T)>, wanted: usize) -> impl Iterator<Item = T> {
    found.sort_unstable_by_key(|&(bytes, _)| std::cmp::Reverse(bytes));
    let mut sum = 0;
    found.into_iter().map_while(move |(bytes, item)| {
        let needed = sum < wanted;
        sum += bytes;
        needed.then_some(item)
    })
}

/// Bytes: the most that is reserved at a time beyond what is needed, so that little lies idle with a worker.
const LARGEST_CHUNK: usize = 1 << 20;

/// Bytes: a worker is asked to return what it has freed once it is more than this.
const UNTIDY: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(limit: usize, workers: usize) -> Vec<Arc<Share>> {
        Share::split(limit, workers, &Arc::default())
    }

    #[test]
    fn a_worker_may_hold_its_own_part_and_what_nobody_else_has() {
        let shares = shares(1600, 2);
        let (mut one, mut other) = (Charge::new(&shares[0]), Charge::new(&shares[1]));
        assert!(one.set(1200), "its own 400 and all 800 that are free");
        assert!(!one.set(1201));
        assert_eq!(shares[0].excess(), 1);
        assert!(other.set(400), "its own");
        assert!(!other.set(401));
        assert!(one.set(400));
        assert!(other.set(1000), "what the other has given back");
    }

    #[test]
    fn everything_is_given_back() {
        let shares = shares(64 << 20, 3);
        for round in 0..100 {
            let mut charges: Vec<_> = (0..30).map(|at| Charge::new(&shares[at % 3])).collect();
            for (at, charge) in charges.iter_mut().enumerate() {
                assert!(charge.set((at * 7919 + round * 104_729) % (2 << 20)), "60 MiB at the most");
            }
        }
        let reserved: usize = shares.iter().map(|share| share.reserved.load(Ordering::Relaxed)).sum();
        assert_eq!(reserved + shares[0].free.load(Ordering::Relaxed), 64 << 20);
        for share in &shares {
            assert_eq!(share.held.load(Ordering::Relaxed), 0);
            assert!(share.reserved.load(Ordering::Relaxed) <= share.own + 2 * share.chunk);
        }
    }

    #[test]
    fn who_is_evicted_counts_until_it_is_gone() {
        let shares = shares(1000, 1);
        let mut holding = Holding::new(&shares[0]);
        assert!(holding.set(900, Waker::noop()));
        assert!(!holding.set(1100, Waker::noop()));
        assert_eq!(shares[0].holders(), [(1100, 0)]);
        shares[0].evict(0);
        assert!(holding.evicted());
        assert_eq!((shares[0].wanted(), shares[0].holders().len()), (0, 0), "nobody else has to go for it");
        assert!(shares[0].is_leaving());
        assert!(holding.set(5000, Waker::noop()), "it is about to go anyway");
        drop(holding);
        assert_eq!((shares[0].held.load(Ordering::Relaxed), shares[0].is_leaving()), (0, false));
    }

    #[test]
    fn the_largest_go_first_and_no_more_than_needed() {
        let found = vec![(10, 'a'), (50, 'b'), (30, 'c'), (40, 'd')];
        assert_eq!(largest(found.clone(), 1).collect::<String>(), "b");
        assert_eq!(largest(found.clone(), 51).collect::<String>(), "bd");
        assert_eq!(largest(found.clone(), 0).count(), 0);
        assert_eq!(largest(found, 1000).collect::<String>(), "bdca");
    }

    #[test]
    fn much_that_is_freed_is_told_once() {
        let share = &shares(1 << 30, 1)[0];
        share.freed(UNTIDY);
        assert!(!share.tidy());
        share.freed(1);
        assert!(share.tidy());
        assert!(!share.tidy());
    }
}
