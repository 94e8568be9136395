//! What it takes until an effect of a sweep can be told, from the price of its starts so far and from how much they vary.

use super::Question;
use crate::judge::statistics::{Sample, resolution};
use crate::measure::metric::Metric;
use crate::report::sweep::Needs;
use crate::trials::contrast::log_ratios;
use crate::trials::course::{Course, Restarts, Start};
use crate::trials::design::Design;
use crate::trials::repetition::remaining;

/// What is known after these starts. Where the number of rounds is free and would leave no room for as many starts as an effect
/// takes, the course's is set to the most that does.
pub(super) fn of(
    design: &Design,
    question: &Question,
    judged: &[Metric],
    starts: &[Start],
    course: &mut Course<'_>,
) -> Needs {
    let contrasts = design.contrasts();
    let asked = question.asked(judged.len() * contrasts.len());
    let time = asked.time;
    let (fewest, prices, elapsed) = (asked.fewest_starts(), course.prices(), course.elapsed().as_secs_f64());
    let missing = fewest.saturating_sub(starts.len()) as f64;
    if let (Restarts::Auto(_), true) = (course.restarts(), missing > 0.0) {
        let room = ((time - elapsed) / missing - prices.start) / prices.trial;
        course.set_rounds((room.max(1.0) as u32).min(course.rounds()));
    }
    let in_time = starts.len() as f64 + ((time - elapsed) / prices.of_start(course.rounds())).max(0.0);
    let lives = course.lives();
    let resolved = |metric: Metric| {
        let samples = contrasts.iter().map(move |(_, contrast)| log_ratios(contrast, metric, starts, lives));
        let samples = samples.filter(|ratios| !ratios.is_empty()).map(|ratios| Sample::new(&ratios));
        samples.map(|sample| resolution(&sample, asked.level(), in_time / sample.len() as f64))
    };
    let all: Option<Vec<f64>> = judged.iter().flat_map(|metric| resolved(*metric)).collect();
    let resolves = all.filter(|all| !all.is_empty() && in_time >= fewest as f64);
    Needs {
        starts: fewest as u64,
        seconds: elapsed + remaining(fewest, starts.len(), prices),
        start_seconds: prices.of_start(1),
        resolves: resolves.map(|all| all.into_iter().fold(0.0, f64::max).exp_m1()),
    }
}
