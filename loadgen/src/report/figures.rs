//! The figures of a run by the names of their metrics.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::costs::ProcessCost;
use super::datagrams::DatagramsReport;
use super::run::{Ends, Least, Report};
use super::stats::Stats;
use crate::judge::threshold::{Found, Standing};
use crate::judge::trust::Level;
use crate::judge::trust::bounds::{self, LowerEnd};
use crate::measure::counts::{self, Messages};
use crate::measure::datagrams::Datagrams;
use crate::measure::encoded::DecodeError;
use crate::measure::metric::{Distribution, Metric, Statistic, range};
use crate::measure::percentile;
use crate::plan::Expect;
use crate::units;

impl Report {
    /// The value of a metric; `None` where the report has none.
    ///
    /// # Errors
    /// When the report's histograms cannot be read.
    pub fn figure(&self, metric: Metric) -> Result<Option<f64>, DecodeError> {
        let errors = counts::errors(self.messages, self.fates(), self.over_backlog, self.connections);
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
            Metric::ConnectionMemory => self.resources.connection_memory.map(|memory| memory.estimate),
            Metric::WireBytes => counts::Traffic::from(self.wire).bytes_per_message(),
            Metric::WireRatio => counts::Traffic::from(self.wire).ratio(),
            Metric::Capacity => None,
            Metric::LoadgenCpu => cpu(&self.resources.loadgen),
            Metric::LoadgenMemory => Some(self.resources.loadgen.max_rss_bytes as f64),
            Metric::Errors => Some(errors.all() as f64),
            Metric::ErrorRate => errors.rate(self.messages.verified),
            Metric::Datagrams(fate) => self.datagrams.as_ref().and_then(|DatagramsReport { counts, .. }| {
                counts.share(fate.of(*counts), self.messages.verified + errors.of_messages())
            }),
        })
    }

    /// What UDP did; nothing where it was not UDP.
    pub fn fates(&self) -> Datagrams {
        self.datagrams.map(|datagrams| datagrams.counts).unwrap_or_default()
    }

    /// What became of the limits on errors, if there are any whose value is known: they say how many errors are too many.
    pub fn errors_limited(&self) -> Option<Standing> {
        let limits =
            self.thresholds.iter().filter(|judged| judged.is_of_errors() && judged.outcome != Standing::Unknown);
        limits.map(|judged| judged.outcome).reduce(|all, outcome| match all {
            Standing::Crossed => all,
            _ => outcome,
        })
    }

    /// The messages, less what is lost and yet no error: what UDP lost, and what an aborted run did not wait for.
    pub(super) fn failing(&self) -> Messages {
        let on_its_way = if self.aborted { self.messages.lost } else { self.fates().lost };
        Messages { lost: self.messages.lost.saturating_sub(on_its_way), ..self.messages }
    }

    /// Messages of the warm-up that went wrong, less those that an aborted run did not wait for.
    pub(super) fn warmup_failing(&self) -> u64 {
        self.warmup_errors.wrong() - if self.aborted { self.warmup_errors.lost } else { 0 }
    }

    /// Whether what came back was taken for the answers without being looked at.
    pub(super) fn is_unchecked(&self) -> bool {
        self.environment.plan.expect == Expect::Order
    }

    /// Whether a server of UDP sent nothing at all.
    pub(super) fn nothing_came(&self) -> bool {
        self.datagrams.is_some() && self.messages.received == 0
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
                (Some(_), None) if self.is_interval(metric) => {
                    "the latencies of the run are bounds, by which nothing is known of their spread".to_owned()
                }
                (Some(_), None) => "it was not measured".to_owned(),
            },
            Metric::Achieved => "a closed loop offers no rate".to_owned(),
            Metric::ServerCpu | Metric::ServerMemory if self.resources.server.is_none() => {
                "the server's process cannot be seen from here".to_owned()
            }
            Metric::ServerCpu | Metric::LoadgenCpu => "no message was answered".to_owned(),
            Metric::Datagrams(_) if self.datagrams.is_none() => "only UDP (udp://) has datagrams".to_owned(),
            Metric::ErrorRate | Metric::Datagrams(_) => "no message was due".to_owned(),
            _ => "it was not measured".to_owned(),
        }
    }

    /// The least and the most that a percentile can be of which there are too few values, by what was recorded.
    ///
    /// # Errors
    /// When the report's histograms cannot be read.
    fn bounds(&self, metric: Metric) -> Result<Option<(f64, f64)>, DecodeError> {
        if self.is_interval(metric) && metric != Metric::Time(Distribution::Latency, Statistic::Stdev) {
            let least = self.interval(metric, Statistic::Min)?.map_or(0.0, |(low, _)| low);
            return Ok(self.latency_bounds(Statistic::Max)?.map(|(_, most)| (least, most)));
        }
        match metric {
            Metric::Time(distribution, Statistic::Percentile(_)) => {
                let stats = self.distribution(distribution);
                Ok(stats.map(|stats| stats.histogram.decode()).transpose()?.and_then(|histogram| range(&histogram)))
            }
            _ => Ok(None),
        }
    }

    /// What there is of a metric, for a threshold to judge.
    ///
    /// # Errors
    /// When the report's histograms cannot be read.
    pub fn found(&self, metric: Metric) -> Result<Found, DecodeError> {
        // Of a bounded run the spread has no bounds.
        let spread = Metric::Time(Distribution::Latency, Statistic::Stdev);
        let value = self.figure(metric)?.filter(|_| metric != spread || !self.is_interval(metric));
        let bounds = if value.is_none() { self.bounds(metric)? } else { None };
        let interval = match metric {
            Metric::Time(_, statistic) if value.is_some() => self.interval(metric, statistic)?,
            _ => None,
        };
        Ok(Found { value, bounds, interval, why_absent: value.is_none().then(|| self.why_absent(metric)) })
    }

    /// The interval in which a statistic of the latency lies that an on-time generator would have seen, where it is to be
    /// told as one: in a bounded run, and where a generator that was on time on the whole leaves it wide.
    ///
    /// # Errors
    /// When the report's histograms cannot be read.
    pub fn latency_bounds(&self, statistic: Statistic) -> Result<Option<(f64, f64)>, DecodeError> {
        Ok(self.all_latency_bounds()?.and_then(|bounds| bounds.of(statistic)))
    }

    /// The intervals of all statistics, from histograms that are decoded once; `None` where none is told.
    ///
    /// # Errors
    /// When the report's histograms cannot be read.
    pub(super) fn all_latency_bounds(&self) -> Result<Option<LatencyBounds>, DecodeError> {
        let is_told = match self.trust.level {
            Level::Valid => self.least.is_some(),
            Level::Bounded => true,
            Level::NotValid => false,
        };
        if !is_told {
            return Ok(None);
        }
        let latency = self.latency.histogram.decode()?;
        let least = self.least.as_ref().map(|least| least.latency.histogram.decode()).transpose()?;
        let certain = match (&self.least, &least) {
            (Some(Least { lower_end: LowerEnd::Proven, unsure, .. }), Some(least)) => {
                Some(bounds::with_unsure(least, *unsure))
            }
            // What is thought to be the least, since the lower ends are estimates.
            _ => least.clone(),
        };
        Ok(Some(LatencyBounds { latency, least, certain, is_bounded: self.trust.is_bounded() }))
    }

    /// The interval by which a threshold is decided: what is an estimate crosses none. The service time is that of the messages
    /// as they were sent.
    fn interval(&self, metric: Metric, statistic: Statistic) -> Result<Option<(f64, f64)>, DecodeError> {
        let of_latency = matches!(metric, Metric::Time(Distribution::Latency, _));
        let interval = if of_latency { self.latency_bounds(statistic)? } else { None };
        Ok(interval.map(|(low, high)| (if self.lower_ends_are_proven() { low } else { 0.0 }, high)))
    }

    /// The same report with the intervals of a bounded run's latency.
    ///
    /// # Errors
    /// When its histograms cannot be read.
    pub(super) fn with_intervals(mut self) -> Result<Self, DecodeError> {
        let ranks = percentile::RANKS.map(Statistic::percentile);
        let statistics = [Statistic::Min].into_iter().chain(ranks).chain([Statistic::Max, Statistic::Mean]);
        let mut intervals = BTreeMap::new();
        if let Some(bounds) = self.all_latency_bounds()?.filter(|bounds| bounds.is_bounded) {
            let ends = |statistic: Statistic| bounds.of(statistic).map(|(low, high)| (statistic, Ends { low, high }));
            intervals.extend(statistics.filter_map(ends).map(|(statistic, ends)| (statistic.to_string(), ends)));
        }
        self.latency_intervals = intervals;
        Ok(self)
    }

    /// Whether a metric of a bounded run is an interval.
    fn is_interval(&self, metric: Metric) -> bool {
        self.trust.is_bounded() && matches!(metric, Metric::Time(Distribution::Latency, _))
    }

    fn lower_ends_are_proven(&self) -> bool {
        self.least.as_ref().is_some_and(|least| least.lower_end == LowerEnd::Proven)
    }

    /// The figures of a distribution; `None` where a report does not hold it.
    fn distribution(&self, distribution: Distribution) -> Option<&Stats> {
        match distribution {
            Distribution::Latency => Some(&self.latency),
            Distribution::ServiceTime => Some(&self.service_time),
            Distribution::SendLag => Some(&self.send_lag),
            Distribution::ReadLag => self.read_lag.as_ref(),
            Distribution::Seen => Some(&self.seen),
            Distribution::Connect => Some(&self.connect),
        }
    }
}

/// What the latency of a run lies between.
pub(super) struct LatencyBounds {
    latency: Histogram<u64>,
    least: Option<Histogram<u64>>,
    /// The least, but for what is not certain of it.
    certain: Option<Histogram<u64>>,
    is_bounded: bool,
}

impl LatencyBounds {
    /// The interval of a statistic; `None` where it may be given as one figure, or has none.
    pub(super) fn of(&self, statistic: Statistic) -> Option<(f64, f64)> {
        let interval = bounds::interval(&self.latency, self.least.as_ref(), statistic)?;
        if !self.is_bounded && bounds::is_narrow(interval) {
            return None;
        }
        bounds::interval(&self.latency, self.certain.as_ref(), statistic)
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
