//! The comparison's trials in Go's benchmark format, a line for each: `benchstat -col /side` sets them side by side. It
//! takes them for independent, which pairs are not: its intervals are wider than the comparison's own.

use super::{better, time};
use crate::measure::metric::Metric;
use crate::measure::trial::Figures;
use crate::report::comparison::Comparison;
use crate::report::formats::benchfmt::run::{configuration, load};

/// All trials, A's and B's in turn.
pub fn render(comparison: &Comparison) -> String {
    let measured = comparison.metrics.iter().map(|metric| metric.metric).filter(|metric| metric.is_of_trials());
    let mut text = units(measured) + &configuration(&comparison.environment);
    let load = load(&comparison.environment.plan);
    for pair in comparison.starts.iter().flat_map(|start| &start.pairs) {
        // A trial without a reply has no figures, and a line without any is none.
        for (side, figures) in [("a", &pair.a), ("b", &pair.b)].into_iter().filter(|(_, figures)| !figures.is_empty()) {
            text += &line(side, &load, figures);
        }
    }
    text
}

fn line(side: &str, load: &str, figures: &Figures) -> String {
    // A trial is one measurement, however many messages it took.
    let mut line = format!("BenchmarkCompare/side={side}{load}\t1");
    for (metric, figure) in figures {
        line += &format!("\t{figure} {}", unit(*metric));
    }
    line.push('\n');
    line
}

/// Which way each unit is better, a line each.
pub(crate) fn units(metrics: impl IntoIterator<Item = Metric>) -> String {
    metrics.into_iter().map(|metric| better(&unit(metric), metric.better())).collect()
}

/// The unit of a metric's figures.
pub(crate) fn unit(metric: Metric) -> String {
    if metric.unit().is_time() { time(&metric.older_name()) } else { metric.unit().in_words().to_owned() }
}
