//! Looking at a server that was just started, slice by slice, until it has settled; and how long that took.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::judge::statistics::{FIRST_LOOK, Settling, Slices, Why};
use crate::load::error::RunError;
use crate::report::warmup::{SliceFigure, Study, Unsteady, UnsteadyKind};
use crate::trials::failure::TrialError;
use crate::trials::up::Up;

/// A server as it was looked at, and the time that this took.
#[derive(Debug)]
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

    /// What it took but for one such wait, which a start that is not looked at has too.
    pub fn apart(&self) -> Duration {
        self.took.saturating_sub(self.wait())
    }
}

/// How long a server was under the load while it was looked at.
pub fn seconds(study: &Study) -> f64 {
    study.slice_seconds * study.cost.len() as f64
}

/// Looks at one server until it has settled, or the time is up by the clock. As many slices as a look takes may take longer,
/// since they tell nothing without one.
pub fn study(
    server: usize,
    up: &mut Up<'_, '_>,
    slice: Duration,
    at_most: Duration,
    rng: &mut SmallRng,
    show: &mut dyn FnMut() -> bool,
) -> Result<Looked, TrialError> {
    let began = Instant::now();
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
            Settling::NotYet if began.elapsed() > longest(slices.len(), at_most) => break slices.end(),
            Settling::NotYet => {}
            settling => break settling,
        }
    };
    let slice_seconds = slice.as_secs_f64();
    let (settled, unsteady) = match settling {
        Settling::Settled { from } => (Some(from as f64 * slice_seconds), None),
        Settling::NotSteady(why) => {
            let figure = slices.unsteady().map(|figure| [SliceFigure::Cost, SliceFigure::Rate][figure]);
            (None, Some(unsteady(why, figure, slices.level_from() as f64 * slice_seconds)))
        }
        Settling::NotYet => (None, None),
    };
    let study = Study { server, slice_seconds, settled_after_seconds: settled, unsteady, cost: costs, rate: rates };
    Ok(Looked { study, took: began.elapsed() })
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
