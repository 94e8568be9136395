//! A worker's connections, opened before its lane starts: at the plan's rate, a bounded number at a time.

use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::{JoinSet, LocalSet};

use crate::host::addresses::Addresses;
use crate::load::connect::{self, ConnectError, Connection, Took};
use crate::load::live::Live;
use crate::load::retrying::{Retries, Retry, Try};
use crate::load::steps::Steps;
use crate::measure::clock::nanoseconds;
use crate::measure::failures::{self, Failures};
use crate::measure::histogram::histogram;
use crate::plan::Connect;
use crate::plan::url::Url;

/// What a worker is to open.
#[derive(Debug)]
pub struct Share<'a> {
    /// Where to: the URLs in turn, by the connection's number.
    pub urls: &'a [Url],
    /// The addresses of its host.
    pub addresses: &'a Addresses,
    /// How.
    pub how: &'a Connect,
    /// How many.
    pub connections: u32,
    /// The number of the first, over all workers; source addresses are taken in turn by it.
    pub first: u32,
    /// Connections per second for this worker, if they are paced.
    pub rate: Option<f64>,
    /// Each begins at a random moment within this time, drawn by the seed, if they are not paced.
    pub jitter: Option<(Duration, u64)>,
    /// How those are tried again that fail; without, each is tried once.
    pub retry: Option<Retry>,
    /// Handshakes under way at once at the most.
    pub at_once: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Opened {
    /// The connections, in the order in which they were opened.
    pub connections: Vec<Connection>,
    /// The number of each, over all workers.
    pub numbers: Vec<u32>,
    /// How long each took, ns.
    pub connect: Histogram<u64>,
    /// Of that, how long TCP took.
    pub tcp: Histogram<u64>,
    /// Of that, how long the handshake of TLS took; empty where that is not spoken.
    pub tls: Histogram<u64>,
    /// How long the rest took: the WebSocket handshake.
    pub upgrade: Histogram<u64>,
    /// When each was open, ns from the beginning of all.
    pub back: Histogram<u64>,
    /// Why tries failed, and how often.
    pub failures: Failures,
    /// Tries of all connections.
    pub tries: u64,
    /// The most tries that one of them took.
    pub most_tries: u32,
}

/// Opens a worker's share, in `steps` until a connection fails. Gives up early when it is interrupted, or when [`HOPELESS`]
/// connections have failed that are not tried again, and none has succeeded.
///
/// # Errors
/// When the kernel refuses a runtime (an epoll set).
pub fn open_all(share: &Share<'_>, steps: Option<Steps>, interrupted: &AtomicBool, live: &Live) -> io::Result<Opened> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let opened = LocalSet::new().block_on(&runtime, open_share(share, steps, interrupted, live));
    Ok(opened)
}

async fn open_share(share: &Share<'_>, mut steps: Option<Steps>, interrupted: &AtomicBool, live: &Live) -> Opened {
    let urls: Vec<Rc<Url>> = share.urls.iter().cloned().map(Rc::new).collect();
    let how = Rc::new(share.how.clone());
    let began = Instant::now();
    let mut opened = Opened::nothing();
    let moments = share.jitter.map(|(within, seed)| moments(share.connections, within, seed));
    let mut failed = 0;
    let mut attempts = JoinSet::new();
    let mut retries = Retries::new(share.retry);
    let mut next = 0;
    loop {
        // How much memory a connection that failed took is not known.
        steps = steps.filter(|_| failed == 0 && !interrupted.load(Ordering::Relaxed));
        let step = steps.as_mut().and_then(|steps| Some((steps.until(share.connections)?, steps)));
        let until = step.as_ref().map_or(share.connections, |(until, _)| *until);
        if let Some((_, steps)) = step.filter(|_| next == until && attempts.is_empty()) {
            steps.reached(next);
            continue;
        }
        let hopeless = share.retry.is_none() && opened.connections.is_empty() && failed >= HOPELESS;
        let more = next < share.connections && !hopeless && !interrupted.load(Ordering::Relaxed);
        let none_left = attempts.is_empty() && retries.next_at().is_none();
        if !more && (none_left || interrupted.load(Ordering::Relaxed)) {
            return opened;
        }
        let paced = share.rate.map(|rate| Duration::from_secs_f64((f64::from(next) / rate).min(NEVER_S)));
        let drawn = || moments.as_ref().and_then(|moments| moments.get(next as usize).copied());
        let due = paced.or_else(drawn).map(|after| began + after);
        let ready = due.is_none_or(|due| Instant::now() >= due);
        // Of several addresses the first attempt finds one that answers, so that the others need not.
        let finding = opened.connections.is_empty() && failed == 0 && share.addresses.undecided();
        let at_once = match (finding, &steps) {
            (true, _) => 1,
            (false, Some(_)) => AT_ONCE_IN_STEPS,
            (false, None) => share.at_once,
        };
        let room = attempts.len() < at_once;
        let first = (more && next < until && ready && room).then(|| Try { number: share.first + next, tries: 1 });
        if let Some(tried) = first.or_else(|| room.then(|| retries.pop(began.elapsed())).flatten()) {
            let url = urls[tried.number as usize % urls.len()].clone();
            attempts.spawn_local(attempt(url, share.addresses.clone(), tried, how.clone()));
            next += u32::from(first.is_some());
            continue;
        }
        let again = retries.next_at().filter(|_| room).map(|after| began + after);
        let wake = due.filter(|_| more && !ready).into_iter().chain(again).min();
        let poll = Instant::now() + INTERRUPTION_POLL;
        tokio::select! {
            Some(attempt) = attempts.join_next() => {
                let (tried, result) = attempt.expect("an attempt does not panic and is not aborted");
                let after = began.elapsed();
                if let Err(error) = opened.enter(tried, result, after) {
                    failures::add(&mut opened.failures, &error.to_string(), 1);
                    if !retries.failed(tried, after) {
                        failed += 1;
                        live.failed.fetch_add(1, Ordering::Relaxed);
                    }
                } else {
                    live.connected.fetch_add(1, Ordering::Relaxed);
                }
            },
            () = tokio::time::sleep_until(wake.unwrap_or(poll).min(poll).into()) => {}
        }
    }
}

