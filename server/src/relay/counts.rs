//! What was received, delivered and lost: counted by each worker for itself, and answered as JSON (`/stats`).

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::rooms::Rooms;
use crate::config::SlowReader;

/// The counts of one worker, since the server started. A *delivery* is one message for one member.
#[derive(Debug, Default)]
// Each worker's in cache lines of its own.
#[repr(align(128))]
pub(crate) struct Counts {
    received: AtomicU64,
    total: AtomicU64,
    queued: AtomicU64,
    written: AtomicU64,
    dropped: [AtomicU64; CAUSES.len()],
    slow_readers: AtomicU64,
}

/// Why a delivery was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The queue was full, and the new message was dropped.
    DropNewest,
    /// The queue was full, and the oldest message was dropped.
    DropOldest,
    /// The queue was full, and the member was closed with all that waited for it.
    SlowReaderClosed,
    /// The member was closed since `--max-buffered` was passed and it held most.
    Evicted,
    /// It waited when the member left or the server went down, or the write failed that told that the member had left.
    Left,
}

const CAUSES: [Cause; 5] = [Cause::DropNewest, Cause::DropOldest, Cause::SlowReaderClosed, Cause::Evicted, Cause::Left];

impl Cause {
    /// Why something is lost where the queue is full.
    pub(crate) fn of(slow_reader: SlowReader) -> Self {
        match slow_reader {
            SlowReader::DropNewest => Self::DropNewest,
            SlowReader::DropOldest => Self::DropOldest,
            SlowReader::Close => Self::SlowReaderClosed,
        }
    }
}

impl Counts {
    /// Messages that members have sent.
    pub(crate) fn received(&self, messages: usize) {
        add(&self.received, messages);
    }

    /// Deliveries that were begun; `queued` of them have to wait, and `written` are through.
    pub(crate) fn delivered(&self, total: usize, queued: usize, written: usize) {
        add(&self.total, total);
        add(&self.queued, queued);
        add(&self.written, written);
    }

    /// Deliveries that are lost.
    pub(crate) fn dropped(&self, cause: Cause, deliveries: usize) {
        add(&self.dropped[cause as usize], deliveries);
    }

    /// Counts a member that is closed since it reads too slowly.
    pub(crate) fn slow_reader(&self) {
        add(&self.slow_readers, 1);
    }
}

/// The counts of all workers together.
pub(super) fn sum(counts: &[Counts], rooms: &Rooms) -> Stats {
    let sum = |of: fn(&Counts) -> &AtomicU64| counts.iter().map(|counts| of(counts).load(Ordering::Relaxed)).sum();
    let dropped =
        |cause: Cause| counts.iter().map(|counts| counts.dropped[cause as usize].load(Ordering::Relaxed)).sum();
    let dropped = Dropped {
        drop_newest: dropped(Cause::DropNewest),
        drop_oldest: dropped(Cause::DropOldest),
        slow_reader_closed: dropped(Cause::SlowReaderClosed),
        evicted: dropped(Cause::Evicted),
        left: dropped(Cause::Left),
    };
    let lost = CAUSES
        .iter()
        .map(|&cause| counts.iter().map(|of| of.dropped[cause as usize].load(Ordering::Relaxed)).sum::<u64>());
    let lost: u64 = lost.sum();
    let (written, queued): (u64, u64) = (sum(|of| &of.written), sum(|of| &of.queued));
    // Last, so that it is no less than what became of them.
    let total: u64 = sum(|of| &of.total);
    Stats {
        connections: rooms.members(),
        rooms: rooms.len(),
        rooms_refused: rooms.refused(),
        messages_received: sum(|of| &of.received),
        deliveries: Deliveries { total, written, waiting: total.saturating_sub(written + lost), queued, dropped },
        slow_readers_closed: sum(|of| &of.slow_readers),
    }
}

/// What `/stats` says of relaying.
#[derive(Debug, Serialize)]
pub(crate) struct Stats {
    /// Members of all rooms.
    connections: u64,
    /// Rooms with members.
    rooms: usize,
    /// Handshakes refused since there were as many rooms as there may be.
    rooms_refused: u64,
    messages_received: u64,
    deliveries: Deliveries,
    slow_readers_closed: u64,
}

/// `total` is the sum of `written`, `waiting` and what was dropped.
#[derive(Debug, Serialize)]
struct Deliveries {
    total: u64,
    /// The member's socket took all of it.
    written: u64,
    /// In the member's queue now.
    waiting: u64,
    /// Had to wait in a queue, or a part of it had.
    queued: u64,
    dropped: Dropped,
}

#[derive(Debug, Serialize)]
struct Dropped {
    drop_newest: u64,
    drop_oldest: u64,
    slow_reader_closed: u64,
    evicted: u64,
    left: u64,
}

fn add(count: &AtomicU64, more: usize) {
    if more > 0 {
        count.fetch_add(more as u64, Ordering::Relaxed);
    }
}
