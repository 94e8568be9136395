//! One probe: a short time of one offered rate, on connections that are open, and what it says of the limits.

mod verdict;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::failure::{TrialError, failure};
use super::up::Up;
use crate::host::environment::Environment;
use crate::host::resources::Sampler;
use crate::judge::capacity::Probe;
use crate::judge::threshold::Threshold;
use crate::judge::trust::Level;
use crate::load::error::RunError;
use crate::load::live::Phase;
use crate::load::run::note_end_of;
use crate::load::session::{Manner, Span};
use crate::measure::collector::{Collector, Opened};
use crate::measure::measured::Measured;
use crate::measure::metric::{Fate, Metric};
use crate::measure::recorder::Interval;
use crate::measure::so_far::Passed;
use crate::plan::{Arrival, Load, Plan, Rate, Stop};
use crate::report::Report;
use crate::units;
use verdict::{Said, broken_for_good, most_messages};

/// What a server is to keep, and where its capacity is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// The limits that a rate has to keep; one at least.
    pub slos: Vec<Threshold>,
    /// How due times are spaced.
    pub arrival: Arrival,
    /// The lowest rate that is tried, messages per second.
    pub min_rate: f64,
    /// The highest.
    pub max_rate: f64,
    /// The widest that the two ends of the answer should lie apart, as a share of the lower; a step of a comparison.
    pub precision: f64,
}

impl Limits {
    /// How long a probe offers this rate: as long as it was asked to, and longer where the limits need more messages.
    pub fn probe_length(&self, asked: Duration, rate: f64) -> Duration {
        let long_enough = Duration::from_secs_f64(ENOUGH * needed(&self.slos) / rate);
        long_enough.clamp(asked, LONGEST_PROBE.max(asked))
    }
}

/// The lowest rate at which the longest probe, where it is to be so long at least, has messages enough for the limits.
pub fn lowest_rate(slos: &[Threshold], asked: Duration) -> f64 {
    (ENOUGH * needed(slos) / LONGEST_PROBE.max(asked).as_secs_f64()).max(1.0)
}

/// Messages that the limits need at the least.
fn needed(slos: &[Threshold]) -> f64 {
    slos.iter().map(|slo| slo.metric().needed_values()).max().unwrap_or(1) as f64
}

/// What is offered, and the limits that it is held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer<'a> {
    /// The limits.
    pub slos: &'a [Threshold],
    /// How due times are spaced.
    pub arrival: Arrival,
    /// Messages per second.
    pub rate: f64,
    /// For how long.
    pub length: Duration,
    /// Seed of the due times.
    pub seed: u64,
    /// The machine, for the report of the probe.
    pub environment: &'a Environment,
    /// Ends the phase: set here where a limit is broken for good before the end; without, it goes on to the end.
    pub cut: Option<&'a AtomicBool>,
}

/// What a probe showed.
#[derive(Debug)]
pub(super) struct Shown {
    /// What it says of the rate.
    pub outcome: Probe,
    /// Why it did not pass, in words.
    pub why: Option<String>,
    /// Whether it could not tell though the generator was on time: there was no value to hold against a limit.
    pub untold: bool,
    /// Its figures, each limit judged.
    pub report: Report,
    /// What they are worth taken by themselves.
    pub trust: Level,
    /// All that was measured.
    pub measured: Measured,
}

