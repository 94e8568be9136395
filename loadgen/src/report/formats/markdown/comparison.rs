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
        (true, Change::Equivalent | Change::Improved) => "\u{2705}",
        (true, Change::Regressed) => "\u{274c}",
        (false, _) | (_, Change::Inconclusive) => "\u{26a0}\u{fe0f}",
    };
    let what = if comparison.aa { "A/A" } else { "Comparison" };
    line(format!("### {what}: {mark} {}\n", text::name(comparison.change)));
    line(format!("{}\n", escaped(&text::verdict(comparison))));
    let plan = &comparison.environment.plan;
    line(format!("- A: {}\n- B: {}", escaped(&comparison.a.target), escaped(&comparison.b.target)));
    line(format!("- {}; {}", escaped(&words::load(plan)), escaped(&words::what(&plan.message))));
    let pairs: usize = comparison.starts.iter().map(|start| start.pairs.len()).sum();
    line(format!(
        "- {} pairs in {} starts, {}\n",
        units::count(pairs as u64),
        units::count(comparison.starts.len() as u64),
        units::seconds(comparison.elapsed_seconds)
    ));
    line("| metric | A | B | change | 95% interval | verdict |\n|---|---:|---:|---:|---:|---|".to_owned());
    for metric in &comparison.metrics {
        let [a, b, change, interval, called] = text::cells(metric);
        line(format!("| {} | {a} | {b} | {change} | {interval} | {called} |", metric.metric));
    }
    line(String::new());
    for reason in &comparison.trust.reasons {
        line(format!("- not valid: {}", escaped(reason)));
    }
    for note in &comparison.trust.notes {
        line(format!("- note: {}", escaped(note)));
    }
    out
}
