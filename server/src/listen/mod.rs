//! From the listening sockets to the workers: [`listener`] binds them ([`udp`] those for datagrams), [`accept`] takes
//! connections from them, [`placement`] chooses the worker of each, and [`fleet`] runs the threads of all this until they
//! have drained. [`run`] is the whole of it.

mod accept;
pub(crate) mod cpus;
mod fleet;
mod housekeeping;
mod int_option;
pub(crate) mod listener;
mod placement;
mod sockets;
mod udp;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use self::fleet::Fleet;
use self::listener::Listeners;
use crate::Error;
use crate::config::Config;
use crate::transport::Identity;

/// Serves `listeners` until `shutdown` completes, then drains: stops accepting, sends Close 1001 to every
/// connection and waits for the close handshakes up to `config.limits.drain_timeout`.
///
/// Dropping the returned future leaves the workers running; only the end of the process stops them then.
///
/// # Errors
/// A worker whose runtime cannot be built, whose core cannot be pinned, or that panicked.
pub async fn run(mut config: Config, listeners: Listeners, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let drain_timeout = config.limits.drain_timeout;
    // In force are the ports that the kernel picked.
    config.listen.clone_from(&listeners.addresses);
    let identity = listeners.identity.clone();
    let mut fleet = Fleet::start(Arc::new(config), listeners)?;
    let housekeeping = fleet.housekeeping();
    tokio::select! {
        () = shutdown => {}
        () = housekeeping.run() => {}
        () = watch(identity.as_ref()) => {}
        // Workers end only when drained, so one that ends now has failed.
        failed = fleet.join() => return failed,
    }
    fleet.drain();
    tracing::info!(timeout = ?drain_timeout, "draining");
    // The workers keep the deadline themselves; the grace is for dropping what is left then.
    tokio::time::timeout(drain_timeout + DROP_GRACE, fleet.join()).await.unwrap_or(Ok(()))
}

/// Has the files of TLS reloaded when they change, for ever.
async fn watch(identity: Option<&Arc<Identity>>) {
    match identity {
        Some(identity) => identity.watch().await,
        None => std::future::pending().await,
    }
}

/// How long the workers may take to drop the connections that outlived the drain: dropping 100,000 tasks takes tens
/// of milliseconds, so that a second is ample and an exit is never held up for longer.
const DROP_GRACE: Duration = Duration::from_secs(1);
