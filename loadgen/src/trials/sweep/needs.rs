//! What it takes until an effect of a sweep can be told, from the price of its starts so far and from how much they vary; and how
//! many rounds a start has.

use super::Question;
use crate::judge::statistics::{Sample, Variances, resolution};
use crate::measure::metric::Metric;
use crate::report::sweep::Needs;
use crate::trials::contrast::{Contrast, log_ratios};
use crate::trials::course::{Course, Start};
use crate::trials::design::Design;
use crate::trials::repetition::{choose_rounds, greatest, of_rounds};

/// What is known after these starts. Where the number of rounds is free, the course's is set.
pub(super) fn of(
    design: &Design,
    question: &Question,
    judged: &[Metric],
    starts: &[Start],
    course: &mut Course<'_>,
) -> Needs {
    let contrasts: Vec<Contrast> = design.contrasts().into_iter().map(|(_, contrast)| contrast).collect();
    let asked = question.asked(judged.len() * contrasts.len());
    let time = asked.time;
    let (fewest, prices, elapsed) = (asked.fewest_starts(), course.prices(), course.elapsed().as_secs_f64());
    let missing = fewest.saturating_sub(starts.len());
    let variances = variances(&contrasts, judged, &starts[starts.len().saturating_sub(RECENT)..]);
    choose_rounds(asked, &variances, (starts, missing, time - elapsed), course, |most| prices.best(&variances, most));
    let rounds = course.rounds();
    let in_time = starts.len() as f64 + ((time - elapsed) / prices.of_start(rounds)).max(0.0);
    let lives = course.lives();
    let resolved = |metric: Metric| {
        let samples = contrasts.iter().map(move |contrast| log_ratios(contrast, metric, starts, lives));
        let samples = samples.filter(|ratios| !ratios.is_empty()).map(|ratios| Sample::new(&ratios));
        samples.map(|sample| resolution(&sample, asked.level(), in_time / sample.len() as f64))
    };
    let all: Option<Vec<f64>> = judged.iter().flat_map(|metric| resolved(*metric)).collect();
    let resolves = all.filter(|all| !all.is_empty() && in_time >= fewest as f64);
    let greatest = greatest(&variances, rounds);
    let seconds = elapsed + course.seconds_of(missing);
    Needs {
        starts: fewest as u64,
        seconds,
        enough_seconds: Some(course.enough(fewest, seconds, 1)),
        start_seconds: prices.of_start(1),
        round_seconds: Some(prices.trial),
        between_starts: greatest.map(|variances| variances.between.sqrt()),
        within_starts: greatest.map(|variances| variances.within.sqrt()),
        resolves: resolves.map(|all| all.into_iter().fold(0.0, f64::max).exp_m1()),
    }
}

/// Those of every effect on every metric that trials have.
fn variances(contrasts: &[Contrast], judged: &[Metric], starts: &[Start]) -> Vec<Variances> {
    let of_trials = judged.iter().filter(|metric| metric.is_of_trials());
    let all = of_trials.flat_map(|metric| contrasts.iter().map(|contrast| (*metric, contrast)));
    all.filter_map(|(metric, contrast)| Variances::of(&of_rounds(contrast, metric, starts))).collect()
}

/// Starts that tell how much starts vary: more would hardly tell it better, and all effects of a large sweep take long.
const RECENT: usize = 50;
