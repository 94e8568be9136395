//! The verdicts of a comparison: each gated metric is regressed, improved, equivalent or not worse or, so far, none of them.
//!
//! Two families of errors are held at alpha each, over all gated metrics and all looks: calling a metric regressed or
//! improved whose true change is within the tolerance, and calling one equivalent (or not worse) whose true change is
//! beyond the tolerance on either side (or on the worse side). At one look Holm's correction shares the look's level among
//! the metrics; [`Spending`] makes the looks add up.
//!
//! A sample is of typical trials. What only some trials show, as a server's pauses, is in the ratio of all trials' sums: a metric
//! passes only where its 90% interval passes too. (At the level of the look equal servers would hardly pass on a machine that is
//! disturbed, which moves that ratio most.) That a metric differs stands on typical trials alone, which that hardly moves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hodges_lehmann::{Interval, Sample};
use super::holm::adjusted;
use super::normal::normal_quantile;
use super::pooled::Pooled;
use super::sequential::Spending;
use super::signed_rank::fewest;
use crate::measure::metric::Better;

/// The changes that do not matter, as log ratios.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// The lower end, 0 at the most.
    pub low: f64,
    /// The upper end, 0 at the least.
    pub high: f64,
}

impl Band {
    /// Changes of up to this share (0..1) either way.
    pub fn of(share: f64) -> Self {
        Self { low: (-share).ln_1p(), high: share.ln_1p() }
    }

    /// Its end on the worse side.
    fn worse_end(self, better: Better) -> f64 {
        if better == Better::Higher { self.low } else { self.high }
    }
}

/// What is to be found out of each metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Whether it changed by more than the tolerance, either way.
    Changed,
    /// Whether it became worse by more than the tolerance: what a gate asks.
    Worse,
}

/// What became of a metric from A to B, ordered so that of several the greatest tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The interval lies within the tolerance.
    Equivalent,
    /// The interval lies beyond the tolerance on the better side.
    Improved,
    /// The interval excludes that it became worse by more than the tolerance: a gate passes.
    NotWorse,
    /// None of the others: the figures do not tell.
    Inconclusive,
    /// The interval lies beyond the tolerance on the worse side.
    Regressed,
}

/// What is said of one metric, and by which figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ruling {
    /// The verdict.
    pub change: Change,
    /// The p-value of "the change is within the tolerance", corrected for the number of gated metrics; to be held
    /// against the level of its look.
    pub p_value: f64,
    /// The error that the interval may make: what this metric got of its look's level.
    pub level: f64,
    /// The estimate of the log ratio when it was said; `None` without values.
    pub estimate: Option<f64>,
    /// The interval of the log ratio that the verdict stands on.
    pub interval: Interval,
    /// The time after which it was said, in attempts: with one attempt the part of its time (0..1).
    pub part: f64,
    /// What all trials together show, where that alone keeps it from passing.
    pub doubt: Option<Doubt>,
}

/// A change of all trials together that may be beyond the tolerance, where that of typical ones is not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doubt {
    /// The estimate of the log ratio.
    pub estimate: f64,
    /// Its interval, not all of which passes.
    pub interval: Interval,
}

/// What a metric is judged by.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The log ratios of typical trials.
    pub typical: Sample,
    /// The change of all trials together; `None` where a metric has none, or where there are too few starts to tell.
    pub together: Option<Pooled>,
}

#[cfg(test)]
impl From<Sample> for Evidence {
    fn from(typical: Sample) -> Self {
        Self { typical, together: None }
    }
}

impl Evidence {
    /// What all trials together show, where they do not pass too.
    fn doubt(&self, aim: Aim, tolerance: Band, better: Better) -> Option<Doubt> {
        let together = self.together?;
        let interval = together.interval(IN_DOUBT);
        let (above_low, below_high) = (interval.low > tolerance.low, interval.high < tolerance.high);
        let passes = match (aim, better) {
            (Aim::Changed, _) => above_low && below_high,
            (Aim::Worse, Better::Higher) => above_low,
            (Aim::Worse, Better::Lower) => below_high,
        };
        (!passes).then_some(Doubt { estimate: together.log_ratio, interval })
    }
}

