//! The report to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter, Write as _};

use hdrhistogram::Histogram;

use super::parts::{self, INDENT, item};
use crate::judge::threshold::Judged;
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
            // What went wrong or became of datagrams, where latencies end, and how workers waited may take several lines.
            if matches!(name, "" | "datagrams" | "latency" | "pacing") {
                item(f, name, &fact)
            } else {
                writeln!(f, "{INDENT}{name:<12}{fact}")
            }?;
        }
        parts::thresholds(f, &report.thresholds, Judged::show, [34, 14])?;
        baseline(report, f)?;
        parts::trust(f, &report.trust, &words::notes(report))
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
        let what = if change.is_of_tls() { "spoke TLS otherwise" } else { "another environment" };
        item(f, "note", &format!("{what}: {change}"))?;
    }
    item(f, "note", &format!("weaker than a paired comparison: {}", baseline.caveat))
}

/// Columns of a figure.
const COLUMN: usize = 13;
