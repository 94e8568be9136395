//! Accepting: the loop over one listener, which survives every error of accept.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use crate::http;
use crate::worker::Worker;

/// Accepts connections and starts their handshakes until the worker drains.
pub(crate) async fn accept_loop(worker: Arc<Worker>, listener: Arc<TcpListener>) {
    let mut draining = pin!(worker.drain.wait());
    let mut backoff = Backoff::default();
    while !worker.drain.started() {
        let accepted = tokio::select! {
            biased;
            () = &mut draining => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                backoff = Backoff { warned: backoff.warned, ..Backoff::default() };
                match worker.admit() {
                    Some(admission) => drop(tokio::spawn(http::serve(admission, stream, peer))),
                    None => turn_away(&stream),
                }
            }
            Err(error) => {
                let pause = backoff.after(&error);
                worker.pausing.fetch_add(1, Ordering::Relaxed);
                tokio::select! {
                    () = &mut draining => return,
                    () = sleep(pause) => {}
                }
                worker.pausing.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// Tells a client over `--max-connections` so, without waiting for it: what it sent is left unread if it is not there
/// yet, so that it may see a reset instead.
fn turn_away(stream: &TcpStream) {
    let _ = stream.try_write(BUSY);
    let _ = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
    // A request left in the buffer would turn the close into a reset, which may overtake the answer.
    let _ = stream.try_read(&mut [0; 4096]);
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

/// A server out of descriptors for an hour says so 360 times instead of 3,600.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n\
Content-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\n\r\ntoo many connections\n";

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
}
