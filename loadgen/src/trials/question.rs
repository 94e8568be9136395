//! What a comparison is to find out, and in what time.

use std::time::Duration;

use crate::judge::statistics::{Aim, Asked, Band};
use crate::measure::metric::Metric;
use crate::report::repetition::Repetition;
use crate::trials::probe::Limits;
use crate::trials::start::Start;
use crate::trials::tempo::{Tempo, is_too_short};

/// What a comparison is to find out.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// How trials follow each other.
    pub tempo: Tempo,
    /// The metrics to judge; `None` for those that the load is usually judged by.
    pub gate: Option<Vec<Metric>>,
    /// The chance of a wrong verdict, over all attempts.
    pub alpha: f64,
    /// Attempts that share it: this one, and those that may go on from what was saved.
    pub attempts: u32,
    /// Changes up to this share either way do not matter.
    pub tolerance: f64,
    /// Whether B is A once more; then it takes all its time, whatever is decided.
    pub aa: bool,
    /// Whether a regression fails the command: then it is asked whether B is worse by more than the tolerance, and else
    /// whether it differs by more.
    pub fail_on_regression: bool,
    /// Whether an inconclusive metric passes where a regression fails the command.
    pub allow_inconclusive: bool,
    /// Whether an inconclusive metric fails it.
    pub require_conclusive: bool,
    /// Where the capacity is what is compared: the limits, which probes are held against.
    pub capacity: Option<Limits>,
    /// Whether it goes on where its time is too short for any verdict.
    pub force: bool,
}

/// The starts so far, and the time for more.
#[derive(Debug, Clone, Copy)]
pub(super) struct SoFar<'a> {
    /// Those of all attempts.
    pub starts: &'a [Start],
    /// How many of them were made by attempts before.
    pub before: usize,
    /// The time that this attempt had when it began, and those to come have, in attempts.
    pub left: f64,
}

impl Question {
    /// What is to be found out of each metric.
    pub fn aim(&self) -> Aim {
        if self.fail_on_regression { Aim::Worse } else { Aim::Changed }
    }

    /// What the starts of an attempt are to answer of so many metrics.
    pub fn asked(&self, gates: usize) -> Asked {
        let (alpha, tolerance) = (self.alpha / f64::from(self.attempts), Band::of(self.tolerance));
        Asked { alpha, gates, tolerance, time: self.tempo.max_time.as_secs_f64() }
    }

    /// Whether it is known by now that the time cannot hold as many starts as any verdict takes.
    pub(super) fn is_too_short(&self, planned: &Repetition, SoFar { starts, before, left }: SoFar<'_>) -> bool {
        let time = self.tempo.max_time.as_secs_f64() * left;
        let is_missing = (starts.len() as u64) < planned.fewest_starts;
        is_missing && is_too_short(planned.fewest_seconds, time, starts.len() - before) && !self.goes_on_anyway()
    }

    /// The starts that its time must hold for any verdict: those of one metric, since how many are judged is not known before the
    /// first one. None where it takes all its time anyway, and where starts are as short as those of probes.
    pub(super) fn needed(&self) -> usize {
        if self.goes_on_anyway() || self.capacity.is_some() { 0 } else { self.asked(1).fewest_starts() }
    }

    fn goes_on_anyway(&self) -> bool {
        self.force || self.aa
    }
}

/// Who is told of the time that has passed and of the starts so far, and what is said on the way.
pub type Watchers<'f> = (&'f mut dyn FnMut(Duration, usize), &'f mut dyn FnMut(&str));

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::trials::tempo::{Restarts, Warmup};

    /// Whether B differs from A, in two attempts of 10 s.
    pub fn question() -> Question {
        let tempo = Tempo {
            trial: Duration::from_millis(10),
            settle: Duration::ZERO,
            replies: 0,
            warmup: Warmup::For(Duration::ZERO),
            restarts: Restarts::Every(1),
            max_time: Duration::from_secs(10),
            seed: 1,
        };
        Question {
            tempo,
            gate: None,
            alpha: 0.2,
            attempts: 2,
            tolerance: 0.02,
            aa: false,
            fail_on_regression: false,
            allow_inconclusive: false,
            require_conclusive: false,
            capacity: None,
            force: false,
        }
    }
}
