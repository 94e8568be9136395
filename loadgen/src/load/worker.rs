//! The life of one worker thread: it opens its share of the connections, says so, waits for the common start of each
//! phase, and runs its lane for it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hdrhistogram::Histogram;
use rustix::thread::set_current_timer_slack;

use crate::host::addresses::{Addresses, is_of_this_machine};
use crate::host::cores::Cores;
use crate::host::tls::Settled;
use crate::load::connect::Connection;
use crate::load::lane::{self, Orders, Pace};
use crate::load::ledger::{Exchange, Outcome, Phases};
use crate::load::lines::Lines;
use crate::load::live::Live;
use crate::load::opening::{self, Opened, Share};
use crate::load::pacing::{Pacer, Room};
use crate::load::realtime;
use crate::load::retrying::Retry;
use crate::load::steps::Steps;
use crate::measure::agreements::Agreements;
use crate::measure::clock::Clock;
use crate::measure::failures::Failures;
use crate::measure::tls::Secured;
use crate::plan::messages::Corpus;
use crate::plan::schedule::Schedule;
use crate::plan::url::Url;
use crate::plan::{Arrival, Load, Plan, Rate};

/// What all workers of a run share, read only but for the relaxed counters.
#[derive(Debug, Clone, Copy)]
pub struct Common<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Where to connect.
    pub url: &'a Url,
    /// The addresses of its host.
    pub addresses: &'a Addresses,
    /// The messages.
    pub corpus: &'a Corpus,
    /// The cores for the workers, each pinned to one of them; `None` leaves them to the scheduler.
    pub cores: Option<&'a Cores>,
    /// Set when the run is to end early.
    pub interrupted: &'a AtomicBool,
    /// Counters for the progress display.
    pub live: &'a Live,
    /// Workers of the run.
    pub workers: usize,
    /// The server's processes, whose memory is looked at while connections are opened.
    pub server_pids: &'a [i32],
}

/// What a worker is to do next.
#[derive(Debug)]
pub enum Order {
    /// Take part in a phase.
    Phase(Start),
    /// Open connections beside those that it has.
    Open(Reopen),
    /// Close all of them.
    Close {
        /// How many in a second; all at once without.
        per_second: Option<f64>,
        /// Whether the server is told before.
        goodbyes: bool,
        /// Set where those that are left need not wait for their moments any more.
        at_once: Arc<AtomicBool>,
        /// Dropped once that is done.
        done: mpsc::Sender<()>,
    },
}

/// How more connections are opened.
#[derive(Debug)]
pub struct Reopen {
    /// Connections of all workers.
    pub all: u32,
    /// How many were opened or tried before, by all workers.
    pub before: u32,
    /// As those of a [`Share`].
    pub jitter: Option<(Duration, u64)>,
    /// The same.
    pub retry: Option<Retry>,
    /// Whether they keep to the plan's rate.
    pub paced: bool,
    /// Handshakes of this worker under way at once at the most.
    pub at_once: usize,
    /// Where the report of it goes.
    pub opened: mpsc::Sender<Report>,
}

/// What a worker says once its connections are open.
#[derive(Debug)]
pub struct Report {
    /// The worker.
    pub worker: usize,
    /// Connections that it opened.
    pub established: u64,
    /// What was agreed on permessage-deflate, and on how many of them.
    pub agreements: Agreements,
    /// What TLS has settled on them, and how long its handshakes took.
    pub tls: Secured,
    /// The server's addresses, and how many of them each took.
    pub addresses: BTreeMap<SocketAddr, u64>,
    /// How long each took, ns.
    pub connect: Histogram<u64>,
    /// Of that, how long TCP took.
    pub tcp: Histogram<u64>,
    /// How long the WebSocket handshake took.
    pub upgrade: Histogram<u64>,
    /// When each was open, ns from the beginning of all.
    pub back: Histogram<u64>,
    /// Why tries failed, and how often.
    pub failures: Failures,
    /// Tries of all connections.
    pub tries: u64,
    /// The most tries that one of them took.
    pub most_tries: u32,
    /// Whether the server has named itself as Fathom on one of them.
    pub is_fathom: bool,
}

/// The common start of a phase.
#[derive(Debug)]
pub struct Start {
    /// The phase's clock.
    pub clock: Clock,
    /// When this worker warms up, measures and stops.
    pub phases: Phases,
    /// Seed of an open loop's schedule.
    pub seed: u64,
    /// What keeps messages coming in it; `None` where none is sent.
    pub load: Option<Load>,
    /// How often each connection is pinged; not at all without.
    pub ping: Option<Duration>,
    /// Connections that all workers together have opened.
    pub all_established: u64,
    /// Where full intervals go.
    pub exchange: Exchange,
    /// How many workers of the phase still have a connection.
    pub connected: Arc<AtomicUsize>,
    /// Where the outcome goes.
    pub outcomes: mpsc::Sender<Outcome>,
}

