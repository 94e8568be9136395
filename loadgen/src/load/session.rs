//! A session: connections to one server, opened by their workers and kept open over one phase of load or many. This
//! thread starts each phase for all workers at once, collects what they record and merges it into [`Measured`].

mod growing;
mod watching;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;

use crate::host::footprint;
use crate::load::error::RunError;
use crate::load::ledger::{End, Exchange, Outcome, Phases};
use crate::load::live::{Live, Phase, SHOW_EVERY};
use crate::load::pings::Pings;
use crate::load::realtime;
use crate::load::stamping;
use crate::load::steps;
use crate::load::worker::{self, Common, Order, Start};
use crate::measure::agreements::Agreements;
use crate::measure::clock::{Clock, nanoseconds};
use crate::measure::counts::Connections;
use crate::measure::failures::{self, Failures};
use crate::measure::growth::{FEWEST_CONNECTIONS, Growth};
use crate::measure::histogram::add;
use crate::measure::histogram::histogram;
use crate::measure::measured::{AllLost, Measured};
use crate::measure::recorder::{INTERVAL_NS, Interval};
use crate::measure::so_far::Passed;
use crate::measure::tls::Secured;
use crate::plan::messages::Corpus;
use crate::plan::unfit::too_small_or_large;
use crate::plan::url::{Scheme, Url};
use crate::plan::{Plan, Sizes, Stop};
pub use growing::Manner;
pub use watching::Span;
use watching::Watch;

/// Open connections, and the workers that hold them.
#[derive(Debug)]
pub struct Session<'a, 'scope> {
    plan: &'a Plan,
    interrupted: &'a AtomicBool,
    live: &'a Live,
    opened: Opened,
    pings: Pings,
    growth: Growth,
    kernel_growth: Growth,
    orders: Vec<mpsc::Sender<Order>>,
    threads: Vec<ScopedJoinHandle<'scope, std::io::Result<()>>>,
    /// Intervals of earlier phases, for the next ones to write into.
    #[expect(clippy::vec_box, reason = "workers pass them on in their boxes")]
    intervals: Vec<Box<Interval>>,
}

/// What came of opening connections.
#[derive(Debug)]
pub struct Opened {
    requested: u64,
    /// By worker.
    established: Vec<u64>,
    agreements: Agreements,
    /// What TLS has settled on them, and how long its handshakes took.
    pub tls: Secured,
    /// How long each took, ns.
    pub connect: Histogram<u64>,
    /// Of that, how long TCP took, ns.
    pub tcp: Histogram<u64>,
    /// How long the WebSocket handshake took, ns.
    pub upgrade: Histogram<u64>,
    /// When each was open, ns from the beginning of all.
    pub back: Histogram<u64>,
    /// Why tries failed, and how often.
    pub failures: Failures,
    /// Tries of all connections.
    pub tries: u64,
    /// The most tries that one of them took.
    pub most_tries: u32,
    is_fathom: bool,
    addresses: BTreeMap<SocketAddr, u64>,
}

