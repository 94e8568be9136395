//! The report as a page: one file without scripts or anything from elsewhere, light or dark as the reader's screen is,
//! and readable on a phone.

mod canvas;
mod capacity;
mod charts;
mod comparison;
mod connections;
mod fanout;
mod series;
mod sweep;
mod ticks;
mod warmup;

use std::time::SystemTime;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Format, FormatError, Part, one};
use crate::host::environment::Environment;
use crate::judge::outcome::Outcome;
use crate::judge::threshold::{Judged, Standing};
use crate::judge::trust::Trust;
use crate::measure::encoded::DecodeError;
use crate::measure::metric::Metric;
use crate::report::capacities::Capacities;
use crate::report::capacity::CapacityReport;
use crate::report::comparison::Comparison;
use crate::report::connections::ConnectionsReport;
use crate::report::fanout::FanoutReport;
use crate::report::formats::text::comparison as text;
use crate::report::saved::Document;
use crate::report::sweep::{Sweep, words as sweep_words};
use crate::report::words::experiments::{HEADS, cells};
use crate::report::words::{self, Headline};
use crate::report::{Report, Stats};
use crate::units;

/// The format.
pub const FORMAT: Format = Format {
    name: "html",
    help: "One self-contained page with charts",
    keeps_runs_apart: false,
    is_two_files: false,
    render,
};

fn render(document: &Document) -> Result<Vec<Part>, FormatError> {
    match document {
        Document::Runs(runs) => one(render_runs(runs)?),
        Document::Comparison(comparison) => one(render_comparison(comparison)),
        Document::Sweep(sweep) => one(render_sweep(sweep)),
        Document::Connections(report) => one(render_connections(report)),
        Document::Capacity(report) => one(render_capacity(report)),
        Document::Capacities(report) => one(render_capacities(report)),
        Document::Fanout(report) => one(render_fanout(report)),
    }
}

/// The runs as one page.
///
/// # Errors
/// When a report's histograms cannot be read.
fn render_runs(runs: &[Report]) -> Result<String, DecodeError> {
    let sections = runs.iter().map(section).collect::<Result<Vec<_>, _>>()?;
    let title = match runs {
        [run] => format!("{}: {}", run.name, words::headline(run).load),
        _ => format!("{} runs", runs.len()),
    };
    let content = html! {
        (charts::rates(runs))
        @for section in &sections { (section) }
    };
    Ok(page(&title, &content, runs.first().map(|run| &run.environment)))
}

/// A comparison as one page.
fn render_comparison(comparison: &Comparison) -> String {
    let title = format!("{}: {}", comparison.b.target, text::name(comparison.change));
    let content = html! {
        (comparison::section(comparison))
        (machine(&comparison.environment, comparison.began_at))
    };
    page(&title, &content, Some(&comparison.environment))
}

/// A sweep as one page.
fn render_sweep(sweep: &Sweep) -> String {
    let title = format!("sweep: {}", sweep_words::load(sweep));
    let content = html! {
        (sweep::section(sweep))
        (machine(&sweep.environment, sweep.began_at))
    };
    page(&title, &content, Some(&sweep.environment))
}

/// Held connections as one page.
fn render_connections(report: &ConnectionsReport) -> String {
    let content = html! {
        (connections::section(report))
        (machine(&report.environment, report.began_at))
    };
    page(&format!("connections: {}", report.target), &content, Some(&report.environment))
}

/// A capacity as one page.
fn render_capacity(report: &CapacityReport) -> String {
    let content = html! {
        (capacity::section(report))
        (machine(&report.environment, report.began_at))
    };
    page(&format!("capacity: {}", report.target), &content, Some(&report.environment))
}

/// Capacities along an axis as one page.
fn render_capacities(report: &Capacities) -> String {
    let content = html! {
        (capacity::along(report))
        @for point in &report.points { (capacity::section(&point.capacity)) }
    };
    let environment = report.points.first().map(|point| &point.capacity.environment);
    page(&format!("capacity over {}", report.axis.name()), &content, environment)
}

