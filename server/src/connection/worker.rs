//! What the connections of one worker share, and what is done for all of them together: making room when they hold too
//! much, and giving back what they no longer need.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::config::{Config, Runtime};
use crate::datagrams::Tally;
use crate::engine;
use crate::lane::{Departed, Host, Lane};
use crate::limits::admission::Admissions;
use crate::limits::allocator;
use crate::limits::budget::{Share, largest};
use crate::limits::drain::Drain;
use crate::relay::Relay;
use crate::transport::Identity;

/// One worker. Nothing here is shared between workers but what is read only, the count of all connections, what is left of
/// `--max-buffered`, and with `--relay` the rooms and mailboxes; a thread that accepts for all reads their own counts too.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) config: Arc<Config>,
    /// What `/config` answers.
    pub(crate) config_json: Bytes,
    /// What TLS handshakes begin with, where there are any.
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) drain: Drain,
    /// Where connections stand between messages, if there is one.
    pub(crate) lane: Option<Arc<Lane>>,
    /// What hands messages on, if they are not answered.
    pub(crate) relay: Option<Arc<Relay>>,
    /// How many connections there are.
    pub(crate) admissions: Arc<Admissions>,
    /// What the connections hold.
    pub(crate) share: Arc<Share>,
    /// Notified when it is time to tidy up, where there is no lane to ring at.
    pub(crate) housekeeper: Notify,
    /// Counts what became of datagrams, if there are to be any.
    pub(crate) datagrams: Option<Tally>,
    /// Accept loops that wait for a timer, and one more where there are sockets for datagrams: what tokio has to wait for.
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
            match self.config.workers.runtime {
                Runtime::Sharded => self.tidy(false),
                Runtime::WorkStealing => self.tidy_on_every_thread().await,
            }
        }
    }

    /// The same on each thread that this worker's tasks may run on: a thread returns only what it has freed itself. There is a
    /// task for each of them, and none goes on before all run, or a moment has passed, so that no thread gets two.
    async fn tidy_on_every_thread(self: &Arc<Self>) {
        let threads = self.config.workers.threads.get();
        let meeting = Arc::new((Mutex::new(0), Condvar::new()));
        let tidy = |_| {
            let (worker, meeting) = (Arc::clone(self), Arc::clone(&meeting));
            tokio::spawn(async move {
                meet(&meeting, threads);
                worker.tidy(false);
            })
        };
        for task in (0..threads).map(tidy).collect::<Vec<_>>() {
            // One that panicked has tidied nothing up.
            let _ = task.await;
        }
    }
}

/// Waits until so many have come, but not for longer than [`MEETING`].
fn meet((come, all_there): &(Mutex<usize>, Condvar), wanted: usize) {
    let mut come = come.lock().expect("nobody panics in it");
    *come += 1;
    all_there.notify_all();
    drop(all_there.wait_timeout_while(come, MEETING, |come| *come < wanted));
}

/// How long a thread waits for the others: one that is busy tidies up when it frees again.
const MEETING: Duration = Duration::from_millis(20);

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
