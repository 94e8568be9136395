//! Figures of many trials, as comparisons and sweeps report them: their spread, and the estimate of a change with its
//! interval.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::statistics::{Interval, Sample};

/// How a figure was spread over the trials; that of a memory metric, over the starts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// Figures.
    pub count: u64,
    /// The median.
    pub median: f64,
    /// The first quartile.
    pub q1: f64,
    /// The third quartile.
    pub q3: f64,
}

/// A change as a share, by Hodges and Lehmann: 0.02 is 2% more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The estimate; null without figures.
    pub change: Option<f64>,
    /// The lower end of its 95% interval; null where the starts are too few to bound it.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// A line of a comparison's table. `b` is `a` changed by `change`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// A: the middle of both servers, changed by half the log ratio, in the metric's unit.
    pub a: f64,
    /// B, likewise.
    pub b: f64,
    /// The change from A to B as a share, when the verdict was said; of a metric that is not gated, at the end.
    pub change: f64,
    /// The lower end of the interval that the verdict stands on; of a metric without a verdict, of its 95% interval. Null
    /// where the starts are too few to bound it.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// The interval misses the change with this probability at the most.
    #[schemars(range(min = 0, max = 1))]
    pub error: f64,
}

impl Shown {
    /// By the logarithm of the middle of A and B, the estimate of their log ratio, and its interval.
    pub fn of(middle: f64, log_ratio: f64, interval: Interval, error: f64) -> Option<Self> {
        let [a, b] = [middle - log_ratio / 2.0, middle + log_ratio / 2.0].map(f64::exp);
        let Interval { low, high } = interval;
        Some(Self { a, b, change: log_ratio.exp_m1(), low: share(low), high: share(high), error })
    }

    /// The same with the interval that is shown where there is no verdict.
    pub fn of_sample(middle: f64, sample: &Sample) -> Option<Self> {
        Self::of(middle, sample.estimate()?, sample.interval(SHOWN_ERROR), SHOWN_ERROR)
    }
}

impl Estimate {
    /// Of these log ratios.
    pub fn of(sample: &Sample) -> Self {
        let Interval { low, high } = sample.interval(SHOWN_ERROR);
        Self { change: sample.estimate().map(f64::exp_m1), low: share(low), high: share(high) }
    }
}

/// The share of change that a log ratio is; `None` where it is unbounded.
pub(crate) fn share(log_ratio: f64) -> Option<f64> {
    log_ratio.is_finite().then(|| log_ratio.exp_m1())
}

impl Spread {
    /// Of these figures; all zero where there are none.
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_unstable_by(f64::total_cmp);
        let at = |q: f64| {
            // Linear between order statistics, as R's and NumPy's default.
            let position = q * figures.len().saturating_sub(1) as f64;
            let figure = |i: usize| figures.get(i).copied().unwrap_or(0.0);
            let (below, above) = (figure(position.floor() as usize), figure(position.ceil() as usize));
            below + (above - below) * position.fract()
        };
        Self { count: figures.len() as u64, median: at(0.5), q1: at(0.25), q3: at(0.75) }
    }
}

/// The error of the interval that is shown where there is no verdict.
pub(crate) const SHOWN_ERROR: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_agrees_with_itself() {
        let log_ratios = [0.40, 0.45, 0.43, 0.9, 0.41, 0.44, 0.42];
        let shown = Shown::of_sample(6000f64.ln(), &Sample::new(&log_ratios)).unwrap();
        assert!((shown.b / shown.a - 1.0 - shown.change).abs() < 1e-12, "{shown:?}");
        assert!(((shown.a * shown.b).sqrt() - 6000.0).abs() < 1e-9, "{shown:?}");
        assert!(shown.low.unwrap() <= shown.change && shown.change <= shown.high.unwrap(), "{shown:?}");
        assert_eq!(shown.change, Estimate::of(&Sample::new(&log_ratios)).change.unwrap());
        assert_eq!(Shown::of_sample(0.0, &Sample::new(&[])), None);
        assert_eq!(Shown::of_sample(0.0, &Sample::new(&[0.1])).unwrap().low, None);
    }

    #[test]
    fn quartiles_are_those_of_r() {
        // quantile(c(5, 1, 4, 2), c(.25, .5, .75)): 1.75, 3, 4.25
        assert_eq!(Spread::of(vec![5.0, 1.0, 4.0, 2.0]), Spread { count: 4, median: 3.0, q1: 1.75, q3: 4.25 });
        assert_eq!(Spread::of(vec![]), Spread { count: 0, median: 0.0, q1: 0.0, q3: 0.0 });
    }
}
