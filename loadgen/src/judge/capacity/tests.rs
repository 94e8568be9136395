use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

const RANGE: Range = Range { start: 1_000.0, min: 250.0, max: 64_000.0, precision: 0.03, error: 0.05 };

/// Searches with a server that answers a rate always in the same way. Gives the answer and the rates asked for.
fn search(range: Range, probe: impl Fn(f64) -> Probe) -> (Search, Found, Vec<f64>) {
    let mut search = Search::new(range);
    let mut asked = Vec::new();
    let found = finish(&mut search, probe, &mut asked);
    (search, found, asked)
}

fn finish(search: &mut Search, probe: impl Fn(f64) -> Probe, asked: &mut Vec<f64>) -> Found {
    loop {
        match search.next() {
            Next::Done(found) => return found,
            Next::Probe(rate) => {
                assert!(asked.len() < 200, "no answer after 200 probes: {asked:?}");
                asked.push(rate);
                search.add(rate, probe(rate));
            }
        }
    }
}

fn sharp(capacity: f64) -> impl Fn(f64) -> Probe {
    move |rate| if rate < capacity { Probe::Passed } else { Probe::Failed }
}

#[test]
fn a_sharp_capacity_is_found_within_the_precision_and_a_few_dozen_probes() {
    let (search, found, asked) = search(RANGE, sharp(41_700.0));
    let Found::Bracket { sustains, breaks } = found else { panic!("{found:?}") };
    assert!(sustains < 41_700.0 && 41_700.0 <= breaks && breaks <= sustains * 1.031, "{sustains} to {breaks}");
    assert!(asked.len() <= 35, "{} probes", asked.len());
    assert!(asked.contains(&sustains) && asked.contains(&breaks));
    assert_eq!(search.so_far(), Bracket { sustains: Some(sustains), breaks: Some(breaks) });
    assert_eq!(search.remaining(), 0);
    assert!(!search.moved());
}

#[test]
fn a_capacity_that_moves_is_told_from_one_that_stays() {
    let proven = |sustained: i32, broken: i32| {
        let mut search = Search::new(RANGE);
        for _ in 0..8 {
            search.proof.add(broken, Probe::Failed, 0.0, 0.5);
            search.proof.add(sustained, Probe::Passed, 0.5, 0.0);
        }
        search
    };
    let stays = proven(40, 60);
    assert!(!stays.moved() && !proven(40, 41).moved());
    // What broke is below what was sustained.
    let moved = proven(60, 40);
    assert!(moved.moved() && proven(40, 40).moved());
    assert_eq!(moved.so_far(), stays.so_far(), "the lower one first, whichever it is");
}

#[test]
fn a_rate_that_can_be_proven_neither_way_is_given_up() {
    // From 10,000 to 20,000 every other probe passes.
    let flips = std::cell::Cell::new(false);
    let (_, found, asked) = search(RANGE, |rate| match rate {
        rate if rate < 10_000.0 => Probe::Passed,
        rate if rate > 20_000.0 => Probe::Failed,
        _ if flips.replace(!flips.get()) => Probe::Passed,
        _ => Probe::Failed,
    });
    let Found::Bracket { sustains, breaks } = found else { panic!("{found:?}") };
    assert!(sustains < 10_500.0 && 19_500.0 < breaks, "{sustains} to {breaks}");
    let most = asked.iter().map(|rate| asked.iter().filter(|other| *other == rate).count()).max();
    assert!(most <= Some(40), "{most:?} at one rate of {}", asked.len());
}

#[test]
fn where_every_other_probe_fails_at_any_rate_none_far_below_what_passed_often_is_asked_for() {
    let mut search = Search::new(RANGE);
    let mut lowest = f64::INFINITY;
    for n in 0..180 {
        let Next::Probe(rate) = search.next() else { panic!("{:?} after {n} probes", search.next()) };
        // The machine is disturbed before an end is proven.
        let disturbed = n > 15;
        let probe = if disturbed && n % 2 == 0 { Probe::CannotTell } else { sharp(41_700.0)(rate) };
        lowest = if disturbed { lowest.min(rate) } else { lowest };
        search.add(rate, probe);
    }
    assert!(lowest >= 41_700.0 * 0.45, "{lowest}");
}

