//! What a report says in words, for every format that people read.

mod compression;
pub(crate) mod datagrams;
pub(crate) mod experiments;

use super::comparison::Comparison;
use super::{Mode, PerConnection, ProcessCost, Report, Resources, Stats, TlsReport, tls};
use crate::host::resources::PeakOf;
use crate::judge::trust::bounds::LowerEnd;
use crate::measure::arrivals::{Arrivals, EndsAt};
use crate::measure::counts::WarmupErrors;
use crate::measure::encoded::DecodeError;
use crate::measure::percentile;
use crate::plan::{Kind, Load, Message, Pacing, Payload, Plan};
use crate::units;

/// The first lines of a report.
pub(super) struct Headline {
    /// Which loop, over how many connections.
    pub load: String,
    /// What was sent, for how long.
    pub messages: String,
    /// What came back.
    pub throughput: String,
}

/// The first lines of a report.
pub(super) fn headline(report: &Report) -> Headline {
    let plan = &report.environment.plan;
    let messages = format!(
        "{}, {} after {} of warm-up",
        what(&plan.message),
        units::seconds(report.load.duration_seconds),
        units::seconds(plan.warmup.as_secs_f64())
    );
    let mut throughput = format!(
        "{} messages/s, {} received",
        units::number(report.throughput.messages_per_second),
        units::byte_rate(report.throughput.bytes_per_second)
    );
    if let Some(achieved) = report.achieved_share() {
        throughput += &format!(" ({} of the offered rate)", units::percent(achieved));
    }
    Headline { load: load(plan), messages, throughput }
}

/// The load that a plan asks for.
pub(crate) fn load(plan: &Plan) -> String {
    load_of(plan, [None, None])
}

/// The same where several numbers of connections, or of messages in flight, were tried.
pub(crate) fn load_of(plan: &Plan, [connections, in_flight]: [Option<String>; 2]) -> String {
    let one = || units::counted(plan.connections.get().into(), "connection");
    let connections = connections.map_or_else(one, |numbers| format!("{numbers} connections"));
    match plan.load {
        Load::Closed { in_flight: one } => {
            let in_flight = in_flight.unwrap_or_else(|| units::count(one.get().into()));
            format!("closed loop, {connections} with {in_flight} in flight on each")
        }
        Load::Open { rate, .. } => {
            format!("open loop, {} messages/s offered over {connections}", units::number(rate.get()))
        }
    }
}

/// The load of a comparison.
pub(crate) fn compared(comparison: &Comparison) -> String {
    let plan = &comparison.environment.plan;
    if comparison.slos.is_empty() {
        return load(plan);
    }
    let connections = units::counted(u64::from(plan.connections.get()), "connection");
    format!("the rate that keeps {}, over {connections}", comparison.slos.join(", "))
}

/// The way to both servers of a comparison: the proxy, how TLS was spoken with either, and what UDP did to the messages of either.
pub(crate) fn way_to_both(comparison: &Comparison) -> Vec<(&'static str, String)> {
    let sides = [("A", &comparison.a), ("B", &comparison.b)].map(|(name, side)| (name.to_owned(), side));
    let tls = tls::of_each(sides.clone().map(|(name, side)| (name, side.tls.as_ref())));
    let lost = datagrams::of_each(sides.map(|(name, side)| (name, side.datagrams.as_ref(), side.messages)));
    proxy(&comparison.environment.plan).into_iter().chain(tls).chain(lost).collect()
}

/// What is sent, in few words.
pub(crate) fn what(message: &Message) -> String {
    what_of(message, &message.size.to_string())
}

/// The same of this size, or of these.
pub(crate) fn what_of(message: &Message, size: &str) -> String {
    let kind = match message.kind {
        Kind::Text => "text",
        Kind::Binary => "binary",
    };
    match &message.payload {
        Payload::Random => format!("{kind}, {size} of random payload"),
        Payload::Json => format!("{kind}, {size} of JSON"),
        Payload::File(path) => format!("{kind}, the file {}", path.display()),
    }
}

/// The distributions to show. In a closed loop a message is due when it is sent: service time would repeat the latency,
/// and send lag is zero. A report of an earlier version has no read lag.
pub(super) fn columns(report: &Report) -> Vec<(&'static str, &Stats)> {
    let mut columns = vec![("latency", &report.latency)];
    if report.load.mode == Mode::Open {
        columns.push(("service time", &report.service_time));
    }
    columns.push(("seen", &report.seen));
    if report.load.mode == Mode::Open {
        columns.push(("send lag", &report.send_lag));
    }
    columns.extend(report.read_lag.as_ref().map(|read_lag| ("read lag", read_lag)));
    columns
}

