//! The experiment of a capacity: one start of the server is probed at rates that a search asks for, until both ends of the
//! capacity are proven; then fresh starts, which took no part in finding it, are held to the rate that was found.

mod answer;
mod holdout;
mod probing;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::course::{Arm, WARMUP};
use super::failure::TrialError;
use super::probe::limits_errors;
pub use super::probe::{Limits, lowest_rate};
use super::up::{self, Up};
use super::warming::{Warming, Warmup};
use crate::host::environment::Environment;
use crate::host::footprint;
use crate::host::interrupt::Interrupt;
use crate::host::running::{Running, Shares};
use crate::host::target::Spec;
use crate::judge::capacity::{Found, Next, Range, Search};
use crate::judge::connection_memory;
use crate::judge::threshold::Threshold;
use crate::load::error::RunError;
use crate::load::live::Live;
use crate::load::session::Session;
use crate::load::worker::Common;
use crate::measure::tls::Secured;
use crate::plan::Plan;
use crate::report::TlsReport;
use crate::report::capacity::parts::{ConnectionCost, Generator, ProbeReport};
use crate::report::capacity::{CapacityReport, CapacitySchema};
use holdout::{Ending, Held};
pub use probing::CLOSED_LOOP;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// What is to be kept, and where to look.
    pub limits: Limits,
    /// The share of answers of which each end is right at least.
    pub confidence: f64,
    /// How long a probe offers messages at least.
    pub probe: Duration,
    /// Fresh starts that are held to the rate found.
    pub holdout: u32,
    /// How the server is warmed up after each start.
    pub warmup: Warmup,
    /// The longest that all of it may take.
    pub max_time: Duration,
}

/// Where it is done.
pub struct Site<'a> {
    /// The server, its messages, and the load of its warm-up: the plan of a probe but for its closed loop.
    pub arm: &'a Arm,
    /// The cores of server and workers.
    pub shares: &'a Shares,
    /// Set when it is to end early, with a report of what there is.
    pub interrupt: &'a Interrupt,
    /// Shows the progress.
    pub show: &'a mut dyn FnMut(&Stage),
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Time since the beginning.
    pub elapsed: Duration,
    /// The rate that is probed; `None` while a server starts and warms up.
    pub rate: Option<f64>,
    /// Probes made.
    pub probes: usize,
    /// Where the capacity seems to be.
    pub narrowed: Option<(f64, f64)>,
}

/// Does all of it, as far as it comes.
///
/// # Errors
/// When no probe could be made: the server does not start or does not answer. What fails later is part of the report.
pub fn run(experiment: &Experiment, site: Site<'_>) -> Result<CapacityReport, TrialError> {
    let (began_at, cut, live) = (SystemTime::now(), AtomicBool::new(false), Live::default());
    let mut prober = Prober::new(experiment, site, &cut, &live);
    let (mut search, mut held) = (None, Held::default());
    let (found, failure) = match prober.search_and_hold(&mut search, &mut held) {
        Ok(found) => (found, None),
        // Nothing was found out yet.
        Err(error) if prober.probes.is_empty() => return Err(error),
        Err(error) => (None, (!error.is_interruption()).then(|| error.to_string())),
    };
    let search = search.expect("a probe was made");
    let is_untold = prober.untold >= MOST_UNTOLD;
    let told = answer::Told {
        experiment,
        probes: &prober.probes,
        held: &held,
        found,
        is_over: found.is_none() && failure.is_none() && !is_untold && !prober.is_interrupted(),
        is_untold,
        plan: &prober.arm.plan,
        is_url: matches!(prober.arm.spec, Spec::Url(_)),
        probe_took_more: prober.probe_took_more,
    };
    let (answer, notes) = (answer::of(&told, &search), answer::notes(&told, &search));
    let config = prober.config.take();
    Ok(CapacityReport {
        schema: CapacitySchema::V1,
        target: prober.arm.spec.to_string(),
        began_at,
        interrupted: prober.is_interrupted(),
        failure,
        elapsed_seconds: prober.began.elapsed().as_secs_f64(),
        slos: experiment.limits.slos.iter().map(Threshold::to_string).collect(),
        precision: experiment.limits.precision,
        confidence: experiment.confidence,
        max_time_seconds: experiment.max_time.as_secs_f64(),
        answer,
        thresholds: Vec::new(),
        generator: prober.generator,
        memory: prober.memory,
        tls: TlsReport::of(&prober.arm.plan.connect.tls, &prober.tls),
        sizing: None,
        warmup: prober.warming.report(),
        notes,
        environment: Environment { server_config: config, ..prober.environment },
        probes: prober.probes,
        holdout: held.probes,
    })
}