#[test]
fn where_none_passes_any_more_what_passed_before_holds_nothing_up() {
    let mut search = Search::new(RANGE);
    let mut probes = 0;
    let found = loop {
        match search.next() {
            Next::Done(found) => break found,
            Next::Probe(rate) => search.add(rate, sharp(if probes < 15 { 41_700.0 } else { 2_000.0 })(rate)),
        }
        probes += 1;
        assert!(probes < 120, "{:?}", search.so_far());
    };
    let Found::Bracket { sustains, .. } = found else { panic!("{found:?}") };
    assert!(sustains < 2_000.0, "{sustains}");
}

#[test]
fn the_ramp_doubles_until_the_first_failure() {
    let (_, _, asked) = search(RANGE, sharp(9_000.0));
    assert_eq!(asked[..5], [1_000.0, 2_000.0, 4_000.0, 8_000.0, 16_000.0]);
    assert!(asked[5] > 8_000.0 && asked[5] < 16_000.0, "{asked:?}");
}

#[test]
fn a_start_that_fails_is_left_downwards() {
    let (_, found, asked) = search(RANGE, sharp(300.0));
    assert_eq!(asked[..3], [1_000.0, 500.0, 250.0]);
    let Found::Bracket { sustains, breaks } = found else { panic!("{found:?}") };
    assert!(sustains < 300.0 && 300.0 <= breaks, "{sustains} to {breaks}");
}

#[test]
fn capacities_outside_the_range_are_said_to_be_there() {
    assert_eq!(search(RANGE, sharp(200.0)).1, Found::BelowRange);
    let (search, found, _) = search(RANGE, sharp(100_000.0));
    assert_eq!(found, Found::AboveRange);
    assert_eq!(search.so_far(), Bracket { sustains: Some(64_000.0), breaks: None });
}

#[test]
fn a_range_of_one_rate_is_a_yes_or_no_question() {
    let range = Range { min: 1_000.0, max: 1_000.0, ..RANGE };
    assert_eq!(search(range, sharp(2_000.0)).1, Found::AboveRange);
    assert_eq!(search(range, sharp(500.0)).1, Found::BelowRange);
}

#[test]
fn where_the_generator_is_late_the_capacity_is_not_said_to_be_the_servers() {
    let late = |above: f64| move |rate| if rate < above { Probe::Passed } else { Probe::CannotTell };
    let (late_search, found, _) = search(RANGE, late(20_000.0));
    let Found::GeneratorLimited { sustains } = found else { panic!("{found:?}") };
    assert!((19_000.0..20_000.0).contains(&sustains), "{sustains}");
    assert_eq!(late_search.so_far().breaks, None);
    assert_eq!(search(RANGE, late(100.0)).1, Found::GeneratorLimitedFromStart);
}

#[test]
fn where_the_generator_can_tell_at_twice_the_rate_the_server_is_proven_to_break_there() {
    // Late in all probes that break the limit by little, and in two of five beyond.
    let beyond = std::cell::Cell::new(0);
    let (search, found, asked) = search(RANGE, |rate| match rate {
        rate if rate < 20_000.0 => Probe::Passed,
        rate if rate < 25_000.0 => Probe::CannotTell,
        _ if beyond.replace(beyond.get() + 1) % 5 < 2 => Probe::CannotTell,
        _ => Probe::Failed,
    });
    let Found::Bracket { sustains, breaks } = found else { panic!("{found:?}") };
    assert!(sustains < 20_000.0 && (25_000.0..=40_000.0).contains(&breaks), "{sustains} to {breaks}");
    assert_eq!(search.so_far(), Bracket { sustains: Some(sustains), breaks: Some(breaks) });
    assert!(asked.len() <= 70, "{} probes", asked.len());
    assert!(asked.iter().filter(|rate| **rate >= breaks).count() >= 5 && asked.contains(&breaks));
}

#[test]
fn the_last_resort_goes_no_further_than_twice_what_passed_and_ends() {
    let (_, found, asked) = search(RANGE, |rate| match rate {
        rate if rate < 20_000.0 => Probe::Passed,
        _ => Probe::CannotTell,
    });
    assert!(matches!(found, Found::GeneratorLimited { .. }), "{found:?}");
    let highest = asked[6..].iter().copied().fold(0.0, f64::max);
    assert!(highest <= 40_000.0 && asked.len() <= 60, "{highest}, {} probes", asked.len());
}