/// A statistic of a distribution, ns; `None` where the distribution has too few values for it.
type Row = (&'static str, fn(&Stats) -> Option<f64>);

/// The statistics to show, in their order.
const STATISTICS: [Row; 10] = [
    ("p50", |stats| float(stats.p50)),
    ("p75", |stats| float(stats.p75)),
    ("p90", |stats| float(stats.p90)),
    ("p95", |stats| float(stats.p95)),
    ("p99", |stats| float(stats.p99)),
    ("p99.9", |stats| float(stats.p99_9)),
    ("p99.99", |stats| float(stats.p99_99)),
    ("max", |stats| float(stats.max)),
    ("mean", |stats| stats.mean),
    ("stdev", |stats| stats.stdev),
];

/// The table of percentiles: the name of each statistic, and a cell for each of the [`columns`].
///
/// # Errors
/// When the report's histograms cannot be read.
pub(super) fn percentiles(report: &Report) -> Result<Vec<(&'static str, Vec<String>)>, DecodeError> {
    let columns = columns(report);
    let bounds = report.all_latency_bounds()?;
    let row = |&(name, of): &Row| {
        let mut cells: Vec<String> = columns.iter().map(|(_, stats)| cell(of(stats))).collect();
        let statistic = name.parse().expect("these are statistics");
        if let Some((low, high)) = bounds.as_ref().and_then(|bounds| bounds.of(statistic)) {
            cells[0] = units::times(low, high);
        } else if report.trust.is_bounded() {
            // The spread has no bounds.
            cells[0] = cell(None);
        }
        Ok((name, cells))
    };
    STATISTICS.iter().map(row).collect()
}

/// What the latencies of a bounded run are.
pub(super) fn bounded(report: &Report) -> Option<String> {
    let rests = match report.least.as_ref().map(|least| least.lower_end) {
        Some(LowerEnd::Proven) => "",
        Some(LowerEnd::Estimate) => "; the lower ends are estimates",
        None => "; the lower ends are not known",
    };
    report
        .trust
        .is_bounded()
        .then(|| format!("BOUNDED: an on-time generator would have seen latencies between the two times given{rests}"))
}

/// A statistic's value as a cell of a table.
fn cell(ns: Option<f64>) -> String {
    ns.map_or_else(|| "-".to_owned(), units::time)
}

/// What to know when reading the figures: what the judgement of the run says, and which percentiles are left out.
pub(super) fn notes(report: &Report) -> Vec<String> {
    let count = report.latency.count;
    let missing: Vec<f64> = report.latency.percentiles().filter(|(_, ns)| ns.is_none()).map(|(rank, _)| rank).collect();
    let few = missing.first().filter(|_| count > 0).map(|&rank| {
        let (all, needed) = (units::count(count), units::count(percentile::needed(rank)));
        let which = if missing.len() > 1 { format!("p{rank} and higher are") } else { format!("p{rank} is") };
        format!("{which} left out: p{rank} needs {needed} replies at least, and there are {all}")
    });
    report.trust.notes.iter().cloned().chain(few).collect()
}

fn float(ns: Option<u64>) -> Option<f64> {
    ns.map(|ns| ns as f64)
}

/// What of connecting its parts took, where a WebSocket handshake followed TCP, on more than one connection.
fn parts_of_connecting(report: &Report) -> Option<String> {
    let (tcp, upgrade) = (report.tcp.as_ref()?.p50?, report.upgrade.as_ref()?.p50.filter(|ns| *ns > 0)?);
    let tls = report.tls.as_ref().and_then(|tls| tls.handshake.p50).map(|ns| ("TLS", ns));
    let parts = [("TCP", tcp)].into_iter().chain(tls).chain([("the WebSocket handshake", upgrade)]);
    let parts = parts.map(|(name, ns)| format!("{name} {}", units::time(ns as f64))).collect::<Vec<_>>();
    Some(format!("of that, by medians: {}", parts.join(", ")))
}

/// Counts, costs and the machine, each under its name.
pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let (connections, messages) = (&report.connections, &report.messages);
    let mut opened = format!("{} of {}", units::count(connections.established), units::count(connections.requested));
    let [p50, max] = [report.connect.p50, report.connect.max].map(|ns| float(ns).map(units::time));
    opened += &match (p50, max) {
        (Some(p50), Some(max)) => format!(", opened in {p50} each (median; at most {max})"),
        (None, Some(max)) => format!(", opened in {max}"),
        (_, None) => String::new(),
    };
    let [sent, verified] = [messages.sent, messages.verified].map(units::count);
    let replies = if report.is_unchecked() { "answers, content not checked" } else { "verified replies" };
    let mut facts = vec![("connections", opened)];
    facts.extend(parts_of_connecting(report).map(|parts| ("", parts)));
    facts.extend(addresses(report));
    facts.extend(proxy(&report.environment.plan));
    facts.extend(report.tls.iter().flat_map(TlsReport::facts));
    facts.push(("messages", format!("{sent} sent, {verified} {replies}")));
    facts.extend(wrong_replies_count(report).map(|words| ("", words.to_owned())));
    facts.extend(compression::facts(report));
    facts.extend(datagrams::facts(report).map(|fates| ("datagrams", fates)));
    facts.push(("errors", errors(report)));
    facts.extend(warmup_errors(&report.warmup_errors).map(|words| ("", words)));
    facts.extend(report.mismatches.sentences().map(|mismatch| ("", mismatch)));
    facts.extend(report.failures.iter().map(|(why, times)| ("", format!("{}: {why}", units::often(*times)))));
    facts.push(("latency", ends(report)));
    let resources = &report.resources;
    let busiest = resources.worker_busy.iter().copied().fold(0.0, f64::max);
    let generator = format!("{}, busiest worker {}", cost(&resources.loadgen), units::percent(busiest));
    facts.push(("generator", generator));
    facts.extend(pacing(report).map(|words| ("pacing", words)));
    facts.extend(resources.server.as_ref().map(|server| {
        let now = server.rss_bytes.map(|bytes| format!(", {} at the end", units::memory(bytes)));
        ("server", cost(server) + &now.unwrap_or_default())
    }));
    facts.extend(connection_memory(resources).map(|memory| ("memory", memory)));
    let environment = &report.environment;
    let cpu = environment.cpu.as_deref().unwrap_or("unknown CPU");
    let machine = format!("{cpu}, {} cores, Linux {}", environment.cores.allowed, environment.kernel);
    facts.push(("machine", machine));
    facts
}

