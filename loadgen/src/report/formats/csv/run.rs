//! A table for spreadsheets (RFC 4180): a line for each run, or for each second of one, its figures in columns that name
//! their unit.

use crate::measure::encoded::DecodeError;
use crate::measure::histogram::histogram;
use crate::measure::percentile;
use crate::report::datagrams::counts;
use crate::report::run::unique_names;
use crate::report::{Mode, Report, Stats};

/// The runs as CSV, a header first; what a run does not have is an empty cell.
pub fn render(runs: &[Report]) -> Vec<u8> {
    let mut table = ::csv::Writer::from_writer(Vec::new());
    for (i, run) in runs.iter().enumerate() {
        let columns = columns(run);
        if i == 0 {
            table.write_record(columns.iter().map(|(name, _)| name)).expect(NO_ERROR);
        }
        table.write_record(columns.iter().map(|(_, cell)| cell)).expect(NO_ERROR);
    }
    table.into_inner().expect(NO_ERROR)
}

/// The runs over time: a line for each interval of each run. The last may hold replies that came after the end of the
/// measured phase only, in no time: it has no rate then.
///
/// # Errors
/// When a histogram cannot be read.
pub fn over_time(runs: &[Report]) -> Result<Vec<u8>, DecodeError> {
    let mut table = ::csv::Writer::from_writer(Vec::new());
    let statistics_of_none = statistics(&Stats::from(&histogram()));
    let names = statistics_of_none.iter().map(|(statistic, _)| format!("latency_{statistic}_ns"));
    let first = ["name", "began_at", "start_s", "length_s", "messages", "messages_per_second"].map(str::to_owned);
    table.write_record(first.into_iter().chain(names)).expect(NO_ERROR);
    for (name, run) in unique_names(runs).into_iter().zip(runs) {
        let began_at = humantime::format_rfc3339_millis(run.began_at).to_string();
        for interval in &run.intervals {
            let latency = Stats::from(&interval.histogram.decode()?);
            let (start, length) = (interval.start.as_secs_f64(), interval.length.as_secs_f64());
            let rate = (length > 0.0).then(|| latency.count as f64 / length);
            let cells = [name.clone(), began_at.clone(), start.to_string(), length.to_string()];
            let cells = cells.into_iter().chain([latency.count.to_string(), or_nothing(rate)]);
            let statistics = statistics(&latency).into_iter().map(|(_, value)| or_nothing(value));
            table.write_record(cells.chain(statistics)).expect(NO_ERROR);
        }
    }
    Ok(table.into_inner().expect(NO_ERROR))
}

fn columns(run: &Report) -> Vec<(String, String)> {
    let mut columns = Vec::new();
    let mut column = |name: &str, cell: String| columns.push((name.to_owned(), cell));
    column("name", run.name.clone());
    column("target", run.target.clone());
    column("began_at", humantime::format_rfc3339_millis(run.began_at).to_string());
    column("git_revision", run.environment.git_revision.clone());
    column("valid", run.trust.is_valid().to_string());
    column("trust", run.trust.level.to_string());
    let mode = match run.load.mode {
        Mode::Closed => "closed",
        Mode::Open => "open",
    };
    column("loop", mode.to_owned());
    column("connections", run.load.connections.to_string());
    column("in_flight", or_nothing(run.load.in_flight));
    column("offered_messages_per_second", or_nothing(run.load.offered_rate));
    column("duration_s", run.load.duration_seconds.to_string());
    column("messages_per_second", run.throughput.messages_per_second.to_string());
    column("bytes_per_second", run.throughput.bytes_per_second.to_string());
    let none = Stats::from(&histogram());
    for (name, stats) in [
        ("latency", &run.latency),
        ("service_time", &run.service_time),
        ("send_lag", &run.send_lag),
        ("read_lag", run.read_lag.as_ref().unwrap_or(&none)),
        ("seen", &run.seen),
    ] {
        for (statistic, value) in statistics(stats) {
            column(&format!("{name}_{statistic}_ns"), or_nothing(value));
        }
    }
    for statistic in ["p50", "p99"] {
        let low = run.latency_intervals.get(statistic).map(|ends| ends.low);
        column(&format!("latency_{statistic}_low_ns"), or_nothing(low));
    }
    column("latency_ends_at", run.ends_at.to_string());
    column("stamps_shared", run.arrivals.shared.to_string());
    column("sent", run.messages.sent.to_string());
    column("verified", run.messages.verified.to_string());
    column("lost", run.messages.lost.to_string());
    column("corrupted", run.messages.corrupted.to_string());
    column("reordered", run.messages.reordered.to_string());
    column("unexpected", run.messages.unexpected.to_string());
    column("warmup_errors", (run.warmup_errors.wrong() + run.warmup_errors.over_backlog).to_string());
    for (name, count) in counts(run.datagrams) {
        column(&format!("datagrams_{name}"), or_nothing(count));
    }
    column("connections_failed", run.connections.failed.to_string());
    column("connections_dropped", run.connections.dropped.to_string());
    let (loadgen, server) = (run.resources.loadgen, run.resources.server);
    column("loadgen_cpu_us_per_message", or_nothing(loadgen.cpu_us_per_message));
    column("loadgen_max_rss_bytes", loadgen.max_rss_bytes.to_string());
    column("server_cpu_us_per_message", or_nothing(server.and_then(|cost| cost.cpu_us_per_message)));
    column("server_max_rss_bytes", or_nothing(server.map(|cost| cost.max_rss_bytes)));
    columns
}

/// The statistics of a distribution under the names of their columns, ns.
fn statistics(stats: &Stats) -> Vec<(String, Option<f64>)> {
    let float = |ns: Option<u64>| ns.map(|ns| ns as f64);
    let percentiles = stats.percentiles().map(|(rank, ns)| (percentile::field(rank), float(ns)));
    let first = [("min".to_owned(), float(stats.min)), ("mean".to_owned(), stats.mean)];
    first.into_iter().chain(percentiles).chain([("max".to_owned(), float(stats.max))]).collect()
}

fn or_nothing(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

const NO_ERROR: &str = "every line has the same columns, and a Vec takes every write";
