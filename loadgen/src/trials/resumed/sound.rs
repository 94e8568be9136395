//! Whether the figures of a saved comparison can be judged, whoever wrote them.

use crate::report::comparison::{Attempts, Comparison, RulingReport};
use crate::trials::repetition::MOST_ROUNDS;

/// What is wrong with which field; `most_starts` are the most that there may be after more were made.
pub(super) fn sound(then: &Comparison, most_starts: usize) -> Result<(), String> {
    let is_time = |seconds: f64| (0.0..=LONGEST).contains(&seconds);
    if then.starts.is_empty() || then.starts.len() >= most_starts {
        return Err(format!("starts: there are {}, which leaves no room, or none", then.starts.len()));
    }
    if !is_time(then.elapsed_seconds) || then.rules.max_time_seconds.is_nan() || then.rules.max_time_seconds <= 0.0 {
        return Err(format!("elapsed_seconds: {}", then.elapsed_seconds));
    }
    if let Some(Attempts { announced, made, passed }) = then.attempts
        && !(passed > f64::from(made) - 1.0 && passed <= f64::from(made) && made <= announced)
    {
        return Err(format!("attempts: made {made} of {announced}, and {passed} have passed"));
    }
    for (i, start) in then.starts.iter().enumerate() {
        if start.pairs.len() > MOST_ROUNDS as usize || start.pairs.is_empty() || !is_time(start.at_seconds) {
            return Err(format!("starts[{i}]: {} pairs, at {} s", start.pairs.len(), start.at_seconds));
        }
        let of_pairs = start.pairs.iter().flat_map(|pair| [&pair.a, &pair.b]);
        let mut figures = of_pairs.chain([&start.a, &start.b]).flatten();
        if let Some((metric, figure)) = figures.find(|(_, figure)| !(figure.is_finite() && **figure > 0.0)) {
            return Err(format!("starts[{i}]: {metric} of {figure}"));
        }
        let times = start.pairs.iter().filter_map(|pair| pair.time);
        let mut times = times.flat_map(|time| [time.seconds, time.a_waited, time.b_waited]);
        if let Some(time) = times.find(|time| !is_time(*time)) {
            return Err(format!("starts[{i}]: a time of {time} s"));
        }
    }
    let rulings = then.metrics.iter().filter_map(|metric| Some((metric.metric, metric.ruling?)));
    for (metric, RulingReport { p_value, level, at_seconds, starts, .. }) in rulings {
        let has_starts = starts.is_none_or(|starts| (1..=then.starts.len() as u64).contains(&starts));
        if ![p_value, level].iter().all(|share| (0.0..=1.0).contains(share)) || !is_time(at_seconds) || !has_starts {
            return Err(format!("metrics: the ruling on {metric}"));
        }
    }
    Ok(())
}

/// No comparison takes longer, in seconds: nine attempts of an hour.
const LONGEST: f64 = 10.0 * 3_600.0;
