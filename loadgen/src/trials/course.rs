//! Trials of several servers in turn: one start of all of them, connections to each, and rounds of one short trial per server,
//! in an order that is drawn anew for every round. What the machine does to one it is as likely to do to the next.

mod prices;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt as _, SeedableRng as _};

use super::climbing::Climbs;
pub use super::failure::TrialError;
use super::lengths::Lengths;
pub use super::start::{Life, Lives, Round, Start};
use super::tempo::is_early;
pub use super::tempo::{Restarts, Tempo, Warmup};
pub use super::up::Arm;
use super::up::{self, End, LONGEST_PACE, Up};
use super::warming::Warming;
use crate::host::cores::Cores;
use crate::host::interrupt::Interrupt;
use crate::host::running::{Running, Shares};
use crate::host::target::Spec;
use crate::host::withheld::{Meter, Withheld};
use crate::load::live::Live;
use crate::load::session::Session;
use crate::measure::arrivals::{Arrivals, EndsAt};
use crate::measure::metric::Metric;
use crate::measure::tls::Secured;
use crate::measure::trial::{Figures, Trial};
use crate::plan::Plan;
use crate::report::repetition::RestartKind;
use crate::report::warmup::{self, Ran};

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
    /// When it is over, after it began.
    over_after: Duration,
    /// How long the last start took before its first round and after its last, and one round of it. Of its warm-up that is what it
    /// takes beyond its length: waiting for replies that UDP may have lost, say.
    overhead: Duration,
    round: Duration,
    /// Rounds of the next start.
    rounds: u32,
    /// How long all rounds of the first start may take where their number is free.
    first: Duration,
    /// How many starts must have room in how many seconds, and the rounds that the first one lacks since they have not.
    must_hold: (usize, f64),
    lacking: u32,
    lengths: Lengths,
    warming: Warming,
    /// Where trials are probes.
    pub(super) climbs: Option<Climbs>,
    starts: u64,
    withheld: Withheld,
    arrivals: Arrivals,
    /// What TLS has settled with each server, once its connections are closed.
    pub(super) tls: Vec<Secured>,
}