/// Runs worker number `worker` until no more orders come. It opens its connections in `steps`, if there are any. What they
/// receive is `stamped` by the kernel or not.
///
/// # Errors
/// When the kernel refuses an epoll set.
pub fn run(
    worker: usize,
    common: Common<'_>,
    stamped: bool,
    steps: Option<Steps>,
    opened: mpsc::Sender<Report>,
    orders: mpsc::Receiver<Order>,
) -> io::Result<()> {
    let Common { corpus, interrupted, live, .. } = common;
    let room = room(common);
    if let Some(cores) = common.cores {
        cores.for_worker(worker).pin();
    }
    // A timeout in ns is worth little while the kernel may round it up by 50 us, its default for a thread.
    let timer_slack_refused = set_current_timer_slack(NonZeroU64::new(1)).is_err();
    if common.plan.realtime {
        realtime::enter()?;
    }
    let mut pacer = Pacer::new(common.plan, room, timer_slack_refused);
    let share = share(worker, common);
    let (connections, report) = Report::of(worker, opening::open_all(&share, steps, interrupted, live)?);
    // Before the others are told: it may compress the corpus, for which the common start is to wait.
    let mut lines = Lines::new(connections, common.plan, corpus, stamped)?;
    // Nobody listens only when the run is being given up; then there is no start either.
    let _ = opened.send(report);
    drop(opened);
    for order in orders {
        let start = match order {
            Order::Phase(start) => start,
            Order::Open(reopen) => {
                let share = more(worker, common, &reopen);
                let (connections, report) = Report::of(worker, opening::open_all(&share, None, interrupted, live)?);
                lines.add(connections, common.plan, corpus)?;
                let _ = reopen.opened.send(report);
                continue;
            }
            Order::Close { per_second, goodbyes, at_once, done } => {
                lines.close_all(per_second, goodbyes, [interrupted, &at_once]);
                drop(done);
                continue;
            }
        };
        let Start { clock, phases, seed, load, ping, all_established, exchange, connected, outcomes } = start;
        let pace = match load {
            None => Pace::Closed(0),
            Some(load) => pace(load, worker, common, lines.all.len(), all_established, seed),
        };
        let pacer = &mut pacer;
        let pings = ping.map(|every| pings(every, worker, common.workers, lines.all.len()));
        let udp_timeout = common.plan.udp_timeout;
        let orders =
            Orders { corpus, pace, pacer, pings, udp_timeout, phases, clock, interrupted, live, exchange, connected };
        let mut outcome = lane::run(orders, &mut lines)?;
        outcome.paced = pacer.paced(outcome.ended.saturating_sub(phases.begin));
        // Nobody listens only when the run is being given up.
        let _ = outcomes.send(outcome);
    }
    lines.close();
    Ok(())
}

impl Report {
    /// Of what was opened, and the connections themselves.
    fn of(worker: usize, opened: Opened) -> (Vec<Connection>, Self) {
        let Opened { connections, connect, tcp, tls, upgrade, back, failures, tries, most_tries, .. } = opened;
        let (mut agreements, mut addresses) = (Agreements::default(), BTreeMap::new());
        let mut tls = Secured { took: tls, ..Secured::default() };
        for connection in &connections {
            agreements.add(connection.protocol.deflate(), 1);
            if let Some(Settled { version, cipher_suite, resumed }) = connection.tls {
                tls.add(version, cipher_suite, resumed);
            }
            *addresses.entry(connection.address).or_default() += 1;
        }
        let is_fathom = connections.iter().any(|connection| connection.is_fathom);
        let established = connections.len() as u64;
        let report = Self {
            worker,
            established,
            agreements,
            tls,
            addresses,
            connect,
            tcp,
            upgrade,
            back,
            failures,
            tries,
            most_tries,
            is_fathom,
        };
        (connections, report)
    }
}

/// What there is for the workers to spin on; asked before a worker is pinned to one core.
pub fn room(common: Common<'_>) -> Room {
    let machine = Cores::allowed();
    Room {
        allowed: machine.count(),
        usable: machine.usable(),
        kept: common.cores.map(Cores::count),
        server_here: common.addresses.in_use().iter().any(|address| is_of_this_machine(address.ip())),
    }
}

/// Connections are dealt out evenly; the first workers take what is left over.
fn share(worker: usize, common: Common<'_>) -> Share<'_> {
    share_of(worker, common, common.plan.connections.get())
}

/// A worker's share of more connections.
fn more<'a>(worker: usize, common: Common<'a>, reopen: &Reopen) -> Share<'a> {
    let share = share_of(worker, common, reopen.all);
    let jitter = reopen.jitter.map(|(within, seed)| (within, seed.wrapping_add(worker as u64)));
    // What is to come back at its own moments keeps to no rate.
    let rate = share.rate.filter(|_| reopen.paced);
    let own = |seed: u64| seed.wrapping_add(worker as u64);
    let retry = reopen.retry.map(|retry| Retry { jitter: retry.jitter.map(own), ..retry });
    let first = reopen.before.wrapping_add(share.first);
    Share { first, rate, jitter, retry, at_once: reopen.at_once, ..share }
}

