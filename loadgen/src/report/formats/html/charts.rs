//! The charts of a run, each with what it shows in words.

use hdrhistogram::Histogram;
use maud::{Markup, PreEscaped, html};

use super::canvas::{Axis, Canvas, Role, Shape, svg};
use super::series::{Step, levels, steps};
use super::ticks;
use crate::judge::trust::Level;
use crate::measure::arrivals::EndsAt;
use crate::measure::encoded::DecodeError;
use crate::measure::percentile;
use crate::report::{Mode, Report};
use crate::units;

/// The charts of a run, those that it has something for.
///
/// # Errors
/// When a histogram cannot be read.
pub(super) fn of(report: &Report) -> Result<Markup, DecodeError> {
    let steps = steps(report)?;
    let over_time = steps.len() > 1;
    Ok(html! {
        @if report.latency.count > 0 { (percentiles(report)?) }
        @if over_time && report.latency.count > 0 { (latency(&steps)) }
        @if over_time { (throughput(report, &steps)) }
        @if let (true, Some(offered)) = (over_time, report.load.offered_rate) { (achieved(offered, &steps)) }
    })
}

/// What runs of several rates achieved of them; nothing where there are fewer than two open loops.
pub(super) fn rates(runs: &[Report]) -> Markup {
    let point =
        |run: &Report| Some((run.load.offered_rate?, run.load.achieved_rate, run.trust.level != Level::NotValid));
    let mut points: Vec<(f64, f64, bool)> = runs.iter().filter_map(point).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    if points.len() < 2 {
        return html! {};
    }
    let most = points.iter().map(|point| point.0.max(point.1)).fold(0.0, f64::max) * 1.05;
    let axes = |shape| {
        let count = if shape == Shape::Wide { 8 } else { 4 };
        [count, 5].map(|count| Axis { from: 0.0, to: most, ticks: ticks::linear(most, count), label: ticks::short })
    };
    let dots = |valid: bool| -> Vec<(f64, f64)> {
        points.iter().filter(|point| point.2 == valid).map(|point| (point.0, point.1)).collect()
    };
    let draw = |canvas: &mut Canvas<'_, '_>| {
        canvas.dashed(&[(0.0, 0.0), (most, most)], Role::Grid);
        canvas.line(&points.iter().map(|point| (point.0, point.1)).collect::<Vec<_>>(), Role::First);
        canvas.dots(&dots(true), Role::First);
        canvas.dots(&dots(false), Role::Second);
    };
    let keys =
        [(Role::First, "valid or bounded"), (Role::Second, "not to be trusted"), (Role::Grid, "all that was offered")];
    figure(
        "Offered against achieved",
        "Messages per second asked for and answered, a dot for each run.",
        &keys,
        axes,
        draw,
    )
}

fn percentiles(report: &Report) -> Result<Markup, DecodeError> {
    let latency = curve(&report.latency.histogram.decode()?);
    let service = match report.load.mode {
        Mode::Open => curve(&report.service_time.histogram.decode()?),
        Mode::Closed => Vec::new(),
    };
    // Where latency ends at the reading, that is all that was seen.
    let seen = match report.ends_at {
        EndsAt::Kernel => curve(&report.seen.histogram.decode()?),
        EndsAt::Read => Vec::new(),
    };
    let all = latency.iter().chain(&service).chain(&seen);
    let (low, high) = range(all.map(|point| point.1));
    // Where the last message alone is left.
    let end = latency.last().map_or(1.0, |point| point.0).max(1.0);
    let axes = |shape| {
        let x_ticks = (0..=end.floor() as i32).filter(|nines| shape == Shape::Wide || *nines != 1 || end < 5.0);
        let x_ticks = x_ticks.filter(|nines| shape == Shape::Wide || end < 6.0 || nines % 2 == 0);
        [
            Axis { from: 0.0, to: end, ticks: x_ticks.map(f64::from).collect(), label: ticks::nines },
            Axis { from: low, to: high, ticks: ticks::logarithmic(low, high, 7), label: ticks::time },
        ]
    };
    let draw = |canvas: &mut Canvas<'_, '_>| {
        for (line, role) in [(&seen, Role::Third), (&service, Role::Second), (&latency, Role::First)] {
            if !line.is_empty() {
                canvas.line(line, role);
            }
        }
    };
    let mut keys = vec![(Role::First, "latency, from due to arrived")];
    if !service.is_empty() {
        keys.push((Role::Second, "service time, from sent to arrived"));
    }
    if !seen.is_empty() {
        keys.push((Role::Third, "seen, from due to read"));
    }
    let words = "That share of the messages was answered within the time above it. Each step to the right is a tenth of the \
                 messages of the step before.";
    Ok(figure("Latency by percentile", words, &keys, axes, draw))
}

/// Quantiles by nines, with the logarithm of the time in ns that each is answered in.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let count = histogram.len() as f64;
    let point = |quantile: f64, ns: u64| {
        let left = (1.0 - quantile).max(1.0 / count);
        (-left.log10(), (ns.max(1) as f64).log10())
    };
    histogram
        .iter_quantiles(QUANTILES_PER_HALVING)
        .map(|step| point(step.quantile_iterated_to(), step.value_iterated_to()))
        .collect()
}