impl<'a, 'scope> Session<'a, 'scope> {
    /// Opens the plan's connections, on workers that live as long as `scope` at the most.
    ///
    /// # Errors
    /// When the kernel refuses a thread or the stamps that the plan must have, no connection could be opened, or the user
    /// does not want to wait for it.
    pub fn open<'env>(
        scope: &'scope Scope<'scope, 'env>,
        common: Common<'env>,
        show: &mut dyn FnMut(Phase),
    ) -> Result<Self, RunError>
    where
        'env: 'a,
    {
        let Common { plan, url, corpus, interrupted, live, workers, .. } = common;
        check(url, plan, corpus)?;
        let (opened_by, opened) = mpsc::channel();
        let (mut orders, mut threads) = (Vec::new(), Vec::new());
        let stamped = stamping::decide(plan.timestamps)?;
        realtime::check(plan, worker::room(common))?;
        let (steps, watcher) = if let Some(why) = without_steps(&common) {
            (Vec::new(), Err(why))
        } else {
            let (steps, watcher) = steps::among(workers);
            (steps, Ok(watcher))
        };
        let mut steps = steps.into_iter();
        for index in 0..workers {
            let (order, ordered) = mpsc::channel();
            let opened_by = opened_by.clone();
            let steps = steps.next();
            let body = move || worker::run(index, common, stamped, steps, opened_by, ordered);
            threads.push(thread::Builder::new().name(format!("worker-{index}")).spawn_scoped(scope, body)?);
            orders.push(order);
        }
        drop(opened_by);
        let kernel = RefCell::new(Vec::new());
        let memory = || {
            kernel.borrow_mut().push(footprint::of_kernel());
            footprint::of_user(common.server_pids)
        };
        let growth = watcher.map_or_else(|why| why, |watcher| watcher.watch(&memory, &mut || show(Phase::Connecting)));
        let opened = gather(&opened, Opened::nothing(workers, plan.connections.get().into()), show);
        let (pings, intervals) = (Pings::new(), Vec::new());
        let kernel_growth = kernel_growth(&growth, &kernel.into_inner());
        let session =
            Self { plan, interrupted, live, opened, pings, growth, kernel_growth, orders, threads, intervals };
        if interrupted.load(Ordering::Relaxed) {
            return Err(RunError::Interrupted);
        }
        if session.connections().established == 0 {
            let why = session.opened.main_failure();
            session.close()?;
            return Err(RunError::NoConnection { requested: plan.connections.get(), url: url.clone(), why });
        }
        Ok(session)
    }

    /// What became of the connections when they were opened.
    pub fn connections(&self) -> Connections {
        self.opened.connections()
    }

    /// Runs one phase and waits for its end. Every interval that a worker has filled is given to `take`, in which
    /// histograms and slices are collected: those of what is returned are empty. With it comes how much of the measured
    /// phase has passed, until that is over.
    ///
    /// # Errors
    /// When the kernel refuses a worker to wait for its connections.
    pub fn phase(
        &mut self,
        span: Span<'_>,
        take: &mut dyn FnMut(&Interval, Option<Passed<'_>>),
        show: &mut dyn FnMut(Phase),
    ) -> Result<Measured, RunError> {
        let (full, intervals) = mpsc::channel();
        let (outcomes_to, outcomes) = mpsc::channel();
        let clock = Clock::starting_at(Instant::now() + span.delay);
        let began_at = SystemTime::now() + span.delay + span.warmup;
        let begin = nanoseconds(span.warmup);
        let mut spares = Vec::new();
        let taking_part = self.opened.established.iter().filter(|established| **established > 0).count();
        let connected = Arc::new(AtomicUsize::new(taking_part));
        let all_established = self.opened.established.iter().sum();
        let ends = ends(span.stop, begin, &self.opened.established);
        let with_connections =
            self.orders.iter().zip(ends).zip(&self.opened.established).filter(|(_, established)| **established > 0);
        for ((order, end), _) in with_connections {
            let phases = Phases { begin, end, drain: nanoseconds(self.plan.drain_timeout) };
            let (spare, spare_of) = mpsc::channel();
            // This cannot fail: the receiver, `spare_of`, is at hand.
            let _ = self.intervals.pop().map(|interval| spare.send(interval));
            spares.push(spare);
            let every = span.look_every.map_or(INTERVAL_NS, nanoseconds);
            let exchange = Exchange { full: full.clone(), spare: spare_of, every };
            let (seed, outcomes, connected) = (span.seed, outcomes_to.clone(), connected.clone());
            let (load, ping) = (span.load, span.ping);
            let start = Start { clock, phases, seed, load, ping, all_established, exchange, connected, outcomes };
            // One that has failed says so when it is joined.
            let _ = order.send(Order::Phase(start));
        }
        drop((full, outcomes_to));
        let pool = &mut self.intervals;
        let watch = Watch { intervals, spares, turn: 0, pool, take, live: self.live, show };
        let (loadgen, server, withheld) = watch.until_done(span, clock.instant(begin));
        let outcomes: Vec<Outcome> = outcomes.iter().collect();
        if outcomes.len() < taking_part {
            self.join()?;
        }
        let mut measured = Measured::new(began_at, window(&outcomes, begin), self.connections(), loadgen);
        measured.interrupted = self.interrupted.load(Ordering::Relaxed);
        measured.failures.clone_from(&self.opened.failures);
        measured.agreements.clone_from(&self.opened.agreements);
        measured.tls.clone_from(&self.opened.tls);
        measured.addresses.clone_from(&self.opened.addresses);
        measured.server = server;
        measured.withheld = withheld;
        let last = outcomes.iter().map(|outcome| outcome.last_in_window).max().unwrap_or(begin);
        measured.last_reply_after = Duration::from_nanos(last.saturating_sub(begin));
        let last = outcomes.iter().map(|outcome| outcome.last_reply).max().unwrap_or(begin);
        measured.answered_after = Duration::from_nanos(last.saturating_sub(begin));
        measured.all_lost = all_lost(&outcomes);
        for outcome in outcomes {
            measured.counts += outcome.counts;
            measured.worker_busy.push(outcome.busy);
            measured.paced.push(outcome.paced);
            outcome.pings.into_iter().for_each(|pings| self.pings.add(*pings));
            failures::merge(&mut measured.failures, outcome.failures);
        }
        Ok(measured)
    }

    /// Takes what became of the Pings of the phases since this was asked last.
    pub fn take_pings(&mut self) -> Pings {
        std::mem::take(&mut self.pings)
    }

    /// How the server's memory grew while they were opened.
    pub fn growth(&self) -> &Growth {
        &self.growth
    }

    /// How the kernel's memory on this machine grew meanwhile.
    pub fn kernel_growth(&self) -> &Growth {
        &self.kernel_growth
    }

    /// How long each connection took to open, ns.
    pub fn connect(&self) -> &Histogram<u64> {
        &self.opened.connect
    }

    /// How long TCP took of that, ns.
    pub fn tcp(&self) -> &Histogram<u64> {
        &self.opened.tcp
    }

    /// How long the WebSocket handshake took of that, ns.
    pub fn upgrade(&self) -> &Histogram<u64> {
        &self.opened.upgrade
    }

    /// What TLS has settled on the connections that were opened first.
    pub fn tls(&self) -> &Secured {
        &self.opened.tls
    }

    /// Whether the server has named itself as Fathom, so that it has a configuration to ask for.
    pub fn is_fathom(&self) -> bool {
        self.opened.is_fathom
    }

    /// Closes the connections.
    ///
    /// # Errors
    /// What stopped a worker.
    pub fn close(mut self) -> Result<(), RunError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), RunError> {
        self.orders.clear();
        for thread in self.threads.drain(..) {
            thread.join().expect("a worker does not panic")?;
        }
        Ok(())
    }
}