/// A fan-out as one page.
fn render_fanout(report: &FanoutReport) -> String {
    let content = html! {
        (fanout::section(report))
        (machine(&report.environment, report.began_at))
    };
    page(&format!("fan-out: {}", report.target), &content, Some(&report.environment))
}

/// Distributions of times, a row each.
fn times(distributions: &[(&str, &Stats)]) -> Markup {
    html! {
        div.panel {
            h3 { "Times" }
            div.scroll {
                table {
                    thead { tr { td {} @for name in HEADS { th.number scope="col" { (name) } } } }
                    tbody {
                        @for (name, stats) in distributions {
                            tr { th scope="row" { (name) } @for cell in cells(stats) { td.number { (cell) } } }
                        }
                    }
                }
            }
        }
    }
}

fn page(title: &str, content: &Markup, environment: Option<&Environment>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Whatever a report may hold, the page loads nothing and runs nothing.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { span.brand { "Fathom" } " load report" }
                main { (content) }
                @if let Some(environment) = environment {
                    footer { "loadgen " (environment.fathom) ", " (environment.git_revision) }
                }
            }
        }
    };
    page.into_string()
}

fn section(run: &Report) -> Result<Markup, DecodeError> {
    let Headline { load, messages, throughput } = words::headline(run);
    Ok(html! {
        section {
            div.title {
                h1 { (run.name) }
                (verdict(run))
            }
            p.lead { (load) br; (run.target) br; (messages) }
            (reasons(&run.trust))
            (tiles(run, &throughput)?)
            (thresholds(&run.thresholds, Judged::show))
            (charts::of(run)?)
            div.columns {
                @if run.latency.count > 0 { (percentiles(run)?) }
                (facts(run))
            }
            (baseline(run))
            (machine(&run.environment, run.began_at))
        }
    })
}

fn reasons(trust: &Trust) -> Markup {
    html! {
        @if !trust.reasons.is_empty() {
            div.reasons {
                @if trust.is_bounded() { p { "Latencies are bounds, because" } }
                @else { p { "The figures are not to be trusted, because" } }
                ul { @for reason in &trust.reasons { li { (reason) } } }
            }
        }
    }
}

fn verdict(run: &Report) -> Markup {
    let (class, text) = match run.outcome() {
        Outcome::Ok if run.trust.is_bounded() => ("good", "bounded"),
        Outcome::Ok => ("good", "valid"),
        Outcome::Crossed => ("bad", "threshold crossed"),
        Outcome::Untrusted if run.trust.is_bounded() => ("doubtful", "threshold undecided"),
        Outcome::Untrusted | Outcome::OutOfSight(_) => ("doubtful", "not to be trusted"),
        Outcome::Failed | Outcome::Usage => ("bad", "failed"),
        Outcome::Interrupted => ("doubtful", "interrupted"),
    };
    html! { span.badge.(class) { (text) } }
}

fn tiles(run: &Report, throughput: &str) -> Result<Markup, DecodeError> {
    let tiles = [
        ("median", Metric::latency(50.0)),
        ("p99", Metric::latency(99.0)),
        ("p99.9", Metric::latency(99.9)),
        ("of the offered rate", Metric::Achieved),
        ("server CPU per message", Metric::ServerCpu),
    ];
    let mut shown = Vec::new();
    for (name, metric) in tiles {
        let bounds = match metric {
            Metric::Time(_, statistic) => run.latency_bounds(statistic)?,
            _ => None,
        };
        let figure = run.figure(metric)?.map(|value| metric.show(value));
        shown.extend(bounds.map(|(low, high)| units::times(low, high)).or(figure).map(|figure| (name, figure)));
    }
    Ok(html! {
        dl.tiles {
            div title=(throughput) {
                dt { "messages per second" }
                dd { (units::number(run.throughput.messages_per_second)) }
            }
            @for (name, value) in shown { div { dt { (name) } dd { (value) } } }
        }
    })
}

