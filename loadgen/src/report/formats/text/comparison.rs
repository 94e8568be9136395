//! The comparison to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter};

use crate::judge::statistics::Change;
use crate::report::comparison::{Comparison, Ended, MetricReport};
use crate::report::estimate::Estimate;
use crate::report::formats::text::run::{INDENT, item};
use crate::report::words::{load, what};
use crate::units;

/// Renders a comparison as lines of text.
pub fn render(comparison: &Comparison) -> String {
    Rendered(comparison).to_string()
}

/// A change of this share, as `+1.2%`.
pub fn signed_percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent.abs() < 9.995 { format!("{percent:+.2}%") } else { format!("{percent:+.1}%") }
}

struct Rendered<'a>(&'a Comparison);

impl Display for Rendered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let comparison = self.0;
        let rules = &comparison.rules;
        let plan = &comparison.environment.plan;
        write!(f, "{}: ", if comparison.aa { "A/A" } else { "compare" })?;
        writeln!(f, "{}", load(plan))?;
        writeln!(f, "{INDENT}A  {}", comparison.a.target)?;
        writeln!(f, "{INDENT}B  {}", comparison.b.target)?;
        let pairs: usize = comparison.starts.iter().map(|start| start.pairs.len()).sum();
        writeln!(
            f,
            "{INDENT}{}\n{INDENT}{} pairs of {} trials in {} starts, {}\n",
            what(&plan.message),
            units::count(pairs as u64),
            units::seconds(rules.trial_seconds),
            units::count(comparison.starts.len() as u64),
            units::seconds(comparison.elapsed_seconds),
        )?;
        table(comparison, f)?;
        writeln!(f)?;
        item(f, "verdict", &verdict(comparison))?;
        for metric in &comparison.metrics {
            remark(comparison, metric, f)?;
        }
        item(f, "errors", &errors(comparison))?;
        if comparison.aa {
            noise_floor(comparison, f)?;
        }
        if !comparison.trust.is_valid() {
            writeln!(f, "\n{INDENT}trust       NOT VALID, because")?;
        }
        comparison.trust.reasons.iter().try_for_each(|reason| item(f, "          -", reason))?;
        comparison.trust.notes.iter().try_for_each(|note| item(f, "note", note))
    }
}

fn table(comparison: &Comparison, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "{INDENT}{:>NAME_AND_A$}{:>11}{:>9}{:>19}", "A", "B", "change", "95% interval")?;
    for metric in &comparison.metrics {
        let [a, b, change, interval, called] = cells(metric);
        let name = metric.metric.to_string();
        // A long name takes room from the column beside it.
        let room = NAME_AND_A.saturating_sub(name.len().max(NAME)).max(a.chars().count() + 1);
        let line = format!("{name:<NAME$}{a:>room$}{b:>11}{change:>9}{interval:>19} {called}");
        writeln!(f, "{INDENT}{}", line.trim_end())?;
    }
    Ok(())
}

/// A metric's medians of A and B, the change, its 95% interval, and the verdict, for people.
pub(crate) fn cells(metric: &MetricReport) -> [String; 5] {
    let [change, interval] = change_cells(&metric.estimate);
    let [a, b] = [metric.a, metric.b].map(|spread| metric.metric.show(spread.median));
    let called = metric.ruling.map_or("", |ruling| name(ruling.change));
    [a, b, change, interval, called.to_owned()]
}

/// A change and its 95% interval, for people.
pub(crate) fn change_cells(estimate: &Estimate) -> [String; 2] {
    let unknown = || "-".to_owned();
    let interval = estimate.low.zip(estimate.high);
    [
        estimate.change.map_or_else(unknown, signed_percent),
        interval.map_or_else(unknown, |(low, high)| format!("{}..{}", signed_percent(low), signed_percent(high))),
    ]
}

/// The name of a verdict.
pub fn name(change: Change) -> &'static str {
    match change {
        Change::Regressed => "regressed",
        Change::Improved => "improved",
        Change::Equivalent => "equivalent",
        Change::Inconclusive => "inconclusive",
    }
}

/// The verdict, on which metrics, and what it is worth.
pub(crate) fn verdict(comparison: &Comparison) -> String {
    let rules = &comparison.rules;
    let of = |change: Change| -> String {
        let metrics = comparison.metrics.iter().filter(|m| m.ruling.is_some_and(|ruling| ruling.change == change));
        metrics.map(|metric| metric.metric.to_string()).collect::<Vec<_>>().join(", ")
    };
    let (tolerance, alpha) = (units::percent(rules.tolerance), units::percent(rules.alpha));
    let said = match comparison.change {
        Change::Regressed => format!("REGRESSED: {}", of(Change::Regressed)),
        Change::Inconclusive => format!("inconclusive: {}", of(Change::Inconclusive)),
        Change::Improved => format!("improved: {}", of(Change::Improved)),
        Change::Equivalent => "equivalent".to_owned(),
    };
    let ended = match comparison.ended {
        Ended::Interrupted => "; interrupted",
        Ended::Decided | Ended::MaxTime => "",
    };
    let worth = match comparison.change {
        Change::Inconclusive => String::new(),
        Change::Equivalent => format!("; with a greater change at most {alpha} of comparisons end so"),
        Change::Regressed | Change::Improved => format!("; without one at most {alpha} of comparisons end so"),
    };
    format!("{said} (tolerance {tolerance}{worth}){ended}")
}

/// What there is to say of a metric beside its line.
fn remark(comparison: &Comparison, metric: &MetricReport, f: &mut Formatter<'_>) -> fmt::Result {
    let Some(ruling) = metric.ruling.filter(|ruling| ruling.change == Change::Inconclusive) else { return Ok(()) };
    let interval = match (ruling.low, ruling.high) {
        (Some(low), Some(high)) => {
            format!("the change lies in {}..{}", signed_percent(low), signed_percent(high))
        }
        _ => format!("{} starts are too few for a verdict", metric.log_ratios.len()),
    };
    let more = match metric.more_seconds {
        Some(more) if comparison.elapsed_seconds + more <= LONGEST => {
            let all = units::seconds(comparison.elapsed_seconds + more);
            format!("about {all} in all would tell (--max-time)")
        }
        _ => "no reasonable time would tell".to_owned(),
    };
    item(f, "", &format!("{}: {interval}; {more}", metric.metric))
}

fn errors(comparison: &Comparison) -> String {
    let [a, b] = [comparison.a.messages.verified, comparison.b.messages.verified].map(units::count);
    format!("none in {a} and {b} messages")
}

fn noise_floor(comparison: &Comparison, f: &mut Formatter<'_>) -> fmt::Result {
    let time = units::seconds(comparison.rules.max_time_seconds);
    let floors: Vec<String> = comparison
        .metrics
        .iter()
        .filter(|metric| metric.gated)
        .map(|metric| {
            let floor = metric.resolution.map_or_else(|| "not known".to_owned(), percent);
            format!("{} {floor}", metric.metric)
        })
        .collect();
    item(f, "noise floor", &format!("in {time} this machine tells changes of {} in 4 of 5 cases", floors.join(", ")))
}

/// An unsigned share with the digits that [`signed_percent`] has.
fn percent(share: f64) -> String {
    signed_percent(share).trim_start_matches(['+', '-']).to_owned()
}

/// Columns of a metric's name, and of that with its figure of A.
const NAME: usize = 17;
const NAME_AND_A: usize = NAME + 11;

/// The longest time that is worth proposing, in seconds: what --max-time takes at the most.
const LONGEST: f64 = 3_600.0;