/// Whether the plan is for what is spoken with the server.
fn check(url: &Url, plan: &Plan, corpus: &Corpus) -> Result<(), RunError> {
    let of_file = || match url.scheme() {
        Scheme::Ws | Scheme::Wss => None,
        Scheme::Tcp => {
            (corpus.longest() == 0).then(|| "--payload: the file is empty, and nothing comes back for it".to_owned())
        }
        // All messages are as long as the longest where they are a file.
        Scheme::Udp => too_small_or_large("--payload", Sizes::saturating(corpus.longest())),
    };
    plan.unfit_for(url.scheme()).or_else(of_file).map_or(Ok(()), |why| Err(RunError::Unfit(why)))
}

/// Why the connections are not opened in steps.
fn without_steps(common: &Common<'_>) -> Option<Growth> {
    if common.server_pids.is_empty() {
        return Some(Growth::Unseen);
    }
    (common.plan.connections.get() < FEWEST_CONNECTIONS).then_some(Growth::FewConnections)
}

/// The kernel's memory at the numbers of connections at which the server's was seen.
fn kernel_growth(server: &Growth, kernel: &[Option<u64>]) -> Growth {
    let Growth::Seen(seen) = server else { return server.clone() };
    let points = seen.iter().zip(kernel).map(|((connections, _), bytes)| Some((*connections, (*bytes)?)));
    points.collect::<Option<_>>().map_or(Growth::Unseen, Growth::Seen)
}

