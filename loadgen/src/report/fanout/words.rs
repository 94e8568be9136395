//! What a report of a fan-out says in words, for every format that people read.

use super::FanoutReport;
use super::parts::{Churn, Cost, Stalled};
use crate::host::relay_losses::RelayLosses;
use crate::measure::arrivals::EndsAt;
use crate::measure::counts::Connections;
use crate::measure::failures::Failures;
use crate::measure::fanout::Deliveries;
use crate::measure::fanout_metric::Span;
use crate::report::words::experiments::time;
use crate::report::words::{experiments, proxy, what};
use crate::report::{Stats, TlsReport};
use crate::units;

/// Who sent to whom, how fast, for how long, and what disturbed it: a line each.
pub(crate) fn course(report: &FanoutReport) -> Vec<String> {
    let asked = &report.asked;
    let rate = report.environment.plan.offered_rate().unwrap_or_default();
    let rooms = match asked.rooms.get() {
        1 => String::new(),
        rooms => format!(" in {}", units::counted(rooms.into(), "room")),
    };
    let at_once = match asked.burst.get() {
        1 => String::new(),
        burst => format!(", {} at once", units::count(burst.into())),
    };
    let mut lines = vec![
        format!(
            "{} to {}{rooms}, {} a second{at_once}",
            units::counted(asked.senders.get().into(), "sender"),
            units::counted(asked.receivers.get().into(), "receiver"),
            if rate == 1.0 { "1 message".to_owned() } else { format!("{} messages", units::number(rate)) }
        ),
        format!("{}, measured for {}", what(&report.environment.plan.message), units::seconds(report.measured_seconds)),
    ];
    lines.extend(asked.churn.map(|rate| format!("{} members a second join and leave", units::number(rate.get()))));
    let stalled = report.stalled.as_ref().map(|stalled| units::counted(stalled.receivers, "receiver"));
    lines.extend(stalled.map(|receivers| format!("{receivers} not reading meanwhile")));
    lines
}

/// How it ended, in a word or two.
pub(crate) fn verdict(report: &FanoutReport) -> &'static str {
    experiments::verdict(report.outcome(), &report.trust)
}

/// The distributions of times that there are, each under its name.
pub(crate) fn distributions(report: &FanoutReport) -> Vec<(&'static str, &Stats)> {
    let all = [
        ("latency", Span::Latency),
        ("everyone has it", Span::Everyone),
        ("first to last", Span::Skew),
        ("undisturbed", Span::Undisturbed),
        ("not reading", Span::Stalled),
        ("joining", Span::ChurnHandshake),
        ("send lag", Span::SendLag),
        ("read lag", Span::ReadLag),
    ];
    let some = all.into_iter().filter_map(|(name, span)| Some((name, report.times(span)?)));
    some.filter(|(_, stats)| stats.count > 0).collect()
}

/// Counts, reach, disturbances, costs and the machine, each under its name.
pub(crate) fn facts(report: &FanoutReport) -> Vec<(&'static str, String)> {
    let mut facts = vec![("reach", reach(report)), ("deliveries", deliveries(&report.deliveries, report.compared))];
    facts.push((
        "",
        format!("{} a second; latency {}", units::number(report.deliveries_per_second), end(report.ends_at)),
    ));
    facts.extend(mismatches(report).map(|mismatch| ("", mismatch)));
    facts.push(("messages", messages(report)));
    facts.push(("members", members(report)));
    facts.extend(proxy(&report.environment.plan));
    facts.extend(report.tls.iter().flat_map(TlsReport::facts));
    facts.extend(causes(&report.failures));
    facts.extend(report.server_ended.iter().map(|status| ("", format!("the server's process has ended: {status}"))));
    if let Some(undisturbed) = &report.undisturbed {
        let [before, now] = [undisturbed.latency.p99, report.latency.p99].map(time);
        let wrong = undisturbed.deliveries.wrong();
        let wrong = if wrong > 0 { format!("; {} went wrong before", units::count(wrong)) } else { String::new() };
        facts.push(("disturbed", format!("p99 of those that read all the time went from {before} to {now}{wrong}")));
    }
    facts.extend(report.stalled.as_ref().map(|found| ("", stalled(found))));
    if let Some(found) = &report.churn {
        facts.push(("churn", churn(found, report.compared)));
        facts.extend(found.tls.as_ref().and_then(TlsReport::words_of_resumed).map(|words| ("", words)));
        facts.extend(causes(&found.failures));
    }
    facts.extend(report.relay_losses.as_ref().and_then(losses).map(|words| ("relay lost", words)));
    facts.push(("generator", cost(&report.loadgen)));
    facts.extend(report.server.as_ref().map(|used| ("server", cost(used))));
    let environment = &report.environment;
    let cpu = environment.cpu.as_deref().unwrap_or("unknown CPU");
    facts.push(("machine", format!("{cpu}, {} cores, Linux {}", environment.cores.allowed, environment.kernel)));
    facts
}

