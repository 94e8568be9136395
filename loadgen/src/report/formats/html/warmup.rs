//! Pictures of servers that warm up: what a message cost in each slice of the first starts.

use maud::{Markup, html};

use super::canvas::{Axis, Canvas, Role, Shape};
use super::{charts, ticks};
use crate::report::warmup::{Study, UnsteadyKind, Warmup};
use crate::units;

/// A picture for each server that was looked at, by its name.
pub(super) fn figures(warmup: Option<&Warmup>, name: impl Fn(usize) -> String) -> Markup {
    let studies = warmup.map_or(&[][..], |warmup| &warmup.studies);
    let mut servers: Vec<usize> = studies.iter().map(|study| study.server).collect();
    servers.sort_unstable();
    servers.dedup();
    html! {
        @for server in servers {
            @let own: Vec<&Study> = studies.iter().filter(|study| study.server == server).collect();
            (figure(&name(server), &own))
        }
    }
}

fn figure(name: &str, studies: &[&Study]) -> Markup {
    let lines: Vec<Vec<(f64, f64)>> = studies.iter().map(|study| costs(study)).collect();
    let points = || lines.iter().flatten();
    // A start's first slice may cost many times what the others do, and is not to flatten them.
    let mut sorted: Vec<f64> = points().map(|(_, cost)| *cost).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(median) = sorted.get(sorted.len() / 2).copied() else { return html! {} };
    let high = sorted.last().copied().unwrap_or(median).min(2.0 * median) * 1.05;
    let end = points().map(|(at, _)| *at).fold(0.1, f64::max);
    let axes = |shape| {
        let count = if shape == Shape::Wide { 10 } else { 5 };
        [
            Axis { from: 0.0, to: end, ticks: ticks::linear(end, count), label: ticks::seconds },
            Axis { from: 0.0, to: high, ticks: ticks::linear(high, 5), label: units::time },
        ]
    };
    let draw = |canvas: &mut Canvas<'_, '_>| {
        for (line, role) in lines.iter().zip([Role::First, Role::Second]) {
            let inside: Vec<(f64, f64)> = line.iter().map(|(at, cost)| (*at, cost.min(high))).collect();
            canvas.line(&inside, role);
        }
    };
    let keys: Vec<(Role, &str)> =
        [(Role::First, "the first start"), (Role::Second, "the second")][..lines.len().min(2)].to_vec();
    let settled: Vec<String> = studies
        .iter()
        .map(|study| match study.settled_after_seconds {
            Some(seconds) if seconds > 0.0 => format!("at its level after {}", units::seconds(seconds)),
            Some(_) => "at its level from the beginning".to_owned(),
            None if study.unsteady.is_some_and(|unsteady| unsteady.kind != UnsteadyKind::Noise) => {
                "not settled".to_owned()
            }
            None => "it cannot be told".to_owned(),
        })
        .collect();
    let words = format!("The CPU time for a message after each start: {}.", settled.join("; "));
    charts::figure(&format!("Warm-up of {name}"), &words, &keys, axes, draw)
}

/// When each slice ended, in seconds, and what a message cost in it.
fn costs(study: &Study) -> Vec<(f64, f64)> {
    let ends = (1..).map(|slice| f64::from(slice) * study.slice_seconds);
    ends.zip(study.cost.iter().copied()).filter(|(_, cost)| *cost > 0.0).collect()
}
