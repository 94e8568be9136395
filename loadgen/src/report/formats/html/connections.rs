//! Held connections on a page: what each took of memory, how long the handshakes took, and what became of them.

use maud::{Markup, html};

use super::canvas::{Axis, Canvas, Role, Shape};
use super::{charts, reasons, thresholds, ticks, times};
use crate::judge::held_threshold::show;
use crate::judge::outcome::Outcome;
use crate::measure::held_metric::HeldMetric;
use crate::report::connections::parts::MemoryPoint;
use crate::report::connections::{ConnectionsReport, words};

/// The report.
pub(super) fn section(report: &ConnectionsReport) -> Markup {
    let class = match report.outcome() {
        Outcome::Ok => "good",
        Outcome::Crossed | Outcome::Failed | Outcome::Usage => "bad",
        Outcome::Untrusted | Outcome::OutOfSight(_) | Outcome::Interrupted => "doubtful",
    };
    html! {
        section {
            div.title { h1 { "Connections" } span.badge.(class) { (words::verdict(report)) } }
            p.lead { (words::course(report).join(", ")) br; (report.target) }
            (reasons(&report.trust))
            (thresholds(&report.thresholds, show::<HeldMetric>))
            (chart(report, "User memory of the server", |point| point.user_bytes))
            (chart(report, "Kernel memory of the machine", |point| point.kernel_bytes))
            (times(&words::distributions(report)))
            (memory(report))
            div.panel {
                h3 { "Counts, memory, machine" }
                dl.facts {
                    @for (name, fact) in words::facts(report) { div { dt { (name) } dd { (fact) } } }
                    @for note in &report.trust.notes { div { dt { "note" } dd { (note) } } }
                }
            }
        }
    }
}

/// Memory over connections, less what there was before the first.
fn chart(report: &ConnectionsReport, title: &str, bytes: fn(&MemoryPoint) -> Option<u64>) -> Markup {
    let Some(before) = bytes(&report.memory.before) else { return html! {} };
    let added = |point: &MemoryPoint| {
        Some((point.connections as f64, (bytes(point)? as f64 - before as f64).max(0.0) / BYTES_PER_MIB))
    };
    let points: Vec<(f64, f64)> = report.memory.steps.iter().filter_map(added).collect();
    let most = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(0.0, f64::max) * 1.05;
    let (connections, memory) = (most(|point| point.0), most(|point| point.1));
    if points.len() < 2 || memory == 0.0 {
        return html! {};
    }
    let axes = |shape| {
        let count = if shape == Shape::Wide { 8 } else { 4 };
        [(connections, count), (memory, 5)].map(|(to, count)| Axis {
            from: 0.0,
            to,
            ticks: ticks::linear(to, count),
            label: ticks::short,
        })
    };
    let draw = |canvas: &mut Canvas<'_, '_>| {
        canvas.line(&points, Role::First);
        canvas.dots(&points, Role::First);
    };
    let keys = [(Role::First, "MiB added since before the first connection")];
    charts::figure(title, "After each step of opening, by the number of connections.", &keys, axes, draw)
}

fn memory(report: &ConnectionsReport) -> Markup {
    html! {
        div.panel {
            h3 { "Memory" }
            div.scroll {
                table {
                    thead { tr { @for name in words::MEMORY_HEADS { th.number scope="col" { (name) } } } }
                    tbody {
                        @for [name, connections, user, kernel] in words::memory_rows(report) {
                            tr { th scope="row" { (name) } @for cell in [connections, user, kernel] { td.number { (cell) } } }
                        }
                    }
                }
            }
        }
    }
}

const BYTES_PER_MIB: f64 = 1_048_576.0;
