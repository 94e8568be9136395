//! What a report says in words, for every format that people read.

use super::{Mode, ProcessCost, Report, Stats, compression};
use crate::plan::{Kind, Load, Message, Payload, Plan};
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
    let connections = units::count(plan.connections.get().into());
    match plan.load {
        Load::Closed { in_flight } => {
            let in_flight = units::count(in_flight.get().into());
            format!("closed loop, {connections} connections with {in_flight} in flight on each")
        }
        Load::Open { rate, .. } => {
            format!("open loop, {} messages/s offered over {connections} connections", units::number(rate.get()))
        }
    }
}

/// What is sent, in few words.
pub(crate) fn what(message: &Message) -> String {
    let kind = match message.kind {
        Kind::Text => "text",
        Kind::Binary => "binary",
    };
    match &message.payload {
        Payload::Random => format!("{kind}, {} of random payload", message.size),
        Payload::Json => format!("{kind}, {} of JSON", message.size),
        Payload::File(path) => format!("{kind}, the file {}", path.display()),
    }
}

/// The distributions to show. In a closed loop a message is due when it is sent: the other two would repeat the first,
/// and zero.
pub(super) fn columns(report: &Report) -> Vec<(&'static str, &Stats)> {
    let mut columns = vec![("latency", &report.latency)];
    if report.load.mode == Mode::Open {
        columns.extend([("service time", &report.service_time), ("send lag", &report.send_lag)]);
    }
    columns
}

/// A statistic of a distribution, ns.
pub(super) type Statistic = (&'static str, fn(&Stats) -> f64);

/// The statistics to show, in their order.
pub(super) const STATISTICS: [Statistic; 9] = [
    ("p50", |stats| stats.p50 as f64),
    ("p75", |stats| stats.p75 as f64),
    ("p90", |stats| stats.p90 as f64),
    ("p99", |stats| stats.p99 as f64),
    ("p99.9", |stats| stats.p99_9 as f64),
    ("p99.99", |stats| stats.p99_99 as f64),
    ("max", |stats| stats.max as f64),
    ("mean", |stats| stats.mean),
    ("stdev", |stats| stats.stdev),
];

/// Counts, costs and the machine, each under its name.
pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let (connections, messages) = (&report.connections, &report.messages);
    let mut opened = format!("{} of {}", units::count(connections.established), units::count(connections.requested));
    if report.connect.count > 0 {
        let [p50, max] = [report.connect.p50, report.connect.max].map(|ns| units::time(ns as f64));
        opened += &format!(", opened in {p50} each (median; at most {max})");
    }
    let [sent, verified] = [messages.sent, messages.verified].map(units::count);
    let mut facts = vec![("connections", opened), ("messages", format!("{sent} sent, {verified} verified replies"))];
    facts.extend(compression::facts(report));
    facts.push(("errors", errors(report)));
    facts.extend(report.failures.iter().map(|(why, times)| ("", format!("{} times: {why}", units::count(*times)))));
    let resources = &report.resources;
    let busiest = resources.worker_busy.iter().copied().fold(0.0, f64::max);
    let generator = format!("{}, busiest worker {}", cost(&resources.loadgen), units::percent(busiest));
    facts.push(("generator", generator));
    facts.extend(resources.server.as_ref().map(|server| ("server", cost(server))));
    let environment = &report.environment;
    let cpu = environment.cpu.as_deref().unwrap_or("unknown CPU");
    let machine = format!("{cpu}, {} cores, Linux {}", environment.cores.allowed, environment.kernel);
    facts.push(("machine", machine));
    facts
}

fn errors(report: &Report) -> String {
    let (connections, messages) = (&report.connections, &report.messages);
    let errors: Vec<String> = [
        (connections.failed, "connections failed"),
        (connections.dropped, "connections dropped"),
        (messages.lost, "messages lost"),
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

fn cost(cost: &ProcessCost) -> String {
    let per_message = cost.cpu_us_per_message.map(|us| format!("{} of CPU per message, ", units::time(us * 1e3)));
    format!("{}at most {}", per_message.unwrap_or_default(), units::memory(cost.max_rss_bytes))
}
