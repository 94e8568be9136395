//! Merged reports are what one run of all their messages would have reported.

use std::time::Duration;

use hdrhistogram::Histogram;
use loadgen::judge::trust::Level;
use loadgen::measure::encoded::Encoded;
use loadgen::measure::histogram::histogram;
use loadgen::measure::measured::Measured;
use loadgen::report::merge::{MergeError, merge};
use loadgen::report::{Report, Stats};

use crate::fixture::{REPLIES, how_fast, how_late, measured};

/// Two reports of the first and the last half of the fixture's messages, and the one of all.
fn halves() -> ([Report; 2], Report) {
    let whole = how_fast();
    let part = |range: std::ops::Range<usize>, seconds: u64| {
        let Measured { intervals, .. } = measured(0);
        let mut latency = histogram();
        for interval in &intervals[range.clone()] {
            latency.add(interval.latency.decode().unwrap()).unwrap();
        }
        let mut report = whole.clone();
        report.intervals = whole.intervals[range.clone()].to_vec();
        let start = report.intervals[0].start;
        report.intervals.iter_mut().for_each(|interval| interval.start -= start);
        report.latency = Stats::from(&latency);
        report.load.duration_seconds = range.len() as f64;
        report.began_at += Duration::from_secs(seconds);
        report
    };
    ([part(0..5, 0), part(5..10, 60)], whole)
}

#[test]
fn histograms_add_up_bucket_for_bucket_and_intervals_follow_each_other() {
    let ([mut first, mut last], whole) = halves();
    first.addresses.insert("127.0.0.1:1".to_owned(), 50);
    last.addresses = [("127.0.0.1:1".to_owned(), 50), ("[::1]:1".to_owned(), 50)].into();
    // In whatever order they are given.
    let merged = merge(vec![last, first], false).unwrap();
    assert_eq!(merged.latency, whole.latency);
    assert_eq!(merged.latency.count, REPLIES);
    assert_eq!(merged.intervals, whole.intervals);
    assert_eq!(merged.load.duration_seconds, 10.0);
    assert_eq!(merged.throughput.messages_per_second, whole.throughput.messages_per_second);
    assert_eq!(merged.messages.sent, 2 * whole.messages.sent);
    assert_eq!(merged.service_time.count, 2 * whole.service_time.count);
    let addresses = [("127.0.0.1:1".to_owned(), 100), ("[::1]:1".to_owned(), 50)];
    assert_eq!(merged.addresses, addresses.into());
    let cost = merged.resources.server.unwrap();
    assert_eq!(cost.cpu_seconds, 2.0 * whole.resources.server.unwrap().cpu_seconds);
    assert!(merged.trust.notes[0].starts_with("2 runs of one plan"), "{:?}", merged.trust.notes);
}

#[test]
fn a_report_alone_is_itself() {
    assert_eq!(merge(vec![how_late()], false).unwrap(), how_late());
}

#[test]
fn one_run_that_is_not_to_be_trusted_spoils_all() {
    let ([first, mut last], _) = halves();
    last.trust.level = Level::NotValid;
    last.trust.reasons.push("it rained".to_owned());
    let merged = merge(vec![first, last], false).unwrap();
    assert!(merged.trust.level == Level::NotValid);
    assert_eq!(merged.trust.reasons, ["run 2: it rained"]);
}

#[test]
fn what_does_not_belong_together_is_told() {
    let ([first, mut last], _) = halves();
    last.environment.plan.seed += 1;
    let Err(MergeError::Differ { number: 2, differences, .. }) = merge(vec![first.clone(), last], false) else {
        panic!()
    };
    assert_eq!(differences.iter().map(ToString::to_string).collect::<Vec<_>>(), ["plan.seed: 1 there, 2 here"]);
    let twice = merge(vec![first.clone(), first], false);
    assert!(matches!(twice, Err(MergeError::Overlap { number: 2 })));
}

#[test]
fn a_histogram_of_another_shape_is_an_error_and_no_panic() {
    let ([first, mut last], _) = halves();
    last.latency.histogram = Encoded::from(&Histogram::<u64>::new(2).unwrap());
    assert!(matches!(merge(vec![first, last], false), Err(MergeError::Decode(_))));
}
