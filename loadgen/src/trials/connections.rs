//! The experiment of many connections: opened in steps at which memory is looked at, held, perhaps disturbed by others that
//! come and go or dropped all at once, and closed. All of it runs on the workers of one session.

mod churn;
mod memory;
mod storm;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;

use crate::host::cores::Cores;
use crate::host::environment::Environment;
use crate::host::running::Running;
use crate::host::target::END_TIMEOUT;
use crate::host::tls::Client;
use crate::judge::trust::Trust;
use crate::load::error::RunError;
use crate::load::live::{Live, Phase};
use crate::load::opening::AT_ONCE;
use crate::load::pings::Pings;
use crate::load::session::{Manner, Opened, Session, Span};
use crate::load::worker::Common;
use crate::measure::collector::Collector;
use crate::measure::counts::Connections;
use crate::measure::failures::{self, Failures};
use crate::measure::histogram::{add, histogram};
use crate::measure::measured::Measured;
use crate::measure::tls::Secured;
use crate::plan::messages::Corpus;
use crate::plan::url::Scheme;
use crate::plan::{Plan, Rate, Stop};
use crate::report::connections::parts::{Churn, Closing, Hold, Memory, MemoryPoint, Opening, Pinged, Storm, Trickle};
use crate::report::connections::{ConnectionsReport, ConnectionsSchema};
use crate::report::{Report, Stats, TlsReport};
pub use storm::Comeback;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// All connections, how they are opened, and the messages; its measured phase is the hold.
    pub plan: Plan,
    /// Steps of opening, after each of which memory is looked at.
    pub steps: u32,
    /// How long the connections are held.
    pub hold: Duration,
    /// Time between two messages of a connection that is held; `None` where nothing is sent.
    pub trickle: Option<Duration>,
    /// Time between two Pings of a connection that is held; `None` where none is sent.
    pub ping: Option<Duration>,
    /// Connections that come and go in a second beside those that are held.
    pub churn: Option<Rate>,
    /// How connections come back after all are dropped at once.
    pub storm: Option<Comeback>,
    /// Connections closed per second in the end; `None` closes all at once.
    pub close_rate: Option<Rate>,
}

/// Where it is done.
pub struct Site<'a> {
    /// The server.
    pub server: &'a Running,
    /// What the report calls it.
    pub target: &'a str,
    /// The messages.
    pub corpus: &'a Corpus,
    /// The cores for the workers; `None` leaves them to the scheduler.
    pub cores: Option<&'a Cores>,
    /// Set when it is to end early, with a report of what there is.
    pub interrupted: &'a AtomicBool,
    /// Counters for the progress display.
    pub live: &'a Live,
    /// Shows the progress.
    pub show: &'a mut dyn FnMut(Phase),
}