fn share_of(worker: usize, common: Common<'_>, all: u32) -> Share<'_> {
    let Common { plan, url, addresses, workers, .. } = common;
    let (worker, workers) = (worker as u32, workers as u32);
    let connections = all / workers + u32::from(worker < all % workers);
    let first = worker * (all / workers) + worker.min(all % workers);
    let rate = plan.connect.rate.map(|rate| rate.get() * f64::from(connections) / f64::from(all));
    let (how, urls) = (&plan.connect, std::slice::from_ref(url));
    Share { urls, addresses, how, connections, first, rate, jitter: None, retry: None, at_once: opening::AT_ONCE }
}

/// An open loop offers its rate whatever became of the connections when they were opened: a worker's share goes by those
/// that it `established` of `all` that were.
fn pace(load: Load, worker: usize, common: Common<'_>, established: usize, all: u64, seed: u64) -> Pace {
    match load {
        Load::Closed { in_flight } => Pace::Closed(in_flight.get() as usize),
        Load::Open { rate, arrival } => {
            let part = established as f64 / all as f64;
            let rate = Rate::try_from(rate.get() * part).expect("a part of a rate is one");
            let phase = worker as f64 / common.workers as f64;
            let seed = seed.wrapping_add(1 + worker as u64);
            Pace::Open(Schedule::new(rate, arrival, established, phase, seed))
        }
    }
}

/// When a worker pings its connections, each this often.
fn pings(every: Duration, worker: usize, workers: usize, connections: usize) -> Schedule {
    let rate =
        Rate::try_from(connections as f64 / every.as_secs_f64()).expect("times are bounded, so that this is a rate");
    Schedule::new(rate, Arrival::Uniform, connections, worker as f64 / workers as f64, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;

    #[test]
    fn workers_with_connections_offer_the_whole_rate() {
        let mut plan = plan();
        let rate = Rate::try_from(100.0).unwrap();
        plan.load = Load::Open { rate, arrival: crate::plan::Arrival::Uniform };
        plan.connections = 4.try_into().unwrap();
        let url = "ws://127.0.0.1:1/".parse().unwrap();
        let corpus = Corpus::new(&plan, None);
        let (interrupted, live) = (AtomicBool::new(false), Live::default());
        let addresses = Addresses::find(&url, &plan.connect, &interrupted).unwrap();
        let (plan, url, corpus, interrupted, live) = (&plan, &url, &corpus, &interrupted, &live);
        let common = Common {
            plan,
            url,
            addresses: &addresses,
            corpus,
            cores: None,
            interrupted,
            live,
            workers: 2,
            server_pids: &[],
        };
        let due = |worker, established, all| match pace(plan.load, worker, common, established, all, 0) {
            Pace::Open(schedule) => schedule.due_before(1_000_000_000),
            Pace::Closed(_) => unreachable!("the plan is an open loop"),
        };
        assert_eq!((due(0, 2, 4), due(1, 2, 4)), (50, 50));
        assert_eq!((due(0, 1, 3), due(1, 2, 3)), (34, 67), "one connection could not be opened");
        assert_eq!(due(0, 2, 2), 100, "none of the other worker's could");
    }

    #[test]
    fn every_connection_belongs_to_one_worker() {
        let mut plan = plan();
        plan.connections = 10.try_into().unwrap();
        plan.connect.rate = Some(Rate::try_from(100.0).unwrap());
        let url = "ws://127.0.0.1:1/".parse().unwrap();
        let addresses = Addresses::find(&url, &plan.connect, &AtomicBool::new(false)).unwrap();
        let corpus = Corpus::new(&plan, None);
        let (interrupted, live) = (AtomicBool::new(false), Live::default());
        let shares: Vec<_> = (0..4)
            .map(|worker| {
                let (plan, url, addresses, corpus) = (&plan, &url, &addresses, &corpus);
                let (interrupted, live) = (&interrupted, &live);
                let common = Common {
                    plan,
                    url,
                    addresses,
                    corpus,
                    cores: None,
                    interrupted,
                    live,
                    workers: 4,
                    server_pids: &[],
                };
                let share = share(worker, common);
                (share.first, share.connections, share.rate)
            })
            .collect();
        assert_eq!(shares, [(0, 3, Some(30.0)), (3, 3, Some(30.0)), (6, 2, Some(20.0)), (8, 2, Some(20.0))]);
    }
}
