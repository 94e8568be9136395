//! A capacity on a page: the answer, latency and achieved rate over the offered rate, and every rate that was probed.

use maud::{Markup, html};

use super::canvas::{Axis, Canvas, Role, Shape};
use super::{charts, thresholds, ticks};
use crate::judge::capacity::show;
use crate::judge::outcome::Outcome;
use crate::judge::threshold::Threshold;
use crate::measure::metric::{Distribution, Metric};
use crate::report::capacities::{Capacities, CapacityPoint};
use crate::report::capacity::CapacityReport;
use crate::report::capacity::parts::{End, Percentiles};
use crate::report::capacity::words::{self, Row};

/// The report.
pub(super) fn section(report: &CapacityReport) -> Markup {
    let class = match report.outcome() {
        Outcome::Ok => "good",
        Outcome::Crossed | Outcome::Failed | Outcome::Usage => "bad",
        Outcome::Untrusted | Outcome::OutOfSight(_) | Outcome::Interrupted => "doubtful",
    };
    let [search, fresh] = words::rows(report);
    html! {
        section {
            div.title { h1 { "Capacity" } span.badge.(class) { (words::verdict(report)) } }
            p.lead { (words::answer(report)) br; (words::question(report)) br; (report.target) }
            @for line in words::explanations(report) { p { (line) } }
            (thresholds(&report.thresholds, show))
            (latency(report, &search))
            (achieved(report, &search))
            (table("Rates that were probed", &search))
            @if !fresh.is_empty() { (table("Fresh starts at the rate found", &fresh)) }
            @if let lines @ [_, ..] = &words::sizing(report)[..] {
                div.panel { h3 { "What the need takes" } @for line in lines { p { (line) } } }
            }
            div.panel {
                h3 { "Generator, machine" }
                dl.facts {
                    @for (name, fact) in words::facts(report) { div { dt { (name) } dd { (fact) } } }
                    @for note in &report.notes { div { dt { "note" } dd { (note) } } }
                }
            }
        }
    }
}