/// Waits until every worker has opened its connections or given up.
fn gather(opened: &mpsc::Receiver<worker::Report>, mut all: Opened, show: &mut dyn FnMut(Phase)) -> Opened {
    loop {
        match opened.recv_timeout(SHOW_EVERY) {
            Ok(report) => {
                all.established[report.worker] += report.established;
                all.agreements += report.agreements;
                all.tls += report.tls;
                add(&mut all.connect, &report.connect);
                add(&mut all.tcp, &report.tcp);
                add(&mut all.upgrade, &report.upgrade);
                add(&mut all.back, &report.back);
                all.is_fathom |= report.is_fathom;
                all.tries += report.tries;
                all.most_tries = all.most_tries.max(report.most_tries);
                for (address, connections) in report.addresses {
                    *all.addresses.entry(address).or_default() += connections;
                }
                failures::merge(&mut all.failures, report.failures);
            }
            Err(RecvTimeoutError::Timeout) => show(Phase::Connecting),
            Err(RecvTimeoutError::Disconnected) => return all,
        }
    }
}

impl Opened {
    /// Nothing yet of those that are requested.
    pub(super) fn nothing(workers: usize, requested: u64) -> Self {
        let [connect, tcp, upgrade, back] = [(); 4].map(|()| histogram());
        Self {
            requested,
            established: vec![0; workers],
            agreements: Agreements::default(),
            tls: Secured::default(),
            connect,
            tcp,
            upgrade,
            back,
            failures: Failures::new(),
            tries: 0,
            most_tries: 0,
            addresses: BTreeMap::new(),
            is_fathom: false,
        }
    }

    /// What became of them.
    pub fn connections(&self) -> Connections {
        let established = self.established.iter().sum();
        Connections { requested: self.requested, established, failed: self.requested - established, dropped: 0 }
    }

    fn main_failure(&self) -> String {
        let most = self.failures.iter().max_by_key(|(_, times)| **times);
        most.map_or_else(|| "no attempt was made".to_owned(), |(why, _)| why.clone())
    }
}

/// When each worker's measured phase ends; messages are shared out in proportion to the connections.
fn ends(stop: Stop, begin: u64, established: &[u64]) -> Vec<End> {
    let messages = match stop {
        Stop::After(duration) => return vec![End::At(begin + nanoseconds(duration)); established.len()],
        Stop::Messages(messages) => u128::from(messages.get()),
    };
    let all: u64 = established.iter().sum();
    let up_to = |connections: u64| (messages * u128::from(connections) / u128::from(all)) as u64;
    let mut before = 0;
    let share = |&own: &u64| {
        before += own;
        End::Messages(up_to(before) - up_to(before - own))
    };
    established.iter().map(share).collect()
}

/// The measured phase ends with the last worker's.
fn window(outcomes: &[Outcome], begin: u64) -> Duration {
    let ended = outcomes.iter().map(|outcome| outcome.ended).max().unwrap_or(begin);
    Duration::from_nanos(ended.saturating_sub(begin))
}

/// When and why the last connection was lost, if every worker has lost all of its own.
fn all_lost(outcomes: &[Outcome]) -> Option<AllLost> {
    let times: Option<Vec<u64>> = outcomes.iter().map(|outcome| outcome.all_lost_at).collect();
    let after = Duration::from_nanos(times?.into_iter().max()?);
    let mut why = Failures::new();
    for (cause, times) in outcomes.iter().flat_map(|outcome| &outcome.failures) {
        *why.entry(cause.clone()).or_default() += times;
    }
    Some(AllLost { after, why })
}
