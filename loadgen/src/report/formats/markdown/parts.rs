//! Parts that several reports in Markdown have alike, a line each: facts, limits and what became of them, trust.

use super::run::escaped;
use crate::judge::threshold::{Judged, Standing};
use crate::judge::trust::Trust;
use crate::report::Stats;
use crate::report::words::experiments::{HEADS, cells};

/// A table of distributions of times.
pub(super) fn times(distributions: &[(&str, &Stats)]) -> String {
    let row = |(name, stats): &(&str, &Stats)| format!("| {name} | {} |\n", cells(stats).join(" | "));
    let rows: String = distributions.iter().map(row).collect();
    format!("| | {} |\n|---|---:|---:|---:|---:|\n{rows}", HEADS.join(" | "))
}

/// Facts, each under its name.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let line = |(name, fact): &(&str, String)| {
        let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
        format!("- {name}{}\n", escaped(fact))
    };
    facts.iter().map(line).collect()
}

/// Judged limits, each with the limit and the value that `show` writes.
pub(super) fn thresholds(thresholds: &[Judged], show: impl Fn(&Judged) -> (String, String)) -> String {
    let line = |judged: &Judged| {
        let (limit, value) = show(judged);
        let outcome = match judged.outcome {
            Standing::Met => "met",
            Standing::Crossed => "**crossed**",
            Standing::Unknown => "**unknown**",
        };
        format!("- {outcome}: {} ({})\n", escaped(&limit), escaped(&value))
    };
    thresholds.iter().map(line).collect()
}

/// Why the figures are not valid, and what to know of them.
pub(super) fn trust(trust: &Trust) -> String {
    let level = if trust.is_bounded() { "bounded" } else { "not valid" };
    let reasons = trust.reasons.iter().map(|reason| format!("- {level}: {}\n", escaped(reason)));
    reasons.chain([notes(&trust.notes)]).collect()
}

/// What to know of the figures.
pub(super) fn notes(notes: &[String]) -> String {
    notes.iter().map(|note| format!("- note: {}\n", escaped(note))).collect()
}
