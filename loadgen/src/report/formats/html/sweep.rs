//! A sweep on a page: what each flag is worth, with its interval, and the combinations.

use maud::{Markup, html};

use super::canvas::{Axis, Canvas, Role};
use super::{charts, reasons, ticks, warmup};
use crate::judge::statistics::Change;
use crate::measure::metric::Metric;
use crate::report::sweep::{Effect, Sweep, words};

/// The sweep.
pub(super) fn section(sweep: &Sweep) -> Markup {
    html! {
        section {
            div.title { h1 { "Sweep" } }
            p.lead { (words::load(sweep)) br; (words::sent(sweep)) br; (words::course(sweep)) }
            (reasons(&sweep.trust))
            @for metric in words::metrics(sweep) {
                @let effects: Vec<&Effect> = words::worth_naming(sweep, metric).collect();
                (chart(metric, &effects))
                (table(metric, &effects))
            }
            (combinations(sweep))
            (warmup::figures(sweep.warmup.as_ref(), |arm| sweep.arms.get(arm).map(words::settings).unwrap_or_default()))
            div.panel {
                h3 { "Notes" }
                dl.facts {
                    @for line in words::scaling(sweep) { div { dt { "scaling" } dd { (line) } } }
                    @for (name, fact) in words::way(sweep) { div { dt { (name) } dd { (fact) } } }
                    @for note in words::notes(sweep) { div { dt { "note" } dd { (note) } } }
                }
            }
        }
    }
}

/// The effects by their number in the table, on a scale where half as much is as far from no change as twice as much.
fn chart(metric: Metric, effects: &[&Effect]) -> Markup {
    let log = |change: f64| (1.0 + change).log2();
    let points: Vec<(f64, f64)> = (1..)
        .zip(effects)
        .filter_map(|(number, effect)| Some((f64::from(number), log(effect.estimate.change?))))
        .filter(|point| point.1.is_finite())
        .collect();
    if points.is_empty() {
        return html! {};
    }
    let intervals: Vec<[(f64, f64); 2]> = (1..)
        .zip(effects)
        .filter_map(|(number, effect)| {
            let ends = [effect.estimate.low?, effect.estimate.high?].map(log);
            ends.iter().all(|end| end.is_finite()).then(|| ends.map(|end| (f64::from(number), end)))
        })
        .collect();
    let all = points.iter().chain(intervals.iter().flatten()).map(|point| point.1);
    let (low, high) = all.fold((-1e-3, 1e-3), |(low, high): (f64, f64), end| (low.min(end), high.max(end)));
    let room = (high - low) * 0.1;
    let (low, high) = (low - room, high + room);
    let last = effects.len() as f64;
    let (marks, label): (Vec<f64>, fn(f64) -> String) = if high - low > WIDE {
        (ticks::within(low, high, 6).into_iter().filter(|log| log.fract() == 0.0).collect(), ticks::ratio)
    } else {
        let changes = ticks::within(low.exp2() - 1.0, high.exp2() - 1.0, 6);
        (changes.into_iter().map(log).collect(), |log| ticks::signed_percent(log.exp2() - 1.0))
    };
    let axes = |_| {
        let numbers = (1..=effects.len()).map(|number| number as f64).collect();
        [
            Axis { from: 0.5, to: last + 0.5, ticks: numbers, label: |number| format!("{number:.0}") },
            Axis { from: low, to: high, ticks: marks.clone(), label },
        ]
    };
    let draw = |canvas: &mut Canvas<'_, '_>| {
        canvas.dashed(&[(0.5, 0.0), (last + 0.5, 0.0)], Role::Label);
        intervals.iter().for_each(|ends| canvas.line(ends, Role::Third));
        canvas.dots(&points, Role::First);
    };
    let keys = [(Role::First, "change"), (Role::Third, "95% interval"), (Role::Label, "no change")];
    charts::figure(&format!("effects on {metric}"), "By their numbers in the table below.", &keys, axes, draw)
}

fn table(metric: Metric, effects: &[&Effect]) -> Markup {
    html! {
        div.panel {
            h3 { "What each flag is worth: " (metric) }
            div.scroll {
                table {
                    thead { tr { td {} td {} @for name in ["change", "95% interval"] { th.number scope="col" { (name) } } td {} } }
                    tbody {
                        @for (number, effect) in (1..).zip(effects) {
                            @let [change, interval, called] = words::effect_cells(effect);
                            @let class = if effect.change == Change::Improved { "good" } else { "bad" };
                            tr {
                                td { (number) }
                                th scope="row" { (words::steps(effect)) }
                                @for cell in [change, interval] { td.number { (cell) } }
                                td.number { @if !called.is_empty() { span.badge.(class) { (called) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn combinations(sweep: &Sweep) -> Markup {
    html! {
        div.panel {
            h3 { "Combinations" }
            div.scroll {
                table {
                    thead { tr { td {} @for name in words::arm_heads(sweep) { th.number scope="col" { (name) } } } }
                    tbody {
                        @for arm in &sweep.arms {
                            tr {
                                th scope="row" { (words::settings(arm)) }
                                @for cell in words::arm_cells(sweep, arm) { td.number { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// From twice as little to twice as much: beyond that, multiples are easier to read than percentages.
const WIDE: f64 = 2.0;