/// What was wrong with deliveries: each kind with its first example, and what can be done.
pub(crate) fn mismatches(report: &FanoutReport) -> impl Iterator<Item = String> {
    report.mismatches.sentences(report.asked.mark.as_ref())
}

fn end(ends_at: EndsAt) -> &'static str {
    match ends_at {
        EndsAt::Kernel => "ends where the kernel received a delivery",
        EndsAt::Read => "ends where the generator read a delivery",
    }
}

fn reach(report: &FanoutReport) -> String {
    let reach = &report.reach;
    let share = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), units::percent);
    let by = |ns: Option<u64>| ns.map_or_else(|| "never".to_owned(), |ns| format!("by {}", units::time(ns as f64)));
    format!(
        "{} of deliveries came: half {}, 99% {}, the last {}; {} of messages reached everyone",
        share(reach.share),
        by(reach.p50),
        by(reach.p99),
        by(reach.last),
        share(reach.everyone_share)
    )
}

fn deliveries(of: &Deliveries, compared: bool) -> String {
    let [expected, received, lost, duplicated, late, unexpected] =
        [of.expected, of.received, of.lost, of.duplicated, of.out_of_order, of.unexpected].map(units::count);
    let altered = match of.altered.filter(|_| compared) {
        Some(altered) => format!("{} altered", units::count(altered)),
        None => "content not compared".to_owned(),
    };
    format!(
        "{received} of {expected}; {lost} lost, {duplicated} duplicated, {late} out of order, {altered}, {unexpected} unexpected"
    )
}

fn messages(report: &FanoutReport) -> String {
    let sent = &report.messages;
    let unsent = if sent.unsent > 0 { format!(", {} not", units::count(sent.unsent)) } else { String::new() };
    let back = match (sent.returned, sent.to_senders) {
        (0, 0) => String::new(),
        (own, others) => {
            format!(
                "; from the beginning, warm-up included, senders got {} of their own and {} of others",
                units::count(own),
                units::count(others)
            )
        }
    };
    format!("{} of {} due were sent{unsent}{back}", units::count(sent.sent), units::count(sent.due))
}

fn members(report: &FanoutReport) -> String {
    let of = |who: &str, counts: &Connections| {
        let (established, requested) = (units::count(counts.established), units::counted(counts.requested, who));
        let dropped =
            if counts.dropped > 0 { format!(" ({} lost)", units::count(counts.dropped)) } else { String::new() };
        format!("{established} of {requested}{dropped}")
    };
    format!("{} and {}", of("sender", &report.senders), of("receiver", &report.receivers))
}

fn causes(failures: &Failures) -> impl Iterator<Item = (&'static str, String)> {
    failures.iter().map(|(why, times)| ("", format!("{}: {why}", units::often(*times))))
}

fn stalled(stalled: &Stalled) -> String {
    let [received, expected, lost] =
        [stalled.deliveries.received, stalled.deliveries.expected, stalled.deliveries.lost].map(units::count);
    format!(
        "those that did not read got {received} of {expected} once they did, {lost} were lost; the server closed {} of {}",
        units::count(stalled.dropped),
        units::counted(stalled.receivers, "connection")
    )
}

fn churn(churn: &Churn, compared: bool) -> String {
    let skipped =
        if churn.skipped > 0 { format!(", {} not begun", units::count(churn.skipped)) } else { String::new() };
    format!(
        "{} joined and left, {} failed, {} dropped{skipped}; while there they got {}",
        units::count(churn.joined),
        units::count(churn.failed),
        units::count(churn.dropped),
        deliveries(&churn.deliveries, compared)
    )
}

/// What the server says that it did not deliver; `None` where that is nothing.
fn losses(of: &RelayLosses) -> Option<String> {
    let causes = [
        (of.drop_newest, "dropped as the newest"),
        (of.drop_oldest, "dropped as the oldest"),
        (of.slow_reader_closed, "lost with slow readers that were closed"),
        (of.evicted, "lost with connections closed for --max-buffered"),
        (of.left, "lost with connections that ended"),
    ];
    let some = causes.into_iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = some.map(|(count, what)| format!("{} {what}", units::count(count))).collect();
    (!words.is_empty()).then(|| format!("by its own count, warm-up included: {}", words.join(", ")))
}

fn cost(cost: &Cost) -> String {
    let per = cost.cpu_us_per_delivery.map_or_else(
        || format!("{} of CPU", units::seconds(cost.cpu_seconds)),
        |us| format!("{} of CPU for each delivery", units::time(us * 1e3)),
    );
    format!("{per}, at most {}", units::memory(cost.max_rss_bytes))
}
