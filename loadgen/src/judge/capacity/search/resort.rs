//! The last resort of a search that would end as limited by the generator: whether the server breaks at rates further out, where
//! a late generator can tell more often.

use super::{Ends, HALVING, MOST_BET, Search};

impl Search {
    /// The step that is asked for, while it may prove that the server breaks. Near its capacity a limit is broken by so little that
    /// lateness explains it; at twice the rate nothing else than the server may. No probe has passed there or beyond.
    ///
    /// The lowest is taken at which the proof is worth its probes, as far as those from there to the next one have told: what fails
    /// there says nothing of lower rates.
    pub(super) fn resort(&mut self, ends: Ends) -> Option<i32> {
        if self.resorted >= RESORT || ends.breaks.is_some() {
            return None;
        }
        let passed = self.proof.highest_passed().map_or(self.grid.lowest(), |step| step + 1);
        let (from, top) = (ends.stops?.max(passed), self.top());
        if from > top {
            return None;
        }
        self.proof.begin_resort();
        let quarter = (self.grid.per_doubling() / 4).max(1);
        let mut steps: Vec<i32> = [0, 1, 2, 4].map(|quarters| (from + quarters * quarter).min(top)).to_vec();
        steps.dedup();
        let beyond = steps[1..].iter().copied().chain([i32::MAX]);
        let found = steps.iter().zip(beyond).find(|&(&step, beyond)| {
            let (failed, late) = self.proof.failed_and_late_within(step..beyond);
            // As if one more had failed: a rate that nothing is known of is worth a try.
            let share = (failed + 1) as f64 / (failed + late + 1) as f64;
            (self.needed() - self.proof.won_high(step, false)) / (share * MOST_BET.ln_1p()) <= HALVING
        });
        let step = found.map(|(&step, _)| step)?;
        self.resorted += 1;
        Some(step)
    }
}

/// At most so many probes are made of it: where a generator tells every other time, they are half more than the proof takes on average.
const RESORT: u32 = 30;