/// Does all of it, as far as it comes.
///
/// # Errors
/// When not a single connection could be opened, or the kernel refuses a thread. Connections and messages that fail later are
/// part of the report.
pub fn run(experiment: &Experiment, site: Site<'_>) -> Result<ConnectionsReport, RunError> {
    let Site { server, target, corpus, cores, interrupted, live, show } = site;
    let (began_at, began) = (SystemTime::now(), Instant::now());
    let sizes = step_sizes(experiment.plan.connections.get(), experiment.steps);
    let plan = Plan { connections: sizes[0].try_into().expect("no step is empty"), ..experiment.plan.clone() };
    let (url, addresses) = (server.url(), server.addresses());
    if experiment.ping.is_some() && !matches!(url.scheme(), Scheme::Ws | Scheme::Wss) {
        return Err(RunError::Unfit(NO_PINGS.to_owned()));
    }
    let workers = plan.workers();
    let common = Common { plan: &plan, url, addresses, corpus, cores, interrupted, live, workers, server_pids: &[] };
    // No client opens its first connection with a ticket, so that each has one when it comes back.
    addresses.tls().into_iter().for_each(|tls| tls.hold_sessions_back(experiment.plan.connections.get() as usize));
    let before = memory::look(server.pids(), 0);
    let (held, is_fathom) = thread::scope(|scope| {
        let opening = Instant::now();
        let session = Session::open(scope, common, show).map_err(|error| error.with_all(&experiment.plan))?;
        let is_fathom = session.is_fathom();
        let mut held = Held { experiment, server, interrupted, session, show, found: Found::nothing(experiment) };
        held.found.opening = opening.elapsed();
        let opened = held.session.take_opened();
        held.found.opened(&opened, interrupted.load(Ordering::Relaxed));
        held.open_the_rest(&sizes[1..])?;
        if !held.over() {
            held.hold()?;
        }
        if let (Some(rate), false) = (experiment.churn, held.over()) {
            held.found.churn = Some(churn::measure(&mut held, common, rate)?);
        }
        held.storm_if_asked_for();
        Ok::<_, RunError>((held.close()?, is_fathom))
    })?;
    let server_ended = held.server_ended(server);
    let Found { connections, failures, opening, handshake, tcp, tls, upgrade, steps, .. } = held;
    let config = is_fathom.then(|| server.config()).flatten();
    let both_ends = addresses.in_use().iter().all(|address| address.ip().is_loopback());
    let [handshake, tcp, upgrade] = [handshake, tcp, upgrade].map(|histogram| Stats::from(&histogram));
    Ok(ConnectionsReport {
        schema: ConnectionsSchema::V1,
        target: target.to_owned(),
        began_at,
        interrupted: interrupted.load(Ordering::Relaxed),
        server_ended,
        elapsed_seconds: began.elapsed().as_secs_f64(),
        trust: held.trust,
        thresholds: Vec::new(),
        connections,
        failures,
        opening: Opening {
            asked_per_second: experiment.plan.connect.rate.map(Rate::get),
            per_second: connections.established as f64 / opening.as_secs_f64(),
            seconds: opening.as_secs_f64(),
        },
        handshake,
        tcp,
        upgrade,
        tls: TlsReport::of(&experiment.plan.connect.tls, &tls),
        memory: Memory::of(before, steps, held.held, held.after, both_ends),
        hold: held.hold,
        churn: held.churn,
        storm: held.storm,
        closing: held.closing,
        environment: Environment::collect(&experiment.plan, Some(corpus.digest()), config),
    })
}

/// How many connections are opened at the same time at the most.
pub fn most_at_once(experiment: &Experiment) -> u64 {
    match experiment.storm {
        Some(Comeback { jitter: None, .. }) => experiment.plan.connections.get().into(),
        _ => (AT_ONCE * experiment.plan.workers()) as u64,
    }
}

/// The session, and what it has found so far.
struct Held<'a, 'scope> {
    experiment: &'a Experiment,
    server: &'a Running,
    interrupted: &'a AtomicBool,
    session: Session<'a, 'scope>,
    show: &'a mut dyn FnMut(Phase),
    found: Found,
}

/// What has been found so far.
struct Found {
    connections: Connections,
    failures: Failures,
    opening: Duration,
    handshake: Histogram<u64>,
    tcp: Histogram<u64>,
    tls: Secured,
    upgrade: Histogram<u64>,
    steps: Vec<MemoryPoint>,
    held: Option<MemoryPoint>,
    after: Option<MemoryPoint>,
    trust: Trust,
    hold: Option<Hold>,
    churn: Option<Churn>,
    storm: Option<Storm>,
    closing: Option<Closing>,
    /// How the server's process ended while the connections were closed, if it did.
    ended_while_closing: Option<String>,
}

impl Found {
    fn nothing(experiment: &Experiment) -> Self {
        let requested = u64::from(experiment.plan.connections.get());
        let [handshake, tcp, upgrade] = [(); 3].map(|()| histogram());
        Self {
            connections: Connections { requested, ..Connections::default() },
            failures: Failures::new(),
            opening: Duration::ZERO,
            handshake,
            tcp,
            tls: Secured::default(),
            upgrade,
            steps: Vec::new(),
            held: None,
            after: None,
            trust: Trust::unless(Vec::new(), Vec::new()),
            hold: None,
            churn: None,
            storm: None,
            closing: None,
            ended_while_closing: None,
        }
    }

