//! What a reader is to know of how trials were made: the warm-up; trials that still change from the first of a start to its
//! last, as after a warm-up that was too short, or with a leak or a growing heap; and what was not covered.

use super::course::{Course, Tempo};
use super::lengths::Longer;
use super::start::{Lives, STANDS_STILL, Start, stood_still};
use crate::judge::statistics::Trend;
use crate::measure::metric::{Better, Metric};
use crate::plan::Plan;
use crate::report::estimate::Spread;
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
        notes.extend((0..ran.len()).filter_map(|server| paused(server, starts, &name(server))));
        notes.extend((0..ran.len()).filter_map(|server| unanswered(server, starts, &name(server))));
        notes.extend(trends(course.metrics(), course.lives(), starts, ran.len(), &name));
    }
    if course.climbs.is_none() && course.lives() == Lives::Many {
        notes.extend(short_lives(starts));
    }
    let longer = course
        .lengths()
        .longer()
        .filter(|longer| longer.quickest.is_some() || needs_longer(course.tempo(), longer.server, starts));
    notes.extend(longer.map(|longer| lengthened(longer, course.tempo(), &name(longer.server))));
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

/// That starts were short, if so.
fn short_lives(starts: &[Start]) -> Option<String> {
    let lasted = |start: &Start| Some(start.rounds.last()?.at_seconds - start.at_seconds);
    let lasted = Spread::of(starts.iter().filter_map(lasted).collect()).median;
    (lasted < SHORT).then(|| {
        format!(
            "starts lasted about {}: what comes only after servers have run for longer, as pauses may, is not in these figures \
             (--restart-every never)",
            units::seconds(lasted)
        )
    })
}

/// That a server stands still at times, if so.
fn paused(server: usize, starts: &[Start], name: &str) -> Option<String> {
    let share = stood_still(starts, server);
    (share > STANDS_STILL).then(|| {
        format!(
            "{name} stood still in {} of the time of its trials and between them, so that it was waited for: longer trials count such pauses (--trial)",
            units::percent(share)
        )
    })
}

