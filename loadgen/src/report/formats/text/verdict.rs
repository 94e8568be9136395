//! The verdict of a comparison in words, and why its interval means it.

use crate::judge::statistics::Change;
use crate::measure::metric::{Better, Metric};
use crate::report::comparison::{Attempts, Comparison, Ended, MetricReport, RulingReport};
use crate::report::estimate::Estimate;
use crate::report::repetition::{Repetition, fewest_and_enough};
use crate::units;

/// A change of this share, as `+1.2%`.
pub fn signed_percent(share: f64) -> String {
    let percent = share * 100.0;
    // Neither more nor less.
    if percent.abs() < 0.005 {
        return "0.00%".to_owned();
    }
    if percent.abs() < 9.995 { format!("{percent:+.2}%") } else { format!("{percent:+.1}%") }
}

/// An interval of changes.
pub(crate) fn interval((low, high): (f64, f64)) -> String {
    format!("{}..{}", signed_percent(low), signed_percent(high))
}

/// The name of a verdict.
pub fn name(change: Change) -> &'static str {
    match change {
        Change::Regressed => "regressed",
        Change::Improved => "improved",
        Change::Equivalent => "equivalent",
        Change::NotWorse => "not worse",
        Change::Inconclusive => "inconclusive",
    }
}

/// The verdict, on which metrics, and what it is worth.
pub(crate) fn verdict(comparison: &Comparison) -> String {
    let rules = &comparison.rules;
    let ended = match (comparison.ended, &comparison.repetition) {
        (Ended::TooShort, Some(repetition)) => return too_short(comparison, repetition),
        (Ended::Interrupted, _) => "; interrupted",
        _ => "",
    };
    if comparison.metrics.iter().all(|metric| metric.ruling.is_none()) {
        return format!("inconclusive: it ended before its figures were judged for the first time{ended}");
    }
    let of = |change: Change| -> String {
        let metrics = comparison.metrics.iter().filter(|m| m.ruling.is_some_and(|ruling| ruling.change == change));
        metrics.map(|metric| metric.metric.to_string()).collect::<Vec<_>>().join(", ")
    };
    let (tolerance, alpha) = (units::percent(rules.tolerance), units::percent(rules.alpha));
    let said = match comparison.change {
        Change::Regressed => format!("REGRESSED: {}", of(Change::Regressed)),
        Change::Equivalent => "equivalent".to_owned(),
        Change::NotWorse => "not worse".to_owned(),
        change @ (Change::Improved | Change::Inconclusive) => format!("{}: {}", name(change), of(change)),
    };
    let worth = match comparison.change {
        Change::Inconclusive => String::new(),
        Change::Equivalent => format!("; with a greater change at most {alpha} of comparisons end so"),
        Change::NotWorse => format!("; with a greater loss at most {alpha} of comparisons end so"),
        Change::Regressed | Change::Improved => format!("; without one at most {alpha} of comparisons end so"),
    };
    format!("{said} (tolerance {tolerance}{worth}){ended}")
}

/// What to do where the time holds no verdict.
fn too_short(comparison: &Comparison, repetition: &Repetition) -> String {
    let time = units::seconds(comparison.rules.max_time_seconds);
    let Repetition { fewest_starts, fewest_seconds, enough_seconds, .. } = *repetition;
    let Attempts { announced, made, .. } =
        comparison.attempts.unwrap_or(Attempts { announced: 1, made: 1, passed: 0.0 });
    let (all, are) = match announced {
        1 => (time.clone(), "are"),
        _ if made > 1 => (format!("what is left of {announced} attempts of {time}"), "is"),
        _ => (format!("{announced} attempts of {time}"), "are"),
    };
    let starts = units::counted(fewest_starts, comparison.observation());
    let of_one = fewest_seconds / f64::from(announced);
    let expected = fewest_and_enough(&starts, fewest_seconds, (enough_seconds.unwrap_or(of_one), announced));
    format!(
        "inconclusive: {all} {are} too short for any verdict: {expected}, or --force to measure for {time} nonetheless"
    )
}

/// How often it was tried, where more than one attempt was announced.
pub(crate) fn attempts(comparison: &Comparison) -> Option<String> {
    let Attempts { announced, made, passed } = comparison.attempts?;
    let left = announced.saturating_sub(made);
    let next = match comparison.ended {
        Ended::Decided => String::new(),
        Ended::TooShort => "; of this one nothing was spent".to_owned(),
        Ended::Interrupted => {
            format!("; --resume goes on with the rest of this one ({passed:.2} of {announced} have passed)")
        }
        Ended::MaxTime if left == 0 => "; none is left".to_owned(),
        Ended::MaxTime => format!("; --resume goes on with the next ({left} left)"),
    };
    Some(format!("{made} of {announced}, which share the error; all their starts count{next}"))
}

/// Why each verdict follows from its interval, and what would bring those that there are not.
pub(crate) fn reasons(comparison: &Comparison) -> impl Iterator<Item = String> {
    let judged = comparison.metrics.iter().filter(|metric| metric.ruling.is_some());
    judged.map(|metric| reason(comparison, metric)).chain(what_would_tell(comparison))
}

