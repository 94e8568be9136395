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

/// The error of the interval that is shown.
const SHOWN_ERROR: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_those_of_r() {
        // quantile(c(5, 1, 4, 2), c(.25, .5, .75)): 1.75, 3, 4.25
        assert_eq!(Spread::of(vec![5.0, 1.0, 4.0, 2.0]), Spread { count: 4, median: 3.0, q1: 1.75, q3: 4.25 });
        assert_eq!(Spread::of(vec![]), Spread { count: 0, median: 0.0, q1: 0.0, q3: 0.0 });
    }
}
