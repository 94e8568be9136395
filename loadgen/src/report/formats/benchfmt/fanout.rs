//! The report of a fan-out in Go's benchmark format: one benchmark, with every figure that there is.

use std::fmt::Write as _;

use super::run::configuration;
use super::{better, time};
use crate::measure::encoded::DecodeError;
use crate::measure::fanout_metric::FanoutMetric;
use crate::measure::metric::Unit;
use crate::report::fanout::FanoutReport;

/// The report as one line, of as many iterations as deliveries came.
///
/// # Errors
/// When a histogram cannot be read.
pub fn render(report: &FanoutReport) -> Result<String, DecodeError> {
    let figures = report.figures()?;
    let mut text: String = figures.iter().map(|figure| better(&unit(figure.metric), figure.metric.better())).collect();
    text += &configuration(&report.environment);
    if report.deliveries.received > 0 {
        let (senders, receivers, rooms) = (report.asked.senders, report.asked.receivers, report.asked.rooms);
        let received = report.deliveries.received;
        write!(text, "BenchmarkFanout/senders={senders}/receivers={receivers}/rooms={rooms}\t{received}")
            .expect(NO_ERROR);
        for figure in &figures {
            write!(text, "\t{} {}", figure.value, unit(figure.metric)).expect(NO_ERROR);
        }
        text.push('\n');
    }
    Ok(text)
}

fn unit(metric: FanoutMetric) -> String {
    let name = metric.to_string().replace('_', "-");
    match metric.unit() {
        Unit::Nanoseconds | Unit::NanosecondsPerMessage => time(&name),
        Unit::Bytes | Unit::BytesPerConnection | Unit::BytesPerMessage => format!("{name}-B"),
        Unit::MessagesPerSecond | Unit::BytesPerSecond | Unit::Share | Unit::Count => name,
    }
}

const NO_ERROR: &str = "a String takes every write";
