//! Several reports of one plan become one: histograms are added bucket for bucket, so that the percentiles are those of
//! all messages together, and the runs stand one after another in time. (The parts of one run, measured at the same time in
//! several processes, are put together before there is a report: [`Measured::merge`](crate::measure::measured::Measured::merge).)

use std::time::Duration;

use thiserror::Error;

use super::differences::{Difference, Differences};
use super::run::Least;
use super::{IntervalReport, ProcessCost, Report, Stats, TlsReport};
use crate::judge::trust::Trust;
use crate::measure::encoded::DecodeError;
use crate::measure::failures;
use crate::measure::histogram::add;
use crate::measure::histogram::histogram;
use crate::measure::paced::Paced;
use crate::units;

/// Why reports cannot be merged.
#[derive(Debug, Error)]
pub enum MergeError {
    /// They are not of one plan, payload and machine.
    #[error("run {number} ({name}) is not of the same plan as run 1:{}", list(differences))]
    Differ {
        /// The run's number, counted from 1.
        number: usize,
        /// Its name.
        name: String,
        /// In what it differs.
        differences: Vec<Difference>,
    },
    /// Two of them ran at the same time, so that their rates would have to be added.
    #[error("run {number} began before the run that began before it had ended; only runs one after another are merged")]
    Overlap {
        /// The later one's number by its beginning, counted from 1.
        number: usize,
    },
    /// The latency of one ends where the kernel received the reply, that of the other where it was read.
    #[error(
        "run {number} ({name}): its latency ends elsewhere than that of run 1, at the kernel's stamp in one and at the reading \
         in the other (as in every report of fathom/run/v1, or with --timestamps off); only latencies that end alike are added up"
    )]
    Ends {
        /// The run's number, counted from 1.
        number: usize,
        /// Its name.
        name: String,
    },
    /// A histogram cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Merges reports, at least one, of runs one after another.
///
/// # Errors
/// When they differ in plan, payload or, unless `environment_may_change`, in their environment; when they ran at the
/// same time; when a histogram cannot be read.
pub fn merge(mut reports: Vec<Report>, environment_may_change: bool) -> Result<Report, MergeError> {
    for (i, report) in reports.iter().enumerate().skip(1) {
        let differences = Differences::between(&reports[0].environment, &report.environment);
        let differences = differences.in_the_way(environment_may_change);
        if !differences.is_empty() {
            return Err(MergeError::Differ { number: i + 1, name: report.name.clone(), differences });
        }
        if report.ends_at != reports[0].ends_at {
            return Err(MergeError::Ends { number: i + 1, name: report.name.clone() });
        }
    }
    reports.sort_by_key(|report| report.began_at);
    for (i, pair) in reports.windows(2).enumerate() {
        let lasted = duration(pair[0].load.duration_seconds);
        if pair[0].began_at.checked_add(lasted).is_none_or(|ended| pair[1].began_at < ended) {
            return Err(MergeError::Overlap { number: i + 2 });
        }
    }
    let runs = reports.len();
    let mut reports = reports.into_iter();
    let mut all = reports.next().expect("at least one report");
    if runs == 1 {
        return Ok(all);
    }
    all.trust = numbered(1, &all.trust);
    for (i, report) in reports.enumerate() {
        append(&mut all, report, i + 2)?;
    }
    all.name = format!("{}, {runs} runs", all.name);
    all.trust.notes.insert(0, format!("{runs} runs of one plan, added up; times between them are left out"));
    // Thresholds are judged anew by the caller, and a baseline was one run's.
    (all.thresholds, all.baseline) = (Vec::new(), None);
    Ok(all)
}

