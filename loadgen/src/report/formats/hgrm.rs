//! HdrHistogram's percentile text, as its Java implementation's `outputPercentileDistribution` prints it and its plotters
//! read it.

use std::fmt::Write as _;

use super::{Format, FormatError, Part, one};
use crate::measure::encoded::DecodeError;
use crate::report::Report;
use crate::report::saved::Document;

/// The format.
pub const FORMAT: Format = Format {
    name: "hgrm",
    help: "The latency's percentiles, as HdrHistogram's plotters read them, in ms",
    keeps_runs_apart: false,
    is_two_files: false,
    render: one_run,
};

fn one_run(document: &Document) -> Result<Vec<Part>, FormatError> {
    let refused = |why: String| Err(FormatError::Refused(format!("hgrm is the distribution of one run; {why}")));
    match document {
        Document::Runs(runs) if runs.len() == 1 => one(render(&runs[0])?),
        Document::Runs(runs) => refused(format!("there are {}", runs.len())),
        Document::Connections(_) => refused("the report of held connections has several, in its JSON".to_owned()),
        Document::Capacity(_) | Document::Capacities(_) => {
            refused("a capacity has many probes, each by its percentiles".to_owned())
        }
        Document::Fanout(_) => refused("the report of a fan-out has several, in its JSON".to_owned()),
        Document::Comparison(_) | Document::Sweep(_) => {
            refused("a comparison or a sweep holds the trials of several servers, each by its figures".to_owned())
        }
    }
}

/// The latency's percentile distribution in milliseconds, the plotters' and wrk2's unit, with six decimals instead of
/// three, so that the report's nanoseconds are all there.
pub fn render(report: &Report) -> Result<String, DecodeError> {
    let latency = report.latency.histogram.decode()?;
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        text.write_fmt(arguments).and_then(|()| text.write_char('\n')).expect("a String takes every write");
    };
    let mut total = 0;
    for step in latency.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        total += step.count_since_last_iteration();
        let (value, quantile) = (step.value_iterated_to() as f64 / NS_PER_MS, step.quantile_iterated_to());
        if quantile < 1.0 {
            line(format_args!("{value:12.6} {quantile:2.12} {total:10} {:14.2}", 1.0 / (1.0 - quantile)));
        } else {
            line(format_args!("{value:12.6} {quantile:2.12} {total:10}"));
        }
    }
    let half_sub_buckets = latency.distinct_values() / (usize::from(latency.buckets()) + 1);
    line(format_args!(
        "#[Mean    = {:12.6}, StdDeviation   = {:12.6}]",
        latency.mean() / NS_PER_MS,
        latency.stdev() / NS_PER_MS
    ));
    line(format_args!("#[Max     = {:12.6}, Total count    = {:12}]", latency.max() as f64 / NS_PER_MS, latency.len()));
    if report.trust.is_bounded() {
        line(format_args!("#[Bounded: the generator was late itself; these are the upper ends of the latency]"));
    }
    line(format_args!("#[Buckets = {:12}, SubBuckets     = {:12}]", latency.buckets(), 2 * half_sub_buckets));
    Ok(text)
}

/// Steps until the distance to 100% has halved: what every implementation's tools use.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

const NS_PER_MS: f64 = 1e6;
