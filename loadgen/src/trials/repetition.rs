//! How trials are shared out among the starts of a comparison, and what it will be able to tell: from the prices of its
//! starts and trials so far, and from how much they vary.

use super::contrast::{Contrast, round_log_ratios};
use super::course::{Course, Restarts, Start};
use super::question::{Question, SoFar};
use super::start::{STANDS_STILL, stood_still};
use crate::judge::statistics::{Asked, Variances};
use crate::measure::metric::Metric;
use crate::report::repetition::Repetition;

/// What is known of a comparison by now. Where the number of rounds is free, the course's is set.
pub(super) fn plan(
    question: &Question,
    gated: &[Metric],
    SoFar { starts, before, left }: SoFar<'_>,
    course: &mut Course<'_>,
) -> Repetition {
    let asked = question.asked(gated.len());
    let of_trials = gated.iter().filter(|metric| metric.is_of_trials());
    let change = Contrast::between(1, 0);
    let variances: Vec<Variances> =
        of_trials.filter_map(|metric| Variances::of(&of_rounds(&change, *metric, starts))).collect();
    let prices = course.prices();
    let fewest = asked.fewest_starts();
    let missing = fewest.saturating_sub(starts.len());
    let seconds = asked.time * left - course.elapsed().as_secs_f64();
    choose_rounds(asked, &variances, (starts, missing, seconds), course, |most| asked.trials(&variances, prices, most));
    let rounds = course.rounds();
    let forecast = (!variances.is_empty()).then(|| asked.forecast(&variances, prices, rounds));
    let greatest = greatest(&variances, rounds);
    let fewest_seconds = course.elapsed().as_secs_f64() + course.seconds_of(missing);
    // One that goes on has starts that took their time before.
    let all_starts = fewest as f64 * prices.of_start(course.fewest_rounds());
    let in_all = if before > 0 { fewest_seconds.max(all_starts) } else { fewest_seconds };
    Repetition {
        restarts: course.restarts(),
        pairs: rounds,
        start_seconds: prices.start,
        pair_seconds: prices.trial,
        between_starts: greatest.map(|variances| variances.between.sqrt()),
        within_starts: greatest.map(|variances| variances.within.sqrt()),
        fewest_starts: fewest as u64,
        fewest_seconds,
        enough_seconds: Some(course.enough(fewest, in_all, question.attempts)),
        needs_seconds: forecast.and_then(|forecast| forecast.needs),
        resolves: forecast.and_then(|forecast| forecast.resolves).map(f64::exp_m1),
    }
}

/// Sets the rounds of the next start where their number is free, or that of blocks: to no more than leave room for as many starts as
/// are missing, in so many seconds. Until it is known how much starts vary, they are as long as they were meant to be, or are worth;
/// then as long as is `best`, which is told how many rounds leave room for a verdict, and as they were meant to be at the least where
/// a server stands still at times: pauses are to have room in its lives. Blocks are as long as they were meant to be.
pub(super) fn choose_rounds(
    asked: Asked,
    variances: &[Variances],
    (starts, missing, seconds): (&[Start], usize, f64),
    course: &mut Course<'_>,
    best: impl FnOnce(u32) -> u32,
) {
    let most = asked.most(course.prices()).min(MOST_ROUNDS);
    let wanted = match course.tempo().restarts {
        Restarts::Every(_) => return,
        Restarts::Never(rounds) => rounds,
        Restarts::Auto(_) if variances.is_empty() => course.rounds().max(course.prices().worth()).min(most),
        Restarts::Auto(meant) => best(most).max(if has_pauses(starts) { meant.min(most) } else { 1 }),
    };
    course.set_rounds(wanted.min(course.rounds_with_room_for(missing, seconds)));
}

/// Whether one of the servers stands still at times.
fn has_pauses(starts: &[Start]) -> bool {
    let servers = starts.iter().find_map(|start| Some(start.rounds.first()?.trials.len())).unwrap_or(0);
    (0..servers).any(|server| stood_still(starts, server) > STANDS_STILL)
}

