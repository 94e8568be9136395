//! The statistics against R's and SciPy's figures, and the error rates by simulation.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;

use super::*;
use crate::measure::metric::Better;

/// One line of `vectors.json`, which `vectors.py` beside it has written.
#[derive(Debug, Deserialize)]
struct Vector {
    values: Vec<f64>,
    at: f64,
    p_greater: f64,
    p_less: f64,
    estimate: f64,
    intervals: Vec<(f64, f64, f64)>,
}

#[test]
fn figures_are_those_of_r_and_scipy() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    assert!(vectors.len() >= 12);
    for Vector { values, at, p_greater, p_less, estimate, intervals } in vectors {
        let sample = Sample::new(&values);
        let near = |ours: f64, theirs: f64| (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1e-3);
        let n = values.len();
        assert!(near(sample.estimate().unwrap(), estimate), "n = {n}: {:?}, {estimate}", sample.estimate());
        assert!(near(sample.p_above(at), p_greater), "n = {n}: {}, {p_greater}", sample.p_above(at));
        assert!(near(sample.p_below(at), p_less), "n = {n}: {}, {p_less}", sample.p_below(at));
        for (error, low, high) in intervals {
            let ours = sample.interval(error);
            assert!(near(ours.low, low) && near(ours.high, high), "n = {n}, {error}: {ours:?}, {low}, {high}");
        }
    }
}

/// A machine whose speed drifts, servers whose memory layout differs from start to start, and trials with heavy tails.
struct Machine {
    rng: SmallRng,
    speed: f64,
    /// The true log ratio.
    effect: f64,
    /// Degrees of freedom of a trial's noise, Student-t.
    freedom: usize,
    layout: f64,
    noise: f64,
}

