//! Whether the figures of a run that was read back agree with each other. Whoever edits a report may break it so that it still
//! reads; then it is refused, as a whole.

use hdrhistogram::Histogram;

use crate::measure::percentile;
use crate::report::Report;
use crate::report::stats::Stats;

impl Report {
    /// What contradicts itself first, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        let seconds = self.load.duration_seconds;
        if !(seconds >= 0.0 && seconds.is_finite()) {
            return Err(format!("load.duration_seconds is {seconds}, and no time is negative"));
        }
        let latency = agrees("latency", &self.latency)?;
        agrees("service_time", &self.service_time)?;
        agrees("send_lag", &self.send_lag)?;
        agrees("connect", &self.connect)?;
        self.tcp.as_ref().map(|stats| agrees("tcp", stats)).transpose()?;
        self.upgrade.as_ref().map(|stats| agrees("upgrade", stats)).transpose()?;
        self.read_lag.as_ref().map(|stats| agrees("read_lag", stats)).transpose()?;
        let seen = agrees("seen", &self.seen)?;
        is_nowhere_more("latency", &latency, "seen", &seen)?;
        if let Some(least) = &self.least {
            is_nowhere_more("least.latency", &agrees("least.latency", &least.latency)?, "latency", &latency)?;
        }
        for paced in &self.resources.worker_paced {
            if !(0.0..=1.0).contains(&paced.spun) {
                return Err(format!("resources.worker_paced has spun {} of the time", paced.spun));
            }
        }
        Ok(())
    }
}

/// The histogram of a distribution, whose figures are its own.
fn agrees(name: &str, stats: &Stats) -> Result<Histogram<u64>, String> {
    let histogram = stats.histogram.decode().map_err(|error| format!("{name}.histogram: {error}"))?;
    let own = Stats::from(&histogram);
    let near = |one: Option<f64>, other: Option<f64>| match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-6 * other.abs().max(1.0),
        (one, other) => one.is_none() == other.is_none(),
    };
    let figures = |stats: &Stats| (stats.count, stats.min, stats.max, stats.percentiles().collect::<Vec<_>>());
    let alike = figures(stats) == figures(&own) && near(stats.mean, own.mean) && near(stats.stdev, own.stdev);
    if alike { Ok(histogram) } else { Err(format!("the figures of {name} are not those of its histogram")) }
}

/// Of the same messages, each of which has no more of the one than of the other.
fn is_nowhere_more(less: &str, one: &Histogram<u64>, more: &str, other: &Histogram<u64>) -> Result<(), String> {
    let same = one.len() == other.len();
    let at = |rank: f64| one.value_at_percentile(rank) > other.value_at_percentile(rank);
    match percentile::RANKS.into_iter().chain([0.0, 100.0]).find(|rank| same && at(*rank)) {
        Some(rank) => Err(format!("percentile {rank} of {less} is more than that of {more}")),
        None => Ok(()),
    }
}
