//! Contrasts of log figures: what a comparison and a sweep judge, one for each start of the servers; and the figures of one
//! server, one for each of its trials or lives.

use super::start::{Lives, Round, Start};
use crate::judge::statistics::{Pooled, Sample, Sums, blocks};
use crate::measure::metric::Metric;
use crate::measure::trial::Trial;

/// A weighted sum of log figures, by arm. That of a change has weights that add up to zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast(pub(super) Vec<(usize, f64)>);

impl Contrast {
    /// One arm against another.
    pub fn between(arm: usize, reference: usize) -> Self {
        Self(vec![(arm, 1.0), (reference, -1.0)])
    }

    /// One arm by itself.
    pub fn level(arm: usize) -> Self {
        Self(vec![(arm, 1.0)])
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
/// one life only, what follows in time may be alike: several of them are one observation where they are. What a whole life
/// has one figure of is one observation then, whose interval is not bounded.
pub fn log_ratios(contrast: &Contrast, metric: Metric, starts: &[Start], lives: Lives) -> Vec<f64> {
    match (metric.is_of_trials(), lives) {
        (true, Lives::Many) => starts.iter().filter_map(|start| of_rounds(contrast, metric, start)).collect(),
        (true, Lives::One) => {
            blocks(&starts.iter().filter_map(|start| of_rounds(contrast, metric, start)).collect::<Vec<_>>())
        }
        (false, Lives::Many) => {
            let of_start = |start: &Start| contrast.of(|arm| start.lives[arm].figures.get(&metric).copied());
            starts.iter().filter_map(of_start).collect()
        }
        (false, Lives::One) => {
            contrast.of(|arm| figures(metric, arm, starts, lives).first().copied()).into_iter().collect()
        }
    }
}

/// The change from one arm to another of all trials together, where the metric has such figures: what comes in some trials only, as
/// pauses do or collections of garbage, counts here as much as it takes, and hardly in the estimate of a start.
pub fn together(metric: Metric, arms: [usize; 2], starts: &[Start]) -> Option<Pooled> {
    let of: fn(&Trial, Option<f64>) -> Option<[f64; 2]> = match metric {
        // A trial stands for its round, in which it came at a chance moment; what was waited for stands for itself.
        Metric::Throughput => |trial, round| {
            let throughput = trial.figures.get(&Metric::Throughput).copied().unwrap_or_default();
            Some([throughput * round?, round? + trial.waited.as_secs_f64()])
        },
        // Of trials without a throughput each counts as much.
        Metric::ServerCpu => |trial, _| {
            let messages = trial.figures.get(&Metric::Throughput).copied().unwrap_or(1.0);
            Some([trial.figures.get(&Metric::ServerCpu)? * messages, messages])
        },
        _ => return None,
    };
    let of_start = |start: &Start| {
        let mut sums = Sums::default();
        for round in &start.rounds {
            for (side, arm) in arms.into_iter().enumerate() {
                let [amount, by] = of(&round.trials[arm], round.seconds).unwrap_or_default();
                sums.amount[side] += amount;
                sums.by[side] += by;
            }
        }
        sums
    };
    Pooled::of(&starts.iter().map(of_start).collect::<Vec<_>>())
}

/// The metric's figures of one server in these starts: one for each round, or one for each of its lives where trials have none
/// of it. Of the only life of a server that is the most memory that it had, and what connections added to it when they were
/// opened for the first time, before it could use what others gave back.
pub fn figures(metric: Metric, server: usize, starts: &[Start], lives: Lives) -> Vec<f64> {
    let all = starts.iter().flat_map(|start| start.figures(metric, server));
    match (metric.is_of_trials(), lives) {
        (true, _) | (false, Lives::Many) => all.collect(),
        (false, Lives::One) if metric == Metric::ConnectionMemory => all.take(1).collect(),
        (false, Lives::One) => all.reduce(f64::max).into_iter().collect(),
    }
}

fn of_rounds(contrast: &Contrast, metric: Metric, start: &Start) -> Option<f64> {
    Sample::new(&round_log_ratios(contrast, metric, start)).estimate()
}

/// The contrast's log ratios of one start, one for each round, in the order of time.
pub fn round_log_ratios(contrast: &Contrast, metric: Metric, start: &Start) -> Vec<f64> {
    let of_round = |round: &Round| contrast.of(|arm| round.trials[arm].figures.get(&metric).copied());
    start.rounds.iter().filter_map(of_round).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::trial::Figures;
    use crate::trials::start::Life;

    /// A start in which the memory of both servers came to these figures.
    fn start(memory: [f64; 2], of_connections: Option<[f64; 2]>) -> Start {
        let life = |server: usize| {
            let mut figures = Figures::from([(Metric::ServerMemory, memory[server])]);
            figures.extend(of_connections.map(|memory| (Metric::ConnectionMemory, memory[server])));
            Life::with(String::new(), figures)
        };
        Start { at_seconds: 0.0, rounds: Vec::new(), lives: vec![life(0), life(1)] }
    }

    #[test]
    fn a_life_has_one_figure_of_its_memory_however_often_it_is_looked_at() {
        let starts =
            [start([1e6, 2e6], Some([100.0, 150.0])), start([4e6, 2e6], Some([100.0, 150.0])), start([2e6, 3e6], None)];
        let change = Contrast::between(1, 0);
        let ratios = |metric, lives| log_ratios(&change, metric, &starts, lives);
        let one = |metric, change: f64| {
            let ratios = ratios(metric, Lives::One);
            assert!(ratios.len() == 1 && (ratios[0] - change.ln()).abs() < 1e-9, "{metric}: {ratios:?}");
        };
        // Two copies would be an interval of no width.
        one(Metric::ConnectionMemory, 1.5);
        one(Metric::ServerMemory, 0.75);
        assert_eq!(ratios(Metric::ConnectionMemory, Lives::Many).len(), 2);
        assert_eq!(figures(Metric::ServerMemory, 0, &starts, Lives::One), [4e6]);
        assert_eq!(figures(Metric::ServerMemory, 0, &starts, Lives::Many), [1e6, 4e6, 2e6]);
        let none = [start([1e6, 2e6], None)];
        assert_eq!(log_ratios(&change, Metric::ConnectionMemory, &none, Lives::One), [0.0; 0]);
    }

    #[test]
    fn what_comes_in_some_trials_only_counts_in_all_of_them_together() {
        // In each eighth round B stands still for nine tenths of its trial and is waited for, and a message needs ten times as much.
        let round = |number: usize| {
            let trial = |cost: f64, rate: f64, waited: Duration| {
                let figures = Figures::from([(Metric::ServerCpu, cost), (Metric::Throughput, rate)]);
                Trial { figures, waited, ..Trial::default() }
            };
            let b = match number % 8 {
                7 => trial(10_000.0, 10.0, Duration::from_millis(80)),
                _ => trial(1_000.0, 100.0, Duration::ZERO),
            };
            let trials = vec![trial(1_000.0, 100.0, Duration::ZERO), b];
            Round { at_seconds: 0.0, order: vec![0, 1], trials, seconds: Some(0.04) }
        };
        let start = |_| Start { at_seconds: 0.0, rounds: (0..24).map(round).collect(), lives: Vec::new() };
        let starts: Vec<Start> = (0..9).map(start).collect();
        let typical = |metric| log_ratios(&Contrast::between(1, 0), metric, &starts, Lives::Many)[0].exp();
        let together = |metric| together(metric, [0, 1], &starts).map(|pooled| pooled.log_ratio.exp());
        let near = |one: f64, other: f64| assert!((one / other - 1.0).abs() < 1e-9, "{one} is not {other}");
        near(typical(Metric::ServerCpu), 1.0);
        near(typical(Metric::Throughput), 1.0);
        near(together(Metric::Throughput).unwrap(), 0.04 * (21.0 + 3.0 * 0.1) / (24.0 * 0.04 + 3.0 * 0.08));
        near(together(Metric::ServerCpu).unwrap(), (21.0 * 100.0 + 3.0 * 100.0) / (21.0 * 100.0 + 3.0 * 10.0));
        assert_eq!(together(Metric::ServerMemory), None);
    }
}