/// What to know of the throughput where some of the replies that it counts were wrong.
fn wrong_replies_count(report: &Report) -> Option<&'static str> {
    let messages = &report.messages;
    match messages.corrupted + messages.reordered {
        0 => None,
        _ if messages.verified == 0 => Some("none of the replies that the throughput counts was right"),
        _ => Some("the throughput counts wrong replies too"),
    }
}

/// How the workers of an open loop waited for what was due.
fn pacing(report: &Report) -> Option<String> {
    let plan = &report.environment.plan;
    let workers = &report.resources.worker_paced;
    let most = workers.iter().map(|paced| paced.spun).fold(0.0, f64::max);
    let margin = workers.iter().filter_map(|paced| paced.margin_ns).max();
    let mut words = match (plan.load, plan.pacing) {
        (Load::Closed { .. }, _) => return None,
        _ if workers.is_empty() => return None,
        (_, Pacing::Spin) => {
            format!("spin: never slept, and had a core for it for {} of the run", units::percent(most))
        }
        (_, Pacing::Sleep) => "sleep".to_owned(),
        (_, Pacing::Auto) => match margin {
            Some(margin) => format!(
                "auto: slept until {} before a message was due, spun for {} of the run",
                units::time(margin as f64),
                units::percent(most)
            ),
            None if workers.iter().any(|paced| paced.core_shared) => {
                "auto: slept, since a worker may have had to share its core".to_owned()
            }
            None => format!(
                "auto: never slept, since the gaps were shorter than sleeps are late; spun for {} of the run",
                units::percent(most)
            ),
        },
    };
    if plan.realtime {
        words += "; in the real-time class SCHED_FIFO";
    }
    if workers.iter().any(|paced| paced.timer_slack_refused) {
        words += "; the kernel refused to end sleeps without timer slack (50 us unless set otherwise)";
    }
    Some(words)
}

/// Where latencies end.
pub(crate) fn end(ends_at: EndsAt) -> &'static str {
    match ends_at {
        EndsAt::Kernel => "ends where the kernel received the reply",
        EndsAt::Read => "ends where the reply was read",
    }
}

