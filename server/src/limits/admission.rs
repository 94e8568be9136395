//! How many connections may be open (`--max-connections`), and how many each worker has. A connection is counted from
//! the moment it is accepted until its [`Admission`] is dropped, wherever it is served in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::budget::Share;

/// The connections of one worker, counted.
#[derive(Debug)]
pub(crate) struct Admissions {
    /// Connections of this worker.
    open: AtomicUsize,
    /// Notified when `open` falls to 0.
    emptied: Notify,
    /// Connections of all workers.
    open_anywhere: Arc<AtomicUsize>,
    /// Most connections over all workers.
    most: usize,
    /// Told of the memory that a connection leaves behind.
    share: Arc<Share>,
}

impl Admissions {
    /// No connections yet, of a worker that shares the limit of `most` with all those that count in `open_anywhere`.
    pub(crate) fn new(open_anywhere: &Arc<AtomicUsize>, most: usize, share: &Arc<Share>) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            emptied: Notify::new(),
            open_anywhere: Arc::clone(open_anywhere),
            most,
            share: Arc::clone(share),
        })
    }

    /// A place for one more connection, unless `--max-connections` are open.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Admission> {
        let before = self.open_anywhere.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        let admission = Admission { admissions: Arc::clone(self) };
        (before < self.most).then_some(admission)
    }

    /// Connections of this worker, those in their handshake and those on their way to it included.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Completes once no connection is open. Only for a worker that accepts no more.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.open.load(Ordering::Acquire) == 0 {
                return;
            }
            emptied.await;
        }
    }
}

/// A connection's place among those that may be open, given back when dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    admissions: Arc<Admissions>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.admissions.open_anywhere.fetch_sub(1, Ordering::Relaxed);
        self.admissions.share.freed(CONNECTION_BYTES);
        if self.admissions.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.admissions.emptied.notify_waiters();
        }
    }
}

/// Bytes that a connection took beside what it held, about: a task, or a place on the lane and in tables.
const CONNECTION_BYTES: usize = 1 << 10;
