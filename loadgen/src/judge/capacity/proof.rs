//! What is proven of a server's capacity. Every probe is a bet against "the capacity is no higher than this rate" (and one
//! against "no lower"), for all rates at once; an end is proven where the bets have won 1 / error times the stake.

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
}

impl Proof {
    pub fn add(&mut self, step: i32, probe: Probe, on_pass: f64, on_failure: f64) {
        self.bets.push(Bet { step, probe, on_pass, on_failure });
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

    pub fn won_high(&self, step: i32, late: bool) -> f64 {
        let bets = self.bets.iter().filter(|bet| bet.step <= step);
        let each = bets.map(|bet| match bet.probe {
            Probe::Passed => (-bet.on_failure).ln_1p(),
            Probe::Failed => bet.on_failure.ln_1p(),
            Probe::CannotTell if late => bet.on_failure.ln_1p(),
            Probe::CannotTell => 0.0,
        });
        each.sum()
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
