//! The report of held connections to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter};

use crate::judge::held_threshold::show;
use crate::judge::threshold::Standing;
use crate::judge::trust::Level;
use crate::report::connections::{ConnectionsReport, words};
use crate::report::formats::text::run::{INDENT, item};

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
        times(report, f)?;
        memory(report, f)?;
        for (name, fact) in words::facts(report) {
            item(f, name, &fact)?;
        }
        thresholds(report, f)?;
        let verdict = match report.trust.level {
            Level::Valid => "valid",
            Level::Bounded => "BOUNDED, because",
            Level::NotValid => "NOT VALID, because",
        };
        writeln!(f, "\n{INDENT}trust       {verdict}")?;
        report.trust.reasons.iter().try_for_each(|reason| item(f, "          -", reason))?;
        report.trust.notes.iter().try_for_each(|note| item(f, "note", note))
    }
}

fn times(report: &ConnectionsReport, f: &mut Formatter<'_>) -> fmt::Result {
    let row = |f: &mut Formatter<'_>, name: &str, cells: &[String]| {
        write!(f, "{INDENT}{name:<20}")?;
        cells.iter().try_for_each(|cell| write!(f, "{cell:>13}"))?;
        writeln!(f)
    };
    writeln!(f)?;
    row(f, "", &words::HEADS.map(str::to_owned))?;
    words::distributions(report).iter().try_for_each(|(name, stats)| row(f, name, &words::cells(stats)))
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

fn thresholds(report: &ConnectionsReport, f: &mut Formatter<'_>) -> fmt::Result {
    for (i, judged) in report.thresholds.iter().enumerate() {
        let (limit, value) = show(judged);
        let outcome = match judged.outcome {
            Standing::Met => "met",
            Standing::Crossed => "CROSSED",
            Standing::Unknown => "UNKNOWN",
        };
        let (label, blank) = if i == 0 { ("thresholds", "\n") } else { ("", "") };
        writeln!(f, "{blank}{INDENT}{label:<12}{outcome:<8} {limit:<38} {value:>14}")?;
        if judged.outcome == Standing::Unknown {
            item(f, "", judged.why_unknown())?;
        }
    }
    Ok(())
}
