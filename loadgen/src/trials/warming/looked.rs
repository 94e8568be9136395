//! Looking at servers that were just started, slice by slice in turns, until all have settled; and how long that took.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::judge::statistics::{FIRST_LOOK, Settling, Slices, Why};
use crate::load::error::RunError;
use crate::report::warmup::{SliceFigure, Study, Unsteady, UnsteadyKind};
use crate::trials::failure::TrialError;
use crate::trials::up::Up;

/// A server as it was looked at, and the time that this took.
#[derive(Debug, Clone)]
pub struct Looked {
    /// What it showed.
    pub study: Study,
    /// By the clock: replies that UDP may have lost are waited for after each slice.
    pub took: Duration,
}

impl Looked {
    /// How much longer than its length a slice took.
    pub fn wait(&self) -> Duration {
        let waited = self.took.saturating_sub(Duration::from_secs_f64(seconds(&self.study)));
        waited / u32::try_from(self.study.cost.len().max(1)).unwrap_or(u32::MAX)
    }

    /// What it took but for such a wait after each of so many turns, which a start that is not looked at has too.
    pub fn apart(&self, turns: u32) -> Duration {
        self.took.saturating_sub(self.wait() * turns)
    }
}

/// How long a server was under the load while it was looked at.
pub fn seconds(study: &Study) -> f64 {
    study.slice_seconds * study.cost.len() as f64
}

/// Looks at these servers until all have settled, or the time for each is up by the clock. As many slices as a look takes may take
/// longer, since they tell nothing without one. One that has settled runs on with the others, so that it stays warm, but no longer by
/// the clock than a look may take: replies that take seconds would be waited for after each of their slices.
pub fn study(
    servers: &[usize],
    ups: &mut [Up<'_, '_>],
    slice: Duration,
    at_most: Duration,
    rng: &mut SmallRng,
    show: &mut dyn FnMut() -> bool,
) -> Result<Vec<Looked>, TrialError> {
    let mut seen: Vec<Seen> = servers.iter().map(|server| Seen::nothing_of(*server, slice, at_most)).collect();
    while seen.iter().any(|seen| !seen.is_over) {
        for seen in &mut seen {
            if show() {
                return Err(RunError::Interrupted.into());
            }
            if seen.took > FOR_A_LOOK * at_most {
                continue;
            }
            let began = Instant::now();
            let figures = ups[seen.server].slice(slice, rng.random())?;
            seen.add(figures, began.elapsed(), at_most);
        }
    }
    Ok(seen.into_iter().map(|seen| seen.looked(slice)).collect())
}

/// What is seen of one server while it is looked at.
struct Seen {
    server: usize,
    slices: Slices,
    costs: Vec<f64>,
    rates: Vec<f64>,
    took: Duration,
    /// Whether it has settled, or its time is up.
    is_over: bool,
}

impl Seen {
    fn nothing_of(server: usize, slice: Duration, at_most: Duration) -> Self {
        let most = at_most.div_duration_f64(slice).ceil() as usize;
        let (slices, costs, rates) = (Slices::new(2, most), Vec::new(), Vec::new());
        Self { server, slices, costs, rates, took: Duration::ZERO, is_over: false }
    }

    /// Adds the cost of a message and the rate in one more slice, which took so long.
    fn add(&mut self, [cost, rate]: [f64; 2], took: Duration, at_most: Duration) {
        self.costs.push(cost);
        self.rates.push(rate);
        self.took += took;
        if self.is_over {
            return;
        }
        let has_told = self.slices.push(&[cost, rate]) != Settling::NotYet;
        let is_late = self.took > longest(self.costs.len(), at_most);
        if is_late {
            self.slices.end();
        }
        self.is_over = has_told || is_late;
    }

    fn looked(self, slice: Duration) -> Looked {
        let Self { server, slices, costs: cost, rates: rate, took, .. } = self;
        let slice_seconds = slice.as_secs_f64();
        let (settled, unsteady) = match slices.state() {
            Settling::Settled { from } => (Some(from as f64 * slice_seconds), None),
            Settling::NotSteady(why) => {
                let figure = slices.unsteady().map(|figure| [SliceFigure::Cost, SliceFigure::Rate][figure]);
                (None, Some(unsteady(why, figure, slices.level_from() as f64 * slice_seconds)))
            }
            Settling::NotYet => (None, None),
        };
        let study = Study { server, slice_seconds, settled_after_seconds: settled, unsteady, cost, rate };
        Looked { study, took }
    }
}

/// How long a server is looked at by the clock at the most, which had so many slices by then.
pub(super) fn longest(slices: usize, at_most: Duration) -> Duration {
    if slices < FIRST_LOOK { FOR_A_LOOK * at_most } else { at_most }
}

fn unsteady(why: Why, figure: Option<SliceFigure>, level_after: f64) -> Unsteady {
    let (kind, log_ratio, level_after_seconds) = match why {
        Why::Trends(log_ratio) => (UnsteadyKind::Trends, log_ratio, None),
        Why::Jumps(log_ratio) => (UnsteadyKind::Jumps, log_ratio, None),
        Why::Noise(log_ratio) => (UnsteadyKind::Noise, log_ratio, Some(level_after)),
    };
    Unsteady { kind, figure, change: log_ratio.exp_m1(), level_after_seconds }
}

/// The slices of the first look may take so many times as long as there is for all: a busy machine makes them longer.
const FOR_A_LOOK: u32 = 2;
