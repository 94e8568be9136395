//! The way down: the signals that ask for it, and how one worker's connections hear of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
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

/// SIGINT and SIGTERM, caught from creation on.
#[derive(Debug)]
pub(crate) struct ShutdownSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl ShutdownSignals {
    /// Catches the signals from now on. Needs a tokio runtime.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The number of the next signal to arrive.
    pub(crate) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => SIGINT,
            _ = self.terminate.recv() => SIGTERM,
        }
    }
}

/// How long a server that goes down waits for the first request of a connection, or for the rest of it: a round trip of any
/// network, and not so long that half a request holds up the exit.
pub(crate) const REQUEST_GRACE: Duration = Duration::from_secs(1);

/// Signal numbers of POSIX; an exit code of 128 plus one of them says which signal ended a program.
const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;
