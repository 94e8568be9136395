//! What a sweep says in words, for every format that people read.

use super::{ArmReport, Effect, Needs, Of, Scaling, Step, Sweep};
use crate::judge::statistics::{Change, fewest};
use crate::measure::metric::Metric;
use crate::plan::Sizes;
use crate::report::comparison::Ended;
use crate::report::estimate::Estimate;
use crate::report::formats::text::comparison::change_cells;
use crate::report::repetition::{Choice, RestartKind, enough, fewest_and_enough};
use crate::report::tls;
use crate::report::words::{datagrams, load_of, proxy, what, what_of};
use crate::units;

/// The load, with every number of connections and of messages in flight that is varied.
pub(crate) fn load(sweep: &Sweep) -> String {
    let varied = ["connections", "in-flight"].map(|name| Some(varied(sweep, name)?.join(" or ")));
    load_of(&sweep.environment.plan, varied)
}

/// The values of a flag of the load that is varied.
fn varied<'s>(sweep: &'s Sweep, name: &str) -> Option<&'s [String]> {
    let factor = sweep.factors.iter().find(|factor| factor.of == Of::Load && factor.name == name)?;
    Some(&factor.values)
}

/// What is sent: every size that is varied.
pub(crate) fn sent(sweep: &Sweep) -> String {
    let message = &sweep.environment.plan.message;
    let Some(values) = varied(sweep, "size") else { return what(message) };
    let said = |value: &String| value.parse().map_or_else(|_| value.clone(), |size: Sizes| size.to_string());
    what_of(message, &values.iter().map(said).collect::<Vec<_>>().join(" or "))
}

/// How much was measured.
pub(crate) fn course(sweep: &Sweep) -> String {
    format!(
        "{} of {} trials in {}, {}",
        units::counted(sweep.rounds, "round"),
        units::seconds(sweep.rules.trial_seconds),
        units::counted(sweep.starts, observation(sweep)),
        units::seconds(sweep.elapsed_seconds),
    )
}

/// What an observation is called: a start of the servers, or a stretch of the only one where they are never started anew.
fn observation(sweep: &Sweep) -> &'static str {
    sweep.rules.restarts.unwrap_or(RestartKind::Fixed).observation()
}

