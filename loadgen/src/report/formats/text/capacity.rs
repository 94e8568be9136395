//! The report of a capacity to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter};

use super::parts;
use crate::judge::capacity::show;
use crate::report::capacities::Capacities;
use crate::report::capacity::CapacityReport;
use crate::report::capacity::words::{self, Row};
use crate::report::formats::text::parts::{INDENT, item};

/// Renders the report as lines of text.
pub fn render(report: &CapacityReport) -> String {
    Rendered(report).to_string()
}

/// Renders capacities along an axis: each by itself, and a table of all.
pub fn all(report: &Capacities) -> String {
    let mut text = String::new();
    for point in &report.points {
        text += &format!("{}, {}\n", report.name(point), render(&point.capacity));
    }
    text + &Along(report).to_string()
}

/// The table of capacities along an axis, and the law.
struct Along<'a>(&'a Capacities);

impl Display for Along<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let row = |f: &mut Formatter<'_>, cells: [&str; 5]| {
            let [value, sustains, breaks, p99, answer] = cells;
            writeln!(f, "{INDENT}{value:>12}{sustains:>14}{breaks:>14}{p99:>12}  {answer}")
        };
        writeln!(f, "capacity over {}", self.0.axis.name())?;
        row(f, self.0.heads())?;
        self.0.rows().iter().try_for_each(|cells| row(f, cells.each_ref().map(String::as_str)))?;
        for (i, line) in self.0.law_in_words().iter().enumerate() {
            if i == 0 {
                writeln!(f)?;
            }
            item(f, if i == 0 { "law" } else { "" }, line)?;
        }
        Ok(())
    }
}

struct Rendered<'a>(&'a CapacityReport);

impl Display for Rendered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(f, "capacity: {}", words::verdict(report))?;
        item(f, "", &words::answer(report))?;
        for line in words::explanations(report) {
            item(f, "", &line)?;
        }
        writeln!(f)?;
        item(f, "limits", &words::question(report))?;
        item(f, "server", &report.target)?;
        let [search, fresh] = words::rows(report);
        table(f, "", &search)?;
        if !fresh.is_empty() {
            table(f, "fresh starts", &fresh)?;
        }
        writeln!(f)?;
        for (name, fact) in words::facts(report) {
            item(f, name, &fact)?;
        }
        parts::thresholds(f, &report.thresholds, show, [30, 22])?;
        for (i, line) in words::sizing(report).iter().enumerate() {
            if i == 0 {
                writeln!(f)?;
            }
            item(f, if i == 0 { "need" } else { "" }, line)?;
        }
        report.notes.iter().try_for_each(|note| item(f, "note", note))
    }
}

fn table(f: &mut Formatter<'_>, title: &str, rows: &[Row]) -> fmt::Result {
    let row = |f: &mut Formatter<'_>, cells: &[&str]| {
        let line: String = cells.iter().zip(COLUMNS).map(|(cell, width)| format!("{cell:>width$}")).collect();
        writeln!(f, "{INDENT}{line}")
    };
    writeln!(f)?;
    if title.is_empty() {
        row(f, &words::HEADS)?;
    } else {
        writeln!(f, "{INDENT}{title}")?;
    }
    rows.iter().try_for_each(|cells| row(f, &words::cells(cells).each_ref().map(String::as_str)))
}

/// Widths of the columns, 78 in all.
const COLUMNS: [usize; 8] = [12, 12, 10, 10, 10, 8, 8, 6];