impl<'a> Course<'a> {
    /// A course that begins now, whose trials have figures of the metrics that are `judged` too. `cores` are shared out
    /// between servers that are started here and the workers.
    pub fn new(arms: &'a [Arm], judged: &[Metric], tempo: Tempo, cores: &Cores, interrupt: &'a Interrupt) -> Self {
        // All arms have the same kind of load, and so the same metrics.
        let mut metrics: Vec<Metric> = arms.iter().take(1).flat_map(|arm| Metric::of_trials(&arm.plan.load)).collect();
        let compressed = arms.iter().any(|arm| arm.plan.connect.permessage_deflate.is_some());
        let judged = judged.iter().filter(|metric| metric.is_of_trials());
        metrics.extend(Metric::OF_COMPRESSION.iter().filter(|_| compressed).chain(judged));
        metrics.sort_unstable();
        metrics.dedup();
        let (Restarts::Auto(rounds) | Restarts::Every(rounds) | Restarts::Never(rounds)) = tempo.restarts;
        let round = (tempo.trial + tempo.settle) * arms.len() as u32;
        Self {
            arms,
            metrics,
            tempo,
            shares: Shares::between(arms.iter().map(|arm| &arm.spec), cores),
            interrupt,
            rng: SmallRng::seed_from_u64(tempo.seed),
            began: Instant::now(),
            over_after: tempo.max_time,
            overhead: Duration::ZERO,
            round,
            rounds,
            first: round * rounds * prices::LONGER,
            must_hold: (0, 0.0),
            lacking: 0,
            lengths: Lengths::new(tempo, arms.len()),
            warming: Warming::new(tempo.warmup, tempo.max_time, arms.len()),
            climbs: None,
            starts: 0,
            withheld: Withheld::default(),
            arrivals: Arrivals::default(),
            tls: vec![Secured::default(); arms.len()],
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

    /// The load of the first server; that of the others is of the same kind.
    pub fn plan(&self) -> &Plan {
        &self.arms[0].plan
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// How long a trial of each server is.
    pub fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// How the servers were warmed up.
    pub fn warmup(&self) -> warmup::Warmup {
        self.warming.report()
    }

    /// How they follow each other.
    pub fn tempo(&self) -> &Tempo {
        &self.tempo
    }

    /// How many lives the servers have; one as soon as one of them has no more.
    pub fn lives(&self) -> Lives {
        if self.arms.iter().all(|arm| self.tempo.restarts.are_of(&arm.spec)) { Lives::Many } else { Lives::One }
    }

    /// Of each server, how it is warmed up, and whether it is started anew.
    pub(crate) fn treated(&self) -> impl Iterator<Item = (Ran, bool)> + '_ {
        self.arms.iter().map(|Arm { spec, .. }| match (self.warming.ran(spec), self.tempo.restarts.are_of(spec)) {
            (Ran::InEachStart, false) => (Ran::Once, false),
            treated => treated,
        })
    }

    /// Whether so little was measured in these `starts` that it may be the machine's fault if a server has not replied.
    pub fn may_be_answered(&self, starts: &[Start]) -> bool {
        let rounds: usize = starts.iter().map(|start| start.rounds.len()).sum();
        is_early(starts.len(), self.lengths.all().iter().sum::<Duration>() * rounds as u32)
    }

    /// The metrics that trials have figures of.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// When the servers are started anew, as reports have it.
    pub fn restarts(&self) -> RestartKind {
        self.tempo.restarts.kind(self.specs())
    }

    fn specs(&self) -> impl Iterator<Item = &Spec> {
        self.arms.iter().map(|arm| &arm.spec)
    }

    /// Starts every server, measures them in rounds, and stops them again, time after time until `take`, which is given what
    /// each start has come to, returns something. An interruption on the way leaves what was measured before; a start
    /// that it left nothing of has no rounds. `show` is told the time that has passed, and how many starts there were.
    ///
    /// # Errors
    /// When a server cannot be started or connected to, or fails at what it is measured at; and what `take` returns.
    pub fn run<T, E: From<TrialError>>(
        &mut self,
        show: &mut dyn FnMut(Duration, usize),
        take: Take<'_, Self, T, E>,
    ) -> Result<T, E> {
        let mut taken = None;
        let mut is_enough = |course: &mut Self, start: Start| {
            taken = take(course, start).transpose();
            taken.is_some()
        };
        while !self.start(show, &mut is_enough)? {}
        taken.expect("it was enough")
    }

    /// One start; whether it is enough then.
    fn start(
        &mut self,
        show: &mut dyn FnMut(Duration, usize),
        is_enough: IsEnough<'_, Self>,
    ) -> Result<bool, TrialError> {
        let at_seconds = self.elapsed().as_secs_f64();
        match self.measure(show, is_enough) {
            Err(error) if error.is_interruption() => {
                Ok(is_enough(self, Start { at_seconds, rounds: Vec::new(), lives: Vec::new() }))
            }
            measured => measured,
        }
    }

    fn measure(
        &mut self,
        show: &mut dyn FnMut(Duration, usize),
        is_enough: IsEnough<'_, Self>,
    ) -> Result<bool, TrialError> {
        let (began, since, starts) = (self.elapsed(), self.began, self.starts);
        let show = &mut || show(since.elapsed(), starts as usize);
        let mut order: Vec<usize> = (0..self.arms.len()).collect();
        order.shuffle(&mut self.rng);
        let mut started: Vec<Option<Running>> = self.arms.iter().map(|_| None).collect();
        for &i in &order {
            let Arm { spec, plan, .. } = &self.arms[i];
            started[i] = Some(Running::start(spec, &plan.connect, &self.shares, self.interrupt.flag())?);
        }
        let started: Vec<Running> = started.into_iter().flatten().collect();
        let (live, shares) = (Live::default(), self.shares.clone());
        let (rounds, ends, took) = thread::scope(|scope| {
            let mut ups: Vec<Option<Up<'_, '_>>> = started.iter().map(|_| None).collect();
            for &i in &order {
                let (arm, server) = (&self.arms[i], &started[i]);
                let common = up::common(arm, server, &shares, self.interrupt, &live);
                let session =
                    Session::open(scope, common, &mut |_| show()).map_err(|error| error.with_end_of(server))?;
                let tolerates_errors = self.climbs.as_ref().is_some_and(Climbs::tolerates_errors);
                ups[i] = Some(Up::new(arm, server, session, tolerates_errors));
            }
            let mut ups: Vec<Up<'_, '_>> = ups.into_iter().flatten().collect();
            let warmed = self.warm(&mut ups, &order, show)?;
            let (rounds, all) = match self.tempo.restarts {
                Restarts::Never(_) => {
                    loop {
                        let block = self.block(&mut ups, show)?;
                        if is_enough(self, block) {
                            break;
                        }
                    }
                    (Vec::new(), Duration::ZERO)
                }
                Restarts::Auto(_) | Restarts::Every(_) => {
                    let before = self.elapsed();
                    (self.rounds_of(&mut ups, show)?, self.elapsed() - before)
                }
            };
            // While all are still connected: a server that has lost its connections soon gives memory back.
            let memory: Vec<Figures> = ups.iter().map(Up::memory).collect();
            let close = |(up, figures): (Up<'_, '_>, Figures)| up.close(figures);
            let ends = ups.into_iter().zip(memory).map(close).collect::<Result<Vec<_>, TrialError>>()?;
            Ok::<_, TrialError>((rounds, ends, warmed + all))
        })?;
        ends.iter().for_each(|end| self.arrivals += end.arrivals);
        self.tls.iter_mut().zip(&ends).for_each(|(tls, end)| *tls += end.tls.clone());
        let life = |((server, end), arm): ((Running, End), &Arm)| Life {
            target: arm.spec.to_string(),
            config: (self.starts == 0 && end.is_fathom).then(|| server.config()).flatten(),
            figures: end.figures,
            messages: end.messages,
            datagrams: end.datagrams,
        };
        let lives = started.into_iter().zip(ends).zip(self.arms).map(life).collect();
        self.starts += 1;
        self.overhead = (self.elapsed() - began).saturating_sub(took);
        if let Restarts::Never(_) = self.tempo.restarts {
            return Ok(true);
        }
        Ok(is_enough(self, Start { at_seconds: began.as_secs_f64(), rounds, lives }))
    }

    /// Brings servers that were just started to where they are measured, and finds out how long a trial of each must be. Returns
    /// how much of the time that took is not to be expected of later starts, or is in the price of their warm-up.
    fn warm(
        &mut self,
        ups: &mut [Up<'_, '_>],
        order: &[usize],
        show: &mut dyn FnMut(),
    ) -> Result<Duration, TrialError> {
        let longest = self.lengths.longest();
        let mut apart = Duration::ZERO;
        for &i in order {
            let replies = if self.starts == 0 { self.tempo.replies } else { 0 };
            let before = self.elapsed();
            let (pace, once) = ups[i].pace(WARMUP, replies, longest.min(LONGEST_PACE), self.rng.random())?;
            apart += (self.elapsed() - before).saturating_sub(once);
            if let (Some(pace), 1..) = (pace, replies) {
                self.lengths.learn(i, pace);
            }
            show();
        }
        self.round = self.round.max(self.lengths.round(self.tempo.max_time));
        let interrupted = self.interrupt.flag();
        let mut is_over = || {
            show();
            interrupted.load(Ordering::Relaxed)
        };
        if !self.is_past_its_end() {
            apart += self.warming.warm(ups, order, self.lengths.all(), &mut self.rng, &mut is_over)?;
        }
        let before = self.elapsed();
        self.climbs.iter_mut().try_for_each(|climbs| climbs.begin(ups, WARMUP, &mut self.rng))?;
        Ok(apart + (self.elapsed() - before))
    }

    /// The rounds of a start, one at least unless it is interrupted.
    fn rounds_of(&mut self, ups: &mut [Up<'_, '_>], show: &mut dyn FnMut()) -> Result<Vec<Round>, TrialError> {
        ups.iter_mut().for_each(Up::begin);
        self.climbs.iter_mut().for_each(Climbs::gather);
        let mut rounds = Vec::new();
        let meter = Meter::of(&ups.iter().flat_map(|up| up.server.pids()).copied().collect::<Vec<_>>());
        let before = meter.sample();
        // What a round takes is not known before the first start: replies of slow servers are waited for after each trial.
        let began = self.elapsed();
        let is_free = self.starts == 0 && !matches!(self.tempo.restarts, Restarts::Every(_));
        let over_after = if is_free { self.over_after.min(began + self.first) } else { self.over_after };
        for number in 0..self.rounds {
            let interrupted = self.interrupt.flag().load(Ordering::Relaxed);
            // The first one is measured whatever the time: servers that were started for nothing tell nothing.
            if interrupted || (number > 0 && self.elapsed() + self.round > over_after) {
                break;
            }
            let before = self.elapsed();
            let Some(round) = self.round(ups, show)? else { break };
            self.round = self.elapsed() - before;
            rounds.push(round);
            if self.is_hopeless_after(number + 1, self.elapsed() - began) {
                break;
            }
        }
        self.round = (self.elapsed() - began).checked_div(rounds.len() as u32).unwrap_or(self.round);
        self.withheld.add(meter.since(&before));
        Ok(rounds)
    }

    /// So many rounds of servers that stay up, as what one start has come to.
    fn block(&mut self, ups: &mut [Up<'_, '_>], show: &mut dyn FnMut()) -> Result<Start, TrialError> {
        let at_seconds = self.elapsed().as_secs_f64();
        let rounds = self.rounds_of(ups, show)?;
        let life = |up: &mut Up<'_, '_>| {
            let arrivals = std::mem::take(&mut up.arrivals);
            let life = Life {
                target: up.arm.spec.to_string(),
                config: (self.starts == 0 && up.session.is_fathom()).then(|| up.server.config()).flatten(),
                figures: up.memory(),
                messages: std::mem::take(&mut up.messages),
                datagrams: up.datagrams.take(),
            };
            (life, arrivals)
        };
        let (lives, arrivals): (Vec<Life>, Vec<Arrivals>) = ups.iter_mut().map(life).unzip();
        arrivals.into_iter().for_each(|arrivals| self.arrivals += arrivals);
        self.starts += 1;
        Ok(Start { at_seconds, rounds, lives })
    }

    /// One trial of every server; `None` where it was interrupted.
    fn round(&mut self, ups: &mut [Up<'_, '_>], show: &mut dyn FnMut()) -> Result<Option<Round>, TrialError> {
        let at_seconds = self.elapsed().as_secs_f64();
        let mut order: Vec<usize> = (0..ups.len()).collect();
        order.shuffle(&mut self.rng);
        // All of a round get the same schedule.
        let seed = self.rng.random();
        let mut trials = vec![Trial::default(); ups.len()];
        for &i in &order {
            show();
            trials[i] = match &mut self.climbs {
                Some(climbs) => climbs.trial(i, &mut ups[i], self.tempo.trial, seed)?,
                None => {
                    let settle = if self.is_past_its_end() { Duration::ZERO } else { self.tempo.settle };
                    ups[i].settle(settle, seed, &mut |_| ())?;
                    ups[i].trial(self.lengths.all()[i], seed, &self.metrics)?
                }
            };
            if self.interrupt.flag().load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
        Ok(Some(Round::between(at_seconds, self.elapsed().as_secs_f64(), order, trials)))
    }
}

/// Takes what a start has come to, and returns something once that is enough.
type Take<'f, C, T, E> = &'f mut dyn FnMut(&mut C, Start) -> Result<Option<T>, E>;

/// Takes what a start has come to, and tells whether that is enough.
type IsEnough<'f, C> = &'f mut dyn FnMut(&mut C, Start) -> bool;

/// How long every server is under load after it was started: it has touched its buffers and filled the caches by then.
pub(super) const WARMUP: Duration = Duration::from_millis(50);
