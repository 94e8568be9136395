//! The comparison to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter};

use crate::report::comparison::{Comparison, MetricReport};
use crate::report::estimate::Estimate;
use crate::report::formats::text::parts::{INDENT, item};
pub(crate) use crate::report::formats::text::verdict::{
    about_intervals, attempts, interval, reason, reasons, verdict, what_would_tell,
};
pub use crate::report::formats::text::verdict::{name, signed_percent};
use crate::report::words::{compared, way_to_both, what};
use crate::units;

/// Renders a comparison as lines of text.
pub fn render(comparison: &Comparison) -> String {
    Rendered(comparison).to_string()
}

struct Rendered<'a>(&'a Comparison);

impl Display for Rendered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let comparison = self.0;
        let rules = &comparison.rules;
        let plan = &comparison.environment.plan;
        let what_it_is = match () {
            () if comparison.aa => "A/A",
            () if comparison.slos.is_empty() => "compare",
            () => "capacity",
        };
        write!(f, "{what_it_is}: ")?;
        writeln!(f, "{}", compared(comparison))?;
        writeln!(f, "{INDENT}A  {}", comparison.a.target)?;
        writeln!(f, "{INDENT}B  {}", comparison.b.target)?;
        let pairs: usize = comparison.starts.iter().map(|start| start.pairs.len()).sum();
        writeln!(
            f,
            "{INDENT}{}\n{INDENT}{} of {} trials in {}, {}\n",
            what(&plan.message),
            units::counted(pairs as u64, "pair"),
            units::seconds(rules.trial_seconds),
            units::counted(comparison.starts.len() as u64, comparison.observation()),
            units::seconds(comparison.elapsed_seconds),
        )?;
        table(comparison, f)?;
        writeln!(f)?;
        if let Some(attempts) = attempts(comparison) {
            item(f, "attempts", &attempts)?;
        }
        item(f, "verdict", &verdict(comparison))?;
        for reason in reasons(comparison) {
            item(f, "", &reason)?;
        }
        if let Some(about) = about_intervals(comparison) {
            item(f, "", &about)?;
        }
        item(f, "errors", &errors(comparison))?;
        way_to_both(comparison).iter().try_for_each(|(name, fact)| item(f, name, fact))?;
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
    writeln!(f, "{INDENT}{}", row("", ["A", "B", "change", "interval"]))?;
    comparison.metrics.iter().try_for_each(|metric| {
        let [a, b, change, interval, called] = cells(metric);
        let line = format!("{} {called}", row(&metric.metric.to_string(), [&a, &b, &change, &interval]));
        writeln!(f, "{INDENT}{}", line.trim_end())
    })
}

/// A line of the table. Each cell ends where its column does; a long name or cell takes room from those behind it, and one space
/// at least stays between them.
fn row(name: &str, cells: [&str; 4]) -> String {
    let mut line = name.to_owned();
    for (cell, end) in cells.into_iter().zip(COLUMN_ENDS) {
        let room = end.saturating_sub(line.chars().count()).max(cell.chars().count() + 1);
        line += &format!("{cell:>room$}");
    }
    line
}

/// A metric of A and of B, the change, its interval, and the verdict, for people.
pub(crate) fn cells(metric: &MetricReport) -> [String; 5] {
    let called = metric.ruling.map_or("", |ruling| name(ruling.change)).to_owned();
    // Figures are above 0: this is where there are none.
    let show = |figure: f64| if figure > 0.0 { metric.metric.show(figure) } else { "-".to_owned() };
    let [a, b] = metric.sides().map(show);
    let [change, interval] = change_cells(&metric.told());
    [a, b, change, interval, called]
}

/// A change and its interval, for people.
pub(crate) fn change_cells(estimate: &Estimate) -> [String; 2] {
    let unknown = || "-".to_owned();
    let range = estimate.low.zip(estimate.high);
    [estimate.change.map_or_else(unknown, signed_percent), range.map_or_else(unknown, interval)]
}

fn errors(comparison: &Comparison) -> String {
    let [a, b] = [comparison.a.messages.verified, comparison.b.messages.verified].map(units::count);
    format!("none in {a} and {b} messages")
}

fn noise_floor(comparison: &Comparison, f: &mut Formatter<'_>) -> fmt::Result {
    let made = comparison.attempts.map_or(1, |attempts| attempts.made);
    let time = units::seconds(comparison.rules.max_time_seconds * f64::from(made));
    let gated = comparison.metrics.iter().filter(|metric| metric.gated);
    let (known, unknown): (Vec<_>, Vec<_>) =
        gated.partition(|metric| metric.resolution.is_some() && metric.told().low.is_some());
    let floors: Vec<String> = known
        .iter()
        .filter_map(|metric| Some(format!("{} of {}", metric.metric, percent(metric.resolution?))))
        .collect();
    if !floors.is_empty() {
        let found = format!("in {time} this machine tells changes in 4 of 5 cases: {}", floors.join(", "));
        item(f, "noise floor", &found)?;
    }
    unknown.iter().try_for_each(|metric| {
        let starts = units::too_few(metric.log_ratios.len() as u64, comparison.observation());
        item(f, "noise floor", &format!("not known of {}: {starts}", metric.metric))
    })
}

/// An unsigned share with the digits that [`signed_percent`] has.
fn percent(share: f64) -> String {
    signed_percent(share).trim_start_matches(['+', '-']).to_owned()
}

/// Where the columns end, counted from the beginning of a metric's name: the figures of A and of B, the change and its interval.
const COLUMN_ENDS: [usize; 4] = [28, 39, 48, 67];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_end_alike_and_never_touch() {
        let head = row("", ["A", "B", "change", "interval"]);
        let rows = [
            row("throughput", ["104,312/s", "103,921/s", "-0.37%", "-0.91%..+0.15%"]),
            row("throughput", ["4,174,443/s", "4,164,746/s", "-0.23%", "-0.91%..+0.15%"]),
            row("resources.server_cpu_per_message", ["4,174,443/s", "14,164,746/s", "-100.23%", "-100.91%..+100.15%"]),
        ];
        assert_eq!(head, "                           A          B   change           interval");
        assert_eq!(rows[0], "throughput         104,312/s  103,921/s   -0.37%     -0.91%..+0.15%");
        assert_eq!(rows[1], "throughput       4,174,443/s 4,164,746/s  -0.23%     -0.91%..+0.15%");
        for row in rows {
            assert_eq!(row.split_whitespace().count(), 5, "{row}");
        }
    }
}
