//! Which end of the capacity is asked for next, and at which rate.

use super::{Ends, Next, Search, Wanted};
use crate::judge::capacity::grid::STEPS;

impl Search {
    /// Aims stay where they are while they can still be proven, and either are well on the way or hardly worse than another.
    pub(super) fn ask_for_an_end(&mut self, ends: Ends, wanted: Wanted) -> Next {
        let half = self.needed() / 2.0;
        if self.low.step() <= self.floor(ends) && self.low.hardly_passes() {
            self.outdated = self.proof.len();
        }
        if self.low.give_up_if_stuck(self.proof.won_low(self.low.step()), self.needed(), self.floor(ends)) {
            self.low.begins_with(self.proof.won_low(self.low.step()));
        }
        if self.high.give_up_if_stuck(self.won_high(self.high.step()), self.needed(), self.top()) {
            self.high.begins_with(self.won_high(self.high.step()));
        }
        let (low, high) = (self.low.step(), self.high.step());
        let keep_low = self.failed_fresh.is_none_or(|step| low < step)
            && ends.low.is_none_or(|proven| proven < low)
            && (self.low.is_chosen()
                || self.belief.passes(low) > GIVE_UP && (wanted.low <= low + STEPS || self.proof.won_low(low) >= half));
        let keep_high = ends.breaks.is_none_or(|proven| proven > high)
            && (self.high.is_chosen()
                || self.belief.passes(high) < 1.0 - GIVE_UP
                    && (wanted.high >= high - STEPS || self.proof.won_high(high, true) >= half));
        if !keep_low {
            self.low.set(wanted.low, self.proof.won_low(wanted.low));
        }
        if !keep_high {
            self.high.set(wanted.high, self.won_high(wanted.high));
        }
        let (low, high) = (self.low.step(), self.high.step());
        let need_low = ends.low.is_none_or(|proven| proven < low);
        let need_high = ends.breaks.is_none_or(|proven| proven > high);
        // An end of which nothing is proven yet comes before a better one of the other.
        let ask_low = match (ends.low.is_some(), ends.breaks.is_some()) {
            (false, true) => true,
            (true, false) if !self.high.is_hopeless() => false,
            _ if need_low == need_high => self.coin(),
            _ => need_low,
        };
        self.ask(if ask_low { low } else { high })
    }

    /// The lowest step that is asked for to prove the lower end: half of the rate that passed, or higher ones did, so often that it
    /// was not luck. Where half of the probes fail so far below, it is not the rate, and a lower one would show no more.
    pub(super) fn floor(&self, ends: Ends) -> i32 {
        let often = self.proof.passed(OFTEN, self.outdated, self.failed_fresh.unwrap_or(i32::MAX));
        let half = often.map(|step| step - self.grid.per_doubling());
        // What is proven not to be sustained any more was so before.
        let half = half.filter(|half| ends.stops.is_none_or(|stops| *half <= stops - STEPS));
        half.unwrap_or(i32::MIN).max(self.grid.lowest())
    }

    /// What was won at a step for the upper end: that it is too much for server or generator counts until that is proven,
    /// and that it is too much for the server.
    fn won_high(&self, step: i32) -> f64 {
        self.proof.won_high(step, true).min(self.needed()) + self.proof.won_high(step, false)
    }

    /// Heads or tails, the same in every search. Strict alternation would meet every tenth second's stall at one end only.
    fn coin(&self) -> bool {
        (self.proof.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0
    }
}

/// A rate is given up where fewer do.
const GIVE_UP: f64 = 0.6;

/// So many probes of a rate or of higher ones pass where it is sustained.
const OFTEN: usize = 4;
