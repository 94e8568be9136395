//! What a report of held connections says in words, for every format that people read.

use super::ConnectionsReport;
use super::parts::{Churn, Hold, MemoryPoint, PerConnection, Pinged, Storm};
use crate::judge::held_threshold::range;
use crate::measure::counts::Messages;
use crate::measure::failures::Failures;
use crate::measure::held_metric::Span;
use crate::measure::metric::Unit;
use crate::report::words::{experiments, proxy, what};
use crate::report::{Stats, TlsReport};
use crate::units;

/// How many connections were opened, and how they were held: a line each.
pub(crate) fn course(report: &ConnectionsReport) -> [String; 2] {
    let requested = units::counted(report.connections.requested, "connection");
    let steps = units::counted(report.memory.steps.len() as u64, "step");
    let held = match &report.hold {
        Some(Hold { seconds, trickle, pings }) => {
            let every = |what: &str, seconds: f64| format!("a {what} every {}", units::seconds(seconds));
            let messages = trickle.iter().map(|trickle| every("message", trickle.every_seconds));
            let sent: Vec<_> = messages.chain(pings.iter().map(|pings| every("Ping", pings.every_seconds))).collect();
            let held = format!("held for {}", units::seconds(*seconds));
            if sent.is_empty() {
                format!("{held}, idle")
            } else {
                format!("{held} with {} on each", sent.join(" and "))
            }
        }
        None => "not held".to_owned(),
    };
    [format!("{requested} asked for, opened in {steps}"), held]
}

/// What the messages of the trickle were, where there was one.
pub(crate) fn messages(report: &ConnectionsReport) -> Option<String> {
    let trickles = report.hold.as_ref().is_some_and(|hold| hold.trickle.is_some()) || report.churn.is_some();
    trickles.then(|| what(&report.environment.plan.message))
}

/// How it ended, in a word or two.
pub(crate) fn verdict(report: &ConnectionsReport) -> &'static str {
    experiments::verdict(report.outcome(), &report.trust)
}

/// The distributions of times that there are, each under its name.
pub(crate) fn distributions(report: &ConnectionsReport) -> Vec<(&'static str, &Stats)> {
    let all = [
        ("handshake", Span::Handshake),
        ("of it TCP", Span::Tcp),
        ("of it TLS", Span::Tls),
        ("upgrade", Span::Upgrade),
        ("latency", Span::Latency),
        ("Ping to Pong", Span::Ping),
        ("without churn", Span::ChurnWithout),
        ("with churn", Span::ChurnWith),
        ("churn's handshake", Span::ChurnHandshake),
        ("wait after storm", Span::StormWait),
    ];
    let some = all.into_iter().filter_map(|(name, span)| Some((name, report.times(span)?)));
    some.filter(|(_, stats)| stats.count > 0).collect()
}

/// Counts, memory and the machine, each under its name.
pub(crate) fn facts(report: &ConnectionsReport) -> Vec<(&'static str, String)> {
    let mut facts = vec![("connections", connections(report))];
    facts.extend(causes(&report.failures));
    let untried = report.connections.failed.saturating_sub(report.failures.values().sum());
    // Among the causes may be those of losses.
    if untried > 0 && report.connections.dropped == 0 {
        facts.push(("", format!("{} of the failed were not tried after these", units::count(untried))));
    }
    if report.interrupted {
        facts.push(("", "interrupted: the figures are of what was done until then".to_owned()));
    }
    facts.extend(report.server_ended.iter().map(|status| ("", format!("the server's process has ended: {status}"))));
    facts.extend(proxy(&report.environment.plan));
    facts.extend(report.tls.iter().flat_map(TlsReport::facts));
    facts.push(("memory", per_connection("user", report.memory.user_bytes_per_connection)));
    let of = if report.memory.kernel_has_both_ends { "kernel, both ends," } else { "kernel" };
    facts.push(("", per_connection(of, report.memory.kernel_bytes_per_connection)));
    facts.extend(returned(report).map(|words| ("", words)));
    if let Some(trickle) = report.hold.as_ref().and_then(|hold| hold.trickle.as_ref()) {
        let Messages { sent, verified, lost, .. } = trickle.messages;
        let wrong = trickle.messages.wrong() - lost;
        let lost = if lost > 0 { format!(", {} lost or never sent", units::count(lost)) } else { String::new() };
        let [sent, verified, wrong] = [sent, verified, wrong].map(units::count);
        facts.push(("messages", format!("{sent} sent, {verified} verified replies{lost}, {wrong} wrong")));
    }
    if let Some(found) = report.pings() {
        facts.push(("pings", pings(found)));
        facts.extend(causes(&found.failures));
    }
    if let Some(found) = &report.churn {
        facts.push(("churn", churn(found)));
        facts.extend(found.tls.as_ref().and_then(TlsReport::words_of_resumed).map(|words| ("", words)));
        facts.extend(causes(&found.failures));
    }
    if let Some(found) = &report.storm {
        facts.push(("storm", storm(found)));
        facts.extend(found.tls.as_ref().and_then(TlsReport::words_of_resumed).map(|words| ("", words)));
        facts.extend(causes(&found.failures));
    }
    if let Some(closing) = &report.closing {
        let how = match closing.per_second {
            // As many digits as there are: less than one in a minute may be asked for.
            Some(rate) if rate < 1.0 => format!("{rate} a second"),
            Some(rate) => format!("{} a second", units::number(rate)),
            None => "all at once".to_owned(),
        };
        facts.push(("closing", format!("{how}, in {}", units::seconds(closing.seconds))));
    }
    let environment = &report.environment;
    let cpu = environment.cpu.as_deref().unwrap_or("unknown CPU");
    facts.push(("machine", format!("{cpu}, {} cores, Linux {}", environment.cores.allowed, environment.kernel)));
    facts
}

