//! How long searches on simulated servers take and how often they err there.
//!
//! `FATHOM_REPETITIONS=20 cargo test --release -p loadgen --lib capacity::simulations -- --nocapture` makes each
//! test repeat 20 times as often and prints what it counted.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::counted::{Counted, at_most, quantile};
use super::search::{Next, Range, Search};
use super::simulated::{Knee, RANGE, START, Server, repetitions};
use super::verdict::{Bracket, Found, Probe};

fn search(server: &mut Server, range: Range, patience: f64) -> (Option<Found>, Bracket) {
    let mut search = Search::new(range);
    while server.seconds < patience {
        match search.next() {
            Next::Done(found) => return (Some(found), search.so_far()),
            Next::Probe(rate) => search.add(rate, server.probe(rate)),
        }
    }
    (None, search.so_far())
}

fn count(knee: Knee, times: usize) -> Counted {
    count_in(knee, times, RANGE, PATIENCE)
}

fn count_in(knee: Knee, times: usize, range: Range, patience: f64) -> Counted {
    let mut counted = Counted::default();
    for seed in 0..repetitions(times) {
        let mut server = Server::new(knee, seed);
        let (found, so_far) = search(&mut server, range, patience);
        counted.add_so_far(&server, found, so_far);
    }
    counted.print(&format!("search, error {}", range.error), knee);
    counted
}

#[test]
fn a_sharp_knee_is_found_to_the_precision_in_about_25_probes() {
    let counted = count(Knee::Sharp, 60);
    counted.keeps_its_promise();
    assert_eq!((counted.low_wrong, counted.high_wrong, counted.unfinished), (0, 0, 0));
    assert!(quantile(&counted.probes, 0.5) <= 28.0 && quantile(&counted.probes, 1.0) <= 45.0);
    assert!(quantile(&counted.widths, 0.5) <= 0.0301);
    assert_eq!((counted.holds_mean, counted.disturbed), (counted.searches, 0));
}

#[test]
fn a_soft_knee_gets_a_bracket_as_wide_as_it_is_soft() {
    let counted = count(Knee::Soft(0.2), 20);
    counted.keeps_its_promise();
    assert!(quantile(&counted.widths, 0.5) <= 0.25);
    assert!(counted.unfinished as f64 <= 0.03 * counted.searches as f64);
    assert!(counted.disturbed as f64 <= 0.05 * counted.searches as f64, "{}", counted.disturbed);
}

#[test]
fn stalls_every_tenth_probe_do_not_hide_the_capacity() {
    let counted = count(Knee::Stalls, 30);
    counted.keeps_its_promise();
    assert_eq!(counted.unfinished, 0);
    assert!(quantile(&counted.widths, 0.5) <= 0.06 && quantile(&counted.probes, 0.5) <= 45.0);
}

#[test]
fn of_a_drifting_capacity_the_bracket_meets_where_it_was() {
    for period in [60.0, 30.0] {
        let counted = count(Knee::Drifting(period), 10);
        counted.keeps_its_promise();
        assert!(counted.unfinished as f64 <= 0.1 * counted.searches as f64);
        assert!(counted.holds_mean as f64 >= 0.7 * counted.searches as f64, "{}", counted.holds_mean);
    }
}

#[test]
fn a_late_generator_is_told_from_the_servers_capacity() {
    let counted = count(Knee::Late(0.7), 30);
    counted.keeps_its_promise();
    assert_eq!(counted.limited, counted.searches);
    // Late only where the server has failed already: no reason not to tell.
    let counted = count(Knee::Late(1.3), 30);
    counted.keeps_its_promise();
    assert_eq!(counted.limited, 0);
}

#[test]
fn a_generator_that_is_late_more_often_the_higher_the_rate_widens_the_bracket() {
    for (share, widest) in [(0.15, 0.12), (0.3, 0.3), (0.45, 0.9)] {
        let counted = count(Knee::LateMore(share), 20);
        counted.keeps_its_promise();
        // Where as many probes are late as can pass, it may be the generator that ends it.
        assert!(share > 0.4 || counted.limited as f64 <= 0.2 * counted.searches as f64, "{}", counted.limited);
        assert!(counted.unfinished as f64 <= 0.1 * counted.searches as f64, "{}", counted.unfinished);
        assert!(quantile(&counted.widths, 0.5) <= widest, "{}", quantile(&counted.widths, 0.5));
        // No rate takes all of the time, though it could be proven neither way.
        assert!(quantile(&counted.most_at_one, 0.9) <= 48.0, "{}", quantile(&counted.most_at_one, 0.9));
    }
}

