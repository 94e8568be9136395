//! The report of a fan-out as OpenMetrics text: every figure as a gauge, with the ends of its interval where it is bounded.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::measure::encoded::DecodeError;
use crate::report::fanout::{FanoutReport, Figure};
use crate::report::formats::openmetrics::comparison::{Labels, exposition, gauges};

/// The report as one exposition.
///
/// # Errors
/// When a histogram cannot be read.
pub fn render(report: &FanoutReport) -> Result<String, DecodeError> {
    Ok(exposition("fathom_fanout", Exposition(report.figures()?, report.trust.is_valid())))
}

#[derive(Debug)]
struct Exposition(Vec<Figure>, bool);

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(figures, valid) = self;
        let of = |figure: &Figure| -> Labels {
            vec![("metric", figure.metric.to_string()), ("unit", figure.metric.unit().in_words().to_owned())]
        };
        let values = figures.iter().map(|figure| (of(figure), figure.value)).collect();
        let ends = figures.iter().flat_map(|figure| {
            let ends = figure.interval.map(|(low, high)| [("low", low), ("high", high)]);
            ends.into_iter()
                .flatten()
                .map(|(bound, value)| ([of(figure), vec![("bound", bound.to_owned())]].concat(), value))
        });
        let trusted = vec![(Labels::new(), f64::from(u8::from(*valid)))];
        gauges(&mut encoder, "figure", "A figure, in the unit of its label", None, values)?;
        gauges(&mut encoder, "interval", "The least and the most that a figure can be", None, ends.collect())?;
        gauges(&mut encoder, "valid", "Whether the figures are to be trusted", None, trusted)
    }
}