    /// What came of opening some; where it was `interrupted`, what was not tried by then has not failed.
    fn opened(&mut self, more: &Opened, interrupted: bool) {
        let Connections { established, failed, .. } = more.connections();
        let failed = if interrupted { failed.min(more.failures.values().sum()) } else { failed };
        self.connections.established += established;
        self.connections.failed += failed;
        add(&mut self.handshake, &more.connect);
        add(&mut self.tcp, &more.tcp);
        add(&mut self.upgrade, &more.upgrade);
        self.tls += more.tls.clone();
        failures::merge(&mut self.failures, more.failures.clone());
    }

    /// What was lost in a phase.
    fn lost(&mut self, measured: &Measured) {
        self.connections.dropped += measured.counts.connections.dropped;
        failures::merge(&mut self.failures, measured.failures.clone());
    }

    /// How the server's process ended, if connections were lost with it or while they were closed.
    fn server_ended(&self, server: &Running) -> Option<String> {
        let Connections { established, failed, dropped, .. } = self.connections;
        let gone = dropped + self.storm.as_ref().map_or(0, |storm| storm.failed);
        let patience = if established <= gone { END_TIMEOUT } else { Duration::ZERO };
        let ended = if failed + gone > 0 { server.ended(patience) } else { None };
        ended.map(|status| status.to_string()).or_else(|| self.ended_while_closing.clone())
    }

    fn alive(&self) -> u64 {
        self.connections.established.saturating_sub(self.connections.dropped)
    }
}

