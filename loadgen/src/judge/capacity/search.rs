//! Which rate to probe next, and when the capacity is found.

mod asking;
mod resort;

use super::aims::Aim;
use super::belief::Belief;
use super::grid::{Grid, STEPS};
use super::proof::Proof;
use super::verdict::{Bracket, Found, Probe};

/// Where to search, and how well. Rates are offered rates, in messages per second.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Where to begin: a rate that the server probably sustains.
    pub start: f64,
    /// The lowest rate that may be asked for.
    pub min: f64,
    /// The highest rate that may be asked for.
    pub max: f64,
    /// How far the ends of the bracket may lie apart, as a share of the lower one, where the server allows.
    pub precision: f64,
    /// Each end of the bracket is wrong with at most this probability.
    pub error: f64,
}

/// What a search wants next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// A probe at this offered rate.
    Probe(f64),
    /// Nothing: the search is over.
    Done(Found),
}

/// A search for the rate at which a probe fails as often as it passes. The same results give the same search.
///
/// First the rate doubles until a probe fails. Then the middle of where the capacity may be is asked for, until it is known as
/// well as the server allows. Then both ends are asked for in random order until one is proven, and the other one. A server whose probes pass
/// less and less often over a wide range has no sharp capacity: the search ends once halving the distance of the proven ends
/// is expected to take more than 20 probes. A rate whose probes bring a proof too little is given up for one further out, of the
/// lower end not below half of a rate that passed often. Where all that ends it is that the generator is late, rates further out are asked for
/// at last, at which it can tell.
#[derive(Clone, Debug)]
pub struct Search {
    error: f64,
    grid: Grid,
    belief: Belief,
    proof: Proof,
    stage: Stage,
    /// Where the ends are to be proven.
    low: Aim,
    high: Aim,
    /// The highest step that passed.
    passed: i32,
    /// Passes before so many probes no longer tell which rates are sustained: hardly any came at a far lower rate since.
    outdated: usize,
    /// Steps from here on failed on fresh starts.
    failed_fresh: Option<i32>,
    /// What was proven last, and after how many probes.
    proven: (Ends, usize),
    /// Probes of the last resort.
    resorted: u32,
    /// The highest rate was sustained before it failed on fresh starts.
    above: bool,
    next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Doubling, or halving if the first probe failed: the step asked for.
    Ramp(i32),
    /// So many probes in the middle of where the capacity may be.
    Middle(u32),
    Ends,
}

/// The steps at which the ends are best proven.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Wanted {
    low: i32,
    high: i32,
}

/// What is proven, as steps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Ends {
    low: Option<i32>,
    /// The server fails here.
    breaks: Option<i32>,
    /// The server fails here, or the generator is late.
    stops: Option<i32>,
}

impl Search {
    /// Panics unless 0 < min <= start <= max, 0 < precision <= 1 and 0 < error < 0.5.
    pub fn new(range: Range) -> Self {
        let grid = Grid::new(range.start, range.min, range.max, range.precision);
        assert!(range.error > 0.0 && range.error < 0.5, "an error lies between 0 and 0.5, not at {}", range.error);
        Self {
            error: range.error,
            grid,
            belief: Belief::new(grid.lowest(), grid.highest()),
            proof: Proof::default(),
            stage: Stage::Ramp(0),
            low: Aim::low(grid.lowest()),
            high: Aim::high(grid.highest()),
            passed: grid.lowest(),
            outdated: 0,
            failed_fresh: None,
            proven: (Ends::default(), 0),
            resorted: 0,
            above: false,
            next: Next::Probe(range.start),
        }
    }

    /// What to do next.
    pub fn next(&self) -> Next {
        self.next
    }

    /// Takes in the result of the probe that [`Self::next`] asked for.
    pub fn add(&mut self, rate: f64, probe: Probe) {
        let step = self.grid.step(rate);
        let passed = probe == Probe::Passed;
        // The ramp only looks for where to begin.
        let bet = match self.stage {
            Stage::Ramp(_) => 0.0,
            _ => (2.0 * self.belief.passes(step) - 1.0).clamp(-MOST_BET, MOST_BET),
        };
        self.proof.add(step, probe, bet.max(0.0), (-bet).max(0.0));
        self.belief.add(step, probe);
        self.low.probed(step, passed);
        self.high.probed(step, passed);
        if passed {
            self.passed = self.passed.max(step);
        }
        if let Stage::Ramp(_) = self.stage {
            self.stage = self.ramp(step, passed).map_or(Stage::Middle(0), Stage::Ramp);
        }
        self.plan();
    }

    /// What is proven so far.
    pub fn so_far(&self) -> Bracket {
        let Ends { low, breaks, .. } = self.ends();
        let (low, breaks) = match (low, breaks) {
            (Some(low), Some(breaks)) => (Some(low.min(breaks)), Some(low.max(breaks))),
            either => either,
        };
        Bracket { sustains: low.map(|step| self.grid.rate(step)), breaks: breaks.map(|step| self.grid.rate(step)) }
    }

