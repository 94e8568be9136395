//! What UDP did in a run or in an experiment, in words.

use crate::measure::counts::Messages;
use crate::measure::datagrams::Datagrams;
use crate::report::Report;
use crate::report::datagrams::DatagramsReport;
use crate::units;

/// Each count with its share of the messages; `None` where it was not UDP.
pub(super) fn facts(report: &Report) -> Option<String> {
    report.datagrams.map(|datagrams| fates(&datagrams, report.messages))
}

/// The same of several servers, or of several settings of one, under the name `datagrams`: a line for each, which begins with its
/// name. One line where nothing became of any, and none where none was UDP.
pub(crate) fn of_each<'a>(
    parts: impl IntoIterator<Item = (String, Option<&'a DatagramsReport>, Messages)>,
) -> Vec<(&'static str, String)> {
    let parts = parts.into_iter();
    let parts: Vec<_> = parts.filter_map(|(name, datagrams, messages)| Some((name, datagrams?, messages))).collect();
    let nothing = parts.iter().all(|(_, datagrams, _)| datagrams.counts == Datagrams::default());
    let names = std::iter::once("datagrams").chain(std::iter::repeat(""));
    let one = parts.first().filter(|_| nothing).map(|(_, datagrams, messages)| fates(datagrams, *messages));
    let each = parts.iter().filter(|_| !nothing);
    let each = each.map(|(name, datagrams, messages)| format!("{name}: {}", fates(datagrams, *messages)));
    names.zip(one.into_iter().chain(each)).collect()
}

fn fates(datagrams: &DatagramsReport, messages: Messages) -> String {
    let DatagramsReport { timeout_seconds, counts } = *datagrams;
    let Datagrams { lost, late, duplicated, reordered } = counts;
    let due = messages.received + messages.lost;
    let share = |count: u64| if due == 0 { 0.0 } else { count as f64 / due as f64 };
    let show = |count: u64, what: &str| match count {
        0 => format!("0 {what}"),
        count => format!("{} {what} ({})", units::count(count), units::percent(share(count))),
    };
    let lost = show(lost, &format!("without a reply within {}", units::seconds(timeout_seconds)));
    [lost, show(late, "late"), show(duplicated, "duplicated"), show(reordered, "reordered")].join(", ")
}
