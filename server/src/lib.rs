//! Fathom's WebSocket echo server as a library: bind with [`bind`], then [`run`] until the shutdown signal.
//!
//! Each room may look into those above it in this list and no further; `tests/rooms.rs` reads the imports and says so.
//!
//! - [`config`] and [`Error`]: how the server is set up, and what can stop it.
//! - `limits`: how many connections there may be, how many bytes they hold, and when they are to end.
//! - `dialogue`: how a message is answered.
//! - `lane`: connections that stand between two messages, served by one loop per worker.
//! - `engine`: connections within a message, served by fastwebsockets. Lane and engine do not know each other.
//! - `connection`: what the connections of a worker share, and the way of each between lane and engine until its end.
//! - `http`: from accept to the upgrade.
//! - `listen`: sockets, accepting, and the worker threads.
//! - `program`: the command line. Everything above it knows nothing of clap, stdout or exit codes.
// They panic where the stream cannot be written, which is nothing to end for.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub mod config;
mod connection;
mod dialogue;
mod engine;
mod error;
mod http;
mod lane;
mod limits;
mod listen;
mod program;

pub use error::Error;
pub use listen::listener::{Listeners, bind, probe};
pub use program::{cli, numbers};

use config::Config;
use listen::fleet::Fleet;

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
    let mut fleet = Fleet::start(Arc::new(config), listeners)?;
    let housekeeping = fleet.housekeeping();
    tokio::select! {
        () = shutdown => {}
        () = housekeeping.run() => {}
        // Workers end only when drained, so one that ends now has failed.
        failed = fleet.join() => return failed,
    }
    tracing::info!(timeout = ?drain_timeout, "draining");
    fleet.drain();
    // The workers keep the deadline themselves; the grace is for dropping what is left then.
    tokio::time::timeout(drain_timeout + DROP_GRACE, fleet.join()).await.unwrap_or(Ok(()))
}

/// How long the workers may take to drop the connections that outlived the drain: dropping 100,000 tasks takes tens
/// of milliseconds, so that a second is ample and an exit is never held up for longer.
const DROP_GRACE: Duration = Duration::from_secs(1);
