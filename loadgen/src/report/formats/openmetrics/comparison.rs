//! The comparison as OpenMetrics text: of each metric A and B, the change with its interval, and the verdict.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;

use crate::report::comparison::{Comparison, MetricReport};
use crate::report::formats::openmetrics::parts::{Labels, bounds, exposition, gauges};
use crate::report::formats::openmetrics::tls;
use crate::report::formats::text::comparison as text;

/// The comparison as one exposition.
pub fn render(comparison: &Comparison) -> String {
    exposition("fathom_compare", Exposition(comparison.clone()))
}

#[derive(Debug)]
struct Exposition(Comparison);

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(Comparison { metrics, trust, a, b, .. }) = self;
        let label = |metric: &MetricReport, name, value: &str| -> Labels {
            vec![("metric", metric.metric.older_name()), (name, value.to_owned())]
        };
        let figures = metrics.iter().flat_map(|metric| {
            let [a, b] = metric.sides();
            [("a", a), ("b", b)].map(|(side, figure)| {
                let mut labels = label(metric, "side", side);
                labels.push(("unit", metric.unit.clone()));
                (labels, figure)
            })
        });
        let changes =
            metrics.iter().flat_map(|metric| bounds(&[("metric", metric.metric.older_name())], &metric.told()));
        let verdicts = metrics.iter().filter_map(|metric| Some((metric, metric.ruling?)));
        let verdicts = verdicts.map(|(metric, ruling)| (label(metric, "verdict", text::name(ruling.change)), 1.0));
        let valid = vec![(Labels::new(), f64::from(u8::from(trust.is_valid())))];
        let bounded = metrics.iter().filter(|metric| metric.told().low.is_some());
        let errors = bounded.map(|metric| (vec![("metric", metric.metric.older_name())], metric.error()));
        let ratios = || Some(Unit::Ratios);
        gauges(&mut encoder, "figure", "Of A and of B, in the unit of its label", None, figures.collect())?;
        gauges(&mut encoder, "change", "From A to B, with its interval", ratios(), changes.collect())?;
        let error = "The interval misses the change with this probability at the most";
        gauges(&mut encoder, "interval_error", error, ratios(), errors.collect())?;
        gauges(&mut encoder, "verdict", "1 for the verdict on each gated metric", None, verdicts.collect())?;
        let sides = [("a", &a.tls), ("b", &b.tls)];
        tls::encode(&mut encoder, sides.map(|(side, tls)| (vec![("side", side.to_owned())], tls.as_ref())))?;
        gauges(&mut encoder, "valid", "Whether the figures are to be trusted", None, valid)
    }
}
