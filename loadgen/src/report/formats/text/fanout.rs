//! The report of a fan-out to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter};

use super::parts;
use crate::judge::held_threshold::show;
use crate::measure::fanout_metric::FanoutMetric;
use crate::report::fanout::{FanoutReport, words};
use crate::report::formats::text::parts::{INDENT, item};

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
        parts::times(f, &words::distributions(report))?;
        writeln!(f)?;
        for (name, fact) in words::facts(report) {
            item(f, name, &fact)?;
        }
        parts::thresholds(f, &report.thresholds, show::<FanoutMetric>, [38, 14])?;
        parts::trust(f, &report.trust, &report.trust.notes)
    }
}
