//! One probe: a short time of one offered rate, on connections that are open, and what it says of the limits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::failure::{TrialError, failure};
use super::up::Up;
use crate::host::environment::Environment;
use crate::judge::capacity::Probe;
use crate::judge::threshold::{Found, Judged, Standing, Threshold};
use crate::judge::trust::{Level, bounds};
use crate::load::live::Phase;
use crate::load::run::note_end_of;
use crate::load::session::{Manner, Span};
use crate::measure::collector::{Collector, Opened};
use crate::measure::measured::Measured;
use crate::measure::metric::{Distribution, Fate, Metric};
use crate::measure::recorder::Interval;
use crate::measure::so_far::Passed;
use crate::plan::{Arrival, Load, Plan, Rate, Stop};
use crate::report::Report;

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

/// The lowest rate at which the longest probe has messages enough for the limits.
pub fn lowest_rate(slos: &[Threshold]) -> f64 {
    (ENOUGH * needed(slos) / LONGEST_PROBE.as_secs_f64()).max(1.0)
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
    /// Ends the phase: set here where a limit is broken for certain before the end; without, it goes on to the end.
    pub cut: Option<&'a AtomicBool>,
}

/// What a probe showed.
#[derive(Debug)]
pub(super) struct Shown {
    /// What it says of the rate.
    pub outcome: Probe,
    /// Why it did not pass, in words.
    pub why: Option<String>,
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
        let span = Span { warmup, ..self.span(load, stop, offer.seed) };
        let mut collector = Collector::new();
        let opened = Opened { connect: self.session.connect().clone(), failed: 0 };
        let mut broken = false;
        let mut take = |interval: &Interval, passed: Option<Passed<'_>>| {
            collector.take(interval);
            let (Some(cut), Some(passed)) = (offer.cut, passed) else { return };
            let so_far = collector.so_far(&opened, passed, Some(rate.get()));
            if offer.slos.iter().any(|slo| slo.crossed_by(so_far)) {
                broken = true;
                cut.store(true, Ordering::Release);
            }
        };
        let mut measured = self.session.phase(span, &mut take, show)?;
        if measured.interrupted && !broken {
            return Ok(None);
        }
        if let Some(cut) = offer.cut {
            cut.store(false, Ordering::Release);
        }
        note_end_of(self.server, &mut measured);
        (measured.interrupted, measured.aborted) = (false, broken && measured.window < offer.length);
        self.messages += measured.counts.messages;
        collector.finish(&mut measured);
        self.arrivals += measured.arrivals;
        let shown = self.judged(offer, plan, measured)?;
        self.reconnect_after(&shown.measured, show)?;
        Ok(Some(shown))
    }

    /// A phase of this load, for which the server's use of the machine is looked at.
    pub(super) fn span(&self, load: Load, stop: Stop, seed: u64) -> Span<'a> {
        Span {
            warmup: Duration::ZERO,
            stop,
            seed,
            load: Some(load),
            ping: None,
            delay: START_DELAY,
            server_pids: self.server.pids(),
            meter: None,
        }
    }

    /// A server that answers wrongly, or leaves, ends the experiment.
    fn judged(&self, offer: Offer<'_>, plan: Plan, measured: Measured) -> Result<Shown, TrialError> {
        let slos = offer.slos;
        let limits_errors = slos.iter().any(|slo| slo.metric().is_of_errors());
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
        for (slo, judged) in slos.iter().zip(&mut report.thresholds) {
            if judged.outcome == Standing::Unknown
                && let Some(broken) = broken_by_arrival(slo, &measured)
            {
                *judged = broken;
            }
        }
        let of_datagrams = measured.counts.datagrams.unwrap_or_default().lost;
        let of_errors = messages.lost.saturating_sub(of_datagrams) + measured.counts.over_backlog;
        let of_errors = of_errors + warmup.lost + warmup.over_backlog;
        // What a limit is on, that limit judges.
        let counted = [(of_datagrams, limits_losses), (of_errors, limits_errors)];
        let counted = counted.into_iter().filter(|(_, limited)| !limited && !measured.aborted);
        let lost = counted.map(|(lost, _)| lost).sum();
        let (outcome, why) = verdict(slos, &report, lost, measured.counts.connections.dropped);
        Ok(Shown { outcome, why, report, trust, measured })
    }

    /// A connection that has lost a message was closed: all are opened anew, so that the next probe has as many.
    fn reconnect_after(&mut self, measured: &Measured, show: &mut dyn FnMut(Phase)) -> Result<(), TrialError> {
        let lost = measured.counts.messages.lost + measured.counts.warmup_errors.lost;
        if lost + measured.counts.connections.dropped == 0 && !measured.aborted {
            return Ok(());
        }
        self.session.close_all(None, false);
        let all = self.arm.plan.connections.get();
        let opened = self.session.open_more(all, Manner::Paced, show);
        let counts = opened.connections();
        // What an interruption left unopened did not fail.
        if counts.failed == 0 || opened.failures.is_empty() {
            return Ok(());
        }
        let causes = opened.failures.iter().map(|(why, times)| format!("{times} times: {why}"));
        let causes = causes.collect::<Vec<_>>().join(", ");
        Err(self.failed(format!(
            "{} of {all} connections could not be opened again after a probe, {causes}",
            counts.failed
        )))
    }

    pub(super) fn failed(&self, why: String) -> TrialError {
        TrialError::Failed { server: self.arm.spec.to_string(), why }
    }
}

