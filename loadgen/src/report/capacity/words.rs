//! What a report of a capacity says in words, for every format that people read.

use super::CapacityReport;
use super::parts::{End, ProbeReport};
use crate::judge::capacity::{Probe, Verdict};
use crate::judge::outcome::Outcome;
use crate::judge::sizing::Line;
use crate::judge::threshold::Threshold;
use crate::plan::url::Url;
use crate::report::TlsReport;
use crate::report::warmup::{Ran, sentences};
use crate::report::words::{proxy, what};
use crate::units;

/// The probes of one rate, taken together.
pub(crate) struct Row {
    /// The rate, and the medians of its probes.
    pub end: End,
    /// Probes that passed, failed, and could not tell.
    pub counts: [usize; 3],
}

/// The answer in one sentence.
pub(crate) fn answer(report: &CapacityReport) -> String {
    let answer = &report.answer;
    let sustains = answer.sustains.as_ref().map(|end| format!("sustains {}", figure(report, end)));
    let breaks = answer.breaks.as_ref().map(|end| format!("breaks at {}", figure(report, end)));
    // Without what a floating point number is off by.
    let error = format!("{}%", ((1.0 - report.confidence) * 1e4).round() / 1e2);
    let proven = [sustains.clone(), breaks.clone()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    match answer.verdict {
        Verdict::Found => format!("{proven}, each wrong in at most {error}"),
        Verdict::GeneratorLimited => {
            let sustains = sustains.unwrap_or_else(|| "sustains no rate that can be told".to_owned());
            format!("{sustains}; {}", lateness(answer.generator_late_at))
        }
        Verdict::BelowRange if proven.is_empty() => "keeps the limits at no rate that was tried".to_owned(),
        Verdict::BelowRange => format!("keeps the limits at no rate that was tried: {proven}"),
        // Fresh starts did not keep the highest one.
        Verdict::AboveRange if answer.stepped_down > 0 => {
            format!("{proven}; no rate was seen to break a limit, up to the highest that was to be tried (--max-rate)")
        }
        Verdict::AboveRange => format!("{proven}, the highest rate that was to be tried (--max-rate)"),
        Verdict::Inconclusive if proven.is_empty() => {
            "inconclusive: no rate is proven to keep or to break the limits".to_owned()
        }
        Verdict::Inconclusive => format!("inconclusive: {proven}"),
    }
}

/// That it was the generator that ended the search, and from which rate on.
fn lateness(from: Option<f64>) -> String {
    let from = from.map_or_else(String::new, |rate| format!(" in most probes at {} and beyond", rate_of(rate)));
    format!("the generator was late itself{from}, so that the server's capacity is not known")
}

/// What follows the answer: why, what is not proven, and what would tell.
pub(crate) fn explanations(report: &CapacityReport) -> Vec<String> {
    let answer = &report.answer;
    let mut lines: Vec<String> = report.failure.iter().map(|why| format!("ended early: {why}")).collect();
    lines.extend(answer.why.clone());
    if let Some(between) = answer.narrowed {
        lines.push(format!(
            "it seems to lie between {} and {}, which is not proven",
            units::number(between.low),
            rate_of(between.high)
        ));
    }
    if answer.stepped_down > 0 {
        lines.push(format!(
            "searched for anew below it {}, since fresh starts of the server did not keep the rate that was found",
            units::counted(answer.stepped_down.into(), "time")
        ));
    }
    let was_not_ended = report.failure.is_none() && !report.interrupted;
    if report.probes.is_empty() && answer.verdict == Verdict::Inconclusive && was_not_ended {
        lines.push("the time was over before a rate could be offered: expected a longer --max-time".to_owned());
    } else if let Some(seconds) = answer.needs_seconds {
        lines.push(format!("it would take about {} more; see --max-time", units::seconds(seconds)));
    }
    lines
}

/// What was asked, in a line.
pub(crate) fn question(report: &CapacityReport) -> String {
    let plan = &report.environment.plan;
    let connections = units::counted(u64::from(plan.connections.get()), "connection");
    format!("{}; {connections}, {}", report.slos.join(", "), what(&plan.message))
}

/// How it ended, in a word or two.
pub(crate) fn verdict(report: &CapacityReport) -> &'static str {
    match report.outcome() {
        Outcome::Interrupted => "interrupted",
        Outcome::Failed | Outcome::Usage => "failed",
        Outcome::Crossed => "threshold crossed",
        _ => match report.answer.verdict {
            Verdict::Found => "found",
            Verdict::GeneratorLimited => "generator-limited",
            Verdict::BelowRange => "below the range",
            Verdict::AboveRange => "above the range",
            Verdict::Inconclusive => "inconclusive",
        },
    }
}

/// The probes of the search by rate, the lowest first, and those of fresh starts after them.
pub(crate) fn rows(report: &CapacityReport) -> [Vec<Row>; 2] {
    [&report.probes, &report.holdout].map(|probes| by_rate(probes))
}

