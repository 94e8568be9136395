//! What a reader is to know of how trials were made: the warm-up; trials that still change from the first of a start to its
//! last, as after a warm-up that was too short, or with a leak or a growing heap; and what was not covered.

use super::course::Course;
use super::start::{Lives, Start};
use crate::judge::statistics::Trend;
use crate::measure::metric::{Better, Metric};
use crate::report::repetition::NOT_COVERED;
use crate::report::{warmup, words};
use crate::units;

/// Sentences, each server by its name.
pub(super) fn of(course: &Course<'_>, starts: &[Start], name: impl Fn(usize) -> String) -> Vec<String> {
    let mut notes = warmup::sentences(&course.warmup(), &name);
    // Rates of probes go up and down on purpose.
    if course.climbs.is_none() {
        notes.extend(trends(course, starts, &name));
    }
    let lengths = course.lengths().iter().enumerate().filter(|(_, length)| **length > course.trial());
    notes.extend(lengths.map(|(server, length)| {
        let length = units::seconds(length.as_secs_f64());
        format!("trials of {} took {length}, so that each had replies enough", name(server))
    }));
    if course.plan().offered_rate().is_some() {
        notes.push(format!("the latency {}", words::end(course.ends_at())));
    }
    if course.lives() == Lives::One {
        notes.push(NOT_COVERED.to_owned());
    }
    notes
}

/// A sentence for each server and metric that has a trend.
fn trends(course: &Course<'_>, starts: &[Start], name: impl Fn(usize) -> String) -> Vec<String> {
    let servers = course.lengths().len();
    let metrics = course.metrics();
    let error = ERROR / (servers * metrics.len()).max(1) as f64;
    let mut notes = Vec::new();
    for (server, metric) in (0..servers).flat_map(|server| metrics.iter().map(move |metric| (server, *metric))) {
        let of_start = |start: &Start| start.figures(metric, server).iter().map(|figure| figure.ln()).collect();
        let series: Vec<Vec<f64>> = starts.iter().map(of_start).collect();
        let (series, what) = match course.lives() {
            Lives::Many => (series, "a start"),
            Lives::One => (vec![series.concat()], "all"),
        };
        let Some(trend) = Trend::of(&series, error).filter(|trend| trend.is_there()) else { continue };
        if trend.change.abs() >= LEAST {
            notes.push(sentence(&name(server), metric, what, trend));
        }
    }
    notes
}

fn sentence(name: &str, metric: Metric, what: &str, trend: Trend) -> String {
    let [change, low, high] = [trend.change, trend.interval.low, trend.interval.high].map(f64::exp_m1);
    let became = if (change > 0.0) == (metric.better() == Better::Higher) { "better" } else { "worse" };
    let direction = if change > 0.0 { "rose" } else { "fell" };
    format!(
        "{metric} of {name} {direction} by {} ({:+.1}%..{:+.1}%) from the first trial of {what} to the last: it was still becoming \
         {became} while it was measured",
        units::percent(change.abs()),
        100.0 * low,
        100.0 * high
    )
}

/// The chance of any trend that is none, of all servers and metrics.
const ERROR: f64 = 0.01;

/// The log ratio from which on a trend is worth a note.
const LEAST: f64 = 0.01;