/// Judges gated metrics, look by look. What has been decided stays.
#[derive(Debug)]
pub struct Judge {
    aim: Aim,
    alpha: f64,
    tolerance: Band,
    spending: Spending,
    metrics: Vec<(Better, Option<Ruling>)>,
}

impl Judge {
    /// A judge of these metrics who errs with probability `alpha` at the most and does not mind changes within
    /// `tolerance`.
    pub fn new(aim: Aim, alpha: f64, tolerance: Band, metrics: impl IntoIterator<Item = Better>) -> Self {
        let metrics = metrics.into_iter().map(|better| (better, None)).collect();
        Self { aim, alpha, tolerance, spending: Spending::new(alpha), metrics }
    }

    /// The same with an error that so many attempts share, spent up to this time (in attempts), and with what was decided by
    /// then; no `rulings` are none.
    pub fn of_attempts(mut self, attempts: u32, until: f64, rulings: &[Option<Ruling>]) -> Self {
        self.spending = Spending::of_attempts(self.alpha, attempts, until);
        self.metrics.iter_mut().zip(rulings).for_each(|((_, ruling), said)| *ruling = *said);
        self
    }

    /// Looks at what there is of each metric at this time, in attempts (0..1 in the first). A look that could not decide
    /// anything for want of values is not taken, so that its level is left for the next, but for the last of an attempt.
    pub fn look(&mut self, part: f64, evidence: &[Evidence]) {
        assert_eq!(evidence.len(), self.metrics.len(), "evidence for each gated metric");
        let samples: Vec<&Sample> = evidence.iter().map(|evidence| &evidence.typical).collect();
        let level = self.spending.level(part);
        let share = level / samples.len() as f64;
        let values = samples.iter().map(|sample| sample.len()).min().unwrap_or(0);
        if part.fract() > 0.0 && (level <= 0.0 || values < fewest(share)) {
            return;
        }
        self.spending.spend(part);
        let passed = match self.aim {
            Aim::Changed => Change::Equivalent,
            Aim::Worse => Change::NotWorse,
        };
        let (differ, pass) = self.families(&samples);
        for (i, ((better, ruling), evidence)) in self.metrics.iter_mut().zip(evidence).enumerate() {
            let sample = &evidence.typical;
            if ruling.is_some_and(|ruling| ruling.change != Change::Inconclusive) {
                continue;
            }
            let differs = differ.level(i, level).map(|level| (differs(*better, sample), level));
            let passes = pass.level(i, level).map(|level| (passed, level));
            let doubt = passes.and_then(|_| evidence.doubt(self.aim, self.tolerance, *better));
            let passes = passes.filter(|_| doubt.is_none());
            let said = match (self.aim, differs, passes) {
                // To have improved is to have passed: it takes both, so that passing has one error rate, whatever it is called.
                (Aim::Worse, Some((Change::Improved, _)), None) => None,
                (_, differs, passes) => differs.or(passes),
            };
            let (change, level) = said.unwrap_or((Change::Inconclusive, share));
            let (p_value, interval) = (differ.adjusted[i], sample.interval(level));
            let doubt = doubt.filter(|_| change == Change::Inconclusive);
            *ruling = Some(Ruling { change, p_value, level, estimate: sample.estimate(), interval, part, doubt });
        }
    }

    /// The p-values of "the change is within the tolerance", and of what passing rejects: "the change is not within it", or
    /// "it is worse by the tolerance or more".
    fn families(&self, samples: &[&Sample]) -> (Family, Family) {
        let Band { low, high } = self.tolerance;
        let betters = || self.metrics.iter().map(|(better, _)| *better);
        let differ = Family::new(samples.iter().map(|sample| sample.p_above(high).min(sample.p_below(low))));
        let pass = Family::new(samples.iter().zip(betters()).map(|(sample, better)| match (self.aim, better) {
            (Aim::Changed, _) => sample.p_above(low).max(sample.p_below(high)),
            (Aim::Worse, Better::Higher) => sample.p_above(low),
            (Aim::Worse, Better::Lower) => sample.p_below(high),
        }));
        (differ, pass)
    }

