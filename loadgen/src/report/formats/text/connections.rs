//! The report of held connections to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter};

use super::parts;
use crate::judge::held_threshold::show;
use crate::measure::held_metric::HeldMetric;
use crate::report::connections::{ConnectionsReport, words};
use crate::report::formats::text::parts::{INDENT, item};

/// Renders the report as lines of text.
pub fn render(report: &ConnectionsReport) -> String {
    Rendered(report).to_string()
}

struct Rendered<'a>(&'a ConnectionsReport);

impl Display for Rendered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let [opened, held] = words::course(report);
        writeln!(f, "connections: {opened}\n{INDENT}{held}\n{INDENT}{}", report.target)?;
        words::messages(report).iter().try_for_each(|what| writeln!(f, "{INDENT}{what}"))?;
        parts::times(f, &words::distributions(report))?;
        memory(report, f)?;
        for (name, fact) in words::facts(report) {
            item(f, name, &fact)?;
        }
        parts::thresholds(f, &report.thresholds, show::<HeldMetric>, [38, 14])?;
        parts::trust(f, &report.trust, &report.trust.notes)
    }
}

fn memory(report: &ConnectionsReport, f: &mut Formatter<'_>) -> fmt::Result {
    let row = |f: &mut Formatter<'_>, [name, connections, user, kernel]: [&str; 4]| {
        writeln!(f, "{INDENT}{name:<12}{connections:>13}{user:>15}{kernel:>16}")
    };
    writeln!(f)?;
    row(f, words::MEMORY_HEADS)?;
    for cells in words::memory_rows(report) {
        row(f, cells.each_ref().map(String::as_str))?;
    }
    writeln!(f)
}