/// That trials of a server had no reply, if so: they are in no estimate of a typical trial.
fn unanswered(server: usize, starts: &[Start], name: &str) -> Option<String> {
    let trials = || starts.iter().flat_map(|start| &start.rounds).map(|round| &round.trials[server]);
    let (silent, all) = (trials().filter(|trial| trial.achieved_rate <= 0.0).count() as u64, trials().count() as u64);
    (silent > 0).then(|| {
        let trials = units::counted(all, "trial");
        format!("{} of {trials} of {name} had no reply, and are left out", units::count(silent))
    })
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

/// What is noted now, and what was noted before `--resume` that is another matter: it holds of the starts that were made by then.
pub(super) fn with_earlier(mut now: Vec<String>, earlier: Vec<String>) -> Vec<String> {
    let bare = |note: String| note.strip_prefix(BEFORE).map(str::to_owned).unwrap_or(note);
    let earlier = earlier.into_iter().map(bare).filter(|note| !now.iter().any(|now| say_alike(now, note)));
    let earlier: Vec<String> = earlier.map(|note| format!("{BEFORE}{note}")).collect();
    now.extend(earlier);
    now
}

/// Whether two notes say the same but for their figures, as those of two attempts do.
fn say_alike(one: &str, other: &str) -> bool {
    let is_word = |word: &&str| !word.contains(|letter: char| letter.is_ascii_digit()) && !UNITS.contains(word);
    let strip = |word: &str| word.trim_end_matches([',', ';', ':', ')']).to_owned();
    // Of one there is a pair, of two there are pairs.
    let singular = |word: String| word.trim_end_matches('s').to_owned();
    let of = |text: &str| -> Vec<String> {
        text.split_whitespace().map(strip).filter(|word| is_word(&word.as_str())).map(singular).collect()
    };
    of(one) == of(other)
}

/// Whether trials of a server that were no longer than was asked for would have had too few replies, by the median of their rates.
/// Those of a server that was slow for a moment after its first start are longer than they need be.
fn needs_longer(tempo: &Tempo, server: usize, starts: &[Start]) -> bool {
    let rounds = starts.iter().flat_map(|start| &start.rounds);
    let rates = Spread::of(rounds.map(|round| round.trials[server].achieved_rate).collect());
    rates.median * tempo.trial.as_secs_f64() < tempo.replies as f64
}

/// That trials of the server of this name were made longer, and how many replies they have where those are too few.
fn lengthened(longer: Longer, tempo: &Tempo, name: &str) -> String {
    let [length, time] = [longer.length, tempo.max_time].map(|time| units::seconds(time.as_secs_f64()));
    let quickest = longer.quickest.map(|quickest| units::seconds(quickest.as_secs_f64()));
    match (quickest, longer.too_few) {
        (Some(quickest), _) => format!("trials of {name} took {length}, since its quickest reply took {quickest}"),
        (None, None) => format!("trials of {name} took {length}, so that each had replies enough"),
        (None, Some(replies)) => format!(
            "trials of {name} took {length}, for which {time} leave room, and had about {replies} of the {} replies that \
             each is to have: a longer --max-time leaves room for more",
            tempo.replies
        ),
    }
}

/// A sentence for each of so many servers and each metric that has a trend.
fn trends(
    metrics: &[Metric],
    lives: Lives,
    starts: &[Start],
    servers: usize,
    name: impl Fn(usize) -> String,
) -> Vec<String> {
    let error = ERROR / (servers * metrics.len()).max(1) as f64;
    let mut notes = Vec::new();
    for (server, metric) in (0..servers).flat_map(|server| metrics.iter().map(move |metric| (server, *metric))) {
        let of_start = |start: &Start| start.figures(metric, server).iter().map(|figure| figure.ln()).collect();
        let series: Vec<Vec<f64>> = starts.iter().map(of_start).collect();
        let (series, what) = match lives {
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

/// A life shorter than this, in seconds, may end before what a server does every few seconds.
const SHORT: f64 = 5.0;

/// The chance of any trend that is none, of all servers and metrics.
const ERROR: f64 = 0.01;

/// The log ratio from which on a trend is worth a note.
const LEAST: f64 = 0.01;

/// What is before a note of starts that were made before `--resume`.
const BEFORE: &str = "before --resume: ";

/// Of times, which stand apart from their figures.
const UNITS: [&str; 4] = ["s", "ms", "us", "ns"];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::trial::{Figures, Trial};
    use crate::plan::tests::plan;
    use crate::trials::course::Round;
    use crate::trials::question::tests::question;
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

    /// Starts of 25 pairs each, in the course of which a message of B comes to cost so many times as much.
    fn drifting(starts: usize, times: f64) -> Vec<Start> {
        let noise = [0.01_f64, -0.02, 0.0, 0.015, -0.005, 0.02, -0.01];
        let trial = |cost: f64| Trial { figures: Figures::from([(Metric::ServerCpu, cost)]), ..Trial::default() };
        let round = |start: usize, round: usize| {
            let noise = |server: usize| noise[(3 * round + start + server) % 7];
            let log = times.ln() * round as f64 / 24.0;
            let trials = vec![trial(1_000.0 * noise(0).exp()), trial(1_000.0 * (log + noise(1)).exp())];
            Round { at_seconds: 0.0, order: vec![0, 1], trials, seconds: None }
        };
        let start = |start: usize| {
            let rounds = (0..25).map(|number| round(start, number)).collect();
            Start { at_seconds: 0.0, rounds, lives: Vec::new() }
        };
        (0..starts).map(start).collect()
    }

    #[test]
    fn a_server_whose_trials_still_change_is_noted_with_the_size_of_the_change() {
        let said = |lives: Lives, starts: &[Start]| {
            trends(&[Metric::ServerCpu], lives, starts, 2, |server| ["A", "B"][server].to_owned())
        };
        let notes = said(Lives::Many, &drifting(20, 0.9));
        let [note] = &notes[..] else { panic!("of B alone: {notes:?}") };
        assert!(note.starts_with("server.cpu of B fell by ") && note.contains("of a start to the last"), "{note}");
        assert!(note.ends_with("still becoming better while it was measured"), "{note}");
        let change: f64 =
            note.split("fell by ").nth(1).and_then(|rest| rest.split('%').next()).unwrap().parse().unwrap();
        assert!((8.0..12.0).contains(&change), "{note}");
        let notes = said(Lives::One, &drifting(1, 1.2));
        assert!(notes.len() == 1 && notes[0].starts_with("server.cpu of B rose by "), "{notes:?}");
        assert!(notes[0].contains("first trial of all to the last: it was still becoming worse"), "{notes:?}");
        assert_eq!(said(Lives::Many, &drifting(20, 1.0)), Vec::<String>::new());
        // What is less than a percent is not worth a note, however sure it is.
        assert_eq!(said(Lives::Many, &drifting(20, 1.005)), Vec::<String>::new());
    }

    #[test]
    fn pauses_and_trials_without_a_reply_are_noted() {
        let mut starts = drifting(2, 1.0);
        let trials = starts.iter_mut().flat_map(|start| &mut start.rounds).flat_map(|round| &mut round.trials);
        trials.for_each(|trial| trial.achieved_rate = 1.0);
        assert_eq!(unanswered(1, &starts, "B"), None);
        for round in 3..5 {
            starts[1].rounds[round].trials[1] = Trial::default();
        }
        assert_eq!(unanswered(1, &starts, "B").as_deref(), Some("2 of 50 trials of B had no reply, and are left out"));
        assert_eq!(unanswered(0, &starts, "A"), None);
        assert_eq!(paused(1, &starts, "B"), None);
        for start in &mut starts {
            start.rounds.iter_mut().for_each(|round| round.seconds = Some(0.03));
            start.rounds[0].trials[1].waited = Duration::from_millis(250);
        }
        assert_eq!([0, 1].map(|server| paused(server, &starts, "B").is_some()), [false, true]);
        let said = paused(1, &starts, "B").unwrap();
        assert!(said.starts_with("B stood still in 25.0% of the time"), "{said}");
    }

    #[test]
    fn a_server_that_was_slow_for_a_moment_is_not_said_to_need_longer_trials() {
        let tempo = Tempo { replies: 50, trial: Duration::from_millis(10), ..question().tempo };
        let trial = |achieved_rate: f64| Trial { achieved_rate, ..Trial::default() };
        let round = |rates: [f64; 2]| Round {
            at_seconds: 0.0,
            order: vec![0, 1],
            trials: rates.map(trial).to_vec(),
            seconds: None,
        };
        let rounds = [[1_900.0, 1_000.0], [88_000.0, 990.0], [89_000.0, 1_010.0]].map(round).into();
        let starts = [Start { at_seconds: 0.0, rounds, lives: Vec::new() }];
        assert_eq!([0, 1].map(|server| needs_longer(&tempo, server, &starts)), [false, true]);
    }

    #[test]
    fn trials_that_had_no_room_for_replies_enough_say_how_many_they_had() {
        let tempo = Tempo { replies: 50, max_time: Duration::from_secs(60), ..question().tempo };
        let of = |quickest, too_few| {
            lengthened(Longer { server: 1, length: Duration::from_millis(375), quickest, too_few }, &tempo, "B")
        };
        assert_eq!(of(None, None), "trials of B took 375 ms, so that each had replies enough");
        let quickest = Some(Duration::from_micros(187_500));
        assert_eq!(of(quickest, None), "trials of B took 375 ms, since its quickest reply took 188 ms");
        let few = of(None, Some(39));
        assert!(few.contains("60.0 s leave room") && few.contains("about 39 of the 50 replies"), "{few}");
    }

    #[test]
    fn notes_of_starts_that_were_made_before_are_said_to_be_of_those() {
        let notes = |all: &[&str]| all.iter().map(|note| (*note).to_owned()).collect::<Vec<_>>();
        let now = notes(&["A ran for 1.20 s in each start", "chosen last: 12 pairs in a start"]);
        let then = notes(&["A ran for 900 ms", "chosen last: 1 pair in a start", "before --resume: A is NOT STEADY"]);
        let told = with_earlier(now.clone(), then);
        let of_before = ["before --resume: A ran for 900 ms", "before --resume: A is NOT STEADY"];
        assert_eq!(told, [&now[..], &notes(&of_before)].concat());
    }

    #[test]
    fn notes_of_two_attempts_that_differ_in_figures_only_are_alike() {
        assert!(say_alike("A ran for 1.20 s, once", "A ran for 900 ms, once"));
        assert!(say_alike("12 pairs in a start: a pair costs 3 us", "7 pairs in a start: a pair costs 2 ms"));
        assert!(say_alike("chosen last: 2 pairs in a start", "chosen last: 1 pair in a start"));
        assert!(!say_alike("A ran for 1.20 s", "B ran for 1.20 s"));
        assert!(!say_alike("p50 rose by 2%", "p50 fell by 2%"));
    }
}
