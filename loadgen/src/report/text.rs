//! The report to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter, Write as _};

use hdrhistogram::Histogram;

use super::{DecodeError, Mode, ProcessCost, Report, Stats, sketch};
use crate::plan::{Kind, Load, Message, Payload, Plan};
use crate::units;

/// Renders a report as lines of text.
pub fn render(report: &Report) -> Result<String, DecodeError> {
    let latency = report.latency.histogram.decode()?;
    let mut text = String::new();
    write!(text, "{}", Rendered { report, latency: &latency }).expect("a String takes every write");
    Ok(text)
}

struct Rendered<'a> {
    report: &'a Report,
    latency: &'a Histogram<u64>,
}

impl Display for Rendered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let report = self.report;
        headline(report, f)?;
        throughput(report, f)?;
        if report.latency.count > 0 {
            percentiles(report, f)?;
            writeln!(f, "\n{}", sketch::draw(self.latency, INDENT))?;
        }
        counts(report, f)?;
        resources(report, f)?;
        trust(report, f)
    }
}

fn headline(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    let plan = &report.environment.plan;
    write!(f, "{}: ", report.name)?;
    load(plan, f)?;
    writeln!(f, "{INDENT}{}", report.target)?;
    writeln!(
        f,
        "{INDENT}{}, {} after {} of warm-up\n",
        what(&plan.message),
        units::seconds(report.load.duration_seconds),
        units::seconds(plan.warmup.as_secs_f64())
    )
}

/// The load that a plan asks for, on the rest of a line.
pub(crate) fn load(plan: &Plan, f: &mut Formatter<'_>) -> fmt::Result {
    let connections = units::count(plan.connections.get().into());
    match plan.load {
        Load::Closed { in_flight } => writeln!(
            f,
            "closed loop, {connections} connections with {} in flight on each",
            units::count(in_flight.get().into())
        ),
        Load::Open { rate, .. } => {
            writeln!(f, "open loop, {} messages/s offered over {connections} connections", units::number(rate.get()),)
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

fn throughput(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "{INDENT}throughput  {} messages/s, {} received",
        units::number(report.throughput.messages_per_second),
        units::byte_rate(report.throughput.bytes_per_second)
    )?;
    match report.load.offered_rate {
        Some(offered) => writeln!(f, " ({} of the offered rate)", units::percent(report.load.achieved_rate / offered)),
        None => writeln!(f),
    }?;
    writeln!(f)
}

fn percentiles(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    // In a closed loop a message is due when it is sent: the other two columns would repeat the first, and zero.
    let columns: &[(&str, &Stats)] = match report.load.mode {
        Mode::Closed => &[("latency", &report.latency)],
        Mode::Open => {
            &[("latency", &report.latency), ("service time", &report.service_time), ("send lag", &report.send_lag)]
        }
    };
    let mut row = |name: &str, cell: &dyn Fn(&(&str, &Stats)) -> String| {
        write!(f, "{INDENT}{name:<8}")?;
        columns.iter().try_for_each(|column| write!(f, "{:>14}", cell(column)))?;
        writeln!(f)
    };
    row("", &|(name, _)| (*name).to_owned())?;
    let mut figure = |name: &str, of: &dyn Fn(&Stats) -> f64| row(name, &|(_, stats)| units::time(of(stats)));
    figure("p50", &|stats| stats.p50 as f64)?;
    figure("p75", &|stats| stats.p75 as f64)?;
    figure("p90", &|stats| stats.p90 as f64)?;
    figure("p99", &|stats| stats.p99 as f64)?;
    figure("p99.9", &|stats| stats.p99_9 as f64)?;
    figure("p99.99", &|stats| stats.p99_99 as f64)?;
    figure("max", &|stats| stats.max as f64)?;
    figure("mean", &|stats| stats.mean)?;
    figure("stdev", &|stats| stats.stdev)
}

fn counts(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    let (connections, messages) = (&report.connections, &report.messages);
    write!(
        f,
        "{INDENT}connections {} of {}",
        units::count(connections.established),
        units::count(connections.requested)
    )?;
    if report.connect.count > 0 {
        let [p50, max] = [report.connect.p50, report.connect.max].map(|ns| units::time(ns as f64));
        write!(f, ", opened in {p50} each (median; at most {max})")?;
    }
    writeln!(f)?;
    let [sent, verified] = [messages.sent, messages.verified].map(units::count);
    writeln!(f, "{INDENT}messages    {sent} sent, {verified} verified replies")?;
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
    writeln!(f, "{INDENT}errors      {}", if errors.is_empty() { "none".to_owned() } else { errors.join(", ") })?;
    report.failures.iter().try_for_each(|(why, times)| item(f, "", &format!("{} times: {why}", units::count(*times))))
}

fn resources(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    let resources = &report.resources;
    let busiest = resources.worker_busy.iter().copied().fold(0.0, f64::max);
    let busiest = format!("busiest worker {}", units::percent(busiest));
    writeln!(f, "{INDENT}generator   {}, {busiest}", cost(&resources.loadgen))?;
    if let Some(server) = &resources.server {
        writeln!(f, "{INDENT}server      {}", cost(server))?;
    }
    let environment = &report.environment;
    writeln!(
        f,
        "{INDENT}machine     {}, {} cores, Linux {}",
        environment.cpu.as_deref().unwrap_or("unknown CPU"),
        environment.cores.allowed,
        environment.kernel
    )
}

fn cost(cost: &ProcessCost) -> String {
    let per_message = cost.cpu_us_per_message.map(|us| format!("{} of CPU per message, ", units::time(us * 1e3)));
    format!("{}at most {}", per_message.unwrap_or_default(), units::memory(cost.max_rss_bytes))
}

fn trust(report: &Report, f: &mut Formatter<'_>) -> fmt::Result {
    let trust = &report.trust;
    let verdict = if trust.valid { "valid" } else { "NOT VALID, because" };
    writeln!(f, "\n{INDENT}trust       {verdict}")?;
    trust.reasons.iter().try_for_each(|reason| item(f, "          -", reason))?;
    trust.notes.iter().try_for_each(|note| item(f, "note", note))
}

/// A labelled text of as many lines as it takes.
pub(crate) fn item(f: &mut Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    labels.zip(wrap(text, WIDTH - MARGIN)).try_for_each(|(label, line)| writeln!(f, "{INDENT}{label:<12}{line}"))
}

/// Breaks text at spaces into lines of at most `width` characters; a longer word stays whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("it begins with one line and only grows");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

pub(crate) const INDENT: &str = "  ";

/// Columns of the narrowest terminal in use.
const WIDTH: usize = 80;

/// Columns before the text of an item.
const MARGIN: usize = 14;
