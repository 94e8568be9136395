//! What other workers have for the members of one worker. It is bounded, and a worker whose posts find no room reads nothing
//! from its own connections until they do: their senders wait, nothing is lost here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use super::batch::Batch;
use super::lock;

/// A batch for the members of a room.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) room: u64,
    pub(crate) batch: Arc<Batch>,
}

/// The posts for one worker.
#[derive(Debug)]
pub(crate) struct Mailbox {
    posts: Mutex<Posts>,
    /// Whether there are any, to be looked at without the lock.
    any: AtomicBool,
    /// Notified when they are taken.
    taken: Condvar,
    /// Rung when the first is put in: once for all that are taken together.
    bell: OwnedFd,
}

#[derive(Debug, Default)]
struct Posts {
    waiting: Vec<Post>,
    bytes: usize,
}

impl Mailbox {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { posts: Mutex::default(), any: AtomicBool::new(false), taken: Condvar::new(), bell })
    }

    /// What the worker waits for while its mailbox is empty.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Puts in the first of `posts` for which there is room; true if these are all.
    pub(crate) fn put(&self, posts: &mut Vec<Post>) -> bool {
        let mut inside = lock(&self.posts);
        let was_empty = inside.waiting.is_empty();
        let mut count = 0;
        while let Some(post) = posts.get(count).filter(|_| inside.bytes < MOST_BYTES) {
            inside.bytes += post.batch.memory();
            count += 1;
        }
        inside.waiting.extend(posts.drain(..count));
        if was_empty && count > 0 {
            self.any.store(true, Ordering::Release);
            drop(inside);
            // It cannot fail: the counter is far from full.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
        posts.is_empty()
    }

    /// Takes all posts.
    pub(crate) fn take(&self, into: &mut Vec<Post>) {
        if self.any.load(Ordering::Acquire) {
            let mut inside = lock(&self.posts);
            self.any.store(false, Ordering::Release);
            into.append(&mut inside.waiting);
            inside.bytes = 0;
            drop(inside);
            self.taken.notify_all();
        }
    }

    /// Waits until there is room for a post, but not for longer than [`PATIENCE`].
    pub(crate) fn wait_for_room(&self) {
        let inside = lock(&self.posts);
        drop(self.taken.wait_timeout_while(inside, PATIENCE, |inside| inside.bytes >= MOST_BYTES));
    }
}

/// Bytes that a mailbox takes, and one batch beyond: some turns' worth of what one worker receives.
const MOST_BYTES: usize = 4 << 20;

/// How long a worker stands still for another's mailbox before it looks at its own again: a turn of the lane.
const PATIENCE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use wire::OpCode;

    use super::*;

    fn post(bytes: usize) -> Post {
        let mut batch = Batch::default();
        batch.push(1, OpCode::Binary, &vec![0; bytes]);
        Post { room: 1, batch: Arc::new(batch) }
    }

    fn rings(mailbox: &Mailbox) -> u64 {
        let mut count = [0; 8];
        rustix::io::read(&mailbox.bell, &mut count).map_or(0, |_| u64::from_ne_bytes(count))
    }

    #[test]
    fn it_is_bounded_and_rings_once_for_all_that_is_taken_together() {
        let mailbox = Mailbox::new().unwrap();
        let mut posts: Vec<Post> = (0..6).map(|_| post(1 << 20)).collect();
        assert!(!mailbox.put(&mut posts) && posts.len() == 2);
        assert!(!mailbox.put(&mut posts) && posts.len() == 2);
        mailbox.wait_for_room();
        assert_eq!(rings(&mailbox), 1);
        let mut taken = Vec::new();
        mailbox.take(&mut taken);
        assert_eq!(taken.len(), 4);
        assert!(mailbox.put(&mut posts) && mailbox.put(&mut vec![post(1)]));
        assert_eq!(rings(&mailbox), 1);
        mailbox.take(&mut taken);
        mailbox.take(&mut taken);
        assert_eq!(taken.len(), 7);
    }
}
