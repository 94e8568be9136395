//! The comparison as GitHub's markdown: the verdict first, then what it stands on.

use std::fmt::Write as _;

use crate::judge::statistics::Change;
use crate::report::comparison::Comparison;
use crate::report::formats::markdown::run::escaped;
use crate::report::formats::text::comparison as text;
use crate::report::words;
use crate::units;

/// The comparison.
pub fn render(comparison: &Comparison) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes every write");
    let mark = match (comparison.trust.is_valid(), comparison.change) {
        (true, Change::Equivalent | Change::Improved | Change::NotWorse) => "\u{2705}",
        (true, Change::Regressed) => "\u{274c}",
        (false, _) | (_, Change::Inconclusive) => "\u{26a0}\u{fe0f}",
    };
    let what = if comparison.aa { "A/A" } else { "Comparison" };
    line(format!("### {what}: {mark} {}\n", text::name(comparison.change)));
    line(format!("{}\n", escaped(&text::verdict(comparison))));
    let reasons: Vec<String> = text::reasons(comparison).map(|reason| format!("- {}", escaped(&reason))).collect();
    line(reasons.join("\n") + "\n");
    let plan = &comparison.environment.plan;
    line(format!("- A: {}\n- B: {}", escaped(&comparison.a.target), escaped(&comparison.b.target)));
    line(format!("- {}; {}", escaped(&words::compared(comparison)), escaped(&words::what(&plan.message))));
    let pairs: usize = comparison.starts.iter().map(|start| start.pairs.len()).sum();
    line(format!(
        "- {} in {}, {}\n",
        units::counted(pairs as u64, "pair"),
        units::counted(comparison.starts.len() as u64, comparison.observation()),
        units::seconds(comparison.elapsed_seconds)
    ));
    line("| metric | A | B | change | interval | verdict |\n|---|---:|---:|---:|---:|---|".to_owned());
    for metric in &comparison.metrics {
        let [a, b, change, interval, called] = text::cells(metric);
        line(format!("| {} | {a} | {b} | {change} | {interval} | {called} |", metric.metric));
    }
    line(text::about_intervals(comparison).map_or(String::new(), |about| format!("\n{}\n", escaped(&about))));
    for (_, fact) in words::way_to_both(comparison) {
        line(format!("- {}", escaped(&fact)));
    }
    for reason in &comparison.trust.reasons {
        line(format!("- not valid: {}", escaped(reason)));
    }
    for note in &comparison.trust.notes {
        line(format!("- note: {}", escaped(note)));
    }
    out
}