    /// Between which rates the capacity seems to lie now, in 9 of 10 cases. Not proven.
    pub fn narrowed(&self) -> (f64, f64) {
        (self.grid.rate(self.belief.quantile(0.05)), self.grid.rate(self.belief.quantile(0.95)))
    }

    /// Whether what is proven contradicts a capacity that stays where it is: a rate that broke is below one that was sustained.
    pub fn moved(&self) -> bool {
        let Ends { low, breaks, .. } = self.ends();
        low.zip(breaks).is_some_and(|(low, breaks)| low >= breaks)
    }

    /// About how many probes are still needed.
    pub fn remaining(&self) -> u32 {
        if let Next::Done(_) = self.next {
            return 0;
        }
        let before = match self.stage {
            Stage::Ramp(step) if step < 0 => (step - self.grid.lowest()) / self.grid.per_doubling() + 1 + MIDDLE,
            Stage::Ramp(step) => (self.grid.highest() - step) / self.grid.per_doubling() + 1 + MIDDLE,
            Stage::Middle(asked) => (MIDDLE - asked as i32).max(1),
            Stage::Ends => 0,
        };
        let Ends { low, breaks, .. } = self.ends();
        let effort = |won: f64, share: f64| ((self.needed() - won) / growth(share.max(WORTH))).ceil() as i32;
        let (aim, high) = (self.low.step(), self.high.step());
        let below = low.is_none().then(|| effort(self.proof.won_low(aim).max(0.0), self.belief.passes(aim)));
        let above =
            breaks.is_none().then(|| effort(self.proof.won_high(high, true).max(0.0), 1.0 - self.belief.passes(high)));
        (before + below.unwrap_or(0).max(0) + above.unwrap_or(0).max(0)).max(1) as u32
    }

    /// Fresh starts failed at this proven rate: goes on below it. What passed at this rate or above no longer counts, what
    /// failed there does.
    pub fn step_down(&mut self, rate: f64) {
        let step = self.grid.step(rate);
        self.above |= self.next == Next::Done(Found::AboveRange);
        self.failed_fresh = Some(self.failed_fresh.map_or(step, |before| before.min(step)));
        self.proof.forget_passes(step);
        self.passed = self.passed.min(step);
        (0..FRESH_FAILURES).for_each(|_| self.belief.add(step, Probe::Failed));
        self.stage = Stage::Ends;
        self.plan();
    }

    /// The next step of the ramp, if it goes on.
    fn ramp(&self, step: i32, passed: bool) -> Option<i32> {
        let down = step < 0 || step == 0 && !passed;
        let next = match (down, passed) {
            (false, true) => (step + self.grid.per_doubling()).min(self.grid.highest()),
            (true, false) => (step - self.grid.per_doubling()).max(self.grid.lowest()),
            _ => return None,
        };
        (next != step).then_some(next)
    }

    fn plan(&mut self) {
        let ends = self.ends();
        if ends != self.proven.0 {
            self.proven = (ends, self.proof.len());
        }
        self.next = if let Some(found) = self.at_the_edge(ends) {
            Next::Done(found)
        } else if let Stage::Ramp(step) = self.stage {
            self.ask(step)
        } else if let Some(middle) = self.middle(ends) {
            self.ask(middle)
        } else {
            let wanted = self.wanted(ends);
            match self.found(ends, wanted) {
                None => self.ask_for_an_end(ends, wanted),
                Some(found @ Found::GeneratorLimited { .. }) => {
                    self.resort(ends).map_or(Next::Done(found), |step| self.ask(step))
                }
                Some(found) => Next::Done(found),
            }
        };
    }

    fn ask(&self, step: i32) -> Next {
        Next::Probe(self.grid.rate(step))
    }

    fn ends(&self) -> Ends {
        let allowed = self.failed_fresh.map_or(self.grid.highest(), |step| step - 1);
        Ends {
            low: self.proof.sustains(self.error, allowed),
            breaks: self.proof.breaks(self.error),
            stops: self.proof.stops(self.error),
        }
    }

    /// The answer, if it lies at an end of the range.
    fn at_the_edge(&self, ends: Ends) -> Option<Found> {
        let (lowest, highest) = (self.grid.lowest(), self.grid.highest());
        let below = self.failed_fresh.map(|step| (step - STEPS).max(lowest));
        if ends.low == Some(highest) || self.above && ends.low.zip(below).is_some_and(|(low, below)| low >= below) {
            Some(Found::AboveRange)
        } else if ends.breaks == Some(lowest) || self.failed_fresh.is_some_and(|step| step <= lowest) {
            Some(Found::BelowRange)
        } else if ends.stops == Some(lowest) && self.late(lowest) {
            Some(Found::GeneratorLimitedFromStart)
        } else {
            None
        }
    }

    /// The middle of where the capacity may be, while that is what is worth asking for.
    fn middle(&mut self, ends: Ends) -> Option<i32> {
        let Stage::Middle(asked) = self.stage else { return None };
        let may_be = self.belief.quantile(0.9) - self.belief.quantile(0.1);
        let known = may_be <= (self.belief.spread() as i32).max(STEPS);
        if known || asked as i32 >= MIDDLE || ends.low.is_some() || ends.stops.is_some() {
            self.stage = Stage::Ends;
            return None;
        }
        self.stage = Stage::Middle(asked + 1);
        Some(self.belief.quantile(0.5).clamp(self.grid.lowest(), self.top()))
    }