impl<'a> Up<'a, '_> {
    /// Makes a probe; `None` where it was interrupted. Connections on which a message was lost are opened anew after it.
    pub fn probe(&mut self, offer: Offer<'_>, show: &mut dyn FnMut(Phase)) -> Result<Option<Shown>, TrialError> {
        let rate = Rate::try_from(offer.rate).map_err(|why| self.failed(why))?;
        let load = Load::Open { rate, arrival: offer.arrival };
        let (stop, warmup) = (Stop::After(offer.length), offer.length / LEAD);
        let plan = Plan { load, stop, warmup, ..self.arm.plan.clone() };
        let look_every = offer.cut.map(|_| (offer.length / LOOKS).max(SHORTEST_LOOK));
        let span = Span { warmup, look_every, ..self.span(load, stop, offer.seed) };
        let all = most_messages(rate.get(), offer.length.as_secs_f64(), offer.arrival);
        let mut collector = Collector::new();
        let opened = Opened { connect: self.session.connect().clone(), failed: 0 };
        let mut broken = None;
        let mut take = |interval: &Interval, passed: Option<Passed<'_>>| {
            collector.take(interval);
            let (Some(cut), Some(passed)) = (offer.cut, passed) else { return };
            let so_far = collector.so_far(&opened, passed, Some(rate.get()));
            broken = broken.take().or_else(|| broken_for_good(offer.slos, so_far, all));
            if broken.is_some() {
                cut.store(true, Ordering::Release);
            }
        };
        let mut measured = self.session.phase(span, &mut take, show)?;
        if measured.interrupted && broken.is_none() {
            return Ok(None);
        }
        if let Some(cut) = offer.cut {
            cut.store(false, Ordering::Release);
        }
        note_end_of(self.server, &mut measured);
        (measured.interrupted, measured.aborted) = (false, broken.is_some() && measured.window < offer.length);
        self.count(&measured.counts);
        collector.finish(&mut measured);
        self.arrivals += measured.arrivals;
        let shown = self.judged(offer, plan, measured, broken)?;
        self.reconnect_after(&shown.measured, show)?;
        Ok(Some(shown))
    }

    /// A phase of this load, for which the server's use of the machine is looked at.
    pub(super) fn span(&self, load: Load, stop: Stop, seed: u64) -> Span<'a> {
        Span { server_pids: self.server.pids(), ..Span::plain(Some(load), stop, seed, START_DELAY) }
    }

    /// A server that answers wrongly, or leaves, ends the experiment.
    fn judged(
        &self,
        offer: Offer<'_>,
        plan: Plan,
        measured: Measured,
        broken: Option<String>,
    ) -> Result<Shown, TrialError> {
        let slos = offer.slos;
        let limits_errors = limits_errors(slos);
        let limits_losses = slos.iter().any(|slo| slo.metric() == Metric::Datagrams(Fate::Lost));
        let messages = measured.counts.messages;
        let warmup = measured.counts.warmup_errors;
        let wrong = messages.wrong() - messages.lost + warmup.wrong() - warmup.lost;
        if measured.all_lost.is_some() || (wrong > 0 && !limits_errors) {
            return Err(self.failed(failure(&measured).unwrap_or_else(|| "every connection was lost".to_owned())));
        }
        let environment = Environment { plan, ..offer.environment.clone() };
        let mut report = Report::new("probe", "", &measured, environment);
        // Each limit is held against the interval that the generator's lateness leaves, whatever the probe is worth on the
        // whole: a rate that the server does not keep up with is what is looked for.
        let trust = std::mem::replace(&mut report.trust.level, Level::Bounded);
        let mut report = report.judged_by(slos).map_err(|error| self.failed(error.to_string()))?;
        let of_datagrams = measured.counts.datagrams.unwrap_or_default().lost;
        let of_errors = messages.lost.saturating_sub(of_datagrams) + measured.counts.over_backlog;
        let of_errors = of_errors + warmup.lost + warmup.over_backlog;
        // What a limit is on, that limit judges.
        let counted = [(of_datagrams, limits_losses), (of_errors, limits_errors)];
        let counted = counted.into_iter().filter(|(_, limited)| !limited && !measured.aborted);
        let lost = counted.map(|(lost, _)| lost).sum();
        let Said { outcome, why, untold } = verdict::say(slos, &mut report, &measured, lost, broken);
        Ok(Shown { outcome, why, untold, report, trust, measured })
    }

    /// A connection that has lost a message was closed: all are opened anew, so that the next probe has as many.
    pub(super) fn reconnect_after(
        &mut self,
        measured: &Measured,
        show: &mut dyn FnMut(Phase),
    ) -> Result<(), TrialError> {
        let lost = measured.counts.messages.lost + measured.counts.warmup_errors.lost;
        if lost + measured.counts.connections.dropped == 0 {
            return Ok(());
        }
        self.session.close_all(None, false);
        let all = self.arm.plan.connections.get();
        let mut opened = self.session.open_more(all, Manner::Paced, show);
        self.tls += std::mem::take(&mut opened.tls);
        let counts = opened.connections();
        // What an interruption left unopened did not fail.
        if counts.failed == 0 || opened.failures.is_empty() {
            return Ok(());
        }
        let causes = opened.failures.iter().map(|(why, times)| format!("{}: {why}", units::often(*times)));
        let causes = causes.collect::<Vec<_>>().join(", ");
        Err(self.failed(format!(
            "{} of {all} connections could not be opened again after a probe, {causes}",
            counts.failed
        )))
    }

    /// Refuses a limit on what only the server's process tells, where that cannot be seen.
    pub(super) fn refuse_unseen(&self, slos: &[Threshold]) -> Result<(), TrialError> {
        let of_the_process = slos.iter().find(|slo| slo.metric().is_of_the_process());
        match of_the_process.filter(|_| Sampler::of(self.server.pids()).is_none()) {
            Some(slo) => Err(RunError::Unfit(format!(
                "--slo '{slo}': the process of {} cannot be seen from here; expected a server on this machine, of the same user",
                self.arm.spec
            ))
            .into()),
            None => Ok(()),
        }
    }

    pub(super) fn failed(&self, why: String) -> TrialError {
        TrialError::Failed { server: self.arm.spec.to_string(), why }
    }
}

/// Whether errors are the limits' to judge.
pub(super) fn limits_errors(slos: &[Threshold]) -> bool {
    slos.iter().any(|slo| slo.metric().is_of_errors())
}

/// As many times more messages than a percentile needs at least are in a probe: of just as many, it is the highest.
const ENOUGH: f64 = 2.0;

/// The longest probe that is made on account of percentiles.
const LONGEST_PROBE: Duration = Duration::from_secs(10);

/// Before it counts, a probe offers its rate for this part of its length: a queue that grows has begun to by then.
const LEAD: u32 = 10;

/// How often it is looked within a probe whether a limit is broken for good, and the time between two looks at the least:
/// what workers hand over meanwhile takes another thread some hundred microseconds to add up.
const LOOKS: u32 = 4;
const SHORTEST_LOOK: Duration = Duration::from_millis(100);

/// How long after its order a phase starts: time for every worker to reach its lane.
const START_DELAY: Duration = Duration::from_millis(5);
