//! One run of a plan against a server: the workers connect, start together and run their lanes, while this thread
//! collects what they record and merges it into [`Measured`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};
use std::{io, thread};

use hdrhistogram::Histogram;

use crate::clock::{Clock, nanoseconds};
use crate::collector::{Collector, add};
use crate::cores::Cores;
use crate::lane::Outcome;
use crate::ledger::{End, Exchange, Phases};
use crate::measured::{Connections, Measured, Usage};
use crate::opening::Failures;
use crate::payload::Corpus;
use crate::plan::{Plan, Stop};
use crate::progress::{Live, Phase};
use crate::recorder::{Interval, histogram};
use crate::resources::Sampler;
use crate::url::Url;
use crate::worker::{self, Common, Start};

/// What a run works with.
pub struct World<'a> {
    /// Where the server listens.
    pub url: &'a Url,
    /// The server's processes, where they run on this machine and are known.
    pub server_pids: &'a [i32],
    /// The messages.
    pub corpus: &'a Corpus,
    /// The cores for the workers; `None` leaves them to the scheduler.
    pub cores: Option<&'a Cores>,
    /// Set when the run is to end early.
    pub interrupted: &'a AtomicBool,
    /// Counters for the progress display.
    pub live: &'a Live,
    /// Shows the progress; called every [`SHOW_EVERY`] or oftener.
    pub show: &'a mut dyn FnMut(Phase),
}

/// Why a run measured nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The server's name has no address.
    #[error("cannot resolve the host of {url}")]
    Resolve {
        /// The URL.
        url: Url,
        /// The cause.
        source: io::Error,
    },
    /// No connection could be opened.
    #[error("none of {requested} connections to {url} could be opened: {why}")]
    NoConnection {
        /// Connections asked for.
        requested: u32,
        /// The URL.
        url: Url,
        /// The most frequent cause.
        why: String,
    },
    /// It was interrupted before it measured.
    #[error("interrupted before anything was measured")]
    Interrupted,
    /// The kernel refused a thread or an epoll set.
    #[error("cannot run a worker")]
    Worker(#[from] io::Error),
}

/// What came of opening the connections.
struct Opened {
    /// By worker.
    established: Vec<u64>,
    connect: Histogram<u64>,
    failures: Failures,
}

