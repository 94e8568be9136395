//! What a probe says of the limits: that the server keeps them, that it breaks one, or nothing where the generator was late
//! itself. A probe fails only by what is certain of a server that is sent each message on time.

use hdrhistogram::Histogram;

use crate::judge::capacity::Probe;
use crate::judge::threshold::{Found, Judged, Standing, Threshold};
use crate::judge::trust::bounds::{self, LowerEnd};
use crate::measure::measured::Measured;
use crate::measure::metric::{Distribution, Metric, Statistic};
use crate::measure::so_far::SoFar;
use crate::measure::times::Times;
use crate::plan::Arrival;
use crate::report::Report;
use crate::units;

/// What a probe says.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    /// Of the rate.
    pub outcome: Probe,
    /// Why it did not pass, in words.
    pub why: Option<String>,
    /// Whether it could not tell though the generator was on time: there was no value to hold against a limit.
    pub untold: bool,
}

/// Holds the `report` of what was `measured` against the limits, in which each is judged already: a limit that what is certain
/// breaks is broken, and one that only the generator's lateness may have broken is not. So many messages were `lost` that no
/// limit judges. `broken` says why the probe was ended before its time.
pub(super) fn say(
    slos: &[Threshold],
    report: &mut Report,
    measured: &Measured,
    lost: u64,
    broken: Option<String>,
) -> Said {
    let certain = Certain::of(measured);
    for (slo, judged) in slos.iter().zip(&mut report.thresholds) {
        if let Some(otherwise) = certain.otherwise(slo, judged, measured) {
            *judged = otherwise;
        }
    }
    let (outcome, why) = verdict(slos, report, measured, lost, broken);
    // A value that lateness makes uncertain has an interval.
    let absent = |judged: &Judged| judged.outcome == Standing::Unknown && judged.interval.is_none();
    Said { outcome, why, untold: outcome == Probe::CannotTell && report.thresholds.iter().any(absent) }
}

/// Why a probe that goes on will have failed, however well the server does the rest of it: what it has broken for good, where so
/// many messages are due in `all` at the most.
pub(super) fn broken_for_good(slos: &[Threshold], so_far: SoFar<'_>, all: u64) -> Option<String> {
    let slo = slos.iter().find(|slo| is_broken_for_good(slo, so_far, all))?;
    let (limit, _) = slo.judge(Found::default()).show();
    Some(format!("{limit}: broken after {:.1} s, whatever the rest of the probe would have brought", so_far.seconds))
}

fn is_broken_for_good(slo: &Threshold, so_far: SoFar<'_>, all: u64) -> bool {
    let from = |low: f64, most: f64| {
        let found = Found { value: Some(low), interval: Some((low, most)), ..Found::default() };
        slo.judge(found).outcome == Standing::Crossed
    };
    let tally = so_far.tally;
    let share = |count: u64| from(count as f64 / all.max(1) as f64, 1.0);
    match slo.metric() {
        Metric::Time(Distribution::Latency, statistic) => {
            let rest = all.saturating_sub(so_far.times.latency.len());
            let low = Certain::so_far(so_far.times).lower_end(statistic, rest);
            low.is_some_and(|low| from(low, u64::MAX as f64))
        }
        Metric::Time(..) => false,
        Metric::ErrorRate => share(tally.errors.of_messages()),
        Metric::Datagrams(fate) => share(fate.of(tally.datagrams)),
        metric => metric.only_grows() && slo.crossed_by(so_far),
    }
}

/// How many messages are due in a probe at the most, of which chance makes no more.
pub(super) fn most_messages(rate: f64, seconds: f64, arrival: Arrival) -> u64 {
    let expected = rate * seconds;
    let more = match arrival {
        Arrival::Uniform => 1.0,
        Arrival::Poisson => 1.0 + POISSON_SIGMAS * expected.sqrt(),
    };
    (expected + more).ceil() as u64
}

/// What is certain of the latency that messages sent on time would have had.
#[derive(Clone, Copy)]
struct Certain<'a> {
    times: &'a Times,
    /// Whether what was recorded as the least of it is: a worker that sends everything by itself knows when nothing is in
    /// flight, and what a generator that is on time does not know does not matter.
    least_is_known: bool,
}

impl<'a> Certain<'a> {
    fn of(measured: &'a Measured) -> Self {
        let times = &measured.times;
        let least_is_known = LowerEnd::of(measured) == LowerEnd::Proven || bounds::is_on_time(times);
        Self { times, least_is_known }
    }

    /// While the probe goes on.
    fn so_far(times: &'a Times) -> Self {
        Self { times, least_is_known: bounds::is_on_time(times) }
    }