/// What the connections of a session took, where the server had so much memory before.
fn cost_of(session: &Session<'_, '_>, user: Option<u64>) -> ConnectionCost {
    let each = |growth| connection_memory::of(growth).ok().map(|slope| slope.high);
    ConnectionCost {
        user_bytes: each(session.growth()),
        kernel_bytes: each(session.kernel_growth()),
        process_bytes: user.map(|bytes| bytes as f64),
    }
}

/// About how many probes the search makes where the limit is sharp.
pub fn usual_probes(experiment: &Experiment) -> u32 {
    let Limits { min_rate: min, max_rate: max, precision, .. } = experiment.limits;
    let confidence = experiment.confidence;
    let start = (min * 100.0).min(max);
    Search::new(Range { start, min, max, precision, error: 1.0 - confidence }).remaining()
}

/// Starts the server and probes it.
struct Prober<'a> {
    experiment: &'a Experiment,
    arm: &'a Arm,
    shares: &'a Shares,
    interrupt: &'a Interrupt,
    /// Ends the phase that goes on: set where the user interrupts, and where a probe has failed before its end.
    cut: &'a AtomicBool,
    live: &'a Live,
    show: &'a mut dyn FnMut(&Stage),
    stage: Stage,
    began: Instant,
    rng: SmallRng,
    warming: Warming,
    starts: u32,
    /// How long the last start took before its first probe.
    start_took: Duration,
    /// How long the last probe took beyond the time that it offered messages.
    probe_took_more: Duration,
    environment: Environment,
    config: Option<serde_json::Value>,
    generator: Option<Generator>,
    memory: Option<ConnectionCost>,
    /// What TLS has settled on the connections of all starts.
    tls: Secured,
    /// How many probes in a row had no value to hold against a limit though the generator was on time.
    untold: u32,
    /// Of the search.
    probes: Vec<ProbeReport>,
}

impl<'a> Prober<'a> {
    fn new<'s: 'a>(experiment: &'a Experiment, site: Site<'s>, cut: &'a AtomicBool, live: &'a Live) -> Self {
        let Site { arm, shares, interrupt, show } = site;
        Self {
            experiment,
            arm,
            shares,
            interrupt,
            cut,
            live,
            show,
            stage: Stage { elapsed: Duration::ZERO, rate: None, probes: 0, narrowed: None },
            began: Instant::now(),
            rng: SmallRng::seed_from_u64(arm.plan.seed),
            warming: Warming::new(experiment.warmup, experiment.max_time, 1),
            starts: 0,
            start_took: Duration::ZERO,
            probe_took_more: Duration::ZERO,
            environment: Environment::collect(&arm.plan, Some(arm.corpus.digest()), None),
            config: None,
            generator: None,
            memory: None,
            tls: Secured::default(),
            untold: 0,
            probes: Vec::new(),
        }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.flag().load(Ordering::Relaxed)
    }

    /// Shows where it stands, and ends what goes on if the user does not want to wait for it.
    fn look(&mut self) {
        self.stage.elapsed = self.began.elapsed();
        (self.show)(&self.stage);
        if self.is_interrupted() {
            self.cut.store(true, Ordering::Release);
        }
    }

    /// Starts the server, or connects to it anew, warms it up, and leaves it to `body`.
    fn on_a_start<T>(
        &mut self,
        body: impl FnOnce(&mut Self, &mut Up<'_, '_>) -> Result<T, TrialError>,
    ) -> Result<T, TrialError> {
        let started = Instant::now();
        self.starts += 1;
        self.stage.rate = None;
        let Self { arm, shares, interrupt, live, cut, .. } = *self;
        let server = Running::start(&arm.spec, &arm.plan.connect, shares, interrupt.flag())?;
        let common = Common { interrupted: cut, ..up::common(arm, &server, shares, interrupt, live) };
        let user = footprint::of_user(server.pids());
        thread::scope(|scope| {
            let session = Session::open(scope, common, &mut |_| self.look())?;
            self.memory.get_or_insert_with(|| cost_of(&session, user));
            let mut up = [Up::new(arm, &server, session, limits_errors(&self.experiment.limits.slos))];
            up[0].refuse_unseen(&self.experiment.limits.slos)?;
            let seed = self.rng.random();
            up[0].settle(WARMUP, seed, &mut |_| self.look())?;
            self.warm(&mut up)?;
            self.start_took = started.elapsed();
            let [mut up] = up;
            let told = body(self, &mut up);
            self.tls += std::mem::take(&mut up.tls);
            if told.is_ok() && self.starts == 1 && up.session.is_fathom() {
                up.session.close_all(None, true);
                self.config = server.config();
            }
            // Whatever stopped a worker is told by what it was to do.
            let closed = up.session.close();
            let told = told?;
            closed?;
            Ok(told)
        })
    }