    /// Whether every metric is decided.
    pub fn decided(&self) -> bool {
        self.metrics.iter().all(|(_, ruling)| ruling.is_some_and(|ruling| ruling.change != Change::Inconclusive))
    }

    /// What was said of each metric; `None` before any look.
    pub fn rulings(&self) -> impl Iterator<Item = Option<Ruling>> + '_ {
        self.metrics.iter().map(|(_, ruling)| *ruling)
    }
}

/// The p-values of all metrics in one family of hypotheses.
struct Family {
    p_values: Vec<f64>,
    adjusted: Vec<f64>,
}

impl Family {
    /// Of one-sided p-values, which are doubled: an interval that errs as often has either side of it err half as often.
    fn new(one_sided: impl Iterator<Item = f64>) -> Self {
        let p_values: Vec<f64> = one_sided.map(|p_value| (2.0 * p_value).min(1.0)).collect();
        Self { adjusted: adjusted(&p_values), p_values }
    }

    /// The metric's part of the level where its hypothesis is rejected: an interval of that error lies where the
    /// verdict says.
    fn level(&self, i: usize, level: f64) -> Option<f64> {
        let (p, adjusted) = (self.p_values[i], self.adjusted[i]);
        (adjusted <= level)
            .then(|| if adjusted > 0.0 { level * p / adjusted } else { level / self.adjusted.len() as f64 })
    }
}

fn differs(better: Better, sample: &Sample) -> Change {
    let higher = sample.estimate().is_some_and(|estimate| estimate > 0.0);
    if higher == (better == Better::Higher) { Change::Improved } else { Change::Regressed }
}

/// How many times as many values as there are would bring an inconclusive metric to a verdict, if its estimate stays
/// where it is and the interval narrows with the root of their number; `None` where no number would.
pub fn times_more(sample: &Sample, level: f64, tolerance: Band, aim: Aim, better: Better) -> Option<f64> {
    let (values, needed) = (sample.len(), fewest(level));
    let least = needed as f64 / values.max(1) as f64;
    if values < 2 {
        // They have no spread that could tell more.
        return Some(least);
    }
    let estimate = sample.estimate()?;
    let distance = match aim {
        Aim::Changed => (estimate - tolerance.low).abs().min((estimate - tolerance.high).abs()),
        Aim::Worse => (estimate - tolerance.worse_end(better)).abs(),
    };
    let times = (half_width(sample, level) / distance).powi(2);
    // An interval that is not centred may be narrow enough on average and yet not in its place.
    times.is_finite().then_some(times.max(least).max(1.0 + 1.0 / values as f64))
}

/// Half the width of the interval at `level`. Where there are too few values for one, that of the widest interval that they
/// do have is scaled as a normal distribution's would be.
fn half_width(sample: &Sample, level: f64) -> f64 {
    if sample.len() >= fewest(level) {
        return sample.interval(level).half_width();
    }
    let widest = 2.0 * 0.5f64.powi(sample.len() as i32);
    let deviations = |error: f64| normal_quantile(1.0 - error / 2.0);
    sample.interval(widest).half_width() / deviations(widest) * deviations(level)
}

/// The smallest log ratio that a comparison of `times` as many values would find in 4 of 5 cases when it judges at
/// `level`; `None` where there are too few values to tell.
pub fn resolution(sample: &Sample, level: f64, times: f64) -> Option<f64> {
    let half_width = sample.interval(YARDSTICK).half_width();
    let deviation = half_width / normal_quantile(1.0 - YARDSTICK / 2.0) / times.sqrt();
    let resolution = deviation * deviations(level);
    resolution.is_finite().then_some(resolution)
}

/// How many standard deviations of an estimate a change must have to be found in [`POWER`] of cases by a judge at `level`.
pub(super) fn deviations(level: f64) -> f64 {
    normal_quantile(1.0 - level / 2.0) + normal_quantile(POWER)
}

/// The error of the interval that is to pass too: either side of it errs half as often.
const IN_DOUBT: f64 = 0.1;

/// The error of the interval whose width tells the spread: wide enough to be there with few values.
const YARDSTICK: f64 = 0.05;

/// The share of cases in which a change is to be found to count as resolved.
const POWER: f64 = 0.8;