/// The log ratios of each start's rounds.
pub(super) fn of_rounds(contrast: &Contrast, metric: Metric, starts: &[Start]) -> Vec<Vec<f64>> {
    starts.iter().map(|start| round_log_ratios(contrast, metric, start)).collect()
}

/// The variances that make estimates of starts with so many rounds vary most.
pub(super) fn greatest(variances: &[Variances], rounds: u32) -> Option<Variances> {
    variances.iter().copied().max_by(|one, other| one.of_start(rounds).total_cmp(&other.of_start(rounds)))
}

/// Rounds between two starts at the most: the Walsh averages of a start's rounds take 4 MB then.
pub const MOST_ROUNDS: u32 = 1_000;

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::cores::Cores;
    use crate::host::interrupt::Interrupt;
    use crate::host::target::Spec;
    use crate::measure::trial::{Figures, Trial};
    use crate::plan::messages::Corpus;
    use crate::plan::tests::plan as plan_of_load;
    use crate::report::repetition::RestartKind;
    use crate::trials::course::{Arm, Round, Warmup};
    use crate::trials::question::tests::question;

    /// Two servers of this kind.
    pub fn arms(spec: &str) -> [Arm; 2] {
        [0, 1].map(|_| {
            let (spec, plan): (Spec, _) = (spec.parse().unwrap(), plan_of_load());
            Arm { spec, corpus: Corpus::new(&plan, None), plan }
        })
    }

    /// Ten starts of 25 pairs each, in which B costs `between` more and less than A in turn, and `within` more and less than that.
    fn starts(between: f64, within: f64) -> Vec<Start> {
        let trial = |log: f64| Trial { figures: Figures::from([(Metric::ServerCpu, log.exp())]), ..Trial::default() };
        let round = |start: usize, round: usize| {
            let sign = |number: usize| if number.is_multiple_of(2) { 1.0 } else { -1.0 };
            let log = between * sign(start) + within * sign(round);
            Round { at_seconds: 0.0, order: vec![0, 1], trials: vec![trial(0.0), trial(log)], seconds: None }
        };
        let start = |start: usize| {
            let rounds = (0..25).map(|number| round(start, number)).collect();
            Start { at_seconds: 0.0, rounds, lives: Vec::new() }
        };
        (0..10).map(start).collect()
    }

    /// These starts, of which so many were made by an attempt before; all of this one is left.
    fn so_far(starts: &[Start], before: usize) -> SoFar<'_> {
        SoFar { starts, before, left: 1.0 }
    }

    /// What is planned after these starts, and the pairs of the next one.
    fn planned(restarts: Restarts, spec: &str, warmup: Warmup, so_far: SoFar<'_>) -> (Repetition, u32) {
        let (arms, interrupt) = (arms(spec), Interrupt::install(1).unwrap());
        let mut question = question();
        question.attempts = 1;
        question.tempo.restarts = restarts;
        question.tempo.warmup = warmup;
        question.tempo.max_time = Duration::from_secs(600);
        let mut course = Course::new(&arms, &[Metric::ServerCpu], question.tempo, &Cores::allowed(), &interrupt);
        let repetition = plan(&question, &[Metric::ServerCpu], so_far, &mut course);
        (repetition, course.rounds())
    }

    #[test]
    fn the_pairs_of_the_next_start_are_chosen_by_variances_and_prices_unless_they_are_given() {
        let (serve, dear) = ("serve {port}", Warmup::For(Duration::from_secs(5)));
        let chosen = |between, within, warmup| {
            let (repetition, rounds) = planned(Restarts::Auto(25), serve, warmup, so_far(&starts(between, within), 0));
            assert_eq!((repetition.pairs, repetition.restarts), (rounds, RestartKind::Auto));
            rounds
        };
        // A start of both costs 10 s, a pair 20 ms: where pairs vary most many of them are worth it, where starts do 125 are.
        let [noisy, both, differ] = [(0.001, 0.3), (0.02, 0.12), (0.1, 0.001)].map(|(b, w)| chosen(b, w, dear));
        assert!(noisy > 2 * both && both > 150 && differ == 125, "{noisy}, {both}, {differ}");
        let free = Warmup::For(Duration::ZERO);
        assert!(chosen(0.02, 0.12, free) < both, "starts that cost nothing are made more often");
        let given = planned(Restarts::Every(25), serve, dear, so_far(&starts(0.1, 0.001), 0));
        assert_eq!((given.1, given.0.restarts), (25, RestartKind::Fixed));
        // As long as nothing is known of how starts vary, they are as they were meant to be, or are worth.
        let first = |warmup| planned(Restarts::Auto(25), serve, warmup, so_far(&starts(0.1, 0.001)[..2], 0)).1;
        assert_eq!((first(free), first(dear)), (25, 125));
    }

    #[test]
    fn starts_are_not_shortened_where_pauses_are_to_have_room_in_them() {
        let free = Warmup::For(Duration::ZERO);
        let mut made = starts(0.1, 0.001);
        let rounds = |made: &[Start]| planned(Restarts::Auto(25), "serve {port}", free, so_far(made, 0)).1;
        assert_eq!(rounds(&made), 1, "one would tell as much");
        for round in made.iter_mut().flat_map(|start| &mut start.rounds) {
            round.seconds = Some(0.03);
            round.trials[1].waited = Duration::from_millis(2);
        }
        assert_eq!(rounds(&made), 25);
    }

    #[test]
    fn a_start_is_no_longer_than_leaves_room_for_those_of_a_verdict() {
        // A start costs 146 s, a pair 20 ms; a verdict takes two more starts. In 600 s four starts have room for 200 pairs each.
        let (dear, made) = (Warmup::For(Duration::from_secs(73)), starts(0.1, 0.01));
        let of = |left| {
            let so_far = SoFar { left, ..so_far(&made[..2], 0) };
            planned(Restarts::Auto(25), "serve {port}", dear, so_far).1
        };
        // 294 s are left, and a little has passed.
        let [all, short, none] = [1.0, 0.49, 0.1].map(of);
        assert!(all == 200 && (40..=50).contains(&short) && none == 1, "{all}, {short}, {none}");
    }

    #[test]
    fn blocks_are_shortened_where_those_of_a_verdict_have_no_room() {
        // A pair takes 20 ms, and a verdict two more blocks.
        let (free, made) = (Warmup::For(Duration::ZERO), starts(0.1, 0.01));
        let of = |restarts, seconds: f64| {
            let so_far = SoFar { left: seconds / 600.0, ..so_far(&made[..2], 0) };
            planned(restarts, "serve {port}", free, so_far).1
        };
        let [all, short, none] = [600.0, 0.6, 0.01].map(|seconds| of(Restarts::Never(25), seconds));
        assert!(all == 25 && (10..=15).contains(&short) && none == 1, "{all}, {short}, {none}");
        assert_eq!(of(Restarts::Every(25), 0.01), 25, "those that were asked for");
    }

    #[test]
    fn servers_by_their_urls_have_no_starts() {
        let (repetition, _) = planned(
            Restarts::Auto(25),
            "ws://127.0.0.1:1/",
            Warmup::For(Duration::ZERO),
            so_far(&starts(0.1, 0.01), 0),
        );
        assert_eq!(repetition.restarts, RestartKind::Never);
    }

    #[test]
    fn what_is_enough_counts_the_starts_of_attempts_before() {
        let dear = Warmup::For(Duration::from_secs(5));
        let made = starts(0.1, 0.01);
        let of = |before: usize| planned(Restarts::Every(5), "serve {port}", dear, so_far(&made[..2], before)).0;
        let (first, second) = (of(0), of(2));
        // This course has made no start: those that are there cost nothing, unless others made them.
        assert_eq!((first.fewest_starts, first.start_seconds), (4, 10.0));
        let [first, second] = [first, second].map(|planned| planned.enough_seconds.unwrap());
        assert!(first < second && second >= 40.0, "{first}, {second}");
    }
}
