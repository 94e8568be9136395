//! Trials that are probes: each server's rate goes up and down about its capacity, and the rates are what is compared.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::failure::TrialError;
use super::probe::{Limits, Offer, limits_errors};
use super::up::{LONGEST_PACE, Up};
use crate::host::environment::Environment;
use crate::judge::capacity::{Probe, Staircase};
use crate::load::error::RunError;
use crate::measure::metric::Metric;
use crate::measure::trial::{Figures, Trial};
use crate::plan::Plan;
use crate::units;

/// The rates of the servers of a course.
#[derive(Debug)]
pub(super) struct Climbs {
    limits: Limits,
    environment: Environment,
    /// Of each server, from its first start on.
    stairs: Vec<Staircase>,
    /// Probes that counted, and those of them in which the generator was late.
    counted: u64,
    late: u64,
}

impl Climbs {
    /// None yet.
    pub fn new(limits: Limits, plan: &Plan) -> Self {
        let environment = Environment::collect(plan, None, None);
        Self { limits, environment, stairs: Vec::new(), counted: 0, late: 0 }
    }

    /// Whether errors are the limits' to judge.
    pub fn tolerates_errors(&self) -> bool {
        limits_errors(&self.limits.slos)
    }

    /// Finds out once how many messages a second each server answers in a closed loop, below which its rate begins.
    pub fn begin(&mut self, ups: &mut [Up<'_, '_>], length: Duration, rng: &mut SmallRng) -> Result<(), TrialError> {
        let Limits { min_rate, max_rate, precision, .. } = self.limits;
        for up in ups.iter_mut().skip(self.stairs.len()) {
            up.refuse_unseen(&self.limits.slos)?;
            let rate = up.pace(length, 1, LONGEST_PACE, rng.random())?.0.map_or(1.0, |pace| pace.rate);
            self.stairs.push(Staircase::new(rate / BELOW, (min_rate, max_rate), precision));
        }
        Ok(())
    }

    /// All servers have been started anew.
    pub fn gather(&mut self) {
        Staircase::gather(&mut self.stairs);
    }

    /// A probe of a server, `length` long or as long as the limits need. Until its rate has come to where it stays it has no
    /// figure of the capacity.
    pub fn trial(
        &mut self,
        server: usize,
        up: &mut Up<'_, '_>,
        length: Duration,
        seed: u64,
    ) -> Result<Trial, TrialError> {
        let stairs = &mut self.stairs[server];
        let (rate, counts) = (stairs.rate(), stairs.has_arrived());
        let offer = Offer {
            slos: &self.limits.slos,
            arrival: self.limits.arrival,
            rate,
            length: self.limits.probe_length(length, rate),
            seed,
            environment: &self.environment,
            cut: None,
        };
        let Some(shown) = up.probe(offer, &mut |_| ())? else { return Err(RunError::Interrupted.into()) };
        stairs.add(shown.outcome);
        if let Some(end) = stairs.at_an_end() {
            let server = format!("{} ({})", ["A", "B"][server], up.arm.spec);
            return Err(TrialError::OutOfSight { server, rate, end, why: shown.why });
        }
        self.counted += u64::from(counts);
        self.late += u64::from(counts && shown.outcome == Probe::CannotTell && !shown.untold);
        let cpu = shown.report.resources.server.and_then(|cost| cost.cpu_us_per_message).map(|us| us * 1e3);
        let mut figures = Figures::new();
        if counts {
            figures.insert(Metric::Capacity, rate);
            figures.extend(cpu.filter(|cpu| *cpu > 0.0).map(|cpu| (Metric::ServerCpu, cpu)));
        }
        Ok(Trial {
            figures,
            achieved_rate: shown.report.load.achieved_rate,
            waited: Duration::ZERO,
            latency_min: shown.measured.times.latency.min(),
            send_lag_p99: shown.measured.times.send_lag.value_at_quantile(0.99),
        })
    }

    /// Why the rates are not the servers', where the generator was late in half of the probes or more.
    pub fn distrust(&self) -> Option<String> {
        (self.counted > 0 && self.late * 2 >= self.counted).then(|| {
            format!(
                "in {} of {} the generator was late itself where a limit was broken: the rates are those that it can offer",
                units::count(self.late),
                units::counted(self.counted, "probe")
            )
        })
    }
}

/// The ramp begins this far below what server and generator do together in a closed loop.
const BELOW: f64 = 4.0;
