//! The two HdrHistogram formats say what the JSON says.

use std::io::Cursor;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use loadgen::measure::histogram::histogram;
use loadgen::report::formats::{hgrm, hlog};
use loadgen::report::{Report, Stats};

use crate::fixture::{REPLIES, how_fast, how_late};

/// A line of percentile text: value in ns, quantile, count up to it.
fn hgrm_lines(text: &str) -> Vec<(f64, f64, u64)> {
    text.lines()
        .skip(2)
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<f64> = line.split_whitespace().map(|field| field.parse().unwrap()).collect();
            (fields[0] * 1e6, fields[1], fields[2] as u64)
        })
        .collect()
}

#[test]
fn percentile_text_and_json_agree() {
    for report in [how_fast(), how_late()] {
        let text = hgrm::render(&report).unwrap();
        let lines = hgrm_lines(&text);
        let stats = &report.latency;
        assert!(lines.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 < pair[1].1 && pair[0].2 <= pair[1].2));
        let close = |a: f64, b: f64| (a - b).abs() < 0.6;
        for (rank, value) in stats.percentiles() {
            let (quantile, value) = (rank / 100.0, value.unwrap());
            // The text steps by its own quantiles; the value lies between those of the steps around it.
            let above = lines.iter().position(|line| line.1 >= quantile - 1e-12).unwrap();
            let (low, high) = (lines[above - 1].0, lines[above].0);
            assert!(low - 0.6 <= value as f64 && value as f64 <= high + 0.6, "{quantile}: {low} {value} {high}");
            if close(lines[above].1 * 1e9, quantile * 1e9) {
                assert!(close(high, value as f64), "{quantile}: {high} is not {value}");
            }
        }
        let (value, quantile, count) = lines[lines.len() - 1];
        assert!(close(value, stats.max.unwrap() as f64) && quantile == 1.0 && count == stats.count);
        let trailer = |name: &str| -> Vec<f64> {
            let line = text.lines().find(|line| line.starts_with(&format!("#[{name}"))).unwrap();
            line.trim_end_matches(']').split(['=', ',']).filter_map(|part| part.trim().parse().ok()).collect()
        };
        let (mean, stdev, max) = (stats.mean.unwrap(), stats.stdev.unwrap(), stats.max.unwrap() as f64);
        assert!(close(trailer("Mean")[0] * 1e6, mean) && close(trailer("Mean")[1] * 1e6, stdev));
        assert!(close(trailer("Max")[0] * 1e6, max) && trailer("Max")[1] == REPLIES as f64);
        assert_eq!(trailer("Buckets")[1], 2048.0);
    }
}

#[test]
fn percentile_text_of_nothing_is_its_frame() {
    let mut report = how_fast();
    report.latency = Stats::from(&histogram());
    let text = hgrm::render(&report).unwrap();
    assert_eq!(hgrm_lines(&text), []);
    assert!(text.contains("Total count    =            0]"), "{text}");
}

#[test]
fn the_interval_log_is_read_back() {
    let report = how_late();
    let log = hlog::render(&report).unwrap();
    assert!(log.starts_with(b"#[Histogram log format version 1.2]\n"));
    let (mut intervals, mut sum, mut tagged) = (0, histogram(), Vec::new());
    for entry in IntervalLogIterator::new(&log) {
        match entry.unwrap() {
            LogEntry::BaseTime(time) | LogEntry::StartTime(time) => {
                assert_eq!(time, Duration::from_secs(1_700_000_000))
            }
            LogEntry::Interval(interval) => {
                let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
                let latency: Histogram<u64> = Deserializer::new().deserialize(&mut Cursor::new(bytes)).unwrap();
                assert!((interval.max() * 1e6 - latency.max() as f64).abs() < 1_000.0);
                if let Some(tag) = interval.tag() {
                    assert_eq!(
                        (interval.start_timestamp(), interval.duration()),
                        (Duration::ZERO, report_length(&report))
                    );
                    tagged.push((tag.as_str().to_owned(), latency));
                    continue;
                }
                assert_eq!(interval.start_timestamp(), Duration::from_secs(intervals));
                assert_eq!(interval.duration(), Duration::from_secs(1));
                sum.add(latency).unwrap();
                intervals += 1;
            }
        }
    }
    assert_eq!((intervals, sum), (10, report.latency.histogram.decode().unwrap()));
    let read_lag = report.read_lag.as_ref().unwrap();
    let whole = [
        ("service_time", &report.service_time),
        ("send_lag", &report.send_lag),
        ("read_lag", read_lag),
        ("seen", &report.seen),
    ];
    let whole = whole.map(|(tag, stats)| (tag.to_owned(), stats.histogram.decode().unwrap()));
    assert_eq!(tagged, whole);
}

fn report_length(report: &Report) -> Duration {
    Duration::from_secs_f64(report.load.duration_seconds)
}
