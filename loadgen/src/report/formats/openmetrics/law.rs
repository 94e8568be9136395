//! The Universal Scalability Law as OpenMetrics text: its coefficients with their intervals, from which all else that it says follows.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::measure::metric::Unit;
use crate::report::formats::openmetrics::parts::{Labels, gauges};
use crate::report::scaling::{Scalability, Scaled};

/// The metric with the law along each axis or flag of this name; left out where there is none.
pub(super) fn encode<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    along: impl IntoIterator<Item = (&'a str, Scaled, &'a Scalability)>,
) -> fmt::Result {
    let samples: Vec<_> =
        along.into_iter().flat_map(|(name, of, scalability)| samples(name, of, scalability)).collect();
    if samples.is_empty() { Ok(()) } else { gauges(encoder, NAME, HELP, None, samples) }
}

fn samples(name: &str, of: Scaled, scalability: &Scalability) -> Vec<(Labels, f64)> {
    let coefficients = scalability.law.iter().flat_map(|law| {
        let share = Unit::Share;
        [("alpha", share, law.alpha), ("beta", share, law.beta), ("gamma", Unit::MessagesPerSecond, law.gamma)]
    });
    let bounds = coefficients.flat_map(|(coefficient, unit, fitted)| {
        let bounds = [("estimate", Some(fitted.estimate)), ("low", fitted.low), ("high", fitted.high)];
        bounds.into_iter().filter_map(move |(bound, value)| Some((coefficient, unit, bound, value?)))
    });
    let sample = |(coefficient, unit, bound, value): (&str, Unit, &str, f64)| {
        let labels = [("along", name), ("of", of.name()), ("coefficient", coefficient), ("unit", unit.in_words())];
        let labels = labels.into_iter().chain([("bound", bound)]);
        (labels.map(|(label, value)| (label, value.to_owned())).collect(), value)
    };
    bounds.map(sample).collect()
}

/// The name of the metric behind the document's prefix, and what it is.
const NAME: &str = "scalability";
const HELP: &str = "A coefficient of the scalability law, in the unit of its label, with its 95% interval";
