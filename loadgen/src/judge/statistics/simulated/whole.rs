//! Comparisons of two simulated servers as a whole: started anew, warmed up until they have settled, measured in pairs whose
//! number is chosen on the way, and judged at every look; and what one life of them tells where pairs are alike in time.
//!
//! Counted with `FATHOM_REPETITIONS=10`, 400 comparisons (500 lives) each, at an error of 5% and a tolerance of 2%:
//!
//! | Servers | Result |
//! |---|---|
//! | alike, of 0.8 s to warm up with a jump on the way, drifting | called different: 0.0%; equivalent: 99% |
//! | the same, B costlier by just the tolerance | called beyond it: 2.2%; within it: 2.5% |
//! | the same, B costlier by 6% | called regressed: 100% |
//! | alike once warm, A of 0.5 s to warm up and B of 0.8 s | called regressed: 0.0%; B seems costlier by 0.1% in the median |
//! | one life whose pairs correlate by 0, 0.5, 0.9 | the 95% interval of blocks misses: 4.6%, 5.0%, 11% (that of pairs: -, 22%, 66%) |

use std::f64::consts::SQRT_2;

use super::*;
use crate::measure::metric::Better;

/// Two servers that are compared.
struct Servers {
    sides: [Server; 2],
    /// The log ratio of B's cost to A's once both are warm.
    change: f64,
    /// The standard deviations of a start's log ratio, and of a pair's about that of its start.
    between: f64,
    within: f64,
}

/// What a comparison has come to.
struct Told {
    change: Change,
    /// The estimate of the log ratio.
    estimate: f64,
}

impl Servers {
    /// The servers of one start, each of which is compiled a little sooner or later than in another.
    fn started(&self, chance: &mut Chance) -> [Server; 2] {
        self.sides.map(|server| {
            let times = 0.8 + 0.4 * chance.0.random::<f64>();
            Server { constant: server.constant * times, jump_at: (server.jump_at as f64 * times) as usize, ..server }
        })
    }

    /// How long each server is warmed up in a start, in slices: as long as one of them is looked at, or as was `learned` from that.
    fn warmed(&self, learned: &mut [Vec<usize>; 2], starts: usize, chance: &mut Chance) -> usize {
        if starts < LEARNED_FROM {
            let looked = self.started(chance).map(|server| server.warm_up(MOST_SLICES, chance));
            for (learned, (settling, _)) in learned.iter_mut().zip(looked) {
                learned.push(match settling {
                    Settling::Settled { from } => {
                        ((from * TIMES_SETTLED).min(from.max(MOST_SLICES / 2)) + UNSEEN).min(MOST_SLICES)
                    }
                    Settling::NotYet | Settling::NotSteady(_) => MOST_SLICES / 2,
                });
                learned.sort_unstable();
            }
            return looked.map(|(_, slices)| slices).into_iter().max().unwrap_or(MOST_SLICES);
        }
        longest(learned)
    }

    /// The log ratios of the pairs of a start, which come so many slices after it.
    fn pairs(&self, warm: usize, rounds: u32, chance: &mut Chance) -> Vec<f64> {
        let sides = self.started(chance);
        let level = self.between * chance.normal();
        let pair = |round: u32| {
            let slice = warm + (f64::from(round) * PAIR / SLICE) as usize;
            let [a, b] = sides.map(|server| {
                let tier = if slice < server.jump_at { server.jump } else { 0.0 };
                let disturbed = if chance.0.random::<f64>() < server.disturbed { 0.2 } else { 0.0 };
                let noise = self.within / SQRT_2 * chance.normal();
                server.bias(slice).ln_1p() + tier + server.drift * slice as f64 + noise + disturbed
            });
            self.change + level + b - a
        };
        (0..rounds).map(pair).collect()
    }

    /// What a comparison says of B.
    fn compared(&self, asked: Asked, chance: &mut Chance) -> Told {
        let mut judge = Judge::new(Aim::Changed, asked.alpha, asked.tolerance, [Better::Lower]);
        let (mut starts, mut estimates, mut learned) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
        let (mut seconds, mut rounds) = (0.0, FIRST_ROUNDS);
        let mut looks = LOOKS.into_iter().peekable();
        loop {
            let warm = self.warmed(&mut learned, starts.len(), chance);
            let pairs = self.pairs(warm, rounds, chance);
            let price = |warm: usize| START + 2.0 * warm as f64 * SLICE;
            seconds += price(warm) + PAIR * f64::from(rounds);
            estimates.extend(Sample::new(&pairs).estimate());
            starts.push(pairs);
            if let Some(variances) = Variances::of(&starts) {
                let start = price(longest(&learned));
                rounds = asked.trials(&[variances], Prices { start, trial: PAIR }, MOST_ROUNDS);
            }
            let mut look = None;
            while let Some(due) = looks.next_if(|due| *due <= seconds / asked.time) {
                look = Some(due);
            }
            let Some(part) = look else { continue };
            let sample = Sample::new(&estimates);
            judge.look(part, &[sample.clone().into()]);
            if judge.decided() || part >= 1.0 {
                let ruling = judge.rulings().flatten().next();
                let change = ruling.map_or(Change::Inconclusive, |ruling| ruling.change);
                return Told { change, estimate: sample.estimate().unwrap_or(f64::NAN) };
            }
        }
    }
}

