//! What UDP did in a run, in words.

use crate::measure::datagrams::Datagrams;
use crate::report::Report;
use crate::report::datagrams::DatagramsReport;
use crate::units;

/// Each count with its share of the messages; `None` where it was not UDP.
pub(super) fn facts(report: &Report) -> Option<String> {
    let DatagramsReport { timeout_seconds, counts } = report.datagrams?;
    let Datagrams { lost, late, duplicated, reordered } = counts;
    let due = report.messages.received + report.messages.lost;
    let share = |count: u64| if due == 0 { 0.0 } else { count as f64 / due as f64 };
    let show = |count: u64, what: &str| match count {
        0 => format!("0 {what}"),
        count => format!("{} {what} ({})", units::count(count), units::percent(share(count))),
    };
    let lost = show(lost, &format!("without a reply within {}", units::seconds(timeout_seconds)));
    Some([lost, show(late, "late"), show(duplicated, "duplicated"), show(reordered, "reordered")].join(", "))
}