    fn warm(&mut self, up: &mut [Up<'_, '_>; 1]) -> Result<(), TrialError> {
        let mut warming =
            std::mem::replace(&mut self.warming, Warming::new(self.experiment.warmup, self.experiment.max_time, 1));
        let mut rng = SmallRng::seed_from_u64(self.rng.random());
        let warmed = warming.warm(up, &[0], &[Duration::ZERO], &mut rng, &mut || {
            self.look();
            self.is_interrupted()
        });
        self.warming = warming;
        if self.is_interrupted() { Err(RunError::Interrupted.into()) } else { warmed.map(drop) }
    }

    /// Searches, and holds fresh starts to the rate that is found; where they do not keep it, goes on with a search on
    /// another start, in which what was proven of that rate no longer counts. What was found; `None` where the time is over
    /// before, or starts differ too much.
    fn search_and_hold(&mut self, search: &mut Option<Search>, held: &mut Held) -> Result<Option<Found>, TrialError> {
        loop {
            // A step down may have led to an end of the range.
            let found = match search.as_ref().map(Search::next) {
                Some(Next::Done(found)) => Some(found),
                Some(Next::Probe(rate)) if !self.has_time_for(self.start_took + self.length(rate)) => None,
                _ => self.on_a_start(|prober, up| prober.search(up, search))?,
            };
            let sustains = search.as_ref().and_then(|search| search.so_far().sustains);
            let (Some(_), Some(rate)) = (found, sustains) else { return Ok(found) };
            self.hold(rate, held)?;
            match search {
                Some(search) if held.steps_down() => search.step_down(rate),
                _ if held.ending == Ending::NotKept => return Ok(None),
                _ => return Ok(found),
            }
        }
    }

    /// Probes what the search asks for, until it has found an answer; `None` where the time is over before.
    fn search(&mut self, up: &mut Up<'_, '_>, search: &mut Option<Search>) -> Result<Option<Found>, TrialError> {
        let search = match search {
            Some(search) => search,
            None => search.insert(self.begin(up)?),
        };
        loop {
            let rate = match search.next() {
                Next::Done(found) => return Ok(Some(found)),
                Next::Probe(rate) => rate,
            };
            // Fresh starts are left time only once there is a rate to hold them to.
            let holdout = search.so_far().sustains.map_or(Duration::ZERO, |rate| self.holdout_price(rate));
            let price = self.length(rate) + self.probe_took_more + holdout;
            if !self.has_time_for(price) || self.untold >= MOST_UNTOLD {
                return Ok(None);
            }
            self.stage.narrowed = Some(search.narrowed());
            let probe = self.probe(up, rate, self.length(rate))?;
            if let Some(generator) = self.generator.as_mut().filter(|_| self.probes.is_empty()) {
                generator.send_lag_p99 = probe.send_lag_p99;
            }
            if self.untold == 0 {
                search.add(rate, probe.outcome);
            }
            self.probes.push(probe);
            self.stage.probes = self.probes.len();
        }
    }

    /// Whether so much more fits into the time.
    fn has_time_for(&self, more: Duration) -> bool {
        self.began.elapsed() + more <= self.experiment.max_time
    }

    /// Finds out in a closed loop what a message costs the generator, and where the search begins.
    fn begin(&mut self, up: &mut Up<'_, '_>) -> Result<Search, TrialError> {
        let generator = self.generator(up)?;
        self.generator = Some(generator);
        let Limits { min_rate, max_rate, precision, .. } = self.experiment.limits;
        let start = (generator.closed_loop_rate / START_BELOW).clamp(min_rate, max_rate);
        let error = 1.0 - self.experiment.confidence;
        Ok(Search::new(Range { start, min: min_rate, max: max_rate, precision, error }))
    }

    /// The plan of a probe.
    fn plan(&self) -> &Plan {
        &self.arm.plan
    }

    /// How long a probe of the search offers a rate.
    fn length(&self, rate: f64) -> Duration {
        self.experiment.limits.probe_length(self.experiment.probe, rate)
    }
}

/// The ramp begins this far below what server and generator do together in a closed loop: a limit on latency is seldom kept
/// beyond it, and every doubling costs one probe.
const START_BELOW: f64 = 8.0;

/// A search ends after so many probes in a row that had no value to hold against a limit: the next has none either.
const MOST_UNTOLD: u32 = 3;