/// The flags of a combination.
pub(crate) fn settings(arm: &ArmReport) -> String {
    arm.settings.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The metric that combinations are shown by.
pub(crate) fn rate(sweep: &Sweep) -> Metric {
    let measured = |metric: &Metric| sweep.arms.iter().any(|arm| arm.figures.contains_key(metric));
    [Metric::Throughput, Metric::latency(99.0)].into_iter().find(measured).unwrap_or(Metric::ServerCpu)
}

/// What [`arm_cells`] are.
pub(crate) fn arm_heads(sweep: &Sweep) -> Vec<String> {
    let rate = rate(sweep).to_string();
    let heads = [rate.as_str(), "change", "msgs/CPU-s", "B/connection"].into_iter();
    let heads = heads.chain(tells_wire(sweep).then_some("B/message")).map(str::to_owned);
    heads.chain(judged_besides(sweep).iter().map(Metric::to_string)).collect()
}

/// Whether some combination has told what messages take on the wire.
fn tells_wire(sweep: &Sweep) -> bool {
    sweep.arms.iter().any(|arm| arm.figures.contains_key(&Metric::WireBytes))
}

/// The metrics that effects are judged on and that no other column tells.
fn judged_besides(sweep: &Sweep) -> Vec<Metric> {
    let told = [rate(sweep), Metric::ServerCpu, Metric::ConnectionMemory, Metric::WireBytes];
    metrics(sweep).into_iter().filter(|metric| !told.contains(metric)).collect()
}

/// A combination: the metric that it is shown by, the change of that, messages per second of the server's CPU time, resident
/// bytes per connection, where compression is on, bytes of a message and its reply on the wire, and what else is judged.
pub(crate) fn arm_cells(sweep: &Sweep, arm: &ArmReport) -> Vec<String> {
    cells_of(arm, rate(sweep), tells_wire(sweep), &judged_besides(sweep))
}

fn cells_of(arm: &ArmReport, rate: Metric, with_wire: bool, besides: &[Metric]) -> Vec<String> {
    let figure = |metric: Metric| arm.told(metric);
    let change = match arm.change.get(&rate) {
        Some(estimate) if differs(estimate) => change_cells(estimate)[0].clone(),
        Some(_) => NOT_TOLD.to_owned(),
        None if arm.change.is_empty() => "reference".to_owned(),
        None => "-".to_owned(),
    };
    let show = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
    let cells = [
        show(figure(rate).map(|figure| rate.show(figure))),
        change,
        show(figure(Metric::ServerCpu).map(|ns| units::number(1e9 / ns))),
        show(figure(Metric::ConnectionMemory).map(|bytes| units::count(bytes.round() as u64))),
    ];
    let wire = with_wire.then(|| show(figure(Metric::WireBytes).map(|bytes| format!("{bytes:.1}"))));
    let besides = besides.iter().map(|metric| show(figure(*metric).map(|figure| metric.show(figure))));
    cells.into_iter().chain(wire).chain(besides).collect()
}

/// The way to the servers: the proxy; how TLS was spoken, once where all combinations settled on the same, else of each; and what
/// UDP did to the messages of each.
pub(crate) fn way(sweep: &Sweep) -> Vec<(&'static str, String)> {
    let tls = tls::once_or_of_each(sweep.arms.iter().map(|arm| (settings(arm), arm.tls.as_ref())));
    let lost = datagrams::of_each(sweep.arms.iter().map(|arm| (settings(arm), arm.datagrams.as_ref(), arm.messages)));
    proxy(&sweep.environment.plan).into_iter().chain(tls).chain(lost).collect()
}

/// How the rate grows along each flag of which there is more and more, in sentences that begin with the flag.
pub(crate) fn scaling(sweep: &Sweep) -> Vec<String> {
    let along = |Scaling { name, of, scalability, .. }: &Scaling| {
        let said = scalability.in_words(*of);
        (0..).zip(said).map(|(i, line)| if i == 0 { format!("{name}: {line}") } else { line }).collect::<Vec<_>>()
    };
    sweep.scaling.iter().flat_map(along).collect()
}

/// The metrics that effects are on.
pub(crate) fn metrics(sweep: &Sweep) -> Vec<Metric> {
    let mut metrics: Vec<Metric> = sweep.effects.iter().map(|effect| effect.metric).collect();
    metrics.dedup();
    metrics
}

/// The effects on a metric, but for interactions that cannot be told from none.
pub(crate) fn worth_naming(sweep: &Sweep, metric: Metric) -> impl Iterator<Item = &Effect> {
    let of_metric = sweep.effects.iter().filter(move |effect| effect.metric == metric);
    of_metric.filter(|effect| effect.steps.len() == 1 || effect.change != Change::Inconclusive)
}

/// What an effect is the effect of.
pub(crate) fn steps(effect: &Effect) -> String {
    let step = |Step { name, from, to }: &Step| format!("{name} {from} -> {to}");
    effect.steps.iter().map(step).collect::<Vec<_>>().join(" with ")
}

/// An effect's change, its 95% interval, and whether it is better or worse. A change without an interval could be anything,
/// and is no figure.
pub(crate) fn effect_cells(effect: &Effect) -> [String; 3] {
    let [change, interval] = change_cells(&effect.estimate);
    let called = match effect.change {
        Change::Improved => "better",
        Change::Regressed => "worse",
        Change::Equivalent | Change::NotWorse | Change::Inconclusive if bounds(&effect.estimate).is_none() => {
            return [NOT_TOLD.to_owned(), interval, String::new()];
        }
        Change::Equivalent | Change::NotWorse | Change::Inconclusive => NOT_TOLD,
    };
    [change, interval, called.to_owned()]
}

/// Whether the whole of an estimate's interval lies on one side of no change.
fn differs(estimate: &Estimate) -> bool {
    bounds(estimate).is_some_and(|(low, high)| low > 0.0 || high < 0.0)
}

fn bounds(estimate: &Estimate) -> Option<(f64, f64)> {
    estimate.low.zip(estimate.high)
}

/// What to know when reading the figures.
pub(crate) fn notes(sweep: &Sweep) -> Vec<String> {
    let mut notes = vec![format!(
        "at most {} of such sweeps call an effect better or worse that is none",
        units::percent(sweep.rules.alpha)
    )];
    let [small, pairs] = [1, 2].map(|steps| {
        let silent = |effect: &&Effect| effect.steps.len() == steps && effect.change == Change::Inconclusive;
        sweep.effects.iter().filter(silent).count()
    });
    let needed = fewest(sweep.rules.alpha / sweep.effects.len().max(1) as f64);
    if sweep.ended == Ended::Interrupted {
        notes.push(format!("interrupted after {}", units::seconds(sweep.elapsed_seconds)));
    }
    if let Some(why) = ended_too_short(sweep) {
        notes.push(why);
    } else if sweep.starts < needed as u64 && !sweep.effects.is_empty() {
        notes.push(format!(
            "{} for a verdict, {needed} are needed: expected {}",
            units::too_few(sweep.starts, observation(sweep)),
            sweep.needs.map_or_else(
                || "more --max-time".to_owned(),
                |needs| enough(needs.enough_seconds.unwrap_or(needs.seconds))
            )
        ));
    } else if small > 0 {
        notes.push(format!(
            "{} could not be told from none; more --max-time tells smaller ones",
            units::counted(small as u64, "effect")
        ));
    }
    if pairs > 0 {
        let pairs = units::counted(pairs as u64, "interaction");
        notes.push(format!("{pairs} could not be told from none, and are not shown"));
    }
    notes.extend(sweep.trust.notes.iter().cloned());
    notes
}

/// What to do where it ended since its time holds no verdict on any effect.
pub(crate) fn ended_too_short(sweep: &Sweep) -> Option<String> {
    let needs = sweep.needs.as_ref().filter(|_| sweep.ended == Ended::TooShort)?;
    let fewer = fewer(sweep.effects.len(), sweep.rules.one_at_a_time);
    Some(too_short(needs, fewer, sweep.rules.max_time_seconds, observation(sweep)))
}

/// What it takes to tell an effect, in a sentence.
pub(crate) fn forecast(needs: &Needs, max_seconds: f64, restarts: RestartKind) -> String {
    let least = format!(
        "to tell an effect takes {} at least, which end after {}",
        units::counted(needs.starts, restarts.observation()),
        units::seconds(needs.seconds)
    );
    let resolves = needs.resolves.map(|share| {
        format!("; {} resolve effects of {} in 4 of 5 cases", units::seconds(max_seconds), units::percent(share))
    });
    least + &resolves.unwrap_or_default()
}

/// How trials were shared out among starts, in a sentence.
pub(crate) fn choice(needs: &Needs, rounds: u32, restarts: RestartKind) -> Option<String> {
    let round = needs.round_seconds?;
    let deviations = needs.between_starts.zip(needs.within_starts);
    Choice { restarts, round: "round", rounds, deviations, seconds: (needs.start_seconds - round, round) }.sentence()
}

/// How so many effects could be made fewer.
fn fewer(effects: usize, one_at_a_time: bool) -> &'static str {
    match (effects, one_at_a_time) {
        (0 | 1, _) => "",
        (_, false) => ", fewer combinations (--one-at-a-time), fewer metrics (--gate)",
        (_, true) => ", fewer combinations, fewer metrics (--gate)",
    }
}

