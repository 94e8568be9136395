//! Accepting: the loop over one listener, which survives every error of accept.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::listener::Bound;
use super::placement::Placement;
use crate::limits::drain::REQUEST_GRACE;
use crate::transport::Stream;

/// A listening socket that a runtime watches. (tokio's own would have the runtime that accepts watch the connection
/// too, which may be served by another.)
pub(crate) type Listener = AsyncFd<Bound>;

/// Has the current runtime watch a listening socket.
///
/// # Errors
/// When it cannot.
#[allow(unsafe_code)]
pub(crate) fn watch(listener: Bound) -> io::Result<Arc<Listener>> {
    // SAFETY: the listener names one descriptor for ever, which it owns and which thus stays open as long as it.
    let watched = unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) };
    Ok(Arc::new(watched?))
}

/// Starts to accept on `listeners`, until what `placement` says.
pub(crate) fn start(placement: &Arc<Placement>, listeners: &[Arc<Listener>]) -> Vec<JoinHandle<()>> {
    let start = |listener| tokio::spawn(accept_loop(Arc::clone(placement), Arc::clone(listener)));
    listeners.iter().map(start).collect()
}

/// Waits for the tasks that bring connections to end, accepts the connections that the kernel has completed meanwhile,
/// and closes the listeners. (Those connections are open as far as their clients know, and closing the listener would
/// reset them.)
pub(crate) async fn finish(
    placement: &Placement,
    tasks: Vec<JoinHandle<()>>,
    listeners: Vec<Arc<Listener>>,
    backlog: u32,
) {
    for task in tasks {
        if let Err(panic) = task.await {
            std::panic::resume_unwind(panic.into_panic());
        }
    }
    let deadline = Instant::now() + REQUEST_GRACE;
    for listener in listeners {
        // At most as many as the kernel keeps ready: with clients that go on connecting it would never end otherwise.
        let mut left = u64::from(backlog) + 1;
        while left > 0 {
            match accept(listener.get_ref()) {
                Ok((stream, peer)) => placement.place(stream, peer, listener.get_ref().scheme),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // A descriptor may be had as soon as a connection has ended.
                Err(_) if Instant::now() < deadline => {
                    sleep(BETWEEN_LAST_ATTEMPTS).await;
                    continue;
                }
                Err(error) => {
                    tracing::warn!("connections that waited to be accepted are reset: {error}");
                    break;
                }
            }
            left -= 1;
        }
    }
}

/// Accepts connections and has their handshakes started until draining starts.
async fn accept_loop(placement: Arc<Placement>, listener: Arc<Listener>) {
    let mut draining = pin!(placement.drain().wait());
    let mut backoff = Backoff::default();
    while !placement.drain().started() {
        let accepted = tokio::select! {
            biased;
            () = &mut draining => return,
            accepted = listener.async_io(Interest::READABLE, accept) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                backoff = Backoff { warned: backoff.warned, ..Backoff::default() };
                placement.place(stream, peer, listener.get_ref().scheme);
            }
            Err(error) => {
                let pause = backoff.after(&error);
                placement.pausing().fetch_add(1, Ordering::Relaxed);
                tokio::select! {
                    () = &mut draining => return,
                    () = sleep(pause) => {}
                }
                placement.pausing().fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// The next connection that waits, as a socket that does not block.
fn accept(listener: &impl AsFd) -> io::Result<(Stream, SocketAddr)> {
    let (stream, peer) = acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    let peer = peer.ok_or_else(|| io::Error::other("a peer without an IP address"))?;
    Ok((Stream::tcp(stream.into()), canonical(peer)))
}

/// The address of an IPv4 peer as such, also where it came by a socket for IPv6.
fn canonical(peer: SocketAddr) -> SocketAddr {
    match peer {
        SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped().map_or(peer, |ip| SocketAddr::from((ip, v6.port()))),
        SocketAddr::V4(_) => peer,
    }
}

/// Pauses between attempts that fail, doubling up to a limit.
///
/// Errors such as EMFILE and ENOBUFS last until something is freed, and accept reports them at once each time: without
/// a pause the loop would spin. One such as ECONNABORTED concerns a single connection and costs a millisecond.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
    warned: Option<Instant>,
}

impl Backoff {
    /// The pause after another failure, which is logged unless one was lately.
    fn after(&mut self, error: &io::Error) -> Duration {
        let pause = self.next();
        if self.warned.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
            self.warned = Some(Instant::now());
            tracing::warn!("accept failed, next attempt in {pause:?}: {error}");
        }
        pause
    }

    fn next(&mut self) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures += 1;
        pause
    }
}

/// Short enough that a single aborted connection delays nobody noticeably.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// Long enough to cost nothing, short enough that freed descriptors are used soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Between two attempts of a server that goes down without descriptors: it has a second at the most.
const BETWEEN_LAST_ATTEMPTS: Duration = Duration::from_millis(10);

/// A server out of descriptors for an hour says so 360 times instead of 3,600.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..12).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000]);
        backoff.failures = u32::MAX - 1;
        assert_eq!(backoff.next(), LONGEST_PAUSE);
    }

    #[test]
    fn a_mapped_peer_is_an_ipv4_peer() {
        let seen = |peer: &str| canonical(peer.parse().unwrap()).to_string();
        assert_eq!(seen("[::ffff:192.0.2.1]:80"), "192.0.2.1:80");
        assert_eq!(seen("192.0.2.1:80"), "192.0.2.1:80");
        assert_eq!(seen("[fe80::1%3]:80"), "[fe80::1%3]:80");
    }
}