/// A limit on the latency that is broken by when replies arrived at the least. Those that share the kernel's stamp with a later
/// one, as where a server that falls behind answers several messages at once, may have arrived before it; but a reply waits
/// in the socket for one turn of the generator's loop at the most, since the loop reads whatever is there.
fn broken_by_arrival(slo: &Threshold, measured: &Measured) -> Option<Judged> {
    let Metric::Time(Distribution::Latency, statistic) = slo.metric() else { return None };
    let times = &measured.times;
    let (low, high) = bounds::interval(&times.latency, Some(&times.least), statistic)?;
    let low = (low - times.longest_turn as f64).max(0.0);
    let judged = slo.judge(Found { value: Some(high), interval: Some((low, high)), ..Found::default() });
    (judged.outcome == Standing::Crossed).then_some(judged)
}

/// What the judged limits say together. One that is broken for certain decides; one that cannot be told lets the probe tell
/// nothing, since the generator was late, or had too few replies.
fn verdict(slos: &[Threshold], report: &Report, lost: u64, dropped: u64) -> (Probe, Option<String>) {
    let said = |judged: &Judged| {
        let (limit, value) = judged.show();
        format!("{limit}: {value}")
    };
    if dropped > 0 {
        return (Probe::Failed, Some(format!("{dropped} connections were lost")));
    }
    if let Some(judged) = report.thresholds.iter().find(|judged| judged.outcome == Standing::Crossed) {
        return (Probe::Failed, Some(said(judged)));
    }
    if lost > 0 {
        return (Probe::Failed, Some(format!("{lost} messages got no reply")));
    }
    if let Some(judged) = report.thresholds.iter().find(|judged| judged.outcome == Standing::Unknown) {
        return (Probe::CannotTell, Some(format!("{}: {}", judged.threshold, judged.why_unknown())));
    }
    let limits_times = slos.iter().any(|slo| matches!(slo.metric(), Metric::Time(Distribution::Latency, _)));
    match report.achieved_share() {
        // With a limit on the latency, that tells who does not keep up.
        Some(share) if !limits_times && share < LEAST_ACHIEVED => {
            let late = report.send_lag.p99.is_some_and(|lag| lag > LATE_NS);
            let why = format!("{:.1}% of the messages were answered within the probe", share * 100.0);
            (if late { Probe::CannotTell } else { Probe::Failed }, Some(why))
        }
        _ => (Probe::Passed, None),
    }
}

/// As many times more messages than a percentile needs at least are in a probe: of just as many, it is the highest.
const ENOUGH: f64 = 2.0;

/// The longest probe that is made on account of percentiles.
const LONGEST_PROBE: Duration = Duration::from_secs(10);

/// Before it counts, a probe offers its rate for this part of its length: a queue that grows has begun to by then.
const LEAD: u32 = 10;

/// The least share of the messages that a server answers within a probe, where no limit is on latency.
const LEAST_ACHIEVED: f64 = 0.95;

/// A send lag from which on what was not answered in time may be the generator's fault, ns.
const LATE_NS: u64 = 10_000_000;

/// How long after its order a phase starts: time for every worker to reach its lane.
const START_DELAY: Duration = Duration::from_millis(5);
