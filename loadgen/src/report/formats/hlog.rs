//! HdrHistogram's interval log, version 1.2 of its Java implementation's `HistogramLogWriter`: one histogram a line,
//! which the tools of every implementation read.

use std::time::Duration;

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::judge::trust::Level;
use crate::measure::encoded::DecodeError;
use crate::report::Report;

/// The latency of each interval, and over the whole run, with a tag each, what else lies between the moments of its messages.
/// Values are in nanoseconds, the column of maxima is in milliseconds.
pub fn render(report: &Report) -> Result<Vec<u8>, DecodeError> {
    let mut log = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let trust = match report.trust.level {
        Level::Valid => "[Trust: valid]",
        Level::Bounded => "[Trust: bounded; latencies are upper ends, since the generator was late itself]",
        Level::NotValid => "[Trust: not valid]",
    };
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.2]")
        .add_comment(&format!(
            "[Fathom {}, latency in ns; with a tag: the whole run's service_time, send_lag, read_lag and seen]",
            report.environment.fathom
        ))
        .add_comment(trust)
        .with_start_time(report.began_at)
        .with_base_time(report.began_at)
        .with_max_value_divisor(NS_PER_MS)
        .begin_log_with(&mut log, &mut serializer)
        .expect("a Vec takes every write");
    let length = Duration::from_secs_f64(report.load.duration_seconds);
    let tagged = [
        ("service_time", Some(&report.service_time)),
        ("send_lag", Some(&report.send_lag)),
        ("read_lag", report.read_lag.as_ref()),
        ("seen", Some(&report.seen)),
    ];
    for (tag, stats) in tagged.into_iter().filter_map(|(tag, stats)| Some((tag, stats?))) {
        let tag = Tag::new(tag).expect("these names have no comma and no space");
        writer
            .write_histogram(&stats.histogram.decode()?, Duration::ZERO, length, Some(tag))
            .expect("what was decoded can be encoded, and a Vec takes every write");
    }
    for interval in &report.intervals {
        let latency = interval.histogram.decode()?;
        writer
            .write_histogram(&latency, interval.start, interval.length, None)
            .expect("what was decoded can be encoded, and a Vec takes every write");
    }
    Ok(log)
}

/// The divisor that the Java implementation's tools assume for nanoseconds.
const NS_PER_MS: f64 = 1e6;