    /// The highest step that may be asked for after the ramp: twice the rate of the highest that passed.
    fn top(&self) -> i32 {
        self.grid.highest().min(self.passed + self.grid.per_doubling())
    }

    /// Where the ends can be proven with reasonable effort, as far as is known now.
    fn wanted(&self, ends: Ends) -> Wanted {
        let (lowest, highest) = (self.grid.lowest(), self.grid.highest());
        let mut low = self.belief.first_below(WORTH, (lowest, highest)) - 1;
        let mut high = self.belief.first_below(1.0 - WORTH, (lowest, highest));
        if high - low < STEPS {
            let middle = self.belief.quantile(0.5);
            low = match (ends.low, ends.stops) {
                (Some(low), _) if (middle - STEPS..=middle).contains(&low) => low,
                (_, Some(high)) if (middle..=middle + STEPS).contains(&high) => high - STEPS,
                _ => middle - STEPS / 2,
            };
            high = low + STEPS;
        }
        let low = self.failed_fresh.map_or(low, |step| low.min(step - STEPS));
        let (low, high) = (self.low.allowed(low).max(self.floor(ends)), self.high.allowed(high));
        Wanted { low: low.clamp(lowest, self.top()), high: high.clamp(lowest, self.top()) }
    }

    /// The answer, if both ends are proven and a smaller bracket is not worth the effort.
    fn found(&self, ends: Ends, wanted: Wanted) -> Option<Found> {
        let (bottom, top) = (ends.low?.min(ends.stops?), ends.low?.max(ends.stops?));
        let (low, high) = (wanted.low.max(bottom), wanted.high.min(top));
        let effort = if low > bottom { self.effort_low(low) } else { 0.0 }
            + if high < top { self.effort_high(high) } else { 0.0 };
        let halvings = (f64::from(top - bottom) / f64::from((high - low).max(STEPS))).log2();
        let in_vain = self.proof.len() - self.proven.1 >= IN_VAIN;
        if top - bottom > STEPS && effort > 0.0 && effort < halvings * HALVING && !in_vain {
            return None;
        }
        let limited = self.high.is_hopeless() || self.late(top) && self.effort_breaks(top) > HALVING;
        if ends.breaks != ends.stops && !limited && !(ends.breaks.is_some() && in_vain) {
            return None;
        }
        // That the generator was late below a rate that is proven to break makes the bracket wider, and is no reason to give it up.
        let sustains = self.grid.rate(bottom);
        Some(match ends.breaks.map(|breaks| breaks.max(top)) {
            Some(breaks) => Found::Bracket { sustains, breaks: self.grid.rate(breaks) },
            None => Found::GeneratorLimited { sustains },
        })
    }

    /// The logarithm that the bets have to come to.
    fn needed(&self) -> f64 {
        -self.error.ln()
    }

    /// Whether it is the generator that ends the search at this step.
    fn late(&self, step: i32) -> bool {
        let (failed, late) = self.proof.failed_and_late(step);
        late > 0 && late >= failed
    }

    /// How many probes are expected to prove an end.
    fn effort_low(&self, step: i32) -> f64 {
        (self.needed() - self.proof.won_low(step)) / growth(self.belief.passes(step))
    }

    fn effort_high(&self, step: i32) -> f64 {
        (self.needed() - self.proof.won_high(step, true)) / growth(1.0 - self.belief.passes(step))
    }

    /// How many it takes where the generator goes on being late as often as it was, to prove that it is the server that fails.
    fn effort_breaks(&self, step: i32) -> f64 {
        let (failed, late) = self.proof.failed_and_late(step);
        let share = failed as f64 / (failed + late).max(1) as f64;
        (self.needed() - self.proof.won_high(step, false)) / (share * MOST_BET.ln_1p())
    }
}

/// What a probe that goes one way in this share of the cases adds to the logarithm of what was won.
fn growth(share: f64) -> f64 {
    let share = share.clamp(0.501, 0.99);
    share * (2.0 * share).ln() + (1.0 - share) * (2.0 - 2.0 * share).ln()
}

/// A rate is worth proving where probes go one way in so many cases, as far as is known, apart from those that go astray.
const WORTH: f64 = 0.8;

/// Going on is worth so many probes for each time that the distance of the proven ends is halved.
const HALVING: f64 = 20.0;

/// After so many probes that have proven nothing closer it is not expected any more, whatever is believed of the next.
const IN_VAIN: usize = 32;

/// At most so many probes go to the middle before the ends are proven. A sharp capacity between two doublings takes 5 or 6.
const MIDDLE: i32 = 12;

/// The most that is bet on a probe, as a share: the other outcome, however surprising, must not cost everything.
const MOST_BET: f64 = 0.9;

/// A failure on fresh starts moves the belief like so many failed probes.
const FRESH_FAILURES: u32 = 3;

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
