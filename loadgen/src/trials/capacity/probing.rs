//! A probe as the search and the holdout make it, and what a closed loop tells of the generator.

use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::Prober;
use crate::load::error::RunError;
use crate::load::run::note_end_of;
use crate::plan::Stop;
use crate::plan::messages::Volume;
use crate::report::Stats;
use crate::report::capacity::parts::{Generator, Percentiles, ProbeReport};
use crate::trials::failure::TrialError;
use crate::trials::probe::{Offer, Shown};
use crate::trials::up::Up;

impl Prober<'_> {
    /// What a closed loop against this server tells of the generator here: what a message costs it.
    pub(super) fn generator(&mut self, up: &mut Up<'_, '_>) -> Result<Generator, TrialError> {
        let span = up.span(self.plan().load, Stop::After(CLOSED_LOOP), self.rng.random());
        let mut measured = up.session.phase(span, &mut |_, _| (), &mut |_| self.look())?;
        note_end_of(up.server, &mut measured);
        if self.is_interrupted() {
            return Err(RunError::Interrupted.into());
        }
        if let Some(why) = up.failure(&measured) {
            return Err(up.failed(why));
        }
        up.reconnect_after(&measured, &mut |_| self.look())?;
        let replies = measured.counts.replies_in_window;
        if replies == 0 {
            return Err(up.failed("not one reply came in a closed loop".to_owned()));
        }
        let (own, workers) = (measured.loadgen.cpu, self.plan().workers());
        let server = measured.server.map(|usage| usage.cpu);
        let cpu_per_message = own.as_nanos() as f64 / replies as f64;
        Ok(Generator {
            workers,
            closed_loop_rate: replies as f64 / measured.window.as_secs_f64(),
            cpu_per_message,
            ceiling_rate: if cpu_per_message > 0.0 { 1e9 * workers as f64 / cpu_per_message } else { 0.0 },
            send_lag_p99: None,
            beside_the_server: server.is_some(),
            cpu_share: server.filter(|server| !server.is_zero()).map(|server| own.div_duration_f64(own + server)),
        })
    }

    /// Offers `rate` for `length`, or until a limit is broken for certain.
    pub(super) fn probe(
        &mut self,
        up: &mut Up<'_, '_>,
        rate: f64,
        length: Duration,
    ) -> Result<ProbeReport, TrialError> {
        let began = Instant::now();
        self.stage.rate = Some(rate);
        let environment = self.environment.clone();
        let offer = Offer {
            slos: &self.experiment.limits.slos,
            arrival: self.experiment.limits.arrival,
            rate,
            length,
            seed: self.rng.random(),
            environment: &environment,
            cut: Some(self.cut),
        };
        let shown = up.probe(offer, &mut |_| self.look())?;
        let Some(shown) = shown.filter(|_| !self.is_interrupted()) else { return Err(RunError::Interrupted.into()) };
        self.probe_took_more = began.elapsed().saturating_sub(length);
        self.untold = if shown.untold { self.untold + 1 } else { 0 };
        Ok(self.report(shown, rate, began.duration_since(self.began)))
    }

    fn report(&self, shown: Shown, rate: f64, at: Duration) -> ProbeReport {
        let Shown { outcome, why, report, trust, measured, .. } = shown;
        let cpu = |us: Option<f64>| us.map(|us| us * 1e3);
        let each = |of: Volume| (of.messages > 0).then(|| of.frame_bytes as f64 / of.messages as f64);
        let values = report.thresholds.iter().map(|judged| judged.value.or(judged.interval.map(|ends| ends.1)));
        ProbeReport {
            start: self.starts,
            at_seconds: at.as_secs_f64(),
            seconds: measured.window.as_secs_f64(),
            offered_rate: rate,
            achieved_rate: report.load.achieved_rate,
            outcome,
            why,
            values: values.collect(),
            latency: percentiles(&report.latency),
            send_lag_p99: report.send_lag.p99.map(|ns| ns as f64),
            trust,
            lost: measured.counts.messages.lost,
            server_cpu: cpu(report.resources.server.and_then(|cost| cost.cpu_us_per_message)),
            loadgen_cpu: cpu(report.resources.loadgen.cpu_us_per_message),
            sent_bytes: each(measured.counts.traffic.sent),
            received_bytes: each(measured.counts.traffic.received),
        }
    }
}

fn percentiles(stats: &Stats) -> Percentiles {
    let [p50, p90, p99, p99_9, max] =
        [stats.p50, stats.p90, stats.p99, stats.p99_9, stats.max].map(|ns| ns.map(|ns| ns as f64));
    Percentiles { p50, p90, p99, p99_9, max }
}

/// How long the closed loop runs that tells what generator and server do together.
pub const CLOSED_LOOP: Duration = Duration::from_secs(1);
