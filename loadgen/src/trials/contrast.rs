//! Contrasts of log figures: what a comparison and a sweep judge, one for each start of the servers.

use super::start::{Lives, Round, Start};
use crate::judge::statistics::{Sample, blocks};
use crate::measure::metric::Metric;

/// A weighted sum of log figures, by arm. That of a change has weights that add up to zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast(pub(super) Vec<(usize, f64)>);

impl Contrast {
    /// One arm against another.
    pub fn between(arm: usize, reference: usize) -> Self {
        Self(vec![(arm, 1.0), (reference, -1.0)])
    }

    /// The logarithm of two arms' geometric mean.
    pub fn middle_of(one: usize, other: usize) -> Self {
        Self(vec![(one, 0.5), (other, 0.5)])
    }

    /// Its value, given the positive figure of each arm; `None` where one is missing.
    pub fn of(&self, figure: impl Fn(usize) -> Option<f64>) -> Option<f64> {
        self.0.iter().map(|&(arm, weight)| Some(weight * figure(arm)?.ln())).sum()
    }
}

/// The contrast's log ratios, one for each start: its rounds share the servers' memory layout, so that all of them together
/// are one observation. It is their Hodges-Lehmann estimate, which a disturbed trial hardly moves. Of servers that have
/// one life only, what follows in time may be alike: several of them are one observation where they are.
pub fn log_ratios(contrast: &Contrast, metric: Metric, starts: &[Start], lives: Lives) -> Vec<f64> {
    let of_start = |start: &Start| {
        if !metric.is_of_trials() {
            return contrast.of(|arm| start.lives[arm].figures.get(&metric).copied());
        }
        Sample::new(&round_log_ratios(contrast, metric, start)).estimate()
    };
    let log_ratios: Vec<f64> = starts.iter().filter_map(of_start).collect();
    match lives {
        Lives::Many => log_ratios,
        Lives::One => blocks(&log_ratios),
    }
}

/// The contrast's log ratios of one start, one for each round, in the order of time.
pub fn round_log_ratios(contrast: &Contrast, metric: Metric, start: &Start) -> Vec<f64> {
    let of_round = |round: &Round| contrast.of(|arm| round.trials[arm].figures.get(&metric).copied());
    start.rounds.iter().filter_map(of_round).collect()
}