/// Where the latency ends, and how long replies waited to be read.
fn ends(report: &Report) -> String {
    let mut words = end(report.ends_at).to_owned();
    let waited = report.read_lag.as_ref().filter(|_| report.ends_at == EndsAt::Kernel && report.latency.count > 0);
    if let Some((p50, p99)) = waited.and_then(|lag| float(lag.p50).zip(float(lag.p99))) {
        words += &format!("; read lag p50 {}, p99 {}", units::time(p50), units::time(p99));
    }
    let Arrivals { stamped, shared, unstamped, dropped } = report.arrivals;
    if shared > 0 {
        words += &format!(
            "; {} of {} replies were read together with a later one and may have come before it: their latency is an upper bound",
            units::count(shared),
            units::count(stamped + unstamped + dropped)
        );
    }
    words
}

/// Where the connections went, unless the target says it: a name may have several addresses.
fn addresses(report: &Report) -> Vec<(&'static str, String)> {
    let elsewhere = report.addresses.iter().filter(|(address, _)| !report.target.contains(*address));
    let words = |(address, connections): (&String, &u64)| format!("{} to {address}", units::count(*connections));
    let mut facts: Vec<_> = elsewhere.clone().take(MOST_ADDRESSES).map(|address| ("", words(address))).collect();
    let more = elsewhere.count() - facts.len();
    facts.extend((more > 0).then(|| ("", format!("and more to {} other addresses", units::count(more as u64)))));
    facts
}

/// The proxy that connections went through, if one was between, without its user name and password.
pub(crate) fn proxy(plan: &Plan) -> Option<(&'static str, String)> {
    let proxy = plan.connect.proxy.as_ref()?;
    Some(("proxy", format!("connections went through {}", proxy.at().host_and_port())))
}

/// Addresses that are listed.
const MOST_ADDRESSES: usize = 8;

fn errors(report: &Report) -> String {
    let (connections, messages) = (&report.connections, &report.messages);
    let errors: Vec<String> = [
        (connections.failed, "connections failed"),
        (connections.dropped, "connections dropped"),
        (messages.lost.saturating_sub(report.fates().lost), "messages lost"),
        (messages.corrupted, "corrupted"),
        (messages.reordered, "reordered"),
        (messages.unexpected, "unexpected"),
        (report.over_backlog, "refused by the backlog's bound"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{what}: {}", units::count(count)))
    .collect();
    if errors.is_empty() { "none".to_owned() } else { errors.join(", ") }
}

/// What went wrong in the warm-up, if anything did.
pub(crate) fn warmup_errors(errors: &WarmupErrors) -> Option<String> {
    let counted = errors.named().into_iter().filter(|(_, count)| *count > 0);
    let words = counted.map(|(name, count)| match name {
        "over_backlog" => format!("refused by the backlog's bound: {}", units::count(count)),
        _ => format!("{name}: {}", units::count(count)),
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| format!("in the warm-up, not part of the rates and limits: {}", words.join(", ")))
}

/// The memory that each connection costs the server, or why that is not known of one that can be seen.
fn connection_memory(resources: &Resources) -> Option<String> {
    resources.server?;
    match (resources.connection_memory, &resources.connection_memory_unknown) {
        (Some(PerConnection { estimate, low, high }), _) => {
            let [estimate, low, high] = [estimate, low, high].map(|bytes| units::memory(bytes.max(0.0).round() as u64));
            Some(format!("{estimate} [{low}..{high}] for each connection"))
        }
        (None, Some(why)) => Some(format!("not known: {why}")),
        (None, None) => None,
    }
}

fn cost(cost: &ProcessCost) -> String {
    let per_message = cost.cpu_us_per_message.map(|us| format!("{} of CPU per message, ", units::time(us * 1e3)));
    let of = if cost.max_rss_of == PeakOf::Life { " in its life" } else { "" };
    format!("{}at most {}{of}", per_message.unwrap_or_default(), units::memory(cost.max_rss_bytes))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::plan::tests::plan;

    #[test]
    fn a_load_of_one_connection_is_said_to_be_of_one() {
        let said = |connections, rest| {
            let [connections, in_flight] = [connections, 1].map(|count| NonZeroU32::new(count).unwrap());
            assert_eq!(load(&Plan { connections, load: Load::Closed { in_flight }, ..plan() }), rest);
        };
        said(1, "closed loop, 1 connection with 1 in flight on each");
        said(2_000, "closed loop, 2,000 connections with 1 in flight on each");
    }
}
