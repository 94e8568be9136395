//! A comparison on a page: the verdict on each metric, and every pair that it stands on.

use maud::{Markup, html};

use super::canvas::{Axis, Canvas, Role, Shape};
use super::{charts, reasons, ticks, warmup};
use crate::judge::statistics::Change;
use crate::measure::metric::Metric;
use crate::report::comparison::{Comparison, MetricReport, StartReport};
use crate::report::estimate::Spread;
use crate::report::formats::text::comparison as text;
use crate::report::words;
use crate::units;

/// The comparison.
pub(super) fn section(comparison: &Comparison) -> Markup {
    let plan = &comparison.environment.plan;
    let pairs: usize = comparison.starts.iter().map(|start| start.pairs.len()).sum();
    html! {
        section {
            div.title {
                h1 { @if comparison.aa { "A/A" } @else { "Comparison" } }
                (badge(comparison.change))
            }
            p.lead { (words::compared(comparison)) br; (words::what(&plan.message)) }
            (reasons(&comparison.trust))
            div.panel {
                h3 { "Verdict" }
                p { (text::verdict(comparison)) }
                ul { @for reason in text::reasons(comparison) { li { (reason) } } }
                dl.facts {
                    div { dt { "A" } dd { (comparison.a.target) } }
                    div { dt { "B" } dd { (comparison.b.target) } }
                    div {
                        dt { "trials" }
                        dd {
                            (units::counted(pairs as u64, "pair")) " of " (units::seconds(comparison.rules.trial_seconds)) " trials in "
                            (units::counted(comparison.starts.len() as u64, comparison.observation())) " of both servers, "
                            (units::seconds(comparison.elapsed_seconds))
                        }
                    }
                    @for (name, fact) in words::way_to_both(comparison) { div { dt { (name) } dd { (fact) } } }
                    @for note in &comparison.trust.notes { div { dt { "note" } dd { (note) } } }
                }
            }
            (metrics(comparison))
            @for metric in &comparison.metrics { (pairs_of(comparison, metric)) }
            (warmup::figures(comparison.warmup.as_ref(), |server| ["A", "B"][server.min(1)].to_owned()))
        }
    }
}

fn badge(change: Change) -> Markup {
    let class = match change {
        Change::Equivalent | Change::Improved | Change::NotWorse => "good",
        Change::Regressed => "bad",
        Change::Inconclusive => "doubtful",
    };
    html! { span.badge.(class) { (text::name(change)) } }
}

fn metrics(comparison: &Comparison) -> Markup {
    html! {
        div.panel {
            h3 { "From A to B" }
            div.scroll {
                table {
                    thead {
                        tr {
                            td {}
                            @for name in ["A", "B", "change", "interval"] { th.number scope="col" { (name) } }
                            td {}
                        }
                    }
                    tbody {
                        @for metric in &comparison.metrics {
                            @let [a, b, change, interval, _] = text::cells(metric);
                            tr {
                                th scope="row" { (metric.metric) }
                                @for cell in [a, b, change, interval] { td.number { (cell) } }
                                td.number { @if let Some(ruling) = metric.ruling { (badge(ruling.change)) } }
                            }
                        }
                    }
                }
            }
            @if let Some(about) = text::about_intervals(comparison) { p { (about) } }
        }
    }
}

/// When each pair was measured, in seconds, and the change from A to B in it; of a metric that a start has one of, the
/// starts.
fn points(comparison: &Comparison, name: Metric) -> Vec<(f64, f64)> {
    let change = |a: Option<&f64>, b: Option<&f64>| Some(b? / a? - 1.0).filter(|change| change.is_finite());
    let of_trials = name.is_of_trials();
    let of_start = |start: &StartReport| {
        let whole = change(start.a.get(&name), start.b.get(&name)).map(|change| (start.at_seconds, change));
        let pairs = start.pairs.iter().map(|pair| (pair.at_seconds, change(pair.a.get(&name), pair.b.get(&name))));
        let pairs = pairs.filter_map(|(at, change)| Some((at, change?)));
        pairs.filter(|_| of_trials).chain(whole.filter(|_| !of_trials)).collect::<Vec<_>>()
    };
    comparison.starts.iter().flat_map(of_start).collect()
}