/// What became of limits, each shown as `show` does: the limit, and the value that it is held against.
fn thresholds(judged: &[Judged], show: impl Fn(&Judged) -> (String, String)) -> Markup {
    html! {
        @if !judged.is_empty() {
            div.panel {
                h3 { "Thresholds" }
                table {
                    @for judged in judged {
                        @let (limit, value) = show(judged);
                        @let value = if judged.outcome == Standing::Unknown { judged.why_unknown().to_owned() } else { value };
                        @let (class, outcome) = match judged.outcome {
                            Standing::Met => ("good", "met"),
                            Standing::Crossed => ("bad", "crossed"),
                            Standing::Unknown => ("doubtful", "unknown"),
                        };
                        tr {
                            td { span.badge.(class) { (outcome) } }
                            th scope="row" { (limit) }
                            td.number { (value) }
                        }
                    }
                }
            }
        }
    }
}

fn percentiles(run: &Report) -> Result<Markup, DecodeError> {
    let columns = words::columns(run);
    let rows = words::percentiles(run)?;
    Ok(html! {
        div.panel {
            h3 { "Percentiles" }
            div.scroll {
                table {
                    thead {
                        tr {
                            td {}
                            @for (name, _) in &columns { th.number scope="col" { (name) } }
                        }
                    }
                    tbody {
                        @for (name, cells) in &rows {
                            tr {
                                th scope="row" { (name) }
                                @for cell in cells { td.number { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    })
}

fn facts(run: &Report) -> Markup {
    html! {
        div.panel {
            h3 { "Counts, costs, machine" }
            dl.facts {
                @for (name, fact) in words::facts(run) {
                    div { dt { (name) } dd { (fact) } }
                }
                @for note in words::notes(run) { div { dt { "note" } dd { (note) } } }
            }
        }
    }
}

fn baseline(run: &Report) -> Markup {
    html! {
        @if let Some(baseline) = &run.baseline {
            div.panel {
                h3 { "Against " (baseline.file().display()) }
                p {
                    "Measured " (humantime::format_rfc3339_seconds(baseline.began_at)) " from " (baseline.git_revision)
                    @if !baseline.valid { "; its own figures were bounds, or not to be trusted" }
                    ". Weaker than a paired comparison: " (baseline.caveat) "."
                }
                @if !baseline.environment_changes.is_empty() {
                    ul { @for change in &baseline.environment_changes { li { (change) } } }
                }
                div.scroll {
                    table {
                        thead {
                            tr { td {} @for name in ["then", "now", "change"] { th.number scope="col" { (name) } } }
                        }
                        tbody {
                            @for change in &baseline.figures {
                                @let [metric, then, now, change] = change.show();
                                tr {
                                    th scope="row" { (metric) }
                                    @for cell in [then, now, change] { td.number { (cell) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn machine(environment: &Environment, began_at: SystemTime) -> Markup {
    let plan = serde_json::to_string_pretty(&environment.plan).expect("a plan is plain data");
    let config = environment.server_config.as_ref();
    let config = config.map(|config| serde_json::to_string_pretty(config).expect("it was read as JSON"));
    let known = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
    let rows = [
        ("began", humantime::format_rfc3339_seconds(began_at).to_string()),
        ("CPU", known(environment.cpu.clone())),
        (
            "cores",
            format!(
                "{} allowed of {}",
                environment.cores.allowed,
                known(environment.cores.online.map(|n| n.to_string()))
            ),
        ),
        ("governor", known(environment.governor.clone())),
        ("memory", known(environment.memory_bytes.map(units::memory))),
        ("kernel", format!("Linux {} on {}", environment.kernel, environment.architecture)),
        ("revision", format!("{}, {}", environment.git_revision, environment.rustc)),
        ("seed", environment.seed.to_string()),
    ];
    html! {
        div.panel {
            h3 { "Environment" }
            dl.facts { @for (name, value) in rows { div { dt { (name) } dd { (value) } } } }
            details { summary { "Plan" } pre { (plan) } }
            @if let Some(config) = config { details { summary { "Server's configuration" } pre { (config) } } }
        }
    }
}

const STYLE: &str = include_str!("style.css");
