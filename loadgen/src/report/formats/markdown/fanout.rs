//! The report of a fan-out as Markdown, for the summary of a job or a comment.

use std::fmt::Write as _;

use super::parts;
use crate::judge::held_threshold::show;
use crate::measure::fanout_metric::FanoutMetric;
use crate::report::fanout::{FanoutReport, words};
use crate::report::formats::markdown::run::escaped;

/// The report.
pub fn render(report: &FanoutReport) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes every write");
    line(format!("### Fan-out: {}\n", words::verdict(report)));
    line(format!("- {}", escaped(&words::course(report).join(", "))));
    line(format!("- {}\n", escaped(&report.target)));
    out += &parts::times(&words::distributions(report));
    out.push('\n');
    out += &parts::facts(&words::facts(report));
    out += &parts::thresholds(&report.thresholds, show::<FanoutMetric>);
    out + &parts::trust(&report.trust)
}
