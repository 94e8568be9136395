//! The comparison as OpenMetrics text: of each metric the medians, the change with its interval, and the verdict.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::{Comparison, MetricReport, text};

/// The comparison as one exposition.
pub fn render(comparison: &Comparison) -> String {
    let mut registry = Registry::with_prefix("fathom_compare");
    registry.register_collector(Box::new(Exposition(comparison.metrics.clone(), comparison.trust.valid)));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a String takes every write");
    text
}

#[derive(Debug)]
struct Exposition(Vec<MetricReport>, bool);

type Labels = Vec<(&'static str, String)>;

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(metrics, valid) = self;
        let label = |metric: &MetricReport, name, value: &str| -> Labels {
            vec![("metric", metric.metric.to_string()), (name, value.to_owned())]
        };
        let medians = metrics.iter().flat_map(|metric| {
            [("a", metric.a.median), ("b", metric.b.median)].map(|(side, median)| {
                let mut labels = label(metric, "side", side);
                labels.push(("unit", metric.unit.clone()));
                (labels, median)
            })
        });
        let changes = metrics.iter().flat_map(|metric| {
            let estimate = metric.estimate;
            let bounds = [("estimate", estimate.change), ("low", estimate.low), ("high", estimate.high)];
            bounds.into_iter().filter_map(move |(bound, change)| Some((label(metric, "bound", bound), change?)))
        });
        let verdicts = metrics.iter().filter_map(|metric| Some((metric, metric.ruling?)));
        let verdicts = verdicts.map(|(metric, ruling)| (label(metric, "verdict", text::name(ruling.change)), 1.0));
        let valid = vec![(Labels::new(), f64::from(u8::from(*valid)))];
        gauges(&mut encoder, "median", "Median over the trials, in the unit of its label", None, medians.collect())?;
        gauges(&mut encoder, "change", "From A to B, with its 95% interval", Some(Unit::Ratios), changes.collect())?;
        gauges(&mut encoder, "verdict", "1 for the verdict on each gated metric", None, verdicts.collect())?;
        gauges(&mut encoder, "valid", "Whether the figures are to be trusted", None, valid)
    }
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    samples: Vec<(Labels, f64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
    samples.iter().try_for_each(|(labels, value)| ConstGauge::new(*value).encode(family.encode_family(labels)?))
}
