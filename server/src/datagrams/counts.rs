//! What became of the datagrams: counted by each worker for itself, added up for `/stats`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// The counts of all workers, of which one's are its own.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    all: Arc<[Counts]>,
    own: usize,
}

impl Tally {
    /// One for each of so many workers.
    pub(crate) fn for_workers(workers: usize) -> Vec<Self> {
        let all: Arc<[Counts]> = (0..workers).map(|_| Counts::default()).collect();
        (0..workers).map(|own| Self { all: Arc::clone(&all), own }).collect()
    }

    /// This worker's counts.
    pub(super) fn own(&self) -> &Counts {
        &self.all[self.own]
    }

    /// Those of all workers together.
    pub(crate) fn stats(&self) -> Stats {
        let sum =
            |of: fn(&Counts) -> &AtomicU64| self.all.iter().map(|counts| of(counts).load(Ordering::Relaxed)).sum();
        Stats {
            answered: sum(|of| &of.answered),
            dropped: Dropped { limit: sum(|of| &of.over_limit), own: sum(|of| &of.own), unsent: sum(|of| &of.unsent) },
            // Last, so that it is no less than what became of them.
            received: sum(|of| &of.received),
        }
    }
}

/// The counts of one worker, since the server started.
#[derive(Debug, Default)]
// Each worker's in cache lines of its own.
#[repr(align(128))]
pub(super) struct Counts {
    received: AtomicU64,
    answered: AtomicU64,
    over_limit: AtomicU64,
    own: AtomicU64,
    unsent: AtomicU64,
}

impl Counts {
    /// What became of a batch.
    pub(super) fn add(&self, batch: Outcome) {
        let add = |count: &AtomicU64, more: usize| {
            if more > 0 {
                count.fetch_add(more as u64, Ordering::Relaxed);
            }
        };
        add(&self.received, batch.received);
        add(&self.answered, batch.answered);
        add(&self.over_limit, batch.over_limit);
        add(&self.own, batch.own);
        add(&self.unsent, batch.unsent);
    }
}

/// What became of the datagrams of a batch; the first is the sum of the others.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) received: usize,
    pub(super) answered: usize,
    /// Their source had sent more than `--udp-limit`.
    pub(super) over_limit: usize,
    /// They came from an address of this server.
    pub(super) own: usize,
    /// The kernel did not take the reply.
    pub(super) unsent: usize,
}

/// What `/stats` says of datagrams.
#[derive(Debug, Serialize)]
pub(crate) struct Stats {
    received: u64,
    answered: u64,
    dropped: Dropped,
}

#[derive(Debug, Serialize)]
struct Dropped {
    /// The source had sent more than `--udp-limit`.
    limit: u64,
    /// It came from an address at which this server answers.
    own: u64,
    /// The kernel did not take the reply: its buffers were full, or there is no way back to the source.
    unsent: u64,
}
