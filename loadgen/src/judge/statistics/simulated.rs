//! A simulated server with a warm-up, tiers and drift, and the rates at which the statistics of its warm-up err.
//!
//! `FATHOM_REPETITIONS=20` makes each test repeat 20 times as often; what it counted is printed:
//! `FATHOM_REPETITIONS=20 cargo test -p loadgen --lib simulated -- --nocapture`. Counted so, with 1,200 to 2,000 repetitions
//! each and slices of 100 ms, of which 2% are disturbed by a fifth:
//!
//! | Server | Result |
//! |---|---|
//! | steady, noise of a slice 0.5%, 2%, 5%, and 2% with neighbours that correlate by 0.5 | called trending or jumping: 0.0%, 0.0%, 0.1%, 0.0%; settled after 10, 35, 215, 44 slices in the median |
//! | warming up from 2x, time constant 0.3, 1 and 3 s, with each of those noises | called settled with over 2% of bias left: 0.1% at the most |
//! | growing costlier by 0.2% each slice for ever, 120 slices | called settled: 35% |
//! | warming up and drifting, with a jump of 30% at slice 90 of 120 | called jumping: 75% |

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// A server's cost per message, in logs, slice by slice (100 ms each) or trial by trial.
#[derive(Debug, Clone, Copy)]
struct Server {
    /// The cost that a cold server has in addition, as a share.
    cold: f64,
    /// The time constant of its warm-up, in slices.
    constant: f64,
    /// The level falls by this at slice `jump_at`.
    jump: f64,
    jump_at: usize,
    /// What each slice adds for ever.
    drift: f64,
    /// The standard deviation of a slice.
    noise: f64,
    /// The correlation of neighbours' noise.
    alike: f64,
    /// The share of slices that the machine disturbs, by a fifth.
    disturbed: f64,
}

const STEADY: Server =
    Server { cold: 0.0, constant: 1.0, jump: 0.0, jump_at: 0, drift: 0.0, noise: 0.02, alike: 0.0, disturbed: 0.02 };

/// Random numbers that a test repeats.
struct Chance(SmallRng);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    fn normal(&mut self) -> f64 {
        let (u, v): (f64, f64) = (self.0.random(), self.0.random());
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

impl Server {
    /// The share by which the cost is still above its last level.
    fn bias(&self, slice: usize) -> f64 {
        self.cold * (-(slice as f64) / self.constant).exp()
    }

    /// Slices or trials of one start, as logs.
    fn series(&self, slices: usize, chance: &mut Chance) -> Vec<f64> {
        let mut noise = chance.normal();
        let values = (0..slices).map(|i| {
            noise = self.alike * noise + (1.0 - self.alike.powi(2)).sqrt() * chance.normal();
            let disturbed = if chance.0.random::<f64>() < self.disturbed { 0.2 } else { 0.0 };
            let tier = if i < self.jump_at { self.jump } else { 0.0 };
            self.bias(i).ln_1p() + tier + self.drift * i as f64 + self.noise * noise + disturbed
        });
        values.collect()
    }

    /// What is said of its warm-up, and after how many slices.
    fn warm_up(&self, most: usize, chance: &mut Chance) -> (Settling, usize) {
        let mut slices = Slices::new(1, most);
        for value in self.series(most, chance) {
            slices.push(&[value.exp()]);
            if slices.state() != Settling::NotYet {
                break;
            }
        }
        (slices.state(), slices.len())
    }
}

/// How often to repeat what a test repeats `times` times.
fn repetitions(times: usize) -> usize {
    let more = std::env::var("FATHOM_REPETITIONS").ok().and_then(|more| more.parse().ok()).unwrap_or(1);
    times * more
}

/// The share of repetitions in which something happens.
#[expect(clippy::print_stderr, reason = "the rates are what is wanted, with --nocapture")]
fn share(what: &str, times: usize, mut happens: impl FnMut() -> bool) -> f64 {
    let times = repetitions(times);
    let share = (0..times).filter(|_| happens()).count() as f64 / times as f64;
    eprintln!("{what}: {:.1}% of {times}", 100.0 * share);
    share
}

#[test]
#[expect(clippy::print_stderr, reason = "the rates are what is wanted, with --nocapture")]
fn a_steady_server_settles_soon_and_is_hardly_ever_called_unsteady() {
    let mut chance = Chance::new(1);
    for (noise, alike, soon) in [(0.005, 0.0, 20), (0.02, 0.0, 60), (0.05, 0.0, 300), (0.02, 0.5, 300)] {
        let server = Server { noise, alike, ..STEADY };
        let what = format!("steady, noise {noise}, alike {alike}");
        let (mut slices, mut from) = (Vec::new(), Vec::new());
        let unsteady = share(&format!("{what}: not steady"), 100, || {
            let (state, after) = server.warm_up(300, &mut chance);
            slices.push(after as f64);
            if let Settling::Settled { from: first } = state {
                from.push(first as f64);
            }
            !matches!(state, Settling::Settled { .. } | Settling::NotSteady(Why::Noise(_)))
        });
        let (slices, from) = (series::median(slices).unwrap(), series::median(from).unwrap());
        eprintln!("{what}: settled after {slices} slices, from {from}");
        assert!(unsteady <= 0.04, "{what}: {unsteady}");
        assert!(slices <= f64::from(soon) && from <= 3.0, "{what}: {slices}, from {from}");
    }
}

#[test]
fn a_server_that_is_warming_up_is_not_called_settled() {
    let mut chance = Chance::new(2);
    for constant in [3.0, 10.0, 30.0] {
        for (noise, alike) in [(0.005, 0.0), (0.02, 0.0), (0.05, 0.0), (0.02, 0.5)] {
            let server = Server { cold: 1.0, constant, noise, alike, ..STEADY };
            let early = share(&format!("constant {constant}, noise {noise}, alike {alike}: early"), 60, || {
                let (state, after) = server.warm_up(400, &mut chance);
                matches!(state, Settling::Settled { .. }) && server.bias(after) > 0.02
            });
            assert!(early <= 0.05, "{constant}, {noise}, {alike}: {early}");
        }
    }
}

/// Neither is always seen: a slow drift looks level in the first slices. The bounds guard the rates counted above; they are
/// not rates that anybody has asked for.
#[test]
fn a_server_that_drifts_or_jumps_late_is_mostly_called_not_steady() {
    let mut chance = Chance::new(3);
    let drifts = Server { drift: 0.002, ..STEADY };
    let jumps = Server { jump: 0.3, jump_at: 90, drift: 0.001, cold: 0.5, constant: 60.0, ..STEADY };
    let trends = share("drift: settled", 60, || matches!(drifts.warm_up(120, &mut chance).0, Settling::Settled { .. }));
    let jumped = share(
        "jump: called so",
        60,
        || matches!(jumps.warm_up(120, &mut chance).0, Settling::NotSteady(Why::Jumps(step)) if step < -0.1),
    );
    assert!(trends <= 0.5 && jumped >= 0.6, "{trends}, {jumped}");
}