impl Machine {
    fn normal(&mut self) -> f64 {
        let (u, v): (f64, f64) = (self.rng.random(), self.rng.random());
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    fn student(&mut self) -> f64 {
        let chi: f64 = (0..self.freedom).map(|_| self.normal().powi(2)).sum();
        self.normal() / (chi / self.freedom as f64).sqrt()
    }

    /// One trial, after which the machine has become faster or slower.
    fn trial(&mut self, side: f64) -> f64 {
        self.speed += 0.01 * self.normal();
        // Now and then a neighbour takes a fifth of the machine.
        let stolen = if self.rng.random::<f64>() < 0.05 { -0.2 } else { 0.0 };
        self.speed + side + self.noise * self.student() + stolen
    }

    /// The log ratio of one start: `pairs` pairs, each in random order.
    fn start(&mut self, pairs: usize) -> f64 {
        let sides = [self.layout * self.normal(), self.effect + self.layout * self.normal()];
        let ratios: Vec<f64> = (0..pairs)
            .map(|_| {
                let first = usize::from(self.rng.random::<bool>());
                let mut speeds = [0.0; 2];
                for side in [first, 1 - first] {
                    speeds[side] = self.trial(sides[side]);
                }
                speeds[1] - speeds[0]
            })
            .collect();
        Sample::new(&ratios).estimate().unwrap()
    }

    /// Up to so many attempts of one metric, each going on from those before: the verdict, and how many starts it took.
    /// `pooled` attempts have all starts before, others only their own.
    fn attempts(&mut self, attempts: u32, starts: usize, pooled: bool) -> (Change, usize) {
        let mut ratios: Vec<f64> = Vec::new();
        let (mut rulings, mut taken) = (vec![None], 0);
        for attempt in 0..attempts {
            let over = f64::from(attempt);
            let judge = Judge::new(Aim::Changed, 0.01, Band::of(0.0), [Better::Higher]);
            // As it is read back from what the attempt before has saved.
            let mut judge = judge.of_attempts(attempts, over, &rulings);
            if !pooled {
                ratios.clear();
            }
            let before = ratios.len();
            for part in LOOKS {
                while ((ratios.len() - before) as f64) < part * starts as f64 {
                    ratios.push(self.start(4));
                    taken += 1;
                }
                judge.look(over + part, &[Sample::new(&ratios).into()]);
                if judge.decided() {
                    break;
                }
            }
            rulings = judge.rulings().collect();
            if judge.decided() {
                break;
            }
        }
        (rulings[0].unwrap().change, taken)
    }

    /// A comparison of two metrics that see the same machine; the verdicts, and the 95% interval of the first.
    fn compare(&mut self, aim: Aim, starts: usize, tolerance: f64) -> (Vec<Change>, Interval) {
        let mut judge = Judge::new(aim, 0.01, Band::of(tolerance), [Better::Higher, Better::Lower]);
        let (mut higher, mut lower) = (Vec::new(), Vec::new());
        for part in LOOKS {
            while (higher.len() as f64) < part * starts as f64 {
                let ratio = self.start(4);
                higher.push(ratio);
                lower.push(-ratio + 0.001 * self.normal());
            }
            judge.look(part, &[Sample::new(&higher).into(), Sample::new(&lower).into()]);
            if judge.decided() {
                break;
            }
        }
        let changes = judge.rulings().map(|ruling| ruling.unwrap().change).collect();
        (changes, Sample::new(&higher).interval(0.05))
    }
}

fn machine(seed: u64, effect: f64, freedom: usize) -> Machine {
    Machine { rng: SmallRng::seed_from_u64(seed), speed: 0.0, effect, freedom, layout: 0.004, noise: 0.01 }
}

#[test]
fn an_unchanged_server_is_called_changed_in_one_of_a_hundred_comparisons_at_the_most() {
    for (freedom, starts, tolerance) in [(3, 18, 0.0), (2, 30, 0.0), (3, 18, 0.01)] {
        let mut machine = machine(7, 0.0, freedom);
        let wrong = (0..600)
            .filter(|_| {
                let (changes, _) = machine.compare(Aim::Changed, starts, tolerance);
                changes.iter().any(|change| matches!(change, Change::Improved | Change::Regressed))
            })
            .count();
        // 6 expected at the most; more than 15 has a probability of 0.05%.
        assert!(wrong <= 15, "{wrong} of 600 with {freedom} degrees of freedom");
    }
}

#[test]
fn three_attempts_together_call_an_unchanged_server_changed_in_one_of_a_hundred_at_the_most() {
    let mut machine = machine(37, 0.0, 3);
    let wrong = (0..600).filter(|_| machine.attempts(3, 18, true).0 != Change::Inconclusive).count();
    assert!(wrong <= 15, "{wrong} of 600");
}

#[test]
fn attempts_that_go_on_find_what_attempts_anew_do_not() {
    let found = |pooled| {
        let mut machine = machine(41, -0.005, 3);
        let all: Vec<_> = (0..200).map(|_| machine.attempts(3, 24, pooled)).collect();
        let found = all.iter().filter(|(change, _)| *change == Change::Regressed).count();
        (found, all.iter().map(|(_, starts)| starts).sum::<usize>() / all.len())
    };
    let ((pooled, starts), (anew, starts_anew)) = (found(true), found(false));
    assert!(
        pooled >= anew + 20 && starts <= starts_anew,
        "{pooled} and {anew} of 200, {starts} and {starts_anew} starts"
    );
}

#[test]
fn a_change_that_is_there_is_found_and_lies_in_its_interval() {
    let mut machine = machine(11, -0.01, 3);
    let (mut found, mut covered) = (0, 0);
    for _ in 0..200 {
        let (changes, interval) = machine.compare(Aim::Changed, 54, 0.0);
        assert!(!changes.contains(&Change::Improved));
        found += usize::from(changes.iter().all(|change| *change == Change::Regressed));
        covered += usize::from(interval.low <= -0.01 && -0.01 <= interval.high);
    }
    assert!(found >= 160, "{found} of 200 found");
    assert!(covered >= 180, "{covered} of 200 covered");
}

#[test]
fn a_change_just_beyond_the_tolerance_is_never_called_equivalent() {
    let mut machine = machine(13, 0.0101, 3);
    let wrong = (0..300).filter(|_| machine.compare(Aim::Changed, 54, 0.01).0.contains(&Change::Equivalent)).count();
    // 3 expected at the most; more than 10 has a probability of 0.03%.
    assert!(wrong <= 10, "{wrong} of 300");
    let mut same = self::machine(17, 0.0, 3);
    let right = (0..100).filter(|_| same.compare(Aim::Changed, 54, 0.01).0 == [Change::Equivalent; 2]).count();
    assert!(right >= 75, "{right} of 100");
}

#[test]
fn a_server_that_is_worse_by_more_than_allowed_passes_in_one_of_a_hundred_comparisons_at_the_most() {
    // The first metric is better higher, the second lower: both have become worse.
    let mut worse = machine(19, -0.0101, 3);
    let passes = |change: &Change| matches!(change, Change::NotWorse | Change::Improved);
    let wrong = (0..600).filter(|_| worse.compare(Aim::Worse, 54, 0.01).0.iter().any(passes)).count();
    // 6 expected at the most, as above.
    assert!(wrong <= 15, "{wrong} of 600");
    let mut slightly_worse = machine(23, -0.0099, 3);
    let failed = |change: &Change| *change == Change::Regressed;
    let wrong = (0..600).filter(|_| slightly_worse.compare(Aim::Worse, 54, 0.01).0.iter().any(failed)).count();
    assert!(wrong <= 15, "{wrong} of 600 fail that are worse by less than that");
}

#[test]
fn what_became_better_or_stayed_passes_and_what_became_worse_fails() {
    // Beyond the tolerance on the better side there is no end to what passes: 1% better is neither equivalent nor improved,
    // where 1% is the tolerance.
    for (effect, expected) in [(0.0, Change::NotWorse), (0.01, Change::NotWorse), (0.04, Change::Improved)] {
        let mut machine = machine(29, effect, 3);
        let right = (0..100).filter(|_| machine.compare(Aim::Worse, 54, 0.01).0 == [expected; 2]).count();
        assert!(right >= 80, "{right} of 100 are {expected:?} with an effect of {effect}");
    }
    let mut machine = machine(31, -0.04, 3);
    let right = (0..100).filter(|_| machine.compare(Aim::Worse, 54, 0.01).0 == [Change::Regressed; 2]).count();
    assert!(right >= 95, "{right} of 100");
}

#[test]
fn a_gate_asks_for_more_starts_by_its_own_border_alone() {
    let near: Vec<f64> =
        [0.01, -0.01, 0.02, -0.015, 0.018, -0.019, 0.004, -0.003, 0.008, -0.006, 0.001, 0.002].to_vec();
    let better: Vec<f64> = near.iter().map(|value| value + 0.019).collect();
    let times = |aim, better_if| times_more(&Sample::new(&better), 0.01, Band::of(0.02), aim, better_if).unwrap();
    assert!(times(Aim::Changed, Better::Higher) > 50.0, "it lies just within the upper end");
    assert!(times(Aim::Worse, Better::Higher) < 2.0, "and far from the lower one, which is the worse one");
    assert!(times(Aim::Worse, Better::Lower) > 50.0, "the upper end is the worse one");
}

#[test]
fn as_many_starts_as_a_few_noisy_ones_ask_for_tell_in_about_half_of_the_cases() {
    let (level, border) = (0.0025, Band::of(0.0));
    let (mut asked, mut told, mut told_by_the_fewest) = (0, 0, 0);
    for seed in 0..400 {
        let mut machine = machine(seed, -0.01, 3);
        let mut ratios: Vec<f64> = (0..6).map(|_| machine.start(4)).collect();
        let tells = |ratios: &[f64]| {
            let interval = Sample::new(ratios).interval(level);
            interval.high < 0.0 || interval.low > 0.0
        };
        let times = times_more(&Sample::new(&ratios), level, border, Aim::Changed, Better::Lower).unwrap();
        let needed = (times * ratios.len() as f64).ceil() as usize;
        assert!(needed >= fewest(level));
        // Where the first estimate happens to be next to none, hundreds are asked for.
        if needed > 150 {
            continue;
        }
        asked += 1;
        ratios.extend((ratios.len()..needed).map(|_| machine.start(4)));
        told += usize::from(tells(&ratios));
        told_by_the_fewest += usize::from(tells(&ratios[..fewest(level)]));
    }
    assert!(asked >= 200 && told * 10 >= asked * 4, "{told} of {asked}");
    assert!(told_by_the_fewest * 10 < asked * 4, "{told_by_the_fewest} of {asked}: no spread has to be looked at");
}

#[test]
fn the_tolerance_is_the_same_share_either_way() {
    for (change, expected) in [(-0.29, Change::Equivalent), (-0.31, Change::Regressed), (0.29, Change::Equivalent)] {
        let log_ratio = f64::ln_1p(change);
        let sample: Vec<f64> = (0..20).map(|i| log_ratio + 1e-4 * f64::from(i - 10)).collect();
        let mut judge = Judge::new(Aim::Changed, 0.01, Band::of(0.3), [Better::Higher]);
        judge.look(1.0, &[Sample::new(&sample).into()]);
        assert_eq!(judge.rulings().next().unwrap().unwrap().change, expected, "{change}");
    }
}

#[test]
fn what_was_decided_stays_and_what_was_not_says_how_long() {
    let far = Sample::new(&[0.05, 0.051, 0.049, 0.052, 0.048, 0.053, 0.047, 0.054, 0.046, 0.055, 0.045, 0.056]);
    let near = Sample::new(&[0.01, -0.01, 0.02, -0.015, 0.018, -0.019, 0.004, -0.003, 0.008, -0.006, 0.001, 0.002]);
    let mut judge = Judge::new(Aim::Changed, 0.05, Band::of(0.0), [Better::Lower, Better::Lower]);
    let both = [far.clone().into(), near.clone().into()];
    judge.look(0.2, &both);
    assert_eq!(judge.rulings().next().unwrap(), None, "a level of 0.0004 needs 14 values for two metrics");
    judge.look(0.6, &both);
    judge.look(1.0, &[near.clone().into(), near.clone().into()]);
    let changes: Vec<Change> = judge.rulings().map(|ruling| ruling.unwrap().change).collect();
    assert_eq!(changes, [Change::Regressed, Change::Inconclusive]);
    assert!(!judge.decided());
    let ruling = judge.rulings().next().unwrap().unwrap();
    assert!(ruling.interval.low > 0.0 && ruling.part == 0.6);
    let times = times_more(&near, 0.01, Band::of(0.0), Aim::Changed, Better::Lower).unwrap();
    assert!(times > 10.0, "{times}");
    let times = times_more(&near, 0.01, Band::of(0.05), Aim::Changed, Better::Lower).unwrap();
    assert!((1.0..2.0).contains(&times), "{times}");
    assert_eq!(times_more(&Sample::new(&[0.1, 0.1]), 0.01, Band::of(0.0), Aim::Changed, Better::Lower), Some(4.0));
    assert_eq!(
        times_more(&Sample::new(&[0.1_f64.ln_1p(); 9]), 0.01, Band::of(0.1), Aim::Changed, Better::Lower),
        None,
        "it lies on the border for ever"
    );
    assert!(resolution(&near, 0.01, 1.0).unwrap() > 2.0 * resolution(&near, 0.01, 9.0).unwrap());
    assert_eq!(resolution(&Sample::new(&[0.1; 3]), 0.01, 1.0), None);
}

#[test]
fn nothing_passes_that_all_trials_together_leave_in_doubt() {
    let around =
        |log_ratio: f64| Sample::new(&(0..20).map(|i| log_ratio + 1e-3 * f64::from(i - 10)).collect::<Vec<_>>());
    let judged = |aim: Aim, better: Better, typical: f64, together: Option<Pooled>| {
        let mut judge = Judge::new(aim, 0.01, Band::of(0.05), [better]);
        judge.look(1.0, &[Evidence { typical: around(typical), together }]);
        let ruling = judge.rulings().next().unwrap().unwrap();
        (ruling.change, ruling.doubt.is_some())
    };
    let said = |aim: Aim, better: Better, typical: f64, log_ratio: f64| {
        judged(aim, better, typical, Some(Pooled { log_ratio, error: 0.003, starts: 20 }))
    };
    use Aim::{Changed, Worse};
    use Better::{Higher, Lower};
    // It stood still for a third of the time, between trials that were as fast as ever.
    assert_eq!(said(Worse, Higher, 0.0, -0.4), (Change::Inconclusive, true));
    assert_eq!(said(Worse, Lower, 0.0, 0.4), (Change::Inconclusive, true));
    assert_eq!(said(Changed, Higher, 0.0, -0.4), (Change::Inconclusive, true));
    assert_eq!(said(Changed, Higher, 0.0, 0.4), (Change::Inconclusive, true));
    assert_eq!(said(Worse, Higher, 0.3, -0.4), (Change::Inconclusive, true), "nor is it said to have improved");
    // The better side, and what is within the tolerance for sure, leave no doubt.
    assert_eq!(said(Worse, Higher, 0.0, 0.4), (Change::NotWorse, false));
    assert_eq!(said(Worse, Higher, 0.0, -0.02), (Change::NotWorse, false));
    assert_eq!(said(Worse, Higher, 0.0, -0.049), (Change::Inconclusive, true), "its interval reaches beyond");
    assert_eq!(said(Worse, Higher, -0.2, -0.4), (Change::Regressed, false), "what does not pass needs no doubt");
    assert_eq!(judged(Worse, Higher, 0.0, None), (Change::NotWorse, false), "without such figures");
}
