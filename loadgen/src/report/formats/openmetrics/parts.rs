//! Parts that several documents have alike as OpenMetrics text: an exposition, and gauges with labels.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::report::estimate::Estimate;

/// Names and values.
pub(super) type Labels = Vec<(&'static str, String)>;

/// What a collector exposes, each name after this prefix.
pub(super) fn exposition(prefix: &str, collector: impl Collector) -> String {
    let mut registry = Registry::with_prefix(prefix);
    registry.register_collector(Box::new(collector));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a String takes every write");
    text
}

/// A change and the ends of its interval, as far as they are known.
pub(super) fn bounds(labels: &[(&'static str, String)], estimate: &Estimate) -> Vec<(Labels, f64)> {
    let bounds = [("estimate", estimate.change), ("low", estimate.low), ("high", estimate.high)];
    let known = bounds.into_iter().filter_map(|(bound, change)| Some((bound, change?)));
    known.map(|(bound, change)| ([labels, &[("bound", bound.to_owned())]].concat(), change)).collect()
}

/// A gauge with a sample for each set of labels.
pub(super) fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    samples: Vec<(Labels, f64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
    samples.iter().try_for_each(|(labels, value)| ConstGauge::new(*value).encode(family.encode_family(labels)?))
}