fn append(all: &mut Report, part: Report, number: usize) -> Result<(), MergeError> {
    let (before, after) = (all.load.duration_seconds, part.load.duration_seconds);
    let seconds = before + after;
    let rate = |a: f64, b: f64| if seconds > 0.0 { (a * before + b * after) / seconds } else { 0.0 };
    let replies = all.throughput.messages_per_second * before + part.throughput.messages_per_second * after;
    all.load.achieved_rate = rate(all.load.achieved_rate, part.load.achieved_rate);
    let (sum, other) = (&mut all.throughput, part.throughput);
    sum.messages_per_second = rate(sum.messages_per_second, other.messages_per_second);
    sum.bytes_per_second = rate(sum.bytes_per_second, other.bytes_per_second);
    for (sum, part) in [
        (&mut all.latency, &part.latency),
        (&mut all.service_time, &part.service_time),
        (&mut all.send_lag, &part.send_lag),
        (&mut all.seen, &part.seen),
        (&mut all.connect, &part.connect),
    ] {
        *sum = together(sum, part)?;
    }
    all.arrivals += part.arrivals;
    for (sum, part) in [(&mut all.read_lag, part.read_lag), (&mut all.tcp, part.tcp), (&mut all.upgrade, part.upgrade)]
    {
        // Where one recorded none, that of both is not known.
        *sum = sum.take().zip(part).map(|(sum, part)| together(&sum, &part)).transpose()?;
    }
    all.least = match (all.least.take(), part.least) {
        (Some(sum), Some(part)) => Some(Least {
            lower_end: sum.lower_end.max(part.lower_end),
            latency: together(&sum.latency, &part.latency)?,
            unsure: sum.unsure + part.unsure,
        }),
        // An earlier version recorded none: nothing is certain then.
        _ => None,
    };
    let offset = duration(before);
    let moved = |interval: IntervalReport| IntervalReport { start: interval.start.saturating_add(offset), ..interval };
    all.intervals.extend(part.intervals.into_iter().map(moved));
    all.load.duration_seconds = seconds;
    all.interrupted |= part.interrupted;
    all.aborted |= part.aborted;
    all.saturated += part.saturated;
    all.over_backlog += part.over_backlog;
    all.warmup_errors += part.warmup_errors;
    all.all_lost_after_seconds = all.all_lost_after_seconds.or(part.all_lost_after_seconds.map(|after| before + after));
    all.connections += part.connections;
    part.addresses.into_iter().for_each(|(address, n)| *all.addresses.entry(address).or_default() += n);
    all.messages += part.messages;
    all.datagrams = all.datagrams.zip(part.datagrams).map(|(sum, part)| sum + part);
    all.mismatches.merge(part.mismatches);
    all.wire += part.wire;
    all.verification += part.verification;
    if let (Some(sum), Some(part)) = (&mut all.permessage_deflate, &part.permessage_deflate) {
        *sum += part;
    }
    all.tls = TlsReport::together(all.tls.take(), part.tls)?;
    failures::merge(&mut all.failures, part.failures);
    all.resources.loadgen = cost(all.resources.loadgen, part.resources.loadgen, replies);
    all.resources.server = all.resources.server.zip(part.resources.server).map(|(a, b)| cost(a, b, replies));
    all.resources.connection_memory = None;
    all.resources.connection_memory_unknown = Some("it is told of one run only".to_owned());
    for (sum, other) in all.resources.worker_paced.iter_mut().zip(part.resources.worker_paced) {
        *sum = Paced { spun: rate(sum.spun, other.spun), ..other };
    }
    for (sum, other) in all.resources.worker_busy.iter_mut().zip(part.resources.worker_busy) {
        *sum = rate(*sum, other);
    }
    add_trust(&mut all.trust, numbered(number, &part.trust));
    Ok(())
}

/// What the whole is worth with a further part: no more than the least of them.
fn add_trust(all: &mut Trust, part: Trust) {
    all.level = all.level.max(part.level);
    all.reasons.extend(part.reasons);
    for note in part.notes {
        if !all.notes.contains(&note) {
            all.notes.push(note);
        }
    }
}

/// Two distributions as one.
fn together(a: &Stats, b: &Stats) -> Result<Stats, DecodeError> {
    let mut total = histogram();
    add(&mut total, &a.histogram.decode()?);
    add(&mut total, &b.histogram.decode()?);
    Ok(Stats::from(&total))
}

fn cost(a: ProcessCost, b: ProcessCost, replies: f64) -> ProcessCost {
    let cpu_seconds = a.cpu_seconds + b.cpu_seconds;
    ProcessCost {
        cpu_seconds,
        cpu_us_per_message: (replies >= 1.0).then(|| cpu_seconds * 1e6 / replies),
        max_rss_bytes: a.max_rss_bytes.max(b.max_rss_bytes),
        max_rss_of: a.max_rss_of.min(b.max_rss_of),
        rss_bytes: b.rss_bytes,
    }
}

/// What a run is worth, its number before each reason.
fn numbered(number: usize, trust: &Trust) -> Trust {
    let reasons = trust.reasons.iter().map(|reason| format!("run {}: {reason}", units::count(number as u64)));
    Trust { level: trust.level, reasons: reasons.collect(), notes: trust.notes.clone() }
}

/// Seconds that a file gives, as long as they may be.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(|difference| format!("\n  {difference}")).collect()
}
