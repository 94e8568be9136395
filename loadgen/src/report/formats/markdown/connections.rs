//! The report of held connections as Markdown, for the summary of a job or a comment.

use std::fmt::Write as _;

use super::parts;
use crate::judge::held_threshold::show;
use crate::measure::held_metric::HeldMetric;
use crate::report::connections::{ConnectionsReport, words};
use crate::report::formats::markdown::run::escaped;

/// The report.
pub fn render(report: &ConnectionsReport) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes every write");
    line(format!("### Connections: {}\n", words::verdict(report)));
    line(format!("- {}", escaped(&words::course(report).join(", "))));
    line(format!("- {}\n", escaped(&report.target)));
    out += &parts::times(&words::distributions(report));
    out += &format!("\n| {} |\n|---|---:|---:|---:|\n", words::MEMORY_HEADS.join(" | "));
    for cells in words::memory_rows(report) {
        out += &format!("| {} |\n", cells.join(" | "));
    }
    out.push('\n');
    out += &parts::facts(&words::facts(report));
    out += &parts::thresholds(&report.thresholds, show::<HeldMetric>);
    out + &parts::trust(&report.trust)
}
