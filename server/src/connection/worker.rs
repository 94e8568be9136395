//! What the connections of one worker share, and what is done for all of them together: making room when they hold too
//! much, and giving back what they no longer need.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::config::Config;
use crate::engine;
use crate::lane::{Departed, Host, Lane};
use crate::limits::admission::Admissions;
use crate::limits::allocator;
use crate::limits::budget::{Share, largest};
use crate::limits::drain::Drain;

/// One worker. Nothing here is shared between workers but what is read only, the count of all connections, and what is
/// left of `--max-buffered`; a thread that accepts for all reads their own counts too.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) config: Arc<Config>,
    /// What `/config` answers.
    pub(crate) config_json: Bytes,
    pub(crate) drain: Drain,
    /// Where connections stand between messages, if there is one.
    pub(crate) lane: Option<Arc<Lane>>,
    /// How many connections there are.
    pub(crate) admissions: Arc<Admissions>,
    /// What the connections hold.
    pub(crate) share: Arc<Share>,
    /// Notified when it is time to tidy up, where there is no lane to ring at.
    pub(crate) housekeeper: Notify,
    /// Accept loops that wait for a timer.
    pub(crate) pausing: AtomicUsize,
    /// Goes on with a connection that has left the lane.
    pub(crate) depart: fn(&Arc<Self>, Departed),
}

impl Worker {
    /// Closes the connections that hold most until this worker is within `--max-buffered`, which it may have passed.
    #[inline]
    pub(crate) fn relieve(self: &Arc<Self>) {
        let wanted = self.share.wanted();
        if wanted > 0 {
            self.close_largest(wanted + self.share.slack());
        }
    }

    #[cold]
    fn close_largest(self: &Arc<Self>, wanted: usize) {
        let mut found = Vec::new();
        if let Some(lane) = &self.lane {
            found.extend(lane.holders().into_iter().map(|(bytes, key)| (bytes, Holds::Line(lane, key))));
        }
        found.extend(self.share.holders().into_iter().map(|(bytes, key)| (bytes, Holds::Task(key))));
        let mut closed = 0;
        for holder in largest(found, wanted) {
            match holder {
                Holds::Line(lane, key) => lane.evict(key).into_iter().for_each(|line| (self.depart)(self, line)),
                Holds::Task(key) => self.share.evict(key),
            }
            closed += 1;
        }
        tracing::debug!("--max-buffered is passed: {closed} connections that held most are closed");
        allocator::return_memory();
    }

    /// Gives back what this worker keeps for the next messages and has not used lately, and what is free. Runs on the
    /// worker's own thread; `again`: something was used lately, and is to be looked at once more.
    pub(crate) fn tidy(&self, again: bool) {
        let again = engine::tidy() || again;
        self.lane.iter().for_each(|lane| lane.shrink());
        allocator::return_memory();
        if again {
            self.share.tidy_again();
        }
    }

    /// Tidies up whenever it is told to, for ever. For a worker without a lane: on others the lane's task does it.
    pub(crate) async fn tidy_when_told(self: Arc<Self>) {
        loop {
            self.housekeeper.notified().await;
            self.tidy(false);
        }
    }
}

/// What the worker is to its lane.
impl Host for Arc<Worker> {
    fn config(&self) -> &Config {
        &self.config
    }

    fn drain(&self) -> &Drain {
        &self.drain
    }

    fn share(&self) -> &Arc<Share> {
        &self.share
    }

    fn is_elsewhere(&self, on_lane: usize) -> bool {
        self.admissions.open() != on_lane || self.pausing.load(Ordering::Relaxed) > 0
    }

    fn depart(&self, departed: Departed) {
        (self.depart)(self, departed);
    }

    fn relieve(&self) {
        Worker::relieve(self);
    }

    fn tidy(&self, again: bool) {
        Worker::tidy(self, again);
    }
}

/// A connection that holds bytes, by where it is served.
enum Holds<'w> {
    Line(&'w Lane, usize),
    Task(usize),
}
