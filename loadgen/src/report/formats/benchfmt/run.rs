//! Go's benchmark format (golang.org/design/14313-benchmark-format, and its units of golang/go#43744): a line for each
//! run, so that benchstat has its spread from the runs of one file.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::time;
use crate::host::environment::Environment;
use crate::measure::encoded::DecodeError;
use crate::measure::metric::{Metric, Unit};
use crate::plan::{Load, Plan};
use crate::report::Report;

/// The runs as benchmark results, those without a reply left out.
///
/// # Errors
/// When a report's histograms cannot be read.
pub fn render(runs: &[Report]) -> Result<String, DecodeError> {
    let mut text = String::new();
    write(runs, &mut text)?.expect("a String takes every write");
    Ok(text)
}

fn write(runs: &[Report], text: &mut String) -> Result<fmt::Result, DecodeError> {
    let mut lines = String::new();
    let mut units = BTreeMap::new();
    let mut configured = String::new();
    for run in runs {
        // A benchmark runs once at least; a run without a reply has no figures either.
        if run.messages.verified == 0 {
            continue;
        }
        let configuration = configuration(&run.environment) + &format!("trust: {}\n", run.trust.level);
        if configuration != configured {
            lines += &configuration;
            configured = configuration;
        }
        let mut line = format!("{}\t{}", name(run), run.messages.verified);
        for metric in Metric::catalogue() {
            if let Some(value) = run.figure(metric)? {
                let unit = unit(metric);
                line += &format!("\t{value} {unit}");
                units.insert(unit, metric.better());
            }
        }
        lines += &line;
        lines.push('\n');
    }
    Ok((|| {
        for (unit, better) in units {
            text.write_str(&super::better(&unit, better))?;
        }
        text.write_str(&lines)
    })())
}

/// What all figures after it were measured on, a `key: value` a line.
pub(crate) fn configuration(environment: &Environment) -> String {
    // The names that the Go tools use for what they know.
    let architecture = match environment.architecture.as_str() {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut lines = format!("goos: linux\ngoarch: {}\npkg: fathom\n", one_line(architecture));
    for (key, value) in [
        ("cpu", environment.cpu.as_deref()),
        ("kernel", Some(environment.kernel.as_str())),
        ("commit", Some(environment.git_revision.as_str())),
    ] {
        if let Some(value) = value {
            lines += &format!("{key}: {}\n", one_line(value));
        }
    }
    lines
}

/// The run's name, and after slashes what it is a run of.
fn name(run: &Report) -> String {
    let mut name = String::from("Benchmark");
    for word in run.name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.extend(letters);
    }
    name + &load(&run.environment.plan)
}

/// What a benchmark is one of, `/key=value` each.
pub(crate) fn load(plan: &Plan) -> String {
    let connections = plan.connections;
    let (load, size) = (&plan.load, plan.message.size);
    let mut keys = match load {
        Load::Closed { in_flight } => format!("/loop=closed/connections={connections}/in_flight={in_flight}"),
        Load::Open { rate, .. } => format!("/loop=open/connections={connections}/rate={}", rate.get()),
    };
    keys += &format!("/size={}", size.min());
    if size.min() != size.max() {
        keys += &format!("..{}", size.max());
    }
    keys
}

/// The metric's name with its unit as the last word, where benchstat looks for `ns`.
fn unit(metric: Metric) -> String {
    let name = metric.to_string().replace('_', "-");
    match metric.unit() {
        Unit::Nanoseconds | Unit::NanosecondsPerMessage => time(&name),
        unit @ (Unit::MessagesPerSecond | Unit::BytesPerSecond) => unit.symbol().to_owned(),
        unit @ (Unit::Bytes | Unit::BytesPerConnection | Unit::BytesPerMessage) => format!("{name}-{}", unit.symbol()),
        Unit::Share | Unit::Count => name,
    }
}

/// Values end with their line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
