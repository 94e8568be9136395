//! The figures of a run by the names of their metrics.

use super::run::{ProcessCost, Report};
use super::stats::Stats;
use crate::judge::threshold::Found;
use crate::measure::counts;
use crate::measure::encoded::DecodeError;
use crate::measure::metric::{Distribution, Metric, Statistic, range};
use crate::units;

impl Report {
    /// The value of a metric; `None` where the report has none.
    ///
    /// # Errors
    /// When the report's histograms cannot be read.
    pub fn figure(&self, metric: Metric) -> Result<Option<f64>, DecodeError> {
        let errors = counts::errors(self.messages, self.over_backlog, self.connections);
        let cpu = |cost: &ProcessCost| cost.cpu_us_per_message.map(|us| us * 1e3);
        let server = self.resources.server.as_ref();
        Ok(match metric {
            Metric::Time(distribution, statistic) => match self.distribution(distribution) {
                Some(stats) => stats.statistic(statistic)?,
                None => None,
            },
            Metric::Throughput => Some(self.throughput.messages_per_second),
            Metric::ByteRate => Some(self.throughput.bytes_per_second),
            Metric::Achieved => self.achieved_share(),
            Metric::ServerCpu => server.and_then(cpu),
            Metric::ServerMemory => server.map(|cost| cost.max_rss_bytes as f64),
            Metric::ConnectionMemory => None,
            Metric::LoadgenCpu => cpu(&self.resources.loadgen),
            Metric::LoadgenMemory => Some(self.resources.loadgen.max_rss_bytes as f64),
            Metric::Errors => Some(errors.all() as f64),
            Metric::ErrorRate => errors.rate(self.messages.verified),
        })
    }

    /// Why there is no value of a metric.
    fn why_absent(&self, metric: Metric) -> String {
        match metric {
            Metric::Time(distribution, statistic) => match (self.distribution(distribution), metric.rank()) {
                (None, _) => format!("a report does not hold {distribution}"),
                (Some(stats), _) if stats.count == 0 => "nothing of it was measured".to_owned(),
                (Some(stats), Some(_)) => {
                    let [needed, there] = [metric.needed_values(), stats.count].map(units::count);
                    format!("{statistic} needs {needed} values at least, and there are {there}")
                }
                (Some(_), None) => "it was not measured".to_owned(),
            },
            Metric::Achieved => "a closed loop offers no rate".to_owned(),
            Metric::ServerCpu | Metric::ServerMemory if self.resources.server.is_none() => {
                "the server's process cannot be seen from here".to_owned()
            }
            Metric::ServerCpu | Metric::LoadgenCpu => "no message was answered".to_owned(),
            Metric::ErrorRate => "no message was due".to_owned(),
            _ => "it was not measured".to_owned(),
        }
    }

    /// The least and the most that a percentile can be of which there are too few values, by what was recorded.
    ///
    /// # Errors
    /// When the report's histograms cannot be read.
    fn bounds(&self, metric: Metric) -> Result<Option<(f64, f64)>, DecodeError> {
        let stats = match metric {
            Metric::Time(distribution, Statistic::Percentile(_)) => self.distribution(distribution),
            _ => None,
        };
        Ok(stats.map(|stats| stats.histogram.decode()).transpose()?.and_then(|histogram| range(&histogram)))
    }

    /// What there is of a metric, for a threshold to judge.
    ///
    /// # Errors
    /// When the report's histograms cannot be read.
    pub fn found(&self, metric: Metric) -> Result<Found, DecodeError> {
        let value = self.figure(metric)?;
        let bounds = if value.is_none() { self.bounds(metric)? } else { None };
        Ok(Found { value, bounds, why_absent: value.is_none().then(|| self.why_absent(metric)) })
    }

    /// The figures of a distribution; `None` where a report does not hold it.
    fn distribution(&self, distribution: Distribution) -> Option<&Stats> {
        match distribution {
            Distribution::Latency => Some(&self.latency),
            Distribution::ServiceTime => Some(&self.service_time),
            Distribution::SendLag => Some(&self.send_lag),
            Distribution::ReadLag | Distribution::Seen => None,
            Distribution::Connect => Some(&self.connect),
        }
    }
}

impl Stats {
    /// A statistic of it; `None` where there are too few values.
    ///
    /// # Errors
    /// When the histogram cannot be read.
    pub fn statistic(&self, statistic: Statistic) -> Result<Option<f64>, DecodeError> {
        Ok(match statistic {
            Statistic::Min => self.min.map(|ns| ns as f64),
            Statistic::Mean => self.mean,
            Statistic::Stdev => self.stdev,
            Statistic::Max => self.max.map(|ns| ns as f64),
            Statistic::Percentile(_) => statistic.of_histogram(&self.histogram.decode()?),
        })
    }
}