/// Runs the plan.
///
/// # Errors
/// When nothing could be measured. Connections and messages that fail are part of [`Measured`].
pub fn measure(plan: &Plan, world: World<'_>) -> Result<Measured, RunError> {
    let World { url, server_pids, corpus, cores, interrupted, live, show } = world;
    let addresses = url.resolve().map_err(|source| RunError::Resolve { url: url.clone(), source })?;
    let workers = plan.threads.get().min(plan.connections.get() as usize);
    let common = Common { plan, url, addresses: &addresses, corpus, cores, interrupted, live, workers };
    thread::scope(|scope| {
        let (full, intervals) = mpsc::channel();
        let (opened_by, opened) = mpsc::channel();
        let (mut starts, mut spares, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..workers {
            let (start, starts_at) = mpsc::channel();
            let (spare, spare_of) = mpsc::channel();
            let (opened_by, exchange) = (opened_by.clone(), Exchange { full: full.clone(), spare: spare_of });
            let body = move || worker::run(index, common, opened_by, starts_at, exchange);
            threads.push(thread::Builder::new().name(format!("worker-{index}")).spawn_scoped(scope, body)?);
            starts.push(start);
            spares.push(spare);
        }
        drop((full, opened_by));

        let opened = gather(&opened, workers, show);
        let connections = opened.connections(plan);
        if interrupted.load(Ordering::Relaxed) {
            return Err(RunError::Interrupted);
        }
        let clock = Clock::starting_at(Instant::now() + START_DELAY);
        let began_at = SystemTime::now() + START_DELAY + plan.warmup;
        let begin = nanoseconds(plan.warmup);
        if connections.established > 0 {
            for (start, end) in starts.iter().zip(ends(plan, begin, &opened.established)) {
                let phases = Phases { begin, end, drain: nanoseconds(plan.drain_timeout) };
                // A worker that is gone has said why; its result tells.
                let _ = start.send(Start { clock, phases });
            }
        }
        drop(starts);
        let mut collector = Collector::new(spares);
        let watch = Watch { intervals, collector: &mut collector, live, show };
        let (loadgen, server) = watch.until_done(plan, clock.instant(begin), server_pids);
        let mut outcomes = Vec::new();
        for thread in threads {
            outcomes.extend(thread.join().expect("a worker does not panic")?);
        }
        if connections.established == 0 {
            let (requested, url) = (plan.connections.get(), url.clone());
            return Err(RunError::NoConnection { requested, url, why: opened.main_failure() });
        }

        let mut measured = Measured::new(began_at, window(&outcomes, begin), connections, loadgen);
        measured.interrupted = interrupted.load(Ordering::Relaxed);
        measured.connect = opened.connect;
        measured.failures = opened.failures;
        measured.server = server;
        collector.finish(&mut measured);
        outcomes.into_iter().for_each(|outcome| merge(&mut measured, outcome));
        Ok(measured)
    })
}

/// Waits until every worker has opened its connections or given up.
fn gather(opened: &mpsc::Receiver<worker::Report>, workers: usize, show: &mut dyn FnMut(Phase)) -> Opened {
    let mut all = Opened { established: vec![0; workers], connect: histogram(), failures: BTreeMap::new() };
    loop {
        match opened.recv_timeout(SHOW_EVERY) {
            Ok(report) => {
                all.established[report.worker] = report.established;
                add(&mut all.connect, &report.connect);
                for (why, times) in report.failures {
                    *all.failures.entry(why).or_default() += times;
                }
            }
            Err(RecvTimeoutError::Timeout) => show(Phase::Connecting),
            Err(RecvTimeoutError::Disconnected) => return all,
        }
    }
}

impl Opened {
    fn connections(&self, plan: &Plan) -> Connections {
        let requested = u64::from(plan.connections.get());
        let established = self.established.iter().sum();
        Connections { requested, established, failed: requested - established, dropped: 0 }
    }

    fn main_failure(&self) -> String {
        let most = self.failures.iter().max_by_key(|(_, times)| **times);
        most.map_or_else(|| "no attempt was made".to_owned(), |(why, _)| why.clone())
    }
}

/// When each worker's measured phase ends; messages are shared out in proportion to the connections.
fn ends(plan: &Plan, begin: u64, established: &[u64]) -> Vec<End> {
    let messages = match plan.stop {
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

fn merge(measured: &mut Measured, outcome: Outcome) {
    let (sum, part) = (&mut measured.messages, outcome.messages);
    sum.sent += part.sent;
    sum.received += part.received;
    sum.verified += part.verified;
    sum.corrupted += part.corrupted;
    sum.reordered += part.reordered;
    sum.lost += part.lost;
    sum.unexpected += part.unexpected;
    measured.replies_in_window += outcome.replies_in_window;
    measured.reply_bytes_in_window += outcome.reply_bytes_in_window;
    measured.connections.dropped += outcome.dropped;
    measured.over_backlog += outcome.over_backlog;
    measured.worker_busy.push(outcome.busy);
    for (why, times) in outcome.failures {
        *measured.failures.entry(why).or_default() += times;
    }
}

/// Looks on while the lanes run.
struct Watch<'a> {
    intervals: mpsc::Receiver<Box<Interval>>,
    collector: &'a mut Collector,
    live: &'a Live,
    show: &'a mut dyn FnMut(Phase),
}

impl Watch<'_> {
    /// Collects until the last worker is done; returns what this process and the server's used of the machine from
    /// `begin` to the end of the measured phase.
    fn until_done(mut self, plan: &Plan, begin: Instant, server_pids: &[i32]) -> (Usage, Option<Usage>) {
        let end = match plan.stop {
            Stop::After(duration) => begin + duration,
            Stop::Messages(_) => begin + FOREVER,
        };
        self.until(begin, Phase::WarmingUp);
        let samplers = (Sampler::own(), Sampler::of(server_pids));
        self.until(end, Phase::Measuring);
        let own = samplers.0.finish().expect("this process lives, and /proc tells of it");
        let usage = (own, samplers.1.and_then(Sampler::finish));
        self.until(end + FOREVER, Phase::Draining);
        usage
    }

    /// Collects until then, or until the last worker is done.
    fn until(&mut self, then: Instant, phase: Phase) {
        loop {
            let now = Instant::now();
            if now >= then {
                return;
            }
            match self.intervals.recv_timeout((then - now).min(SHOW_EVERY)) {
                Ok(interval) => {
                    self.live.p99_ns.store(interval.latency.value_at_quantile(0.99), Ordering::Relaxed);
                    self.collector.take(interval);
                }
                Err(RecvTimeoutError::Timeout) => (self.show)(phase),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// How long after the last connection is open the load starts: time for every worker to reach its lane.
const START_DELAY: Duration = Duration::from_millis(20);

/// How often the progress is shown at least.
pub const SHOW_EVERY: Duration = Duration::from_millis(200);

/// Longer than any run: 100 years.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);
