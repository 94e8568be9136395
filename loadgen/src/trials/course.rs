//! Trials of several servers in turn: one start of all of them, connections to each, and rounds of one short trial per
//! server, in an order that is drawn anew for every round. Whatever the machine does to one trial it is as likely to do
//! to the next server's.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt as _, SeedableRng as _};

use crate::host::cores::Cores;
use crate::host::interrupt::Interrupt;
use crate::host::resources::Sampler;
use crate::host::running::{Running, Shares};
use crate::host::target::Spec;
use crate::host::withheld::{Meter, Withheld};
use crate::load::live::{Live, Phase};
use crate::load::run::note_end_of;
use crate::load::session::{Session, Span};
use crate::load::worker::Common;
use crate::measure::arrivals::{Arrivals, EndsAt};
use crate::measure::counts::Messages;
use crate::measure::measured::Measured;
use crate::measure::metric::Metric;
use crate::measure::recorder::Interval;
use crate::measure::so_far::Passed;
use crate::measure::times::Times;
use crate::measure::trial::{Figures, Trial};
use crate::plan::messages::Corpus;
use crate::plan::{Plan, Stop};

pub use super::failure::TrialError;
use super::failure::failure;

/// A server and the load that it is to be measured under.
#[derive(Debug)]
pub struct Arm {
    /// Which server.
    pub spec: Spec,
    /// The load; its warm-up, duration and seed are the tempo's.
    pub plan: Plan,
    /// The messages of the plan.
    pub corpus: Corpus,
}

/// How trials follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tempo {
    /// How long a trial is measured.
    pub trial: Duration,
    /// How long the load runs before each trial: what a server's absence did to the caches is over by then.
    pub settle: Duration,
    /// Rounds between two starts of the servers.
    pub restart_every: u32,
    /// The longest that all starts may take.
    pub max_time: Duration,
    /// Seed of the order and of all random choices of the load.
    pub seed: u64,
}

/// Starts servers and measures them, time and again.
#[derive(Debug)]
pub struct Course<'a> {
    arms: &'a [Arm],
    /// What each trial has figures of.
    metrics: Vec<Metric>,
    tempo: Tempo,
    shares: Shares,
    interrupt: &'a Interrupt,
    rng: SmallRng,
    began: Instant,
    /// How long the last start took before its first round and after its last, and one round of it.
    overhead: Duration,
    round: Duration,
    starts: u64,
    withheld: Withheld,
    arrivals: Arrivals,
}

/// What was measured from one start to the next.
#[derive(Debug)]
pub struct Start {
    /// When it began, in seconds since the beginning of the course.
    pub at_seconds: f64,
    /// Its rounds, one at least unless the user interrupted it.
    pub rounds: Vec<Round>,
    /// What became of each server.
    pub lives: Vec<Life>,
}

impl Start {
    /// The metric's figures of one server: one for each round, or one for the start where trials have none of it.
    pub fn figures(&self, metric: Metric, server: usize) -> Vec<f64> {
        if metric.is_of_trials() {
            self.rounds.iter().filter_map(|round| round.trials[server].figures.get(&metric).copied()).collect()
        } else {
            self.lives[server].figures.get(&metric).copied().into_iter().collect()
        }
    }
}

/// One trial of every server.
#[derive(Debug)]
pub struct Round {
    /// When its first trial began to settle, in seconds since the beginning of the course.
    pub at_seconds: f64,
    /// The servers by number, in the order they were measured.
    pub order: Vec<usize>,
    /// The trials by server.
    pub trials: Vec<Trial>,
}

/// A server from its start to its end.
#[derive(Debug)]
pub struct Life {
    /// A URL, or how it was started.
    pub target: String,
    /// What it says of its configuration; asked for at the first start only.
    pub config: Option<serde_json::Value>,
    /// Its memory.
    pub figures: Figures,
    /// What became of its messages.
    pub messages: Messages,
}

/// A server that is up, with connections to it.
struct Up<'a, 'scope> {
    arm: &'a Arm,
    server: &'a Running,
    session: Session<'a, 'scope>,
    messages: Messages,
    arrivals: Arrivals,
}

/// What is known of a server once its connections are closed.
struct End {
    messages: Messages,
    arrivals: Arrivals,
    figures: Figures,
    is_fathom: bool,
}

impl<'a> Course<'a> {
    /// A course that begins now, whose trials have figures of the metrics that are `judged` too. `cores` are shared out
    /// between servers that are started here and the workers.
    pub fn new(arms: &'a [Arm], judged: &[Metric], tempo: Tempo, cores: &Cores, interrupt: &'a Interrupt) -> Self {
        // All arms have the same kind of load, and so the same metrics.
        let mut metrics: Vec<Metric> = arms.iter().take(1).flat_map(|arm| Metric::of_trials(&arm.plan.load)).collect();
        for metric in judged.iter().filter(|metric| metric.is_of_trials()) {
            if !metrics.contains(metric) {
                metrics.push(*metric);
            }
        }
        Self {
            arms,
            metrics,
            tempo,
            shares: Shares::between(arms.iter().map(|arm| &arm.spec), cores),
            interrupt,
            rng: SmallRng::seed_from_u64(tempo.seed),
            began: Instant::now(),
            overhead: Duration::ZERO,
            round: (tempo.trial + tempo.settle) * arms.len() as u32,
            starts: 0,
            withheld: Withheld::default(),
            arrivals: Arrivals::default(),
        }
    }

