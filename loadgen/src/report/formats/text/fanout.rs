//! The report of a fan-out to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter};

use crate::judge::held_threshold::show_of;
use crate::judge::threshold::Standing;
use crate::judge::trust::Level;
use crate::measure::fanout_metric::FanoutMetric;
use crate::report::fanout::{FanoutReport, words};
use crate::report::formats::text::run::{INDENT, item};

/// Renders the report as lines of text.
pub fn render(report: &FanoutReport) -> String {
    Rendered(report).to_string()
}

struct Rendered<'a>(&'a FanoutReport);

impl Display for Rendered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let course = words::course(report);
        writeln!(f, "fanout: {}\n{INDENT}{}", course[0], report.target)?;
        course[1..].iter().try_for_each(|line| writeln!(f, "{INDENT}{line}"))?;
        times(report, f)?;
        writeln!(f)?;
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

fn times(report: &FanoutReport, f: &mut Formatter<'_>) -> fmt::Result {
    let row = |f: &mut Formatter<'_>, name: &str, cells: &[String]| {
        write!(f, "{INDENT}{name:<20}")?;
        cells.iter().try_for_each(|cell| write!(f, "{cell:>13}"))?;
        writeln!(f)
    };
    writeln!(f)?;
    row(f, "", &words::HEADS.map(str::to_owned))?;
    words::distributions(report).iter().try_for_each(|(name, stats)| row(f, name, &words::cells(stats)))
}

fn thresholds(report: &FanoutReport, f: &mut Formatter<'_>) -> fmt::Result {
    for (i, judged) in report.thresholds.iter().enumerate() {
        let (limit, value) = show_of::<FanoutMetric>(judged);
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