/// That of one metric; nothing where no verdict was asked for.
pub(crate) fn reason(comparison: &Comparison, metric: &MetricReport) -> String {
    let Some(ruling) = metric.ruling else { return String::new() };
    let tolerance = comparison.rules.tolerance;
    let (worse, better) = match metric.better {
        Better::Higher => (-tolerance, tolerance),
        Better::Lower => (tolerance, -tolerance),
    };
    let [at_worse, at_better] = [worse, better].map(signed_percent);
    let all = ruling.low.zip(ruling.high).map_or_else(|| "the change".to_owned(), interval);
    let why = match ruling.change {
        Change::Regressed => format!("all of {all} is worse than {at_worse}"),
        Change::Improved => format!("all of {all} is better than {at_better}"),
        Change::NotWorse => format!("nothing in {all} is worse than {at_worse}"),
        Change::Equivalent => format!("all of {all} lies within {} either way", units::percent(tolerance)),
        Change::Inconclusive => undecided(&ruling, metric, [worse, better], comparison.observation()),
    };
    format!("{} {}: {why}", metric.metric, name(ruling.change))
}

fn undecided(ruling: &RulingReport, metric: &MetricReport, borders: [f64; 2], observation: &str) -> String {
    let starts = metric.log_ratios.len() as u64;
    if starts == 0 && metric.metric == Metric::ConnectionMemory {
        return "no start had it, since memory did not clearly and evenly grow with connections: more connections may \
                tell, more time does not"
            .to_owned();
    }
    if let Some(together) = ruling.doubt {
        return in_doubt(ruling, &together);
    }
    let Some((low, high)) = ruling.low.zip(ruling.high) else {
        return format!("{} for a verdict", units::too_few(starts, observation));
    };
    let all = interval((low, high));
    match borders.into_iter().find(|border| low < *border && *border < high) {
        Some(border) => format!("{all} has changes on both sides of {}", signed_percent(border)),
        None => format!("{all} lies neither within the tolerance nor beyond it"),
    }
}

/// Why a metric does not pass that passes by its typical trials.
fn in_doubt(ruling: &RulingReport, together: &Estimate) -> String {
    let of = |low: Option<f64>, high: Option<f64>| low.zip(high).map_or_else(|| "no bounds".to_owned(), interval);
    format!(
        "typical trials ({}) would pass, but not all trials together, pauses between them included: {} ({}). What comes in some \
         trials only, as pauses do, decides; longer trials (--trial) and more time (--max-time) tell",
        of(ruling.low, ruling.high),
        signed_percent(together.change.unwrap_or_default()),
        of(together.low, together.high)
    )
}

/// The time that would decide all that is not, for the comparison as a whole; nothing where none is open that time could
/// decide, or where the verdict says it.
pub(crate) fn what_would_tell(comparison: &Comparison) -> Option<String> {
    let words = |metrics: &[Metric]| metrics.iter().map(Metric::to_string).collect::<Vec<_>>().join(" and ");
    let open: Vec<Metric> = comparison.open().map(|metric| metric.metric).collect();
    if open.is_empty() || comparison.ended == Ended::TooShort {
        return None;
    }
    let undecided = comparison.metrics.iter().filter(|metric| metric.is_undecided()).count();
    // Where others wait for something else than time.
    let which = if open.len() < undecided { format!(" {}", words(&open)) } else { String::new() };
    Some(match comparison.tells_after() {
        Some(all) => {
            let how = how_to_go_on(comparison, all);
            format!("about {} in all would tell{which}, if the change is what it seems ({how})", units::seconds(all))
        }
        // It is not known how much so few vary.
        None if comparison.has_too_few_starts() => return None,
        None if open.len() == 1 => format!("no reasonable time would tell {}", open[0]),
        None => format!(
            "no reasonable time would tell {}",
            if which.is_empty() { "all of them" } else { which.trim_start() }
        ),
    })
}

/// How to make a comparison take so many seconds in all: what was announced can go on.
fn how_to_go_on(comparison: &Comparison, all: f64) -> &'static str {
    match comparison.attempts {
        Some(attempts) if attempts.announced > 1 => {
            let is_left = attempts.made < attempts.announced;
            let has_room = all <= comparison.rules.max_time_seconds * f64::from(attempts.announced);
            if is_left && has_room { "--resume" } else { "a comparison begun anew" }
        }
        _ => "--max-time",
    }
}

/// What the intervals of a table are; nothing where it has none.
pub(crate) fn about_intervals(comparison: &Comparison) -> Option<String> {
    // One that has too few starts has no interval; those of earlier versions are 95% ones.
    let has_interval = |metric: &&MetricReport| {
        let told = metric.told();
        told.low.is_some() && told.high.is_some()
    };
    let (judged, others): (Vec<_>, Vec<_>) = comparison
        .metrics
        .iter()
        .filter(has_interval)
        .partition(|metric| metric.shown.is_some() && metric.ruling.is_some());
    let alpha = units::percent(comparison.rules.alpha);
    let of_judged = format!(
        "of what is judged, those that the verdicts stand on, for an error of {alpha} over all looks and metrics"
    );
    match (judged.is_empty(), others.is_empty()) {
        (true, true) => None,
        (true, false) => Some("95% intervals".to_owned()),
        (false, true) => Some(format!("intervals: {of_judged}")),
        (false, false) => Some(format!("intervals: {of_judged}; of the others, 95%")),
    }
}
