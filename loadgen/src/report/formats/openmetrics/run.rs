//! OpenMetrics text (github.com/prometheus/OpenMetrics, 1.0), written by Prometheus's own client: the latency as a
//! histogram and as percentiles, rates, counts, costs and verdicts, each run told by its labels.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};

use crate::judge::threshold::Standing;
use crate::measure::arrivals::EndsAt;
use crate::measure::encoded::DecodeError;
use crate::report::datagrams::counts;
use crate::report::formats::openmetrics::tls;
use crate::report::run::{Report, unique_names};
use crate::report::{ProcessCost, Stats};

/// The runs as one exposition.
///
/// # Errors
/// When a report's histograms cannot be read.
pub fn render(runs: &[Report]) -> Result<String, DecodeError> {
    let runs = unique_names(runs).into_iter().zip(runs).map(|(name, run)| Exposed::new(name, run));
    let mut registry = Registry::with_prefix("fathom");
    registry.register_collector(Box::new(Exposition { runs: runs.collect::<Result<_, _>>()? }));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a String takes every write");
    Ok(text)
}

#[derive(Debug)]
struct Exposition {
    runs: Vec<Exposed>,
}

/// What is exposed of a run.
#[derive(Debug)]
struct Exposed {
    labels: Labels,
    report: Report,
    sum_seconds: f64,
    /// Upper bounds in seconds, and how many latencies lie in each bucket alone.
    buckets: Vec<(f64, u64)>,
}

type Labels = Vec<(String, String)>;

impl Exposed {
    fn new(name: String, report: &Report) -> Result<Self, DecodeError> {
        let latency = report.latency.histogram.decode()?;
        let mut buckets: Vec<(f64, u64)> = BOUNDS_US.iter().map(|us| (*us as f64 / 1e6, 0)).collect();
        buckets.push((f64::INFINITY, 0));
        for step in latency.iter_recorded() {
            let seconds = step.value_iterated_to() as f64 / NS_PER_S;
            let bucket = buckets.iter().position(|(bound, _)| seconds <= *bound).unwrap_or(buckets.len() - 1);
            buckets[bucket].1 += step.count_since_last_iteration();
        }
        let labels = [("run", name), ("target", report.target.clone())];
        Ok(Self {
            labels: labels.map(|(key, value)| (key.to_owned(), value)).to_vec(),
            report: report.clone(),
            sum_seconds: report.latency.mean.unwrap_or(0.0) * report.latency.count as f64 / NS_PER_S,
            buckets,
        })
    }

    fn with(&self, key: &str, value: &str) -> Labels {
        let mut labels = self.labels.clone();
        labels.push((key.to_owned(), value.to_owned()));
        labels
    }
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family { encoder: &mut encoder, runs: &self.runs };
        family.histogram("latency", "From the intended send to the arrival of the reply")?;
        family.percentiles("latency", "latency, from due to arrived", |report| Some(&report.latency))?;
        family
            .percentiles("service_time", "service time, from sent to arrived", |report| Some(&report.service_time))?;
        family.percentiles("send_lag", "send lag, from due to sent", |report| Some(&report.send_lag))?;
        family.percentiles("read_lag", "read lag, from arrived to read", |report| report.read_lag.as_ref())?;
        family.percentiles("seen", "time from due to read", |report| Some(&report.seen))?;
        family.gauge(
            "latency_ends_at_kernel",
            "1 where latency ends at the kernel's stamp, 0 at the reading",
            |run| Some(f64::from(u8::from(run.report.ends_at == EndsAt::Kernel))),
        )?;
        family.gauge("throughput_messages_per_second", "Replies per second", |run| {
            Some(run.report.throughput.messages_per_second)
        })?;
        family.gauge("offered_messages_per_second", "Messages per second asked for", |run| {
            run.report.load.offered_rate
        })?;
        outcomes(&mut family)?;
        family.gauges(tls::NAME, tls::HELP, None, |run| {
            let with = |labels: Vec<(&'static str, String)>| {
                labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            };
            let counts = tls::counts(run.report.tls.as_ref()).into_iter();
            counts.map(|(labels, count)| ([run.labels.clone(), with(labels)].concat(), count)).collect()
        })?;
        let costs = |run: &Exposed, of: &dyn Fn(&ProcessCost) -> f64| -> Vec<(Labels, f64)> {
            let resources = &run.report.resources;
            let processes = [("loadgen", Some(&resources.loadgen)), ("server", resources.server.as_ref())];
            let known = processes.into_iter().filter_map(|(name, cost)| Some((name, of(cost?))));
            known.map(|(process, value)| (run.with("process", process), value)).collect()
        };
        family.gauges("cpu", "CPU time over the measured phase", Some(Unit::Seconds), |run| {
            costs(run, &|cost| cost.cpu_seconds)
        })?;
        family.gauges("max_resident_memory", "The most memory ever resident", Some(Unit::Bytes), |run| {
            costs(run, &|cost| cost.max_rss_bytes as f64)
        })?;
        worth(&mut family)?;
        family.gauges("threshold_met", "Whether a threshold was kept; 0 too where it has no value", None, |run| {
            let met = |standing: Standing| f64::from(u8::from(standing == Standing::Met));
            let thresholds = run.report.thresholds.iter();
            thresholds.map(|judged| (run.with("threshold", &judged.threshold), met(judged.outcome))).collect()
        })
    }
}