/// The capacity along an axis: a line through what is sustained, and a table.
pub(super) fn along(report: &Capacities) -> Markup {
    let sustained = |point: &CapacityPoint| Some((point.value as f64, point.capacity.answer.sustains.as_ref()?.rate));
    let points: Vec<(f64, f64)> = report.points.iter().filter_map(sustained).collect();
    let [x, y] = [0, 1].map(|i| points.iter().map(|point| [point.0, point.1][i]).fold(0.0, f64::max) * 1.05);
    let axes = |shape| {
        let count = if shape == Shape::Wide { 8 } else { 4 };
        [(x, count), (y, 5)].map(|(to, count)| Axis {
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
    let heading = format!("Capacity over {}", report.axis.name());
    let words = format!("Messages per second that are sustained, by {}.", report.axis.name());
    html! {
        section {
            div.title { h1 { (heading) } }
            @if points.len() > 1 { (charts::figure(&heading, &words, &[(Role::First, "sustained")], axes, draw)) }
            div.panel {
                div.scroll {
                    table {
                        thead { tr { @for name in report.heads() { th.number scope="col" { (name) } } } }
                        tbody { @for row in report.rows() { tr { @for cell in row { td.number { (cell) } } } } }
                    }
                }
                @for line in report.law_in_words() { p { (line) } }
            }
        }
    }
}

/// Percentiles over the offered rate, with the limit and the two ends of the answer.
fn latency(report: &CapacityReport, rows: &[Row]) -> Markup {
    let line = |of: fn(&Percentiles) -> Option<f64>| -> Vec<(f64, f64)> {
        let point = |row: &Row| Some((row.end.rate, of(&row.end.latency)?.max(1.0).log10()));
        rows.iter().filter_map(point).collect()
    };
    let lines = [line(|latency| latency.p50), line(|latency| latency.p99), line(|latency| latency.p99_9)];
    let limits: Vec<f64> = report.slos.iter().filter_map(|slo| limit(slo)).collect();
    let values = lines.iter().flatten().map(|point| point.1).chain(limits.iter().copied());
    let (low, high) = charts::range(values);
    let Some(most) = most(rows) else { return html! {} };
    let axes = |shape| {
        let count = if shape == Shape::Wide { 8 } else { 4 };
        [
            Axis { from: 0.0, to: most, ticks: ticks::linear(most, count), label: ticks::short },
            Axis { from: low, to: high, ticks: ticks::logarithmic(low, high, 7), label: ticks::time },
        ]
    };
    let draw = |canvas: &mut Canvas<'_, '_>| {
        for limit in &limits {
            canvas.dashed(&[(0.0, *limit), (most, *limit)], Role::Label);
        }
        bracket(report, canvas, (low, high));
        for (line, role) in lines.iter().zip([Role::First, Role::Second, Role::Third]) {
            if !line.is_empty() {
                canvas.line(line, role);
                canvas.dots(line, role);
            }
        }
    };
    let keys = [
        (Role::First, "p50"),
        (Role::Second, "p99"),
        (Role::Third, "p99.9"),
        (Role::Label, "limit on the latency; the answer's two ends, between which the knee lies"),
    ];
    let words = "By messages per second offered; a dot is the median of the probes of one rate.";
    charts::figure("Latency over the offered rate", words, &keys, axes, draw)
}

/// What was answered of what was offered.
fn achieved(report: &CapacityReport, rows: &[Row]) -> Markup {
    let points: Vec<(f64, f64)> = rows.iter().filter_map(|row| Some((row.end.rate, row.end.achieved_rate?))).collect();
    let Some(most) = most(rows) else { return html! {} };
    let axes = |shape| {
        let count = if shape == Shape::Wide { 8 } else { 4 };
        [count, 5].map(|count| Axis { from: 0.0, to: most, ticks: ticks::linear(most, count), label: ticks::short })
    };
    let draw = |canvas: &mut Canvas<'_, '_>| {
        canvas.dashed(&[(0.0, 0.0), (most, most)], Role::Grid);
        bracket(report, canvas, (0.0, most));
        canvas.line(&points, Role::First);
        canvas.dots(&points, Role::First);
    };
    let keys = [
        (Role::First, "answered"),
        (Role::Grid, "all that was offered"),
        (Role::Label, "the answer's two ends, between which the knee lies"),
    ];
    charts::figure(
        "Offered against achieved",
        "Messages per second; where the line bends, the server is full.",
        &keys,
        axes,
        draw,
    )
}

/// An upright line at each end of the answer.
fn bracket(report: &CapacityReport, canvas: &mut Canvas<'_, '_>, (low, high): (f64, f64)) {
    for End { rate, .. } in [&report.answer.sustains, &report.answer.breaks].into_iter().flatten() {
        canvas.dashed(&[(*rate, low), (*rate, high)], Role::Label);
    }
}

/// The logarithm of a limit on the latency.
fn limit(slo: &str) -> Option<f64> {
    let slo: Threshold = slo.parse().ok()?;
    matches!(slo.metric(), Metric::Time(Distribution::Latency, _)).then(|| slo.limit().max(1.0).log10())
}

/// The end of the axis of rates; `None` where there are too few for a line.
fn most(rows: &[Row]) -> Option<f64> {
    let most = rows.iter().map(|row| row.end.rate).fold(0.0, f64::max) * 1.05;
    (rows.len() > 1).then_some(most)
}

fn table(title: &str, rows: &[Row]) -> Markup {
    html! {
        div.panel {
            h3 { (title) }
            div.scroll {
                table {
                    thead { tr { @for name in words::HEADS { th.number scope="col" { (name) } } } }
                    tbody { @for row in rows { tr { @for cell in words::cells(row) { td.number { (cell) } } } } }
                }
            }
        }
    }
}