fn connections(report: &ConnectionsReport) -> String {
    let counts = &report.connections;
    let rate = units::number(report.opening.per_second);
    format!(
        "{} of {} opened, {rate} a second; {} failed, {} lost while held",
        units::count(counts.established),
        units::count(counts.requested),
        units::count(counts.failed),
        units::count(counts.dropped)
    )
}

fn causes(failures: &Failures) -> impl Iterator<Item = (&'static str, String)> {
    failures.iter().map(|(why, times)| ("", format!("{}: {why}", units::often(*times))))
}

fn per_connection(of: &str, slope: Option<PerConnection>) -> String {
    let unit = Unit::BytesPerConnection;
    match slope {
        Some(PerConnection { estimate, high, .. }) if estimate <= 0.0 => {
            format!("{of} not seen to grow with the connections (95%: by {} for each at the most)", unit.show(high))
        }
        Some(PerConnection { estimate, low, high }) => {
            format!("{of} {} for each connection (95%: {})", unit.show(estimate), range(unit, low, high))
        }
        None => format!("{of} not known"),
    }
}

fn returned(report: &ConnectionsReport) -> Option<String> {
    let [user, kernel] = [report.memory.user_returned, report.memory.kernel_returned];
    let words = |of: &str, share: Option<f64>| share.map(|share| format!("{} of the {of}'s", units::percent(share)));
    let shares: Vec<_> = [words("user", user), words("kernel", kernel)].into_iter().flatten().collect();
    let looked = report.closing.as_ref()?.looked_seconds;
    (!shares.is_empty())
        .then(|| format!("{} returned within {} of closing", shares.join(" and "), units::seconds(looked)))
}

fn pings(pings: &Pinged) -> String {
    let some =
        |count: u64, what: &str| if count > 0 { format!(", {} {what}", units::count(count)) } else { String::new() };
    format!(
        "{} sent, {} answered{}, {} unanswered{}",
        units::count(pings.sent),
        units::count(pings.answered),
        some(pings.passed_over, "by the Pong to a later one"),
        units::count(pings.unanswered),
        some(pings.unsolicited, "Pongs that answer none")
    )
}

fn churn(churn: &Churn) -> String {
    let p99 = match (churn.without.p99, churn.with.p99) {
        (Some(without), Some(with)) => {
            let lag = |stats: &Stats| stats.p99.map_or_else(|| "unknown".to_owned(), |ns| units::time(ns as f64));
            format!(
                "; p99 of the others went from {} to {}, of which the generator's own lateness (send lag p99) was {} and {}",
                units::time(without as f64),
                units::time(with as f64),
                lag(&churn.send_lag_without),
                lag(&churn.send_lag_with)
            )
        }
        _ => String::new(),
    };
    let skipped =
        if churn.skipped > 0 { format!(", {} not begun", units::count(churn.skipped)) } else { String::new() };
    let wrong = match churn.wrong_messages {
        0 => String::new(),
        wrong => format!("; {} of the others lost or answered wrongly", units::counted(wrong, "message")),
    };
    format!(
        "{} a second asked for: {} opened and closed, {} failed{skipped}{wrong}{p99}",
        units::number(churn.asked_per_second),
        units::count(churn.opened),
        units::count(churn.failed)
    )
}

fn storm(storm: &Storm) -> String {
    let how = match storm.jitter_seconds {
        Some(jitter) => format!("each tried at a random moment within {}", units::seconds(jitter)),
        None => "all tried at once".to_owned(),
    };
    let all = match storm.all_back_seconds {
        Some(seconds) => format!("all were back after {}", units::seconds(seconds)),
        None if storm.failed == 0 => {
            let missing = storm.dropped.saturating_sub(storm.back);
            format!("{} not back yet when it was interrupted", units::counted(missing, "connection"))
        }
        None => format!("{} never did", units::counted(storm.failed, "connection")),
    };
    let tries = match storm.retry_delay_seconds {
        Some(delay) if storm.most_tries > 1 => format!(
            "; {} tries, at the most {} of one, with waits from {} on",
            units::count(storm.tries),
            storm.most_tries,
            units::seconds(delay)
        ),
        _ => String::new(),
    };
    format!(
        "{} dropped in {}, {how}: {all}{tries}",
        units::counted(storm.dropped, "connection"),
        units::seconds(storm.dropping_seconds)
    )
}

/// The table of memory, a row for each point.
pub(crate) fn memory_rows(report: &ConnectionsReport) -> Vec<[String; 4]> {
    let memory = &report.memory;
    let row = |name: &str, point: &MemoryPoint| {
        let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), units::memory);
        [name.to_owned(), units::count(point.connections), bytes(point.user_bytes), bytes(point.kernel_bytes)]
    };
    let steps = (1..).zip(&memory.steps).map(|(step, point)| row(&format!("step {step}"), point));
    let held = memory.held.iter().map(|point| row("held", point));
    let after = memory.after.iter().map(|point| row("closed", point));
    std::iter::once(row("before", &memory.before)).chain(steps).chain(held).chain(after).collect()
}

/// What stands above [`memory_rows`].
pub(crate) const MEMORY_HEADS: [&str; 4] = ["", "connections", "user memory", "kernel memory"];
