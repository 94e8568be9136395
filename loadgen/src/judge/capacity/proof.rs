//! What is proven of a server's capacity. Every probe is a bet against "the capacity is no higher than this rate" (and one
//! against "no lower"), for all rates at once; an end is proven where the bets have won 1 / error times the stake.
//!
//! What failed is pooled so: of "no lower than this rate", every failure at that rate *or below it* tells, since a server that may
//! fail at a rate as often as it passes would pass more often below; and none above it does, however many, since it may fail there.
//! So the rates of a pool may be claimed to break at the highest of them, no lower. A pass at a rate of the pool is a lost bet. Which
//! failures make up a pool must not be chosen once they are known, or luck is what is chosen: a bet counts as it was made.
//! What was lost where probes go either way would then have to be won back before a far higher rate is proven to break. So a part
//! of the stake is kept out of the bets until a last resort begins ([`Proof::begin_resort`]), and is bet from then on alone. When
//! that is depends on what was seen before, never on what comes after; each part is worth no more on average than was staked if
//! the claim is false, so both together are, and the error stays what it was (Ville's inequality holds of their sum).

use super::verdict::Probe;

/// A probe, and what was bet on it before it was made.
#[derive(Clone, Copy, Debug)]
struct Bet {
    step: i32,
    probe: Probe,
    /// The share of the winnings that was bet on a pass, and on a failure; below 1.
    on_pass: f64,
    on_failure: f64,
}

/// All probes of a search.
#[derive(Clone, Debug, Default)]
pub(super) struct Proof {
    bets: Vec<Bet>,
    /// How many bets were made when the last resort began.
    resort: Option<usize>,
}

impl Proof {
    pub fn add(&mut self, step: i32, probe: Probe, on_pass: f64, on_failure: f64) {
        self.bets.push(Bet { step, probe, on_pass, on_failure });
    }

    /// What is kept of the stake on upper ends is bet from now on; only the first time counts.
    pub fn begin_resort(&mut self) {
        self.resort.get_or_insert(self.bets.len());
    }

    /// The highest step asked for, at most `allowed`, at which a probe passes more often than it fails. Wrong with a probability
    /// of `error`, however often one looks.
    pub fn sustains(&self, error: f64, allowed: i32) -> Option<i32> {
        let mut steps = self.steps();
        steps.sort_unstable();
        steps.into_iter().take_while(|&step| step <= allowed && self.won_low(step) >= -error.ln()).last()
    }

    /// The lowest step asked for at which a probe fails more often than it passes.
    pub fn breaks(&self, error: f64) -> Option<i32> {
        self.upper_end(error, false)
    }

    /// The same where probes that cannot tell count as failed: the server or the generator is at its end.
    pub fn stops(&self, error: f64) -> Option<i32> {
        self.upper_end(error, true)
    }

    fn upper_end(&self, error: f64, late: bool) -> Option<i32> {
        let mut steps = self.steps();
        steps.sort_unstable_by(|a, b| b.cmp(a));
        steps.into_iter().take_while(|&step| self.won_high(step, late) >= -error.ln()).last()
    }

    fn steps(&self) -> Vec<i32> {
        self.bets.iter().map(|bet| bet.step).collect()
    }

    /// The logarithm of what the bets have made of the stake against "a probe at this step fails at least as often as it passes".
    /// Then no probe at a higher rate passes more often either, so that all of those count.
    pub fn won_low(&self, step: i32) -> f64 {
        let bets = self.bets.iter().filter(|bet| bet.step >= step);
        bets.map(|bet| if bet.probe == Probe::Passed { bet.on_pass } else { -bet.on_pass }.ln_1p()).sum()
    }

    /// The same against "a probe at this step passes at least as often as it fails, of those that tell". Then none at a lower rate fails more
    /// often either, so that all of those count. `late`: as if those that cannot tell had failed.
    pub fn won_high(&self, step: i32, late: bool) -> f64 {
        let won = |bets: &[Bet]| -> f64 {
            let bets = bets.iter().filter(|bet| bet.step <= step);
            let each = bets.map(|bet| match bet.probe {
                Probe::Passed => (-bet.on_failure).ln_1p(),
                Probe::Failed => bet.on_failure.ln_1p(),
                Probe::CannotTell if late => bet.on_failure.ln_1p(),
                Probe::CannotTell => 0.0,
            });
            each.sum()
        };
        let all = won(&self.bets) + (-KEPT).ln_1p();
        // What is kept counts for nothing until it is bet: less than it is worth, which errs to the safe side.
        let Some(resort) = self.resort else { return all };
        let since = won(&self.bets[resort..]) + KEPT.ln();
        all.max(since) + (-(all - since).abs()).exp().ln_1p()
    }