    /// The least that a statistic of it can be, ns, if `rest` more messages were answered at once; `None` where it needs more
    /// values.
    ///
    /// Had each message been sent on time, no reply would have come earlier by more than the longest lag of any message. Replies
    /// that share the kernel's stamp with a later one, as where a server that falls behind answers several messages at once, may
    /// have arrived before it; but a reply waits in the socket for one turn of the generator's loop at the most, since the loop
    /// reads whatever is there.
    fn lower_end(self, statistic: Statistic, rest: u64) -> Option<f64> {
        if statistic == Statistic::Stdev {
            return None;
        }
        let Times { latency, least, longest_turn, longest_lag, .. } = self.times;
        let of = |histogram: &Histogram<u64>| {
            let mut all = histogram.clone();
            if rest > 0 {
                all.saturating_record_n(0, rest);
            }
            // A histogram's values are the highest of their buckets.
            Some(all.lowest_equivalent(statistic.of_histogram(&all)? as u64))
        };
        let less_the_lag = of(latency)?.saturating_sub(*longest_lag);
        let known = (self.least_is_known && least.len() == latency.len()).then(|| of(least)).flatten();
        Some(less_the_lag.max(known.unwrap_or(0)).saturating_sub(*longest_turn) as f64)
    }

    /// What became of a limit, where what is certain says otherwise.
    fn otherwise(self, slo: &Threshold, judged: &Judged, measured: &Measured) -> Option<Judged> {
        let between = |low: f64, high: f64, value: f64| {
            slo.judge(Found { value: Some(value), interval: Some((low, high)), ..Found::default() })
        };
        let is_late = !bounds::is_on_time(self.times);
        match (slo.metric(), judged.outcome) {
            (Metric::Time(Distribution::Latency, statistic), Standing::Unknown) => {
                let high = statistic.of_histogram(&self.times.latency)?;
                let found = between(self.lower_end(statistic, 0)?.min(high), high, high);
                (found.outcome == Standing::Crossed).then_some(found)
            }
            // Of a generator on time it is the latency: what is certain of that is certain of it.
            (Metric::Time(Distribution::ServiceTime, statistic), Standing::Crossed) if is_late => {
                let high = judged.value.unwrap_or(self.times.service_time.max() as f64);
                let found = between(self.lower_end(statistic, 0).unwrap_or(0.0).min(high), high, high);
                (found.outcome == Standing::Unknown).then_some(found)
            }
            (Metric::Achieved, Standing::Crossed) if is_late => {
                let share = judged.value?;
                let found = between(share, (share + self.late_share(measured)).min(1.0), share);
                (found.outcome == Standing::Unknown).then_some(found)
            }
            _ => None,
        }
    }

    /// The share of the replies that may have come only after the probe since the generator was late: as many as are due in
    /// the time by which it was.
    fn late_share(self, measured: &Measured) -> f64 {
        self.times.longest_lag as f64 / (measured.window.as_nanos() as f64).max(1.0)
    }
}

/// What the judged limits say together. One that is broken for certain decides; one that cannot be told lets the probe tell
/// nothing, since the generator was late, or had too few replies.
fn verdict(
    slos: &[Threshold],
    report: &Report,
    measured: &Measured,
    lost: u64,
    broken: Option<String>,
) -> (Probe, Option<String>) {
    let said = |judged: &Judged| {
        let (limit, value) = judged.show();
        format!("{limit}: {value}")
    };
    let dropped = measured.counts.connections.dropped;
    if dropped > 0 {
        let were = if dropped == 1 { "was" } else { "were" };
        return (Probe::Failed, Some(format!("{} {were} lost", units::counted(dropped, "connection"))));
    }
    if let Some(judged) = report.thresholds.iter().find(|judged| judged.outcome == Standing::Crossed) {
        return (Probe::Failed, Some(said(judged)));
    }
    if broken.is_some() {
        return (Probe::Failed, broken);
    }
    if lost > 0 {
        return (Probe::Failed, Some(format!("{} got no reply", units::counted(lost, "message"))));
    }
    if let Some(judged) = report.thresholds.iter().find(|judged| judged.outcome == Standing::Unknown) {
        return (Probe::CannotTell, Some(format!("{}: {}", judged.threshold, judged.why_unknown())));
    }
    let limits_times = slos.iter().any(|slo| matches!(slo.metric(), Metric::Time(Distribution::Latency, _)));
    match report.achieved_share() {
        // With a limit on the latency, that tells who does not keep up.
        Some(share) if !limits_times && share < LEAST_ACHIEVED => {
            let on_time = share + Certain::of(measured).late_share(measured);
            let is_certain = bounds::is_on_time(&measured.times) || on_time < LEAST_ACHIEVED;
            let why = format!("{:.1}% of the messages were answered within the probe", share * 100.0);
            (if is_certain { Probe::Failed } else { Probe::CannotTell }, Some(why))
        }
        _ => (Probe::Passed, None),
    }
}

/// The least share of the messages that a server answers within a probe, where no limit is on latency.
const LEAST_ACHIEVED: f64 = 0.95;

/// By how many standard deviations a Poisson schedule may have more messages than its rate: chance does that once in a
/// thousand million probes.
const POISSON_SIGMAS: f64 = 6.0;

#[cfg(test)]
#[path = "verdict/tests.rs"]
mod tests;
