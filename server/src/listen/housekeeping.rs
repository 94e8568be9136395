//! Memory given back after a burst. An allocator returns nothing while nobody calls it, and a worker whose connections
//! have all gone, or send small messages only, does not call it. Hence somebody else has the worker do so, a while
//! after it freed much; a server whose connections hold nothing, or nothing new, is not woken up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::connection::Worker;
use crate::limits::allocator;

/// What has the workers tidy up.
pub(crate) struct Housekeeping {
    pub(crate) workers: Vec<Arc<Worker>>,
    /// Notified when a worker has freed much.
    pub(crate) untidy: Arc<Notify>,
}

impl Housekeeping {
    /// Has workers that freed much tidy up, for ever.
    pub(crate) async fn run(self) {
        loop {
            self.untidy.notified().await;
            sleep(PERIOD).await;
            for worker in &self.workers {
                if worker.share.tidy() {
                    match &worker.lane {
                        Some(lane) => lane.ask_to_tidy(),
                        None => worker.housekeeper.notify_one(),
                    }
                }
            }
            // mimalloc lets one thread return memory at a time: what a worker could not, since another was about it, is
            // returned here.
            sleep(WORKERS_TIDY).await;
            allocator::return_memory();
        }
    }
}

/// Often enough that memory is back two seconds after a burst, which may take two of these; seldom enough that buffers
/// for large messages are not new from the kernel for every few messages.
const PERIOD: Duration = Duration::from_millis(500);

/// More than workers take to tidy up unless they are busy.
const WORKERS_TIDY: Duration = Duration::from_millis(100);