fn latency(steps: &[Step]) -> Markup {
    // A step has what it has replies enough for: lines and bands lead from its neighbours to each other.
    let ranks = [0.0, 50.0, 90.0, 99.0, 100.0];
    let value = |step: &Step, rank: f64| percentile::of(&step.latency, rank).map(|ns| (ns.max(1) as f64).log10());
    let between = |low: f64, high: f64| {
        let has_both = |step: &&Step| value(step, low).is_some() && value(step, high).is_some();
        let kept: Vec<&Step> = steps.iter().filter(has_both).collect();
        [low, high].map(|rank| levels(kept.iter().copied(), |step| value(step, rank).unwrap_or_default()))
    };
    let bands: Vec<[Vec<(f64, f64)>; 2]> = ranks.windows(2).map(|pair| between(pair[0], pair[1])).collect();
    let [median, p99] = [50.0, 99.0].map(|rank| between(rank, rank)).map(|[line, _]| line);
    let (low, high) = range(bands.iter().flatten().flatten().map(|point| point.1));
    let end = steps.last().map_or(1.0, |step| step.end);
    let axes = |shape| {
        [
            time_axis(end, shape),
            Axis { from: low, to: high, ticks: ticks::logarithmic(low, high, 7), label: ticks::time },
        ]
    };
    let draw = |canvas: &mut Canvas<'_, '_>| {
        for ([low, high], opacity) in bands.iter().zip([0.10, 0.42, 0.28, 0.13]) {
            canvas.band(high, low, Role::First, opacity);
        }
        canvas.line(&median, Role::First);
        canvas.line(&p99, Role::Third);
    };
    let keys = [(Role::First, "median"), (Role::Third, "p99")];
    let words = "The bands end at the fastest reply, the median, the 90th and the 99th percentile, and the slowest reply of \
                 each step; a percentile only where the step has replies enough, 100 for the 99th.";
    figure("Latency over time", words, &keys, axes, draw)
}

fn throughput(report: &Report, steps: &[Step]) -> Markup {
    let rates = levels(steps, Step::rate);
    let offered = report.load.offered_rate;
    let most = rates.iter().map(|point| point.1).chain(offered).fold(0.0, f64::max).max(1e-9) * 1.1;
    let end = steps.last().map_or(1.0, |step| step.end);
    let axes = |shape| {
        [time_axis(end, shape), Axis { from: 0.0, to: most, ticks: ticks::linear(most, 5), label: ticks::short }]
    };
    let draw = |canvas: &mut Canvas<'_, '_>| {
        canvas.band(&rates, &[(0.0, 0.0), (end, 0.0)], Role::First, 0.16);
        canvas.line(&rates, Role::First);
        if let Some(offered) = offered {
            canvas.dashed(&[(0.0, offered), (end, offered)], Role::Second);
        }
    };
    let keys: &[(Role, &str)] = match offered {
        Some(_) => &[(Role::First, "achieved"), (Role::Second, "offered")],
        None => &[(Role::First, "replies")],
    };
    figure("Throughput over time", "Replies per second to messages of the measured phase.", keys, axes, draw)
}

fn achieved(offered: f64, steps: &[Step]) -> Markup {
    let shares = levels(steps, |step| step.rate() / offered);
    let values = || shares.iter().map(|point| point.1);
    // Never so close that noise of a percent looks like a cliff.
    let (low, high) = (values().fold(0.95, f64::min), values().fold(1.05, f64::max));
    let end = steps.last().map_or(1.0, |step| step.end);
    let axes = |shape| {
        let span = high - low;
        let (from, to) = ((low - span * 0.08).max(0.0), high + span * 0.08);
        [time_axis(end, shape), Axis { from, to, ticks: ticks::within(from, to, 4), label: ticks::percent }]
    };
    let draw = |canvas: &mut Canvas<'_, '_>| {
        canvas.dashed(&[(0.0, 1.0), (end, 1.0)], Role::Second);
        canvas.line(&shares, Role::First);
    };
    let keys = [(Role::First, "achieved"), (Role::Second, "offered")];
    let words = format!("Replies as a share of the {} messages per second asked for.", units::number(offered));
    figure("Offered against achieved", &words, &keys, axes, draw)
}

fn time_axis(end: f64, shape: Shape) -> Axis {
    let count = if shape == Shape::Wide { 10 } else { 5 };
    Axis { from: 0.0, to: end, ticks: ticks::linear(end, count), label: ticks::seconds }
}

/// The range of logarithms, with a little room on both sides.
pub(super) fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    let room = ((high - low) * 0.06).max(0.05);
    (low - room, high + room)
}

pub(super) fn figure(
    title: &str,
    words: &str,
    keys: &[(Role, &str)],
    axes: impl Fn(Shape) -> [Axis; 2],
    draw: impl Fn(&mut Canvas<'_, '_>),
) -> Markup {
    html! {
        figure {
            figcaption {
                h3 { (title) }
                p { (words) }
                ul.keys {
                    @for (role, name) in keys { li class=(key_class(*role)) { (name) } }
                }
            }
            @for (class, shape) in [("wide", Shape::Wide), ("narrow", Shape::Narrow)] {
                div.chart.(class) role="img" aria-label=(format!("{title}. {words}")) {
                    (PreEscaped(svg(shape, &axes, &draw)))
                }
            }
        }
    }
}

fn key_class(role: Role) -> &'static str {
    match role {
        Role::First => "first",
        Role::Second => "second",
        Role::Third => "third",
        Role::Label => "label",
        Role::Grid => "grid",
    }
}

/// As many as HdrHistogram's own plotters draw.
const QUANTILES_PER_HALVING: u32 = 5;
