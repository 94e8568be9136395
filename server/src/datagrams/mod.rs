//! UDP: each datagram is sent back to where it came from, from the address that it came to, as it is and never longer.
//! There are no connections, hence nothing of this is on the lane or in an engine: each worker has a socket for each
//! address, and a task that takes what has come in batches ([`batch`], by the system calls in [`messages`]). A source may be limited ([`limit`]), the server does
//! not answer itself ([`own`]), and what became of each datagram is counted ([`counts`]).

mod batch;
mod counts;
mod limit;
mod messages;
mod own;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::yield_now;
use tokio::time::sleep;

use self::batch::Batch;
pub(crate) use self::counts::{Stats, Tally};
use self::limit::Limit;
use crate::config::Config;
use crate::dialogue::inject::Injected;
use crate::limits::drain::Drain;

/// A bound socket for datagrams.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Does not block.
    pub(crate) socket: UdpSocket,
    /// Whether datagrams of one source come merged and go back together, where the kernel can do that.
    pub(crate) offload: bool,
    /// The addresses of all such sockets of this server: it does not answer what comes from there.
    pub(crate) own: Arc<[SocketAddr]>,
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// A socket that a runtime watches.
pub(crate) type Watched = AsyncFd<Socket>;

/// Has the current runtime watch a socket, for what can be read: tokio's own would be woken up for every datagram that has
/// been sent, too.
///
/// # Errors
/// When it cannot.
#[allow(unsafe_code)]
pub(crate) fn watch(socket: Socket) -> io::Result<Watched> {
    // SAFETY: the socket names one descriptor for ever, which it owns and which thus stays open as long as it.
    Ok(unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?)
}

/// Answers the datagrams of a socket until the worker drains; then those that have come by then.
pub(crate) async fn serve(watched: Watched, config: &Config, drain: &Drain, tally: &Tally) {
    let mut draining = pin!(drain.wait());
    let socket = watched.get_ref();
    let limit = config.limits.udp_limit.map(Limit::new);
    let mut batch = Batch::new(limit, Injected::new(&config.echo), config.echo.log_messages);
    while !drain.started() {
        let ready = tokio::select! {
            biased;
            () = &mut draining => break,
            ready = watched.readable() => ready,
        };
        let Ok(mut ready) = ready else { return };
        for _ in 0..BATCHES_PER_TURN {
            match batch.answer(socket, tally.own()) {
                // The next datagram makes the socket ready anew.
                Ok(came) if came < messages::MOST => {
                    ready.clear_ready();
                    break;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!("receiving datagrams: {error}");
                    sleep(AFTER_ERROR).await;
                    break;
                }
            }
        }
        // Connections have their turn.
        yield_now().await;
    }
    for _ in 0..LAST_BATCHES {
        if !batch.answer(socket, tally.own()).is_ok_and(|came| came == messages::MOST) {
            break;
        }
    }
}

/// Some 500 us of small datagrams that come one by one; connections of the same worker wait meanwhile.
const BATCHES_PER_TURN: usize = 4;

/// More than a socket's queue holds at its default size; with peers that go on sending it would never end otherwise.
const LAST_BATCHES: usize = 64;

/// The kernel is short of memory, for example: an attempt at once would fail too.
const AFTER_ERROR: Duration = Duration::from_millis(10);
