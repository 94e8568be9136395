//! The report of a capacity as Markdown, for the summary of a job or a comment.

use std::fmt::Write as _;

use super::parts;
use crate::judge::capacity::show;
use crate::report::capacities::Capacities;
use crate::report::capacity::{CapacityReport, words};
use crate::report::formats::markdown::run::escaped;

/// Capacities along an axis: a table, and each by itself.
pub fn all(report: &Capacities) -> String {
    let mut out = format!("### Capacity over {}\n\n", report.axis.name());
    out += &format!("| {} |\n|---:|---:|---:|---:|---|\n", report.heads().join(" | "));
    for cells in report.rows() {
        out += &format!("| {} |\n", cells.join(" | "));
    }
    out.push('\n');
    for line in report.law_in_words() {
        out += &format!("- {}\n", escaped(&line));
    }
    for point in &report.points {
        out += &format!("\n#### {}\n\n{}", report.name(point), render(&point.capacity));
    }
    out
}

/// The report.
pub fn render(report: &CapacityReport) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes every write");
    line(format!("### Capacity: {}\n", words::verdict(report)));
    line(format!("**{}**\n", escaped(&words::answer(report))));
    for explanation in words::explanations(report) {
        line(format!("- {}", escaped(&explanation)));
    }
    line(format!("- limits: {}", escaped(&words::question(report))));
    line(format!("- server: {}\n", escaped(&report.target)));
    line(format!("| {} | of |\n|---:|---:|---:|---:|---:|---:|---:|---:|---|", words::HEADS.join(" | ")));
    for (rows, of) in words::rows(report).into_iter().zip(["search", "fresh starts"]) {
        for row in rows {
            line(format!("| {} | {of} |", words::cells(&row).join(" | ")));
        }
    }
    out.push('\n');
    out += &parts::facts(&words::facts(report));
    out += &parts::thresholds(&report.thresholds, show);
    for step in words::sizing(report) {
        out += &format!("- need: {}\n", escaped(&step));
    }
    out + &parts::notes(&report.notes)
}