/// What became of messages, datagrams and connections.
fn outcomes(family: &mut Family<'_, '_>) -> fmt::Result {
    family.counters("messages", "Messages by what became of them", |run| {
        let messages = &run.report.messages;
        let counts = [
            ("verified", messages.verified),
            ("lost", messages.lost),
            ("corrupted", messages.corrupted),
            ("reordered", messages.reordered),
            ("unexpected", messages.unexpected),
        ];
        counts.map(|(outcome, count)| (run.with("outcome", outcome), count)).to_vec()
    })?;
    family.counters("warmup_errors", "What went wrong in the warm-up, by what it was", |run| {
        let counts = run.report.warmup_errors.named().into_iter();
        counts.map(|(outcome, count)| (run.with("outcome", outcome), count)).collect()
    })?;
    family.counters("datagrams", "What UDP did to messages and replies", |run| {
        let counts = counts(run.report.datagrams).into_iter();
        counts.filter_map(|(fate, count)| Some((run.with("fate", fate), count?))).collect()
    })?;
    family.counters("connections", "Connections by what became of them", |run| {
        let connections = &run.report.connections;
        let counts = [
            ("established", connections.established),
            ("failed", connections.failed),
            ("dropped", connections.dropped),
        ];
        counts.map(|(outcome, count)| (run.with("outcome", outcome), count)).to_vec()
    })
}

/// What the figures are worth.
fn worth(family: &mut Family<'_, '_>) -> fmt::Result {
    family.gauge("valid", "Whether the figures are to be trusted", |run| {
        Some(f64::from(u8::from(run.report.trust.is_valid())))
    })?;
    family.gauge("bounded", "Whether the latencies are upper bounds, all else being to be trusted", |run| {
        Some(f64::from(u8::from(run.report.trust.is_bounded())))
    })?;
    family.gauges(
        "latency_percentile_low",
        "Lower ends of the latency's percentiles in a bounded run",
        Some(Unit::Seconds),
        |run| {
            let intervals = run.report.latency_intervals.iter();
            let of_ranks = intervals.filter_map(|(name, ends)| Some((name.strip_prefix('p')?, ends.low)));
            of_ranks.map(|(rank, ns)| (run.with("percentile", rank), ns / NS_PER_S)).collect()
        },
    )?;
    family.gauge("shared_stamps", "Replies that share the kernel's stamp with a later one of the same read", |run| {
        Some(run.report.arrivals.shared as f64)
    })
}

/// Writes families of metrics, each with a sample or more for every run; a family without a sample is left out.
struct Family<'a, 'b> {
    encoder: &'a mut DescriptorEncoder<'b>,
    runs: &'a [Exposed],
}

impl Family<'_, '_> {
    /// Not by the label `quantile`, which OpenMetrics keeps for summaries.
    fn percentiles(&mut self, name: &str, of: &str, stats: impl Fn(&Report) -> Option<&Stats>) -> fmt::Result {
        let (name, help) = (format!("{name}_percentile"), format!("Percentiles of the {of}"));
        self.gauges(&name, &help, Some(Unit::Seconds), |run| {
            let Some(stats) = stats(&run.report) else { return Vec::new() };
            let percentiles = stats.percentiles().chain([(100.0, stats.max)]);
            let known = percentiles.filter_map(|(rank, ns)| Some((rank, ns?)));
            known.map(|(rank, ns)| (run.with("percentile", &rank.to_string()), ns as f64 / NS_PER_S)).collect()
        })
    }

    fn gauge(&mut self, name: &str, help: &str, of: impl Fn(&Exposed) -> Option<f64>) -> fmt::Result {
        self.gauges(name, help, None, |run| of(run).map(|value| (run.labels.clone(), value)).into_iter().collect())
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        of: impl Fn(&Exposed) -> Vec<(Labels, f64)>,
    ) -> fmt::Result {
        let samples = self.runs.iter().flat_map(of).map(|(labels, value)| (labels, ConstGauge::new(value)));
        self.family(name, help, unit, samples.collect())
    }

    fn counters(&mut self, name: &str, help: &str, of: impl Fn(&Exposed) -> Vec<(Labels, u64)>) -> fmt::Result {
        let samples = self.runs.iter().flat_map(of).map(|(labels, count)| (labels, ConstCounter::new(count)));
        self.family(name, help, None, samples.collect())
    }

    fn histogram(&mut self, name: &str, help: &str) -> fmt::Result {
        let samples = self.runs.iter().map(|run| (run.labels.clone(), Latency(run)));
        self.family(name, help, Some(Unit::Seconds), samples.collect())
    }

    fn family<M: EncodeMetric + TypedMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        samples: Vec<(Labels, M)>,
    ) -> fmt::Result {
        if samples.is_empty() {
            return Ok(());
        }
        let mut family = self.encoder.encode_descriptor(name, help, unit.as_ref(), M::TYPE)?;
        samples.iter().try_for_each(|(labels, metric)| metric.encode(family.encode_family(labels)?))
    }
}

/// A run's latencies as a histogram metric.
struct Latency<'a>(&'a Exposed);

impl TypedMetric for Latency<'_> {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Latency<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Exposed { sum_seconds, buckets, report, .. } = self.0;
        encoder.encode_histogram::<Labels>(*sum_seconds, report.latency.count, buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// The buckets' upper bounds in microseconds: three a decade, from a loopback's best to ten seconds.
const BOUNDS_US: [u64; 19] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000,
];

const NS_PER_S: f64 = 1e9;
