//! The comparison as OpenMetrics text: of each metric the medians, the change with its interval, and the verdict.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::report::comparison::{Comparison, MetricReport};
use crate::report::estimate::Estimate;
use crate::report::formats::text::comparison as text;

/// The comparison as one exposition.
pub fn render(comparison: &Comparison) -> String {
    exposition("fathom_compare", Exposition(comparison.metrics.clone(), comparison.trust.is_valid()))
}

/// What a collector exposes, each name after this prefix.
pub(crate) fn exposition(prefix: &str, collector: impl Collector) -> String {
    let mut registry = Registry::with_prefix(prefix);
    registry.register_collector(Box::new(collector));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a String takes every write");
    text
}

/// A change and the ends of its interval, as far as they are known.
pub(crate) fn bounds(labels: &[(&'static str, String)], estimate: &Estimate) -> Vec<(Labels, f64)> {
    let bounds = [("estimate", estimate.change), ("low", estimate.low), ("high", estimate.high)];
    let known = bounds.into_iter().filter_map(|(bound, change)| Some((bound, change?)));
    known.map(|(bound, change)| ([labels, &[("bound", bound.to_owned())]].concat(), change)).collect()
}

#[derive(Debug)]
struct Exposition(Vec<MetricReport>, bool);

/// Names and values.
pub(crate) type Labels = Vec<(&'static str, String)>;

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(metrics, valid) = self;
        let label = |metric: &MetricReport, name, value: &str| -> Labels {
            vec![("metric", metric.metric.older_name()), (name, value.to_owned())]
        };
        let medians = metrics.iter().flat_map(|metric| {
            [("a", metric.a.median), ("b", metric.b.median)].map(|(side, median)| {
                let mut labels = label(metric, "side", side);
                labels.push(("unit", metric.unit.clone()));
                (labels, median)
            })
        });
        let changes =
            metrics.iter().flat_map(|metric| bounds(&[("metric", metric.metric.older_name())], &metric.told()));
        let verdicts = metrics.iter().filter_map(|metric| Some((metric, metric.ruling?)));
        let verdicts = verdicts.map(|(metric, ruling)| (label(metric, "verdict", text::name(ruling.change)), 1.0));
        let valid = vec![(Labels::new(), f64::from(u8::from(*valid)))];
        gauges(&mut encoder, "median", "Median over the trials, in the unit of its label", None, medians.collect())?;
        gauges(&mut encoder, "change", "From A to B, with its interval", Some(Unit::Ratios), changes.collect())?;
        gauges(&mut encoder, "verdict", "1 for the verdict on each gated metric", None, verdicts.collect())?;
        gauges(&mut encoder, "valid", "Whether the figures are to be trusted", None, valid)
    }
}

/// A gauge with a sample for each set of labels.
pub(crate) fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    samples: Vec<(Labels, f64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
    samples.iter().try_for_each(|(labels, value)| ConstGauge::new(*value).encode(family.encode_family(labels)?))
}