/// What to do where the time holds no verdict on any effect; `fewer` says what would have less to hold.
fn too_short(needs: &Needs, fewer: &str, max_seconds: f64, observation: &str) -> String {
    let time = units::seconds(max_seconds);
    let starts = units::counted(needs.starts, observation);
    let expected = fewest_and_enough(&starts, needs.seconds, (needs.enough_seconds.unwrap_or(needs.seconds), 1));
    format!("{time} are too short to tell any effect: {expected}{fewer}, or --force to measure for {time} nonetheless")
}

/// What stands where a change cannot be told from none.
const NOT_TOLD: &str = "not told";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::estimate::Spread;
    use crate::report::sweep::Setting;

    fn cells(change: Change, range: Option<(f64, f64)>) -> [String; 3] {
        let (low, high) = range.unzip();
        effect_cells(&Effect {
            metric: Metric::Throughput,
            steps: Vec::new(),
            estimate: Estimate { change: Some(0.382), low, high },
            p_value: 0.5,
            change,
            log_ratios: Vec::new(),
        })
    }

    #[test]
    fn what_it_takes_is_said_with_what_the_time_resolves() {
        let needs = Needs {
            starts: 12,
            seconds: 75.2,
            enough_seconds: Some(75.2),
            start_seconds: 5.5,
            round_seconds: Some(0.5),
            between_starts: Some(0.01),
            within_starts: Some(0.02),
            resolves: None,
        };
        assert_eq!(
            forecast(&needs, 60.0, RestartKind::Auto),
            "to tell an effect takes 12 starts at least, which end after 75.2 s"
        );
        let said = forecast(&Needs { seconds: 30.0, resolves: Some(0.031), ..needs }, 60.0, RestartKind::Auto);
        assert!(said.ends_with("after 30.0 s; 60.0 s resolve effects of 3.1% in 4 of 5 cases"), "{said}");
        let said = too_short(&needs, fewer(2, false), 60.0, "start");
        assert!(
            said.starts_with("60.0 s are too short to tell any effect: 12 starts at least would end after 75.2 s"),
            "{said}"
        );
        assert!(said.contains("--max-time 83s"), "{said}");
        // What a warm-up may take grows with the time that is proposed.
        let said = too_short(&Needs { enough_seconds: Some(400.0), ..needs }, fewer(1, false), 60.0, "start");
        assert!(said.contains("--max-time 441s"), "{said}");
        let said = choice(&needs, 7, RestartKind::Auto).unwrap();
        let words =
            "chosen last: 7 rounds in a start, as starts vary by 1.0%, rounds within one by 2.0%, a start costs 5.00 s";
        assert!(said.starts_with(words) && said.ends_with(" and a round 500 ms"), "{said}");
    }

    #[test]
    fn a_combination_is_shown_as_the_reference_changed_by_its_change() {
        let settings = vec![Setting { name: "size".to_owned(), value: "1..99".to_owned() }];
        let estimate = Estimate { change: Some(-0.5), low: Some(-0.6), high: Some(-0.4) };
        let metrics = [Metric::Throughput, Metric::ServerCpu, Metric::WireBytes];
        let median = |metric| (metric, Spread { count: 9, median: 999.0, q1: 998.0, q3: 1000.0 });
        let arm = ArmReport {
            settings,
            target: String::new(),
            messages: Default::default(),
            datagrams: None,
            tls: None,
            messages_per_cpu_second: Some(1e9 / 999.0),
            figures: metrics.map(median).into(),
            change: metrics.map(|metric| (metric, estimate)).into(),
            shown: [500.0, 2_000.0, 70.25].into_iter().zip(metrics).map(|(figure, metric)| (metric, figure)).collect(),
        };
        let shown = |arm: &ArmReport| cells_of(arm, Metric::Throughput, true, &[]);
        assert_eq!(shown(&arm), ["500/s", "-50.0%", "500,000", "-", "70.2"]);
        let judged = cells_of(&arm, Metric::Throughput, false, &[Metric::WireBytes, Metric::latency(50.0)]);
        assert_eq!(judged, ["500/s", "-50.0%", "500,000", "-", "70.2 B", "-"]);
        // What an earlier version saved has medians alone.
        let earlier = ArmReport { shown: BTreeMap::new(), ..arm };
        assert_eq!(shown(&earlier), ["999/s", "-50.0%", "1,001,001", "-", "999.0"]);
    }

    #[test]
    fn what_is_not_told_is_no_figure_to_read_as_a_finding() {
        assert_eq!(cells(Change::Inconclusive, None), ["not told", "-", ""]);
        let [change, interval, called] = cells(Change::Inconclusive, Some((-0.1, 0.9)));
        assert_eq!([change, interval, called], ["+38.2%", "-10.0%..+90.0%", "not told"]);
        assert_eq!(cells(Change::Improved, Some((0.1, 0.9)))[2], "better");
        for (low, high, told) in [(Some(0.1), Some(0.9), true), (Some(-0.1), Some(0.9), false), (None, None, false)] {
            assert_eq!(differs(&Estimate { change: Some(0.382), low, high }), told);
        }
    }
}