fn by_rate(probes: &[ProbeReport]) -> Vec<Row> {
    let mut rates: Vec<f64> = probes.iter().map(|probe| probe.offered_rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let row = |rate: f64| {
        let own: Vec<&ProbeReport> = probes.iter().filter(|probe| probe.offered_rate == rate).collect();
        let count = |outcome| own.iter().filter(|probe| probe.outcome == outcome).count();
        Row { end: End::of(rate, &own), counts: [Probe::Passed, Probe::Failed, Probe::CannotTell].map(count) }
    };
    rates.into_iter().map(row).collect()
}

/// What stands above [`cells`].
pub(crate) const HEADS: [&str; 8] = ["offered/s", "achieved/s", "p50", "p99", "p99.9", "passed", "failed", "late"];

/// The figures of a row.
pub(crate) fn cells(row: &Row) -> [String; 8] {
    let time = |ns: Option<f64>| ns.map_or_else(|| "-".to_owned(), units::time);
    let latency = row.end.latency;
    let achieved = row.end.achieved_rate.map_or_else(|| "-".to_owned(), units::number);
    let [passed, failed, late] = row.counts.map(|count| if count == 0 { "-".to_owned() } else { count.to_string() });
    let [p50, p99, p99_9] = [latency.p50, latency.p99, latency.p99_9].map(time);
    [units::number(row.end.rate), achieved, p50, p99, p99_9, passed, failed, late]
}

/// Machine, generator and warm-up, each under its name.
pub(crate) fn facts(report: &CapacityReport) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(generator) = &report.generator {
        facts.push((
            "generator",
            format!(
                "{} could offer about {}, by what a message cost in a closed loop; {} in that with this server",
                units::counted(generator.workers as u64, "worker"),
                rate_of(generator.ceiling_rate),
                rate_of(generator.closed_loop_rate)
            ),
        ));
        let share = generator
            .cpu_share
            .map(|share| format!(", where {} of both's CPU time is the generator's", units::percent(share)));
        if generator.beside_the_server {
            facts.push(("", format!("it runs on the server's machine{}", share.unwrap_or_default())));
        }
        if let Some(lag) = generator.send_lag_p99 {
            facts.push(("", format!("it sent up to {} late (p99) in the first probe", units::time(lag))));
        }
    }
    let ends = [("at sustains", &report.answer.sustains), ("at breaks", &report.answer.breaks)];
    let costs = ends.into_iter().filter_map(|(name, end)| Some((name, end.as_ref()?.server_cpu?)));
    for (i, (name, cost)) in costs.enumerate() {
        facts.push((if i == 0 { "server CPU" } else { "" }, format!("{} a message {name}", units::time(cost))));
    }
    // A server that is compiled beforehand was not looked at, and of that nothing is said either way.
    let is_url = report.warmup.max_seconds.is_some() && report.target.parse::<Url>().is_ok();
    let ran = [if is_url { Ran::Once } else { Ran::InEachStart }];
    let of_warmup = sentences(&report.warmup, &ran, 1 + report.holdout.len(), |_| "the server".to_owned());
    facts.extend(of_warmup.into_iter().map(|line| ("", line)));
    facts.extend(proxy(&report.environment.plan));
    facts.extend(report.tls.iter().flat_map(TlsReport::facts));
    let environment = &report.environment;
    let cpu = environment.cpu.as_deref().unwrap_or("unknown CPU");
    facts.push(("machine", format!("{cpu}, {} cores, Linux {}", environment.cores.allowed, environment.kernel)));
    facts
}

/// The arithmetic of what a need takes, step by step, and what it takes for granted.
pub(crate) fn sizing(report: &CapacityReport) -> Vec<String> {
    let Some(sizing) = &report.sizing else { return Vec::new() };
    let line = |line: &Line| format!("{}: {} = {}", line.what, line.arithmetic, line.result);
    let mut lines: Vec<String> = sizing.lines.iter().map(line).collect();
    lines.extend(sizing.assumptions.iter().map(|assumption| format!("assumed: {assumption}")));
    if report.memory.is_some_and(|memory| memory.kernel_bytes.is_some())
        && report.generator.is_some_and(|it| it.beside_the_server)
    {
        lines.push(
            "assumed: the kernel's memory is that of both ends of a connection, which is more than a server's own"
                .to_owned(),
        );
    }
    lines
}

/// A rate for people.
pub(crate) fn rate_of(rate: f64) -> String {
    format!("{}/s", units::number(rate))
}

/// A rate with what the limits are on there.
fn figure(report: &CapacityReport, end: &End) -> String {
    let limit = |(slo, value): (&String, &Option<f64>)| {
        let metric = slo.parse::<Threshold>().ok()?.metric();
        Some(format!("{metric} {}", metric.show((*value)?)))
    };
    let values: Vec<String> = report.slos.iter().zip(&end.values).filter_map(limit).collect();
    match values.is_empty() {
        true => rate_of(end.rate),
        false => format!("{} ({})", rate_of(end.rate), values.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_named_from_which_on_the_generator_was_late_if_there_is_one() {
        let named = "the generator was late itself in most probes at 351,244/s and beyond, so that the server's capacity is not known";
        assert_eq!(lateness(Some(351_244.0)), named);
        assert_eq!(lateness(None), "the generator was late itself, so that the server's capacity is not known");
    }
}
