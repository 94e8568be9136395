//! How servers are warmed up after each start, before anything of them counts: for a time that was given, or until they
//! have settled. How long that takes is learned from the first starts; later ones take that long without being looked at.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::failure::TrialError;
use super::up::Up;
use crate::host::target::Spec;
use crate::judge::statistics::{FIRST_LOOK, Settling, Slices, Why};
use crate::load::error::RunError;
use crate::report::warmup::{self, Study, Unsteady, UnsteadyKind};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warmup {
    /// Until the servers have settled.
    Auto {
        /// The longest that it is looked whether one has.
        at_most: Duration,
    },
    /// So long.
    For(Duration),
}

impl Warmup {
    /// The same in experiments that take at most `time`, of which looking at one server takes no more than a tenth.
    pub fn within(self, time: Duration) -> Self {
        match self {
            Self::Auto { at_most } => Self::Auto { at_most: at_most.min(time / MOST_OF_TIME) },
            Self::For(_) => self,
        }
    }
}

/// What the first starts have told.
#[derive(Debug)]
pub(super) struct Warming {
    warmup: Warmup,
    studies: Vec<Study>,
    /// How often each server was studied.
    studied: Vec<usize>,
}

impl Warming {
    /// Nothing known yet of so many servers.
    pub fn new(warmup: Warmup, servers: usize) -> Self {
        Self { warmup, studies: Vec::new(), studied: vec![0; servers] }
    }

    /// Warms up the servers in this order, each by itself, since they are measured one at a time too. A slice is not shorter
    /// than the server's `trials`, if as many as a look takes have room in the time for looking at it. It is broken off once
    /// `show` says so.
    pub fn warm(
        &mut self,
        ups: &mut [Up<'_, '_>],
        order: &[usize],
        trials: &[Duration],
        rng: &mut SmallRng,
        show: &mut dyn FnMut() -> bool,
    ) -> Result<(), TrialError> {
        for &i in order {
            match self.warmup {
                Warmup::For(length) => ups[i].settle(length, rng.random(), &mut |_| {
                    show();
                })?,
                Warmup::Auto { at_most } => match &ups[i].arm.spec {
                    // Compiled beforehand, it is as fast with its first messages as ever.
                    Spec::Embedded(_) => {}
                    // It goes on running between connections.
                    Spec::Url(_) if self.studied[i] > 0 => {}
                    Spec::Url(_) | Spec::Command(_) if self.studied[i] < STUDIES => {
                        self.studied[i] += 1;
                        let slice = SLICE.max(trials[i]).min(at_most / FIRST_LOOK as u32);
                        self.studies.push(study(i, &mut ups[i], slice, at_most, rng, show)?);
                    }
                    Spec::Url(_) | Spec::Command(_) => {
                        ups[i].settle(self.length(), rng.random(), &mut |_| {
                            show();
                        })?;
                    }
                },
            }
        }
        Ok(())
    }

    /// How long each server runs from now on: as long as the one that took longest to settle, since what is compared is to
    /// have had the same.
    pub fn length(&self) -> Duration {
        match self.warmup {
            Warmup::For(length) => length,
            Warmup::Auto { at_most } => {
                let needed = |study: &Study| match study {
                    Study { settled_after_seconds: Some(seconds), .. } => Duration::from_secs_f64(*seconds),
                    // Nothing speaks for its being slower or faster before.
                    Study { unsteady: Some(Unsteady { kind: UnsteadyKind::Noise, .. }), .. } => at_most / 2,
                    Study { .. } => at_most,
                };
                self.studies.iter().map(needed).max().unwrap_or_default()
            }
        }
    }

    /// How long the warm-up of one start takes from now on, of all these servers.
    pub fn price(&self, specs: &mut dyn Iterator<Item = &Spec>) -> Duration {
        let length = |spec: &Spec| match (self.warmup, spec) {
            (Warmup::Auto { .. }, Spec::Embedded(_) | Spec::Url(_)) => Duration::ZERO,
            _ => self.length(),
        };
        specs.map(length).sum()
    }

    /// It as reports have it.
    pub fn report(&self) -> warmup::Warmup {
        warmup::Warmup {
            seconds: self.length().as_secs_f64(),
            max_seconds: match self.warmup {
                Warmup::Auto { at_most } => Some(at_most.as_secs_f64()),
                Warmup::For(_) => None,
            },
            studies: self.studies.clone(),
        }
    }
}

/// Looks at one server until it has settled, or the time is up.
fn study(
    server: usize,
    up: &mut Up<'_, '_>,
    slice: Duration,
    at_most: Duration,
    rng: &mut SmallRng,
    show: &mut dyn FnMut() -> bool,
) -> Result<Study, TrialError> {
    let most = at_most.div_duration_f64(slice).ceil() as usize;
    let mut slices = Slices::new(2, most);
    let [mut costs, mut rates] = [Vec::new(), Vec::new()];
    let settling = loop {
        if show() {
            return Err(RunError::Interrupted.into());
        }
        let [cost, rate] = up.slice(slice, rng.random())?;
        costs.push(cost);
        rates.push(rate);
        match slices.push(&[cost, rate]) {
            Settling::NotYet => {}
            settling => break settling,
        }
    };
    let slice_seconds = slice.as_secs_f64();
    let (settled, unsteady) = match settling {
        Settling::Settled { from } => (Some(from as f64 * slice_seconds), None),
        Settling::NotSteady(why) => (None, Some(unsteady(why))),
        Settling::NotYet => (None, None),
    };
    Ok(Study { server, slice_seconds, settled_after_seconds: settled, unsteady, cost: costs, rate: rates })
}

fn unsteady(why: Why) -> Unsteady {
    let (kind, log_ratio) = match why {
        Why::Trends(log_ratio) => (UnsteadyKind::Trends, log_ratio),
        Why::Jumps(log_ratio) => (UnsteadyKind::Jumps, log_ratio),
        Why::Noise(log_ratio) => (UnsteadyKind::Noise, log_ratio),
    };
    Unsteady { kind, change: log_ratio.exp_m1() }
}

/// Starts in which each server is looked at: two, so that one that was disturbed does not tell alone.
const STUDIES: usize = 2;

/// Looking at one server once takes at most this part of the time.
const MOST_OF_TIME: u32 = 10;

/// The length of a slice of a warm-up: dozens of them in the seconds that a compiler at run time takes.
const SLICE: Duration = Duration::from_millis(100);
