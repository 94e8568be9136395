//! The report of a fan-out as Markdown, for the summary of a job or a comment.

use std::fmt::Write as _;

use crate::judge::held_threshold::show_of;
use crate::judge::threshold::Standing;
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
    line(format!("| | {} |\n|---|---:|---:|---:|---:|", words::HEADS.join(" | ")));
    for (name, stats) in words::distributions(report) {
        line(format!("| {name} | {} |", words::cells(stats).join(" | ")));
    }
    line(String::new());
    for (name, fact) in words::facts(report) {
        let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
        line(format!("- {name}{}", escaped(&fact)));
    }
    for judged in &report.thresholds {
        let (limit, value) = show_of::<FanoutMetric>(judged);
        let outcome = match judged.outcome {
            Standing::Met => "met",
            Standing::Crossed => "**crossed**",
            Standing::Unknown => "**unknown**",
        };
        line(format!("- {outcome}: {} ({})", escaped(&limit), escaped(&value)));
    }
    for reason in &report.trust.reasons {
        let level = if report.trust.is_bounded() { "bounded" } else { "not valid" };
        line(format!("- {level}: {}", escaped(reason)));
    }
    for note in &report.trust.notes {
        line(format!("- note: {}", escaped(note)));
    }
    out
}