#[test]
fn after_a_failed_holdout_a_lower_rate_has_to_prove_itself() {
    let (mut search, found, mut asked) = search(RANGE, sharp(41_700.0));
    let Found::Bracket { sustains, breaks } = found else { panic!("{found:?}") };
    search.step_down(sustains);
    let before = asked.len();
    let again = finish(&mut search, sharp(41_700.0), &mut asked);
    let Found::Bracket { sustains: lower, breaks: still } = again else { panic!("{again:?}") };
    assert!(lower <= sustains / 1.029 && lower > sustains * 0.8, "{lower} after {sustains}");
    assert!(41_700.0 <= still && still <= breaks, "{still}, before {breaks}; {:?}", &asked[before..]);
    assert!(asked.len() - before >= 5, "proven anew after {} probes", asked.len() - before);
}

#[test]
fn a_failed_holdout_at_an_end_of_the_range_ends_too() {
    let (mut above, _, mut asked) = search(RANGE, sharp(100_000.0));
    above.step_down(64_000.0);
    assert_eq!(finish(&mut above, sharp(100_000.0), &mut asked), Found::AboveRange);
    assert!(above.so_far().sustains.unwrap() < 64_000.0);
    let (mut below, _, _) = search(RANGE, sharp(255.0));
    below.step_down(250.0);
    assert_eq!(below.next(), Next::Done(Found::BelowRange));
}

#[test]
fn what_remains_shrinks_to_nothing_and_what_is_narrowed_down_holds_the_capacity() {
    let mut search = Search::new(RANGE);
    let planned = search.remaining();
    assert!((20..=60).contains(&planned), "{planned}");
    let mut probes = 0;
    while let Next::Probe(rate) = search.next() {
        assert!(search.remaining() > 0);
        search.add(rate, sharp(12_345.0)(rate));
        probes += 1;
        let (low, high) = search.narrowed();
        assert!(probes < 8 || low < 12_345.0 && 12_345.0 < high * 1.01, "{low} to {high} after {probes} probes");
    }
    assert_eq!(search.remaining(), 0);
}

#[test]
fn every_rate_that_is_asked_for_is_counted_at_its_own_step_and_every_search_ends() {
    let mut random = SmallRng::seed_from_u64(1);
    for _ in 0..3_000 {
        let min = 10f64.powf(random.random::<f64>() * 4.0);
        let max = min * 10f64.powf(random.random::<f64>() * 4.0);
        // As is where the closed loop is faster or slower than the range.
        let start = (min * (max / min).powf(random.random::<f64>() * 1.4 - 0.2)).clamp(min, max);
        let precision = [0.001, 0.01, 0.03, 0.1, 0.5][random.random_range(0..5)];
        let range = Range { start, min, max, precision, error: 0.05 };
        let grid = Grid::new(start, min, max, precision);
        assert_eq!((grid.step(min), grid.step(max)), (grid.lowest(), grid.highest()), "{range:?}");
        assert_eq!((grid.rate(grid.lowest()), grid.rate(grid.highest())), (min, max), "{range:?}");
        let step = random.random_range(grid.lowest()..=grid.highest());
        assert_eq!(grid.step(grid.rate(step)), step, "{range:?}");
        // A search over tens of thousands of steps takes long in a build that is not optimized.
        if grid.highest() - grid.lowest() < 300 {
            assert_eq!(search(range, sharp(max * 1.01)).1, Found::AboveRange, "{range:?}");
            assert_eq!(search(range, sharp(min * 0.99)).1, Found::BelowRange, "{range:?}");
        }
    }
}

#[test]
fn after_a_failed_holdout_no_rate_is_asked_for_far_above_what_passed() {
    let mut random = SmallRng::seed_from_u64(2);
    for seed in 0..20 {
        let before = 1_000.0 * 10f64.powf(random.random());
        let later = before * (0.2 + random.random::<f64>());
        let late = random.random::<f64>() * 0.6;
        let range = Range { start: 500.0, min: 100.0, max: 1e6, ..RANGE };
        let Found::Bracket { sustains, .. } = search(range, sharp(before)).1 else { panic!("{seed}") };
        let (mut search, _, _) = search(range, sharp(before));
        search.step_down(sustains);
        let mut highest = sustains;
        for _ in 0..150 {
            let Next::Probe(rate) = search.next() else { break };
            assert!(rate <= highest * 2.01, "{seed}: {rate} though only {highest} had passed");
            let probe = match sharp(later)(rate) {
                Probe::Failed if random.random::<f64>() < late => Probe::CannotTell,
                probe => probe,
            };
            if probe == Probe::Passed {
                highest = highest.max(rate);
            }
            search.add(rate, probe);
        }
    }
}
