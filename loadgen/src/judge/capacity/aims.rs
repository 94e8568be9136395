//! A rate at which an end of the capacity is to be proven, and when that is given up: a rate at which probes go either way almost
//! equally often would take hundreds of them, and the next one further out a few.

use super::grid::STEPS;

/// Where an end is to be proven.
#[derive(Clone, Debug)]
pub(super) struct Aim {
    step: i32,
    /// Which way the next one lies where this one is given up: -1 for the lower end, 1 for the upper one.
    outward: i32,
    /// Probes of the present spell, how many of them passed, and what was won before it.
    asked: u32,
    passed: u32,
    won: f64,
    /// How far out the next one lies where this one is given up, in steps.
    retreat: i32,
    /// What was given up last: neither that nor what lies further in is an aim again.
    given_up: Option<i32>,
    /// Whether it was chosen because another was given up; then it is kept until it is proven or given up itself.
    chosen: bool,
}

impl Aim {
    /// For the lower end.
    pub fn low(step: i32) -> Self {
        Self { step, outward: -1, asked: 0, passed: 0, won: 0.0, retreat: STEPS, given_up: None, chosen: false }
    }

    /// For the upper end.
    pub fn high(step: i32) -> Self {
        Self { outward: 1, ..Self::low(step) }
    }

    pub fn step(&self) -> i32 {
        self.step
    }

    /// Whether it was chosen because another was given up.
    pub fn is_chosen(&self) -> bool {
        self.chosen
    }

    /// Whether so many were given up that this end is not to be had.
    pub fn is_hopeless(&self) -> bool {
        self.retreat >= HOPELESS_STEPS
    }

    /// A probe was made at this step.
    pub fn probed(&mut self, step: i32, passed: bool) {
        self.asked += u32::from(step == self.step);
        self.passed += u32::from(step == self.step && passed);
    }

    /// Whether the present spell shows that it is the rate that breaks the limit here: of a disturbed machine every other probe would pass.
    pub fn hardly_passes(&self) -> bool {
        self.passed == 0 && self.asked >= SPELL / 2 || self.passed <= HARDLY && self.asked >= SPELL
    }

    /// Nearest to `step` of what may be an aim.
    pub fn allowed(&self, step: i32) -> i32 {
        match self.given_up.map(|given_up| given_up + self.outward * STEPS) {
            Some(limit) if self.outward < 0 => step.min(limit),
            Some(limit) => step.max(limit),
            None => step,
        }
    }

    /// Looks whether the last spell of probes, after which so much is `won` of what is `needed`, brought too little; then it
    /// is given up for the next one further out, at most `farthest`.
    pub fn give_up_if_stuck(&mut self, won: f64, needed: f64, farthest: i32) -> bool {
        if self.asked < SPELL {
            return false;
        }
        let gained = won - self.won;
        (self.asked, self.passed, self.won) = (0, 0, won);
        if gained >= needed * LEAST_GAIN {
            return false;
        }
        let next = self.step + self.outward * self.retreat;
        let next = if self.outward < 0 { next.max(farthest) } else { next.min(farthest) };
        // A lower end has nowhere else to go then; of an upper one it is told by and by that it is not to be had.
        if self.outward < 0 && next >= self.step {
            return false;
        }
        (self.given_up, self.chosen) = (Some(self.step), true);
        self.step = next;
        self.retreat *= 2;
        true
    }

    /// Sets another, at which so much is won so far.
    pub fn set(&mut self, step: i32, won: f64) {
        if step != self.step {
            (self.step, self.asked, self.passed, self.won, self.chosen) = (step, 0, 0, won, false);
        }
    }

    /// So much is won at the one that was chosen when another was given up.
    pub fn begins_with(&mut self, won: f64) {
        self.won = won;
    }
}

/// Probes at an aim after which it is looked what they have brought: a rate that is worth proving takes about 16.
const SPELL: u32 = 12;

/// So few probes of a spell pass by chance in one case of fifty where every other does.
const HARDLY: u32 = 2;

/// The least that they are to have brought, as a share of the proof.
const LEAST_GAIN: f64 = 0.3;

/// After three that were given up the next lies so many steps out.
const HOPELESS_STEPS: i32 = 8 * STEPS;