    /// CPU time that servers and workers wanted and did not get while they were measured.
    pub fn withheld(&self) -> &Withheld {
        &self.withheld
    }

    /// Where the latencies of all trials end.
    pub fn ends_at(&self) -> EndsAt {
        self.arrivals.ends_at()
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether the time is too short for another start with one round.
    pub fn is_over(&self) -> bool {
        self.elapsed() + self.overhead + self.round > self.tempo.max_time
    }

    /// Starts every server, measures them in rounds, and stops them again. An interruption on the way leaves what was
    /// measured before.
    ///
    /// # Errors
    /// When a server cannot be started or connected to, or fails at what it is measured at.
    pub fn start(&mut self, show: &mut dyn FnMut(Duration)) -> Result<Start, TrialError> {
        let at_seconds = self.elapsed().as_secs_f64();
        match self.measure(show) {
            Err(error) if error.is_interruption() => Ok(Start { at_seconds, rounds: Vec::new(), lives: Vec::new() }),
            measured => measured,
        }
    }

    fn measure(&mut self, show: &mut dyn FnMut(Duration)) -> Result<Start, TrialError> {
        let (began, since) = (self.elapsed(), self.began);
        let mut order: Vec<usize> = (0..self.arms.len()).collect();
        order.shuffle(&mut self.rng);
        let mut started: Vec<Option<Running>> = self.arms.iter().map(|_| None).collect();
        for &i in &order {
            let Arm { spec, plan, .. } = &self.arms[i];
            started[i] = Some(Running::start(spec, &plan.connect, &self.shares, self.interrupt.flag())?);
        }
        let started: Vec<Running> = started.into_iter().flatten().collect();
        let mut rounds = Vec::new();
        let (live, shares) = (Live::default(), self.shares.clone());
        let ends = thread::scope(|scope| {
            let mut ups: Vec<Option<Up<'_, '_>>> = started.iter().map(|_| None).collect();
            for &i in &order {
                let (arm, server) = (&self.arms[i], &started[i]);
                let common = Common {
                    plan: &arm.plan,
                    url: server.url(),
                    addresses: server.addresses(),
                    corpus: &arm.corpus,
                    cores: shares.workers(),
                    interrupted: self.interrupt.flag(),
                    live: &live,
                    workers: arm.plan.workers(),
                };
                let session = Session::open(scope, common, &mut |_| show(since.elapsed()))
                    .map_err(|error| error.with_end_of(server))?;
                ups[i] =
                    Some(Up { arm, server, session, messages: Messages::default(), arrivals: Arrivals::default() });
            }
            let mut ups: Vec<Up<'_, '_>> = ups.into_iter().flatten().collect();
            for &i in &order {
                ups[i].settle(WARMUP, self.rng.random(), &mut |_| show(since.elapsed()))?;
            }
            let meter = Meter::of(&started.iter().flat_map(Running::pids).copied().collect::<Vec<_>>());
            let before = meter.sample();
            for number in 0..self.tempo.restart_every {
                let interrupted = self.interrupt.flag().load(Ordering::Relaxed);
                // The first one is measured whatever the time: servers that were started for nothing tell nothing.
                if interrupted || (number > 0 && self.elapsed() + self.round > self.tempo.max_time) {
                    break;
                }
                let before = self.elapsed();
                let Some(round) = self.round(&mut ups, show)? else { break };
                self.round = self.elapsed() - before;
                rounds.push(round);
            }
            self.withheld.add(meter.since(&before));
            // While all are still connected: a server that has lost its connections soon gives memory back.
            let memory: Vec<Figures> = ups.iter().map(Up::memory).collect();
            let close = |(up, figures): (Up<'_, '_>, Figures)| {
                let is_fathom = up.session.is_fathom();
                up.session.close()?;
                Ok(End { messages: up.messages, arrivals: up.arrivals, figures, is_fathom })
            };
            ups.into_iter().zip(memory).map(close).collect::<Result<Vec<_>, TrialError>>()
        })?;
        ends.iter().for_each(|end| self.arrivals += end.arrivals);
        let life = |((server, end), arm): ((Running, End), &Arm)| Life {
            target: arm.spec.to_string(),
            config: (self.starts == 0 && end.is_fathom).then(|| server.config()).flatten(),
            figures: end.figures,
            messages: end.messages,
        };
        let lives = started.into_iter().zip(ends).zip(self.arms).map(life).collect();
        self.starts += 1;
        self.overhead = (self.elapsed() - began).saturating_sub(self.round * rounds.len() as u32);
        Ok(Start { at_seconds: began.as_secs_f64(), rounds, lives })
    }

    /// One trial of every server; `None` where it was interrupted.
    fn round(&mut self, ups: &mut [Up<'_, '_>], show: &mut dyn FnMut(Duration)) -> Result<Option<Round>, TrialError> {
        let at_seconds = self.elapsed().as_secs_f64();
        let mut order: Vec<usize> = (0..ups.len()).collect();
        order.shuffle(&mut self.rng);
        // All of a round get the same schedule.
        let seed = self.rng.random();
        let mut trials = vec![Trial::default(); ups.len()];
        for &i in &order {
            show(self.elapsed());
            ups[i].settle(self.tempo.settle, seed, &mut |_| ())?;
            trials[i] = ups[i].trial(self.tempo.trial, seed, &self.metrics)?;
            if self.interrupt.flag().load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
        Ok(Some(Round { at_seconds, order, trials }))
    }
}

impl Up<'_, '_> {
    /// Load that nobody measures.
    fn settle(&mut self, length: Duration, seed: u64, show: &mut dyn FnMut(Phase)) -> Result<(), TrialError> {
        if length.is_zero() {
            return Ok(());
        }
        self.phase(length, seed, &mut |_, _| (), show).map(drop)
    }

    /// What the server's memory has come to.
    fn memory(&self) -> Figures {
        let mut figures = Figures::new();
        if let Some(added) = self.server.added_memory() {
            figures.insert(Metric::ConnectionMemory, added as f64 / f64::from(self.arm.plan.connections.get()));
        }
        if let Some(peak) = self.server.peak_memory() {
            figures.insert(Metric::ServerMemory, peak as f64);
        }
        figures
    }

    fn trial(&mut self, length: Duration, seed: u64, metrics: &[Metric]) -> Result<Trial, TrialError> {
        thread::sleep(REST);
        let sampler = Sampler::of(self.server.pids());
        let mut times = Times::new();
        let mut arrivals = Arrivals::default();
        let mut take = |interval: &Interval, _: Option<Passed<'_>>| {
            times.add(&interval.times);
            arrivals += interval.arrivals;
        };
        let measured = self.phase(length, seed, &mut take, &mut |_| ())?;
        self.arrivals += arrivals;
        thread::sleep(REST);
        let cpu = sampler.and_then(|sampler| sampler.cpu());
        let replies = measured.counts.messages.verified;
        // By the time of the last: where a round trip is not short against the trial, connections make whole turns, the same
        // number for servers of quite different speed. But a silence of several round trips is the server's.
        let (window, last) = (measured.window, measured.last_reply_after);
        let round_trip = Duration::from_nanos(times.latency.value_at_quantile(0.5));
        let taken = if window.saturating_sub(last) > 2 * round_trip { window } else { last };
        let figure = |metric: Metric| match metric {
            Metric::Throughput => Some(measured.counts.replies_in_window as f64 / taken.as_secs_f64()),
            Metric::Time(distribution, statistic) => statistic.of_histogram(times.of(distribution)?),
            Metric::ServerCpu if replies > 0 => Some(cpu?.as_nanos() as f64 / replies as f64),
            _ => None,
        };
        let figures = metrics.iter().filter_map(|metric| Some((*metric, figure(*metric)?)));
        Ok(Trial {
            figures: figures.filter(|(_, figure)| *figure > 0.0 && figure.is_finite()).collect(),
            achieved_rate: measured.counts.replies_in_window as f64 / window.as_secs_f64(),
            latency_min: times.latency.min(),
            send_lag_p99: times.send_lag.value_at_quantile(0.99),
        })
    }

    fn phase(
        &mut self,
        length: Duration,
        seed: u64,
        take: &mut dyn FnMut(&Interval, Option<Passed<'_>>),
        show: &mut dyn FnMut(Phase),
    ) -> Result<Measured, TrialError> {
        // The sampler of a phase looks at a busy process, whose clock lags by up to a tick of the kernel's (4 ms): here
        // the server is looked at while it rests.
        let stop = Stop::After(length);
        let span =
            Span { warmup: Duration::ZERO, stop, seed, quiet: false, delay: DELAY, server_pids: &[], meter: None };
        let mut measured = self.session.phase(span, take, show)?;
        note_end_of(self.server, &mut measured);
        self.messages += measured.counts.messages;
        match failure(&measured) {
            Some(why) if !measured.interrupted => Err(TrialError::Failed { server: self.arm.spec.to_string(), why }),
            _ => Ok(measured),
        }
    }
}

/// How long every server is under load after it was started: it has touched its buffers and filled the caches by then.
const WARMUP: Duration = Duration::from_millis(50);

/// Starts without a reply in any trial of one of the servers, after which there will be none.
pub(super) const STARTS_FOR_A_REPLY: usize = 3;

/// How long a server may go on after its last reply: until it waits again, its CPU clock is not up to date.
const REST: Duration = Duration::from_micros(300);

/// How long the workers have to reach their lanes: waking a thread takes a tenth of it on an idle core.
const DELAY: Duration = Duration::from_micros(300);
