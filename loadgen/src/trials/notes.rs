//! What a reader is to know of how trials were made: the warm-up; trials that still change from the first of a start to its
//! last, as after a warm-up that was too short, or with a leak or a growing heap; and what was not covered.

use super::course::Course;
use super::start::{Lives, Start};
use crate::judge::statistics::Trend;
use crate::measure::metric::{Better, Metric};
use crate::plan::Plan;
use crate::report::repetition::not_covered;
use crate::report::warmup::{self, Ran};
use crate::report::words;
use crate::units;

/// Sentences, each server by its name.
pub(super) fn of(course: &Course<'_>, starts: &[Start], name: impl Fn(usize) -> String) -> Vec<String> {
    let ran: Vec<Ran> = course.treated().map(|(ran, _)| ran).collect();
    let mut notes = warmup::sentences(&course.warmup(), &ran, starts.len(), &name);
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
    let once = course.treated().enumerate().filter(|(_, (_, restarted))| !restarted);
    let names: Vec<String> = once.map(|(server, _)| name(server)).collect();
    if !names.is_empty() {
        notes.push(not_covered(if names.len() == ran.len() { &[] } else { &names }));
    }
    notes
}

/// A sentence for each metric that this plan's load is judged by unless told otherwise and that is not judged, and why; none without
/// a plan, where something else was asked for. `names` are the servers'.
pub(super) fn not_judged(
    plan: Option<&Plan>,
    judged: &[Metric],
    starts: &[Start],
    names: &[impl AsRef<str>],
) -> Vec<String> {
    let lacks = |metric: Metric, server: usize| starts.iter().all(|start| start.figures(metric, server).is_empty());
    let of = |metric: Metric| -> Vec<&str> {
        (0..names.len()).filter(|server| lacks(metric, *server)).map(|server| names[server].as_ref()).collect()
    };
    let usual = plan.map_or(&[][..], |plan| Metric::gated_by_default(&plan.load));
    let missing = usual.iter().filter(|metric| !judged.contains(metric));
    let sentence = |metric: &Metric| {
        let unseen = if metric.is_of_the_process() { of(Metric::ServerMemory) } else { Vec::new() };
        let lacking = of(*metric);
        let why = match (&unseen[..], &lacking[..]) {
            ([], []) => "its first figures came only once it was settled what is judged".to_owned(),
            ([], lacking) => format!("no trial of {} had a figure of it", lacking.join(" and of ")),
            (unseen, _) => format!(
                "the process of {} cannot be seen from here, as where it runs on another machine or as another user",
                unseen.join(" and that of ")
            ),
        };
        format!("{metric}, which is judged by default, is not: {why}")
    };
    missing.map(sentence).collect()
}

/// Whether two notes say the same but for their figures, as those of two attempts do.
pub(super) fn say_alike(one: &str, other: &str) -> bool {
    let is_word = |word: &&str| !word.contains(|letter: char| letter.is_ascii_digit()) && !UNITS.contains(word);
    let strip = |word: &str| word.trim_end_matches([',', ';', ':', ')']).to_owned();
    let of = |text: &str| -> Vec<String> {
        text.split_whitespace().map(strip).filter(|word| is_word(&word.as_str())).collect()
    };
    of(one) == of(other)
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

/// Of times, which stand apart from their figures.
const UNITS: [&str; 4] = ["s", "ms", "us", "ns"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::trial::Figures;
    use crate::plan::tests::plan;
    use crate::trials::start::tests::start as start_with;

    fn start(trials: [&[Metric]; 2], lives: [&[Metric]; 2]) -> Start {
        let figures = |metrics: &[Metric]| -> Figures { metrics.iter().map(|metric| (*metric, 1.0)).collect() };
        start_with(trials.map(figures), lives.map(figures))
    }

    #[test]
    fn a_default_metric_that_is_not_judged_is_noted_with_the_reason() {
        let (plan, memory) = (plan(), [Metric::ServerMemory]);
        let judged = [Metric::Throughput];
        let notes = |judged: &[Metric], start: Start| not_judged(Some(&plan), judged, &[start], &["A", "B"]);
        let elsewhere = notes(&judged, start([&[], &[]], [&memory, &[]]));
        assert_eq!(elsewhere.len(), 1);
        assert!(
            elsewhere[0].contains("server.cpu") && elsewhere[0].contains("process of B cannot be seen"),
            "{elsewhere:?}"
        );
        let busy = notes(&judged, start([&[Metric::ServerCpu], &[]], [&memory, &memory]));
        assert!(busy[0].contains("no trial of B had a figure"), "{busy:?}");
        let all = notes(&[Metric::Throughput, Metric::ServerCpu], start([&[], &[]], [&[], &[]]));
        assert_eq!(all, Vec::<String>::new());
        assert_eq!(not_judged(None, &judged, &[], &["A", "B"]), Vec::<String>::new());
    }

    #[test]
    fn notes_of_two_attempts_that_differ_in_figures_only_are_alike() {
        assert!(say_alike("A ran for 1.20 s, once", "A ran for 900 ms, once"));
        assert!(say_alike("12 pairs in a start: a pair costs 3 us", "7 pairs in a start: a pair costs 2 ms"));
        assert!(!say_alike("A ran for 1.20 s", "B ran for 1.20 s"));
        assert!(!say_alike("p50 rose by 2%", "p50 fell by 2%"));
    }
}
