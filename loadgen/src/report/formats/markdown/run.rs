//! Markdown as GitHub shows it (github.github.com/gfm), for the summary of a job or a comment: the verdict first.

use std::fmt::Write as _;

use crate::judge::outcome::Outcome;
use crate::judge::threshold::Standing;
use crate::judge::trust::Level;
use crate::measure::encoded::DecodeError;
use crate::report::Report;
use crate::report::words::{self, Headline};

/// The runs, one after another.
///
/// # Errors
/// When a report's histograms cannot be read.
pub fn render(runs: &[Report]) -> Result<String, DecodeError> {
    let sections = runs.iter().map(section).collect::<Result<Vec<_>, _>>()?;
    Ok(sections.join("\n"))
}

fn section(run: &Report) -> Result<String, DecodeError> {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes every write");
    let verdict = match run.outcome() {
        Outcome::Ok if run.trust.is_bounded() => "\u{2705} measured, latencies as bounds",
        Outcome::Ok => "\u{2705} measured",
        Outcome::Crossed => "\u{274c} a threshold was crossed",
        Outcome::Untrusted if run.trust.is_bounded() => {
            "\u{26a0}\u{fe0f} latencies as bounds, which do not decide a threshold"
        }
        Outcome::Untrusted | Outcome::OutOfSight(_) => "\u{26a0}\u{fe0f} not to be trusted",
        Outcome::Failed | Outcome::Usage => "\u{274c} failed",
        Outcome::Interrupted => "\u{26a0}\u{fe0f} interrupted",
    };
    let Headline { load, messages, throughput } = words::headline(run);
    line(format!("### {}: {verdict}\n", escaped(&run.name)));
    line(format!("**{}**\n", escaped(&throughput)));
    line(format!("{}, {}; {}\n", escaped(&load), escaped(&run.target), escaped(&messages)));
    if let Some(bounded) = words::bounded(run) {
        line(format!("{}\n", escaped(&bounded)));
    }
    let level = if run.trust.level == Level::Bounded { "bounded" } else { "not valid" };
    for reason in &run.trust.reasons {
        line(format!("- {level}: {}", escaped(reason)));
    }
    if !run.trust.reasons.is_empty() {
        line(String::new());
    }
    if !run.thresholds.is_empty() {
        line("| | threshold | value |\n|---|---|---|".to_owned());
        for judged in &run.thresholds {
            let (limit, value) = judged.show();
            let mark = match judged.outcome {
                Standing::Met => "\u{2705} met",
                Standing::Crossed => "\u{274c} crossed",
                Standing::Unknown => "\u{26a0}\u{fe0f} unknown",
            };
            let value = if judged.value.is_some() { value } else { escaped(judged.why_unknown()) };
            line(format!("| {mark} | {} | {value} |", escaped(&limit)));
        }
        line(String::new());
    }
    if run.latency.count > 0 {
        line(percentiles(run)?);
    }
    if let Some(baseline) = &run.baseline {
        let file = escaped(&baseline.file().display().to_string());
        line(format!("| against {file} | then | now | change |\n|---|---:|---:|---:|"));
        for change in &baseline.figures {
            let [metric, then, now, change] = change.show();
            line(format!("| {metric} | {then} | {now} | {change} |"));
        }
        line(format!("\n_Weaker than a paired comparison: {}._\n", escaped(&baseline.caveat)));
    }
    line("<details><summary>Counts, costs, machine</summary>\n".to_owned());
    for (name, value) in words::facts(run) {
        line(format!("- {name}: {}", escaped(&value)));
    }
    for note in words::notes(run) {
        line(format!("- note: {}", escaped(&note)));
    }
    line("\n</details>".to_owned());
    Ok(out)
}

fn percentiles(run: &Report) -> Result<String, DecodeError> {
    let columns = words::columns(run);
    let mut table = String::from("| |");
    columns.iter().for_each(|(name, _)| table += &format!(" {name} |"));
    table += "\n|---|";
    columns.iter().for_each(|_| table += "---:|");
    for (name, cells) in words::percentiles(run)? {
        table += &format!("\n| {name} |");
        cells.iter().for_each(|cell| table += &format!(" {cell} |"));
    }
    Ok(table + "\n")
}

/// Text that is not to be taken for markup; on one line, since tables and lists end with theirs.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        match c {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '@' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}
