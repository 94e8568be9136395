//! What a sweep says in words, for every format that people read.

use super::{ArmReport, Effect, Step, Sweep};
use crate::judge::statistics::{Change, fewest};
use crate::measure::metric::Metric;
use crate::report::comparison::Ended;
use crate::report::formats::text::comparison::change_cells;
use crate::units;

/// How much was measured.
pub(crate) fn course(sweep: &Sweep) -> String {
    format!(
        "{} of {} trials in {}, {}",
        units::counted(sweep.rounds, "round"),
        units::seconds(sweep.rules.trial_seconds),
        units::counted(sweep.starts, "start"),
        units::seconds(sweep.elapsed_seconds),
    )
}

/// The flags of a combination.
pub(crate) fn settings(arm: &ArmReport) -> String {
    arm.settings.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The metric that combinations are shown by.
pub(crate) fn rate(sweep: &Sweep) -> Metric {
    let measured = |metric: &Metric| sweep.arms.iter().any(|arm| arm.figures.contains_key(metric));
    [Metric::Throughput, Metric::latency(99.0)].into_iter().find(measured).unwrap_or(Metric::ServerCpu)
}

/// What [`arm_cells`] are.
pub(crate) fn arm_heads(sweep: &Sweep) -> [String; 4] {
    [rate(sweep).to_string(), "change".to_owned(), "msgs/CPU-s".to_owned(), "B/connection".to_owned()]
}

/// Medians of a combination: of the metric that it is shown by, the change of that, messages per second of the server's
/// CPU time, resident bytes per connection.
pub(crate) fn arm_cells(sweep: &Sweep, arm: &ArmReport) -> [String; 4] {
    let rate = rate(sweep);
    let median = |metric: Metric| arm.figures.get(&metric).map(|spread| spread.median);
    let change = match arm.change.get(&rate) {
        Some(estimate) => change_cells(estimate)[0].clone(),
        None if arm.change.is_empty() => "reference".to_owned(),
        None => "-".to_owned(),
    };
    let show = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
    [
        show(median(rate).map(|figure| rate.show(figure))),
        change,
        show(arm.messages_per_cpu_second.map(units::number)),
        show(median(Metric::ConnectionMemory).map(|bytes| units::count(bytes.round() as u64))),
    ]
}

/// The metrics that effects are on.
pub(crate) fn metrics(sweep: &Sweep) -> Vec<Metric> {
    let mut metrics: Vec<Metric> = sweep.effects.iter().map(|effect| effect.metric).collect();
    metrics.dedup();
    metrics
}

/// The effects on a metric, but for interactions that cannot be told from none.
pub(crate) fn worth_naming(sweep: &Sweep, metric: Metric) -> impl Iterator<Item = &Effect> {
    let of_metric = sweep.effects.iter().filter(move |effect| effect.metric == metric);
    of_metric.filter(|effect| effect.steps.len() == 1 || effect.change != Change::Inconclusive)
}

/// What an effect is the effect of.
pub(crate) fn steps(effect: &Effect) -> String {
    let step = |Step { name, from, to }: &Step| format!("{name} {from} -> {to}");
    effect.steps.iter().map(step).collect::<Vec<_>>().join(" with ")
}

/// An effect's change, its 95% interval, and whether it is better or worse, or nothing where that is not known.
pub(crate) fn effect_cells(effect: &Effect) -> [String; 3] {
    let [change, interval] = change_cells(&effect.estimate);
    let called = match effect.change {
        Change::Improved => "better",
        Change::Regressed => "worse",
        Change::Equivalent | Change::NotWorse | Change::Inconclusive => "",
    };
    [change, interval, called.to_owned()]
}

/// What to know when reading the figures.
pub(crate) fn notes(sweep: &Sweep) -> Vec<String> {
    let mut notes = vec![format!(
        "at most {} of such sweeps call an effect better or worse that is none",
        units::percent(sweep.rules.alpha)
    )];
    let [small, pairs] = [1, 2].map(|steps| {
        let silent = |effect: &&Effect| effect.steps.len() == steps && effect.change == Change::Inconclusive;
        sweep.effects.iter().filter(silent).count()
    });
    let needed = fewest(sweep.rules.alpha / sweep.effects.len().max(1) as f64);
    if sweep.ended == Ended::Interrupted {
        notes.push(format!("interrupted after {}", units::seconds(sweep.elapsed_seconds)));
    }
    if sweep.starts < needed as u64 {
        notes.push(format!(
            "{} for a verdict, {needed} are needed: more --max-time",
            units::too_few(sweep.starts, "start")
        ));
    } else if small > 0 {
        notes.push(format!(
            "{} could not be told from none; more --max-time tells smaller ones",
            units::counted(small as u64, "effect")
        ));
    }
    if pairs > 0 {
        let pairs = units::counted(pairs as u64, "interaction");
        notes.push(format!("{pairs} could not be told from none, and are not shown"));
    }
    notes.extend(sweep.trust.notes.iter().cloned());
    notes
}