/// The pairs of a metric, with the interval of the change; of a metric that a start has one of, the starts.
fn pairs_of(comparison: &Comparison, metric: &MetricReport) -> Markup {
    let name = metric.metric;
    let of_trials = name.is_of_trials();
    let points = points(comparison, name);
    if points.len() < 2 {
        return html! {};
    }
    let estimate = metric.estimate;
    let interval = metric.shown.map_or((estimate.low, estimate.high), |shown| (shown.low, shown.high));
    let interval = interval.0.zip(interval.1);
    let change = metric.shown.map_or(estimate.change, |shown| Some(shown.change));
    let tolerances = [comparison.rules.tolerance, -comparison.rules.tolerance];
    // What the verdict is read from has the picture to itself; pairs beyond it stand at its rim.
    // Without an interval it is the middle half of the pairs.
    let spread = Spread::of(points.iter().map(|(_, change)| *change).collect());
    let middle = interval.unwrap_or((spread.q1, spread.q3));
    let marks = [middle.0, middle.1].into_iter().chain(tolerances).chain(change).chain([-1e-3, 1e-3]);
    let (low, high) = marks.fold((0.0, 0.0), |(low, high): (f64, f64), mark| (low.min(mark), high.max(mark)));
    let room = (high - low) * 0.25;
    let (low, high) = (low - room, high + room);
    let end = comparison.elapsed_seconds.max(points[points.len() - 1].0).max(1e-3);
    let axes = |shape| {
        let count = if shape == Shape::Wide { 10 } else { 5 };
        [
            Axis { from: 0.0, to: end, ticks: ticks::linear(end, count), label: ticks::seconds },
            Axis { from: low, to: high, ticks: ticks::within(low, high, 6), label: ticks::signed_percent },
        ]
    };
    let (inside, outside): (Vec<_>, Vec<_>) = points.iter().partition(|point| (low..=high).contains(&point.1));
    let rim: Vec<(f64, f64)> = outside.iter().map(|(at, change)| (*at, change.clamp(low, high))).collect();
    let level = |change: f64| [(0.0, change), (end, change)];
    let draw = |canvas: &mut Canvas<'_, '_>| {
        if let Some((low, high)) = interval {
            canvas.band(&level(high), &level(low), Role::Third, 0.25);
        }
        canvas.dashed(&level(0.0), Role::Label);
        if comparison.rules.tolerance > 0.0 {
            for tolerance in tolerances {
                canvas.dashed(&level(tolerance), Role::Second);
            }
        }
        canvas.dots(&inside, Role::First);
        canvas.dots(&rim, Role::Label);
        if let Some(estimate) = change {
            canvas.line(&level(estimate), Role::Third);
        }
    };
    let mut keys = vec![
        (Role::First, if of_trials { "one pair" } else { "one start" }),
        (Role::Third, "change with its interval"),
        (Role::Label, "no change"),
    ];
    if comparison.rules.tolerance > 0.0 {
        keys.push((Role::Second, "tolerance"));
    }
    let [a, b, change, interval, called] = text::cells(metric);
    let mut words = format!("{a} to {b}: {change}, interval {interval}.");
    if !called.is_empty() {
        words += &format!(" Verdict: {called}.");
    }
    if !outside.is_empty() {
        let beyond = |above: bool| outside.iter().filter(|(_, change)| (*change > high) == above).count() as u64;
        let [above, below] = [true, false].map(|above| units::count(beyond(above)));
        words += &format!(
            " Of {}, {above} lie above the picture and {below} below it; they stand at its rim.",
            units::counted(points.len() as u64, if of_trials { "pair" } else { "start" })
        );
    }
    charts::figure(&format!("{name}: B against A"), &words, &keys, axes, draw)
}