/// A server whose warm-up has a time constant of 0.8 s, which is compiled anew on the way, and which becomes costlier for ever.
const SERVER: Server = Server { cold: 1.0, constant: 8.0, jump: 0.1, jump_at: 6, drift: 0.000_2, ..STEADY };

/// What is asked of the comparisons: at an error of 5%, so that repetitions see some.
const ASKED: Asked = Asked { alpha: 0.05, gates: 1, tolerance: Band { low: -0.020_2, high: 0.019_8 }, time: 120.0 };

#[test]
fn comparisons_of_servers_that_warm_up_alike_keep_their_error() {
    let mut chance = Chance::new(5);
    let mut said = |what: &str, change: f64, wanted: &[Change]| {
        let servers = Servers { sides: [SERVER; 2], change, between: 0.008, within: 0.03 };
        share(what, 40, || wanted.contains(&servers.compared(ASKED, &mut chance).change))
    };
    let changed = said("alike: called different", 0.0, &[Change::Regressed, Change::Improved]);
    let beyond =
        said("at the tolerance: called beyond it", ASKED.tolerance.high, &[Change::Regressed, Change::Improved]);
    let within = said("at the tolerance: called within it", ASKED.tolerance.high, &[Change::Equivalent]);
    // An answer that is always inconclusive would keep its error too.
    let equal = said("alike: called equivalent", 0.0, &[Change::Equivalent]);
    let worse = said("6% costlier: called regressed", 1.06_f64.ln(), &[Change::Regressed]);
    let all = [changed, beyond, within, equal, worse];
    assert!(changed <= 0.05 && beyond <= 0.1 && within <= 0.1 && equal >= 0.6 && worse >= 0.8, "{all:?}");
}

/// Where one warms up more slowly than the other, what is left of that when trials begin is a difference that is none.
#[test]
#[expect(clippy::print_stderr, reason = "the size is what is wanted, with --nocapture")]
fn a_server_that_warms_up_more_slowly_hardly_seems_costlier() {
    let mut chance = Chance::new(7);
    let sides = [Server { cold: 0.5, constant: 5.0, ..SERVER }, SERVER];
    let mut biases = Vec::new();
    let regressed = share("B warms up more slowly: called regressed", 40, || {
        let told = Servers { sides, change: 0.0, between: 0.008, within: 0.03 }.compared(ASKED, &mut chance);
        biases.push(told.estimate);
        told.change == Change::Regressed
    });
    let bias = series::median(biases).unwrap();
    eprintln!("it seems costlier by {:.2}% in the median", 100.0 * bias);
    assert!(bias < 0.01 && regressed <= 0.05, "{bias}, {regressed}");
}

#[test]
fn blocks_of_one_life_keep_the_error_that_pairs_alike_in_time_would_multiply() {
    for (alike, most) in [(0.0, 0.1), (0.5, 0.12), (0.9, 0.2)] {
        let server = Server { alike, disturbed: 0.0, ..STEADY };
        let missed = |what: &str, observations: &dyn Fn(Vec<f64>) -> Vec<f64>| {
            let mut chance = Chance::new(6);
            share(&format!("one life, alike {alike}: the 95% interval of {what} misses"), 50, || {
                let Interval { low, high } = Sample::new(&observations(server.series(300, &mut chance))).interval(0.05);
                low > 0.0 || high < 0.0
            })
        };
        let of_blocks = missed("blocks", &|series| blocks(&series));
        assert!(of_blocks <= most, "{alike}: {of_blocks}");
        if alike > 0.0 {
            let of_pairs = missed("pairs", &|series| series);
            assert!(of_pairs > 2.0 * of_blocks.max(0.05), "{alike}: {of_pairs}, of blocks {of_blocks}");
        }
    }
}

/// How long later starts are warmed up: by the middle one of the starts in which a server was looked at, of the slower server.
fn longest(learned: &[Vec<usize>; 2]) -> usize {
    let middles = learned.iter().map(|slices| slices.get(slices.len() / 2).copied().unwrap_or(MOST_SLICES));
    middles.max().unwrap_or(MOST_SLICES)
}

/// A slice of a warm-up, a start without it, and a pair of trials, in seconds.
const SLICE: f64 = 0.1;
const START: f64 = 0.3;
const PAIR: f64 = 0.024;

/// Starts in which servers are looked at, and for how many slices at the most.
const LEARNED_FROM: usize = 3;
const MOST_SLICES: usize = 100;

/// Pairs of a start: as long as it is not known how much starts vary, and at the most, so that this does not take minutes.
const FIRST_ROUNDS: u32 = 25;
const MOST_ROUNDS: u32 = 100;