/// Opens one connection.
async fn attempt(
    url: Rc<Url>,
    addresses: Addresses,
    tried: Try,
    how: Rc<Connect>,
) -> (Try, Result<(Connection, Took), ConnectError>) {
    (tried, connect::open(&url, &addresses, tried.number as usize, &how).await)
}

impl Opened {
    fn nothing() -> Self {
        let [connect, tcp, tls, upgrade, back] = [(); 5].map(|()| histogram());
        let (failures, tries, most_tries) = (Failures::new(), 0, 0);
        let (connections, numbers) = (Vec::new(), Vec::new());
        Self { connections, numbers, connect, tcp, tls, upgrade, back, failures, tries, most_tries }
    }

    /// Enters what came of a try, so long after the beginning; gives back why it failed.
    fn enter(
        &mut self,
        Try { number, tries }: Try,
        result: Result<(Connection, Took), ConnectError>,
        after: Duration,
    ) -> Result<(), ConnectError> {
        self.tries += 1;
        self.most_tries = self.most_tries.max(tries);
        let (connection, took) = result?;
        self.connect.saturating_record(nanoseconds(took.all()));
        self.tcp.saturating_record(nanoseconds(took.tcp));
        if let Some(tls) = took.tls {
            self.tls.saturating_record(nanoseconds(tls));
        }
        self.upgrade.saturating_record(nanoseconds(took.upgrade));
        self.back.saturating_record(nanoseconds(after));
        self.connections.push(connection);
        self.numbers.push(number);
        Ok(())
    }
}

/// So many moments within a time, drawn uniformly by the seed, in their order.
fn moments(count: u32, within: Duration, seed: u64) -> Vec<Duration> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut moments: Vec<Duration> = (0..count).map(|_| within.mul_f64(rng.random::<f64>())).collect();
    moments.sort_unstable();
    moments
}

/// Handshakes that a worker has under way at once: enough to keep a server busy, well under the 1,024 that a listener's
/// default backlog holds, since a connection that overflows it waits a second for its SYN to be sent again.
pub const AT_ONCE: usize = 128;

/// The same while the server's memory is looked at: what handshakes take of it for a while is to be little against what
/// connections keep. The server is on this machine then, which does no more of them at a time anyway.
const AT_ONCE_IN_STEPS: usize = 16;

/// Failures, none having succeeded, after which a worker does not try the rest.
const HOPELESS: usize = 64;

/// Seconds that no run lasts.
const NEVER_S: f64 = 1e9;

/// How often an interruption is looked for.
const INTERRUPTION_POLL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::host::addresses::race::tests::{addresses, deaf};
    use crate::load::connect::tests::{RIGHT, answer_all};
    use crate::plan::tests::plan;

    #[test]
    fn only_the_first_connection_waits_for_an_address_that_keeps_quiet() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _deaf = deaf("127.0.0.2", address.port());
        answer_all(listener, RIGHT);
        let mut how = plan().connect;
        how.timeout = Duration::from_secs(60);
        let share = Share {
            urls: &[Url::at(address)],
            addresses: &addresses(&["127.0.0.2", "127.0.0.1"], address.port()),
            how: &how,
            connections: 20,
            first: 0,
            rate: None,
            jitter: None,
            retry: None,
            at_once: AT_ONCE,
        };
        let opened = open_all(&share, None, &AtomicBool::new(false), &Live::default()).unwrap();
        assert_eq!((opened.connections.len(), opened.failures), (20, Failures::new()));
        assert!(opened.connections.iter().all(|connection| connection.address == address));
        // Had they all begun at once, each would have waited for the quiet one as long as an address may take.
        let first = Duration::from_nanos(opened.connect.max());
        assert!(first >= Duration::from_millis(250), "{first:?}");
        let quickest = Duration::from_nanos(opened.connect.min());
        assert!(quickest < Duration::from_millis(250), "{quickest:?}");
    }

    #[test]
    fn moments_are_spread_over_the_time_by_the_seed() {
        let within = Duration::from_secs(4);
        let drawn = moments(400, within, 1);
        assert!(drawn.is_sorted() && drawn.iter().all(|moment| *moment < within));
        let early = drawn.iter().filter(|moment| **moment < within / 2).count();
        assert!((150..250).contains(&early), "{early} of 400 in the first half");
        assert!(drawn == moments(400, within, 1) && drawn != moments(400, within, 2));
    }
}