/// Some of what stands above the capacity cannot tell, or nearly all just above it; what lies further out does.
#[test]
fn a_generator_that_is_late_beyond_the_capacity_does_not_hide_it() {
    for (knee, widest) in [
        (Knee::LateBeyond(0.5), 0.04),
        (Knee::LateBeyond(0.9), 0.04),
        (Knee::LateNear(0.8), 0.6),
        (Knee::LateNear(0.95), 0.8),
        (Knee::LateNear(1.0), 0.8),
    ] {
        let counted = count(knee, 20);
        counted.keeps_its_promise();
        assert!(counted.holds_mean as f64 >= 0.9 * counted.searches as f64, "{} found", counted.holds_mean);
        assert!(counted.limited as f64 <= 0.1 * counted.searches as f64, "{}", counted.limited);
        assert!(quantile(&counted.widths, 0.5) <= widest, "{}", quantile(&counted.widths, 0.5));
        assert!(quantile(&counted.probes, 0.9) <= 200.0, "{}", quantile(&counted.probes, 0.9));
    }
}

/// It goes no lower than half of what passed often, so that the time is left to prove that; where it does not suffice, it is told why.
#[test]
fn spells_in_which_the_machine_is_disturbed_end_with_an_answer_or_are_told() {
    for (share, unfinished) in [(0.3, 0.1), (0.5, 0.1), (0.7, 0.3)] {
        for knee in [Knee::FailingSpells(share), Knee::LateSpells(share)] {
            let counted = count_in(knee, 20, WIDE, WIDE_PATIENCE);
            counted.keeps_its_promise();
            assert!(counted.unfinished as f64 <= unfinished * counted.searches as f64, "{}", counted.unfinished);
            let untold = counted.unfinished - counted.disturbed_unfinished;
            assert!(untold as f64 <= 0.05 * counted.searches as f64, "{untold} of {}", counted.unfinished);
        }
    }
}

/// What passed before says nothing then, and is not held against what fails.
#[test]
fn a_server_that_slows_down_to_a_tenth_is_followed() {
    let counted = count_in(Knee::Slower, 20, WIDE, WIDE_PATIENCE);
    counted.keeps_its_promise();
    assert_eq!(counted.unfinished, 0);
    assert!(quantile(&counted.probes, 0.9) <= 90.0, "{}", quantile(&counted.probes, 0.9));
}

#[test]
fn other_confidences_are_kept_too() {
    for error in [0.1, 0.01] {
        for knee in [Knee::Sharp, Knee::Soft(0.2), Knee::Stalls, Knee::LateMore(0.3), Knee::Drifting(60.0)] {
            count_in(knee, 10, Range { error, ..RANGE }, PATIENCE).keeps(error);
        }
    }
}

/// What fails is told more often than what passes then, so that a rate at which as many would pass as fail looks as if it broke.
#[test]
fn a_generator_that_is_late_only_where_the_server_passes_does_not_make_the_upper_end_wrong() {
    count(Knee::LateWherePassing(0.3), 12).keeps_its_promise();
}

/// Probes whose results are coins fall for any rate: whatever is claimed is wrong, since every rate is the capacity or none is.
#[test]
fn coins_are_taken_for_a_capacity_no_more_often_than_the_error_allows() {
    let times = repetitions(20);
    let (mut low, mut high) = (0, 0);
    for seed in 0..times {
        let mut chance = SmallRng::seed_from_u64(seed);
        let mut search = Search::new(Range { max: START * 8.0, ..RANGE });
        for _ in 0..60 {
            let Next::Probe(rate) = search.next() else { break };
            search.add(rate, if chance.random() { Probe::Passed } else { Probe::Failed });
        }
        let Bracket { sustains, breaks } = search.so_far();
        low += usize::from(sustains.is_some());
        high += usize::from(breaks.is_some());
    }
    let most = at_most(times as f64, RANGE.error);
    assert!((low as f64) <= most && (high as f64) <= most, "{low} and {high} of {times}");
}

/// After so many seconds without an answer a search counts as unfinished.
const PATIENCE: f64 = 300.0;

/// As a user has it who gives no --min-rate: probes of the lowest rates take 10 s. What --max-time leaves for the search.
const WIDE: Range = Range { min: 20.0, ..RANGE };
const WIDE_PATIENCE: f64 = 200.0;