    /// The highest step below `below` at which, or beyond, so many probes passed, of those after the first `from`.
    pub fn passed(&self, times: usize, from: usize, below: i32) -> Option<i32> {
        let passed = self.bets[from..].iter().filter(|bet| bet.probe == Probe::Passed && bet.step < below);
        let mut steps: Vec<i32> = passed.map(|bet| bet.step).collect();
        steps.sort_unstable_by(|a, b| b.cmp(a));
        steps.get(times - 1).copied()
    }

    /// Takes what passed at this step or above out of the evidence.
    pub fn forget_passes(&mut self, step: i32) {
        for bet in self.bets.iter_mut().filter(|bet| bet.step >= step && bet.probe == Probe::Passed) {
            bet.on_pass = 0.0;
        }
    }

    /// The highest step at which a probe passed.
    pub fn highest_passed(&self) -> Option<i32> {
        self.bets.iter().filter(|bet| bet.probe == Probe::Passed).map(|bet| bet.step).max()
    }

    /// Of the probes from one step to before another: how many failed, and how many could not tell.
    pub fn failed_and_late_within(&self, steps: std::ops::Range<i32>) -> (usize, usize) {
        let of = |probe| self.bets.iter().filter(|bet| steps.contains(&bet.step) && bet.probe == probe).count();
        (of(Probe::Failed), of(Probe::CannotTell))
    }

    /// Of the probes up to this step that were bet to fail: how many failed, and how many could not tell.
    pub fn failed_and_late(&self, step: i32) -> (usize, usize) {
        let of = |probe| {
            let bets = self.bets.iter().filter(|bet| bet.step <= step && bet.on_failure > 0.0);
            bets.filter(|bet| bet.probe == probe).count()
        };
        (of(Probe::Failed), of(Probe::CannotTell))
    }

    pub fn len(&self) -> usize {
        self.bets.len()
    }
}

/// The share of the stake on upper ends that is kept for a last resort. Without one a proof takes a twelfth of a failure more; with it,
/// ten failures in a row prove an upper end of 5% error, whatever was lost before.
const KEPT: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: f64 = 0.05;

    fn add(proof: &mut Proof, step: i32, probe: Probe, times: usize) {
        (0..times).for_each(|_| proof.add(step, probe, 0.0, 0.9));
    }

    #[test]
    fn failures_prove_a_rate_only_where_they_lie_at_it_or_below() {
        let mut proof = Proof::default();
        (10..16).for_each(|step| add(&mut proof, step, Probe::Failed, 1));
        // Five prove it, and the fifth lies at 14.
        assert_eq!(proof.breaks(ERROR), Some(14));
        // Those that cannot tell prove nothing, nor take anything away.
        add(&mut proof, 14, Probe::CannotTell, 20);
        assert_eq!(proof.breaks(ERROR), Some(14));
        // One that passes at a rate of the pool does.
        add(&mut proof, 12, Probe::Passed, 1);
        assert_eq!(proof.breaks(ERROR), None);
    }

    #[test]
    fn what_was_lost_before_the_last_resort_need_not_be_won_back() {
        let with = |resort: bool, failed: usize| {
            let mut proof = Proof::default();
            add(&mut proof, 10, Probe::Passed, 10);
            if resort {
                proof.begin_resort();
            }
            add(&mut proof, 30, Probe::Failed, failed);
            proof.breaks(ERROR)
        };
        assert_eq!((with(false, 30), with(true, 9), with(true, 10)), (None, None, Some(30)));
    }

    /// Coins that are bet on until luck has won: what both parts of the stake win together proves no more than the error allows, though
    /// the resort begins just when most was lost, or just after luck.
    #[test]
    fn a_last_resort_keeps_the_error() {
        use rand::rngs::SmallRng;
        use rand::{RngExt, SeedableRng};
        let (times, mut wrong) = (4_000, 0);
        for seed in 0..times {
            let mut chance = SmallRng::seed_from_u64(seed);
            let mut proof = Proof::default();
            for n in 0..60 {
                add(&mut proof, 10, if chance.random() { Probe::Failed } else { Probe::Passed }, 1);
                if n == 20 || proof.won_high(10, false) < -4.0 {
                    proof.begin_resort();
                }
                if proof.breaks(ERROR).is_some() {
                    wrong += 1;
                    break;
                }
            }
        }
        assert!(f64::from(wrong) <= super::super::counted::at_most(times as f64, ERROR), "{wrong} of {times}");
    }
}