impl Held<'_, '_> {
    /// Whether there is nothing left to go on with: it was interrupted, or no connection is left.
    fn over(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) || self.found.alive() == 0
    }

    fn open_the_rest(&mut self, sizes: &[u32]) -> Result<(), RunError> {
        self.settle()?;
        for (step, &size) in sizes.iter().enumerate() {
            let rest = sizes[step..].iter().map(|size| u64::from(*size)).sum::<u64>();
            if self.over() {
                // None is tried where none is left of those before.
                let lost = !self.interrupted.load(Ordering::Relaxed);
                self.found.connections.failed += if lost { rest } else { 0 };
                return Ok(());
            }
            let began = Instant::now();
            let more = self.session.open_more(size, Manner::Paced, self.show);
            self.found.opening += began.elapsed();
            let interrupted = self.interrupted.load(Ordering::Relaxed);
            self.found.opened(&more, interrupted);
            if interrupted {
                return Ok(());
            }
            if more.connections().established == 0 {
                // Whatever stands in the way stands there still.
                self.found.connections.failed += rest - u64::from(size);
                // What is in the way may have ended the others too.
                return self.quiet(SETTLE, None).map(drop);
            }
            self.settle()?;
        }
        Ok(())
    }

    /// Lets the server do what an opened connection leaves to do, and looks at the memory.
    fn settle(&mut self) -> Result<(), RunError> {
        self.quiet(SETTLE, None)?;
        let point = memory::look(self.server.pids(), self.found.alive());
        self.found.steps.push(point);
        Ok(())
    }

    fn quiet(&mut self, length: Duration, ping: Option<Duration>) -> Result<Measured, RunError> {
        let span = Span { ping, ..self.span(length, true) };
        let measured = self.session.phase(span, &mut |_, _| {}, self.show)?;
        self.found.lost(&measured);
        Ok(measured)
    }

    fn span(&self, length: Duration, quiet: bool) -> Span<'static> {
        let plan = &self.experiment.plan;
        Span::plain((!quiet).then_some(plan.load), Stop::After(length), plan.seed, START_DELAY)
    }

    /// One phase of the trickle, with what its workers saw.
    fn trickle(&mut self, length: Duration, ping: Option<Duration>) -> Result<Measured, RunError> {
        let mut collector = Collector::new();
        let span = Span { ping, ..self.span(length, false) };
        let mut measured = self.session.phase(span, &mut |interval, _| collector.take(interval), self.show)?;
        collector.finish(&mut measured);
        self.found.lost(&measured);
        Ok(measured)
    }

    fn hold(&mut self) -> Result<(), RunError> {
        let began = Instant::now();
        // Who connects from now on comes back.
        self.server.addresses().tls().into_iter().for_each(Client::release_sessions);
        let Experiment { hold, trickle, ping, .. } = *self.experiment;
        let trickle = match trickle {
            None => self.quiet(hold, ping).map(|_| None)?,
            Some(every) => Some(self.trickling(every)?),
        };
        let pings = ping.map(|every| pinged(every, self.session.take_pings()));
        self.found.hold = Some(Hold { seconds: began.elapsed().as_secs_f64(), trickle, pings });
        self.found.held = Some(memory::look(self.server.pids(), self.found.alive()));
        Ok(())
    }

    fn trickling(&mut self, every: Duration) -> Result<Trickle, RunError> {
        let measured = self.trickle(self.experiment.hold, self.experiment.ping)?;
        // The rules of a run say what its latency is worth.
        let report = Report::new("hold", "", &measured, Environment::collect(&self.experiment.plan, None, None));
        self.found.trust = report.trust;
        Ok(Trickle {
            every_seconds: every.as_secs_f64(),
            messages: report.messages,
            latency: report.latency,
            send_lag: report.send_lag,
        })
    }

    /// Closes the connections and looks whether the memory returns.
    fn close(mut self) -> Result<Found, RunError> {
        let per_second = self.experiment.close_rate.map(Rate::get);
        let began = Instant::now();
        let ended_before = self.server.ended(Duration::ZERO).is_some();
        let server = self.server;
        self.session
            .close_all_unless(per_second, true, &mut || !ended_before && server.ended(Duration::ZERO).is_some());
        let ended = self.server.ended(Duration::ZERO).filter(|_| !ended_before);
        self.found.ended_while_closing = ended.map(|status| status.to_string());
        let seconds = began.elapsed().as_secs_f64();
        self.session.close()?;
        let most = self.found.held.or(self.found.steps.last().copied());
        let looked = Instant::now();
        self.found.after = Some(memory::once_returned(self.server.pids(), most, self.interrupted));
        let looked_seconds = looked.elapsed().as_secs_f64();
        self.found.closing = Some(Closing { per_second, seconds, looked_seconds });
        Ok(self.found)
    }
}

/// What became of the Pings, each connection having been sent one this often.
fn pinged(every: Duration, pings: Pings) -> Pinged {
    Pinged {
        every_seconds: every.as_secs_f64(),
        sent: pings.sent,
        answered: pings.answered,
        passed_over: pings.passed_over,
        unanswered: pings.unanswered,
        unsolicited: pings.unsolicited,
        round_trip: Stats::from(&pings.round_trip),
        failures: pings.failures,
    }
}

/// How many connections each step opens: as many as the others, or one more.
fn step_sizes(connections: u32, steps: u32) -> Vec<u32> {
    let steps = steps.clamp(1, connections);
    (0..steps).map(|step| connections / steps + u32::from(step < connections % steps)).collect()
}

/// Why nobody can be pinged.
const NO_PINGS: &str = "--ping: only WebSocket has Pings; expected a server at ws:// or wss://";

/// How long nothing happens after a step before memory is looked at: the server has taken every connection by then, and the
/// kernel has returned what the handshakes took.
const SETTLE: Duration = Duration::from_millis(300);

/// How long after its order a phase starts: time for every worker to reach its lane.
const START_DELAY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_open_all_connections_and_none_is_empty() {
        assert_eq!(step_sizes(10, 4), [3, 3, 2, 2]);
        assert_eq!(step_sizes(3, 8), [1, 1, 1]);
        assert_eq!(step_sizes(15_000, 8), [1_875; 8]);
    }
}
