//! The holdout: fresh starts of the server, held to the rate that the search has found. They took no part in finding it, so
//! that what was lucky about one start or one moment shows.

use super::Prober;
use crate::judge::capacity::Probe;
use crate::report::capacity::parts::ProbeReport;
use crate::trials::failure::TrialError;
use std::time::Duration;

/// What the fresh starts came to.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Their probes.
    pub probes: Vec<ProbeReport>,
    /// The rate that they were held to, since a lower one was searched for last.
    pub rate: Option<f64>,
    /// How often a lower one was searched for before.
    pub stepped_down: u32,
    /// What became of it.
    pub ending: Ending,
}

impl Held {
    /// Whether a rate below the one that most fresh starts have not kept is searched for; then of that nothing is held yet.
    pub fn steps_down(&mut self) -> bool {
        let steps = self.ending == Ending::NotKept && self.stepped_down < MOST_STEPS;
        if steps {
            (self.rate, self.ending) = (None, Ending::None);
            self.stepped_down += 1;
        }
        steps
    }
}

/// How the holdout ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing was held.
    #[default]
    None,
    /// Most of the fresh starts kept the rate.
    Kept,
    /// The generator was late too often to tell.
    CannotTell,
    /// Most of the fresh starts broke a limit, and that often that no lower rate is searched for.
    NotKept,
    /// The time was over before.
    TimeOver,
}

impl Prober<'_> {
    /// How long the fresh starts take at this rate, if none lowers it.
    pub(super) fn holdout_price(&self, rate: f64) -> Duration {
        let length = self.length(rate);
        (self.start_took + length * LONGER + self.probe_took_more) * self.experiment.holdout
    }

    /// Holds fresh starts to `rate`.
    pub(super) fn hold(&mut self, rate: f64, held: &mut Held) -> Result<(), TrialError> {
        if self.experiment.holdout == 0 {
            return Ok(());
        }
        held.rate = Some(rate);
        let most = self.experiment.holdout / 2 + 1;
        held.ending = match self.starts_at(rate, &mut held.probes)? {
            None => Ending::TimeOver,
            Some([passed, _]) if passed >= most => Ending::Kept,
            Some([_, failed]) if failed >= most => Ending::NotKept,
            Some(_) => Ending::CannotTell,
        };
        Ok(())
    }

    /// How many fresh starts passed and failed at this rate, as many as it takes to tell; `None` where the time is over
    /// before.
    fn starts_at(&mut self, rate: f64, probes: &mut Vec<ProbeReport>) -> Result<Option<[u32; 2]>, TrialError> {
        let (mut counts, starts) = ([0; 2], self.experiment.holdout);
        for _ in 0..starts {
            let length = self.length(rate) * LONGER;
            // A start that is under way when the time is over is not waited for much longer than that.
            if !self.has_time_for(self.start_took + length) {
                return Ok(None);
            }
            let probe = self.on_a_start(|prober, up| prober.probe(up, rate, length))?;
            match probe.outcome {
                Probe::Passed => counts[0] += 1,
                Probe::Failed => counts[1] += 1,
                Probe::CannotTell => {}
            }
            probes.push(probe);
            if counts.iter().any(|count| *count > starts / 2) {
                break;
            }
        }
        Ok(Some(counts))
    }
}

/// How often what fresh starts did not keep is searched for anew below it.
const MOST_STEPS: u32 = 5;

/// A probe of a fresh start is so many times as long as one of the search.
const LONGER: u32 = 3;
