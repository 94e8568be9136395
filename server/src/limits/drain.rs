//! The end of a server: how the connections of one worker hear that it goes down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Tells one worker's tasks that the server is going down.
///
/// A connection looks at the flag whenever it runs, which costs a load; the notification exists to make it run.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    started: AtomicBool,
    notify: Arc<Notify>,
}

impl Drain {
    /// Starts draining. Every future of [`Drain::wait`] made before completes.
    pub(crate) fn start(&self) {
        self.started.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Whether draining has started.
    pub(crate) fn started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// Completes when draining starts *after* this call: look at [`Drain::started`] once it is made.
    pub(crate) fn wait(&self) -> OwnedNotified {
        Arc::clone(&self.notify).notified_owned()
    }
}

/// How long a server that goes down waits for the first request of a connection, or for the rest of it: a round trip of
/// any network, and not so long that half a request holds up the exit.
pub(crate) const REQUEST_GRACE: Duration = Duration::from_secs(1);
