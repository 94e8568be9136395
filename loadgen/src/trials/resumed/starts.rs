//! Starts as a saved comparison has them.

use std::time::Duration;

use crate::measure::trial::{Figures, Trial};
use crate::report::comparison::{PairReport, PairTime, Side, StartReport, Which};
use crate::trials::start::{Life, Round, Start};

/// A start as it is saved.
pub fn start_report(start: Start) -> StartReport {
    let pair = |round: Round| {
        let waited = |server: usize| round.trials[server].waited.as_secs_f64();
        let time = round.seconds.map(|seconds| PairTime { seconds, a_waited: waited(0), b_waited: waited(1) });
        let mut trials = round.trials.into_iter().map(|trial| trial.figures);
        let mut next = || trials.next().unwrap_or_default();
        let first = if round.order[0] == 0 { Which::A } else { Which::B };
        PairReport { at_seconds: round.at_seconds, first, a: next(), b: next(), time }
    };
    let mut lives = start.lives.into_iter().map(|life| life.figures);
    let mut next = || -> Figures { lives.next().unwrap_or_default() };
    StartReport {
        at_seconds: start.at_seconds,
        a: next(),
        b: next(),
        pairs: start.rounds.into_iter().map(pair).collect(),
    }
}

/// A start as it was before it was saved. The first takes all of the sides' messages, which are saved as one sum.
pub(super) fn start_of(start: StartReport, sides: &mut [Option<Side>; 2], targets: &[String; 2]) -> Start {
    let round = |pair: PairReport| {
        let trial = |server: usize, figures: Figures| Trial {
            figures,
            waited: Duration::from_secs_f64(pair.time.map_or(0.0, |time| [time.a_waited, time.b_waited][server])),
            ..Trial::default()
        };
        let order = if pair.first == Which::A { vec![0, 1] } else { vec![1, 0] };
        let seconds = pair.time.map(|time| time.seconds);
        Round { at_seconds: pair.at_seconds, order, seconds, trials: vec![trial(0, pair.a), trial(1, pair.b)] }
    };
    let mut life = |side: usize, figures: Figures| match sides[side].take() {
        Some(saved) => Life::saved(saved, figures),
        None => Life::with(targets[side].clone(), figures),
    };
    let lives = vec![life(0, start.a), life(1, start.b)];
    Start { at_seconds: start.at_seconds, rounds: start.pairs.into_iter().map(round).collect(), lives }
}
