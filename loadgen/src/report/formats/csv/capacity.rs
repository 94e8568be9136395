//! The report of a capacity as a table: a line for each probe.

use crate::judge::capacity::Probe;
use crate::report::capacities::Capacities;
use crate::report::capacity::parts::{End, ProbeReport};
use crate::report::capacity::{CapacityReport, words};

/// The probes of the search, and those of fresh starts.
pub fn render(report: &CapacityReport) -> Vec<u8> {
    let mut table = ::csv::Writer::from_writer(Vec::new());
    table.write_record(HEADS).expect(NO_ERROR);
    let parts = [("search", &report.probes), ("holdout", &report.holdout)];
    for (part, probe) in parts.into_iter().flat_map(|(part, probes)| probes.iter().map(move |probe| (part, probe))) {
        table.write_record(cells(part, probe)).expect(NO_ERROR);
    }
    table.into_inner().expect(NO_ERROR)
}

/// The two rates along an axis, a line for each value.
pub fn all(report: &Capacities) -> Vec<u8> {
    let mut table = ::csv::Writer::from_writer(Vec::new());
    let heads = [report.axis.name(), "verdict", "sustains_messages_per_second", "breaks_messages_per_second"];
    table.write_record(heads).expect(NO_ERROR);
    for point in &report.points {
        let answer = &point.capacity.answer;
        let rate = |end: &Option<End>| end.as_ref().map(|end| end.rate.to_string()).unwrap_or_default();
        let verdict = words::verdict(&point.capacity).to_owned();
        let cells = [point.value.to_string(), verdict, rate(&answer.sustains), rate(&answer.breaks)];
        table.write_record(cells).expect(NO_ERROR);
    }
    table.into_inner().expect(NO_ERROR)
}

fn cells(part: &str, probe: &ProbeReport) -> [String; 14] {
    let or_nothing = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let outcome = match probe.outcome {
        Probe::Passed => "passed",
        Probe::Failed => "failed",
        Probe::CannotTell => "cannot-tell",
    };
    let latency = probe.latency;
    [
        part.to_owned(),
        probe.start.to_string(),
        probe.at_seconds.to_string(),
        probe.seconds.to_string(),
        probe.offered_rate.to_string(),
        probe.achieved_rate.to_string(),
        outcome.to_owned(),
        or_nothing(latency.p50),
        or_nothing(latency.p90),
        or_nothing(latency.p99),
        or_nothing(latency.p99_9),
        or_nothing(latency.max),
        or_nothing(probe.send_lag_p99),
        or_nothing(probe.server_cpu),
    ]
}

const HEADS: [&str; 14] = [
    "part",
    "start",
    "at_seconds",
    "seconds",
    "offered_messages_per_second",
    "achieved_messages_per_second",
    "outcome",
    "latency_p50_ns",
    "latency_p90_ns",
    "latency_p99_ns",
    "latency_p99.9_ns",
    "latency_max_ns",
    "send_lag_p99_ns",
    "server_cpu_ns_per_message",
];

const NO_ERROR: &str = "every line has the same columns, and a Vec takes every write";
