//! How trials are shared out among the starts of a comparison, and what it will be able to tell: from the prices of its
//! starts and trials so far, and from how much they vary.

use super::contrast::{Contrast, round_log_ratios};
use super::course::{Course, Restarts, Start};
use crate::judge::statistics::{Asked, Prices, Variances};
use crate::measure::metric::Metric;
use crate::report::repetition::{Repetition, RestartKind};

/// What is known after so many starts. Where the number of rounds is free, the course's is set to the one that tells most.
pub(super) fn plan(asked: Asked, gated: &[Metric], starts: &[Start], course: &mut Course<'_>) -> Repetition {
    let of_trials = gated.iter().filter(|metric| metric.is_of_trials());
    let variances: Vec<Variances> = of_trials.filter_map(|metric| Variances::of(&of_starts(*metric, starts))).collect();
    let prices = course.prices();
    match course.restarts() {
        Restarts::Auto(_) => {
            // Until it is known how much starts vary, they are as long as they were meant to be.
            course.set_rounds(match &variances[..] {
                [] => asked.most(prices).min(course.rounds()),
                variances => asked.trials(variances, prices, MOST_ROUNDS),
            });
        }
        Restarts::Every(_) | Restarts::Never(_) => {}
    }
    let rounds = course.rounds();
    let forecast = (!variances.is_empty()).then(|| asked.forecast(&variances, prices, rounds));
    let greatest =
        variances.iter().copied().max_by(|one, other| one.of_start(rounds).total_cmp(&other.of_start(rounds)));
    let fewest = asked.fewest_starts();
    Repetition {
        restarts: kind(course.restarts()),
        pairs: rounds,
        start_seconds: prices.start,
        pair_seconds: prices.trial,
        between_starts: greatest.map(|variances| variances.between.sqrt()),
        within_starts: greatest.map(|variances| variances.within.sqrt()),
        fewest_starts: fewest as u64,
        fewest_seconds: course.elapsed().as_secs_f64() + remaining(fewest, starts.len(), prices),
        needs_seconds: forecast.and_then(|forecast| forecast.needs),
        resolves: forecast.and_then(|forecast| forecast.resolves).map(f64::exp_m1),
    }
}

/// When servers are started anew, as reports have it.
pub(super) fn kind(restarts: Restarts) -> RestartKind {
    match restarts {
        Restarts::Auto(_) => RestartKind::Auto,
        Restarts::Every(_) => RestartKind::Fixed,
        Restarts::Never(_) => RestartKind::Never,
    }
}

/// What the starts that are missing from `fewest` take at the least, with one round each, in seconds.
pub(super) fn remaining(fewest: usize, starts: usize, prices: Prices) -> f64 {
    fewest.saturating_sub(starts) as f64 * prices.of_start(1)
}

fn of_starts(metric: Metric, starts: &[Start]) -> Vec<Vec<f64>> {
    let contrast = Contrast::between(1, 0);
    starts.iter().map(|start| round_log_ratios(&contrast, metric, start)).collect()
}

/// Rounds between two starts at the most: the Walsh averages of a start's rounds take 4 MB then.
pub const MOST_ROUNDS: u32 = 1_000;
