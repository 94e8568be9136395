//! The report to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter, Write as _};

use hdrhistogram::Histogram;

use crate::judge::threshold::Standing;
use crate::judge::trust::Level;
use crate::measure::encoded::DecodeError;
use crate::report::Report;
use crate::report::formats::sketch;
use crate::report::words::{self, Headline};

/// Renders a report as lines of text.
pub fn render(report: &Report) -> Result<String, DecodeError> {
    let latency = report.latency.histogram.decode()?;
    let mut text = String::new();
    let percentiles = words::percentiles(report)?;
    write!(text, "{}", Rendered { report, latency: &latency, percentiles: &percentiles })
        .expect("a String takes every write");
    Ok(text)
}

struct Rendered<'a> {
    report: &'a Report,
    latency: &'a Histogram<u64>,
    percentiles: &'a [(&'static str, Vec<String>)],
}

impl Display for Rendered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let report = self.report;
        let Headline { load, messages, throughput } = words::headline(report);
        writeln!(f, "{}: {load}\n{INDENT}{}\n{INDENT}{messages}\n", report.name, report.target)?;
        writeln!(f, "{INDENT}throughput  {throughput}\n")?;
        if report.latency.count > 0 {
            if let Some(bounded) = words::bounded(report) {
                item(f, "latency", &bounded)?;
                writeln!(f)?;
            }
            percentiles(report, self.percentiles, f)?;
            writeln!(f, "\n{}", sketch::draw(self.latency, INDENT))?;
        }
        for (name, fact) in words::facts(report) {
            // What went wrong, where latencies end, and how workers waited may take several lines.
            if name.is_empty() || name == "latency" || name == "pacing" {
                item(f, name, &fact)
            } else {
                writeln!(f, "{INDENT}{name:<12}{fact}")
            }?;
        }
        thresholds(report, f)?;
        baseline(report, f)?;
        trust(report, f)
    }
}

fn percentiles(report: &Report, rows: &[(&str, Vec<String>)], f: &mut Formatter<'_>) -> fmt::Result {
    let names: Vec<String> = words::columns(report).iter().map(|(name, _)| (*name).to_owned()).collect();
    // An interval may need more room.
    let first = rows.iter().map(|(_, cells)| cells[0].chars().count() + 2).max().unwrap_or(0).max(COLUMN);
    std::iter::once(("", &names)).chain(rows.iter().map(|(name, cells)| (*name, cells))).try_for_each(
        |(name, cells)| {
            write!(f, "{INDENT}{name:<8}{:>first$}", cells[0])?;
            cells[1..].iter().try_for_each(|cell| write!(f, "{cell:>COLUMN$}"))?;
            writeln!(f)
        },
    )
}

fn thresholds(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    for (i, judged) in report.thresholds.iter().enumerate() {
        let (limit, value) = judged.show();
        let outcome = match judged.outcome {
            Standing::Met => "met",
            Standing::Crossed => "CROSSED",
            Standing::Unknown => "UNKNOWN",
        };
        let label = if i == 0 { "thresholds" } else { "" };
        let blank = if i == 0 { "\n" } else { "" };
        writeln!(f, "{blank}{INDENT}{label:<12}{outcome:<8} {limit:<34} {value:>14}")?;
        if judged.outcome == Standing::Unknown {
            item(f, "", judged.why_unknown())?;
        }
    }
    Ok(())
}

fn baseline(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    let Some(baseline) = &report.baseline else { return Ok(()) };
    let began_at = humantime::format_rfc3339_seconds(baseline.began_at);
    writeln!(f)?;
    item(f, "baseline", &format!("{}, {began_at}, {}", baseline.file().display(), baseline.git_revision))?;
    writeln!(f, "{INDENT}{:<18}{:>16}{:>16}{:>10}", "", "baseline", "now", "change")?;
    for change in &baseline.figures {
        let [metric, then, now, change] = change.show();
        writeln!(f, "{INDENT}{metric:<18}{then:>16}{now:>16}{change:>10}")?;
    }
    if !baseline.valid {
        item(f, "note", "the baseline's own figures were bounds, or not to be trusted")?;
    }
    for change in &baseline.environment_changes {
        item(f, "note", &format!("another environment: {change}"))?;
    }
    item(f, "note", &format!("weaker than a paired comparison: {}", baseline.caveat))
}

fn trust(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    let trust = &report.trust;
    let verdict = match trust.level {
        Level::Valid => "valid",
        Level::Bounded => "BOUNDED, because",
        Level::NotValid => "NOT VALID, because",
    };
    writeln!(f, "\n{INDENT}trust       {verdict}")?;
    trust.reasons.iter().try_for_each(|reason| item(f, "          -", reason))?;
    words::notes(report).iter().try_for_each(|note| item(f, "note", note))
}

/// A labelled text of as many lines as it takes.
pub(crate) fn item(f: &mut Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    labels.zip(wrap(text, WIDTH - MARGIN)).try_for_each(|(label, line)| writeln!(f, "{INDENT}{label:<12}{line}"))
}

/// Breaks text at spaces into lines of at most `width` characters; a longer word stays whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("it begins with one line and only grows");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

pub(crate) const INDENT: &str = "  ";

/// Columns of the narrowest terminal in use.
const WIDTH: usize = 80;

/// Columns of a figure.
const COLUMN: usize = 13;

/// Columns before the text of an item.
const MARGIN: usize = 14;
