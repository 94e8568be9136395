//! The sweep to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter};

use super::{ArmReport, Effect, Step, Sweep};
use crate::comparison::Metric;
use crate::comparison::text::signed_percent;
use crate::report::text::{INDENT, item};
use crate::report::words::{load, what};
use crate::units;
use crate::verdict::Change;

/// Renders a sweep as lines of text.
pub fn render(sweep: &Sweep) -> String {
    Rendered(sweep).to_string()
}

struct Rendered<'a>(&'a Sweep);

impl Display for Rendered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sweep = self.0;
        let plan = &sweep.environment.plan;
        write!(f, "sweep: ")?;
        writeln!(f, "{}", load(plan))?;
        writeln!(
            f,
            "{INDENT}{}\n{INDENT}{} rounds of {} trials in {} starts, {}\n",
            what(&plan.message),
            units::count(sweep.rounds),
            units::seconds(sweep.rules.trial_seconds),
            units::count(sweep.starts),
            units::seconds(sweep.elapsed_seconds),
        )?;
        arms(sweep, f)?;
        let mut metrics: Vec<Metric> = sweep.effects.iter().map(|effect| effect.metric).collect();
        metrics.dedup();
        for metric in metrics {
            effects(sweep, metric, f)?;
        }
        let mut notes = vec![format!(
            "at most {} of such sweeps call an effect better or worse that is none",
            units::percent(sweep.rules.alpha)
        )];
        let [small, pairs] = [1, 2].map(|steps| {
            let silent = |effect: &&Effect| effect.steps.len() == steps && effect.change == Change::Inconclusive;
            sweep.effects.iter().filter(silent).count()
        });
        if small > 0 {
            notes.push(format!("{small} effects could not be told from none; more --max-time tells smaller ones"));
        }
        if pairs > 0 {
            notes.push(format!("{pairs} interactions could not be told from none, and are not shown"));
        }
        writeln!(f)?;
        notes.iter().try_for_each(|note| item(f, "note", note))?;
        if !sweep.trust.valid {
            writeln!(f, "\n{INDENT}trust       NOT VALID, because")?;
        }
        sweep.trust.reasons.iter().try_for_each(|reason| item(f, "          -", reason))
    }
}

/// The combinations, under each other where they need more room than a line has.
fn arms(sweep: &Sweep, f: &mut Formatter<'_>) -> fmt::Result {
    let rate = sweep.arms.iter().find_map(|arm| {
        [Metric::Throughput, Metric::LatencyP99].into_iter().find(|metric| arm.figures.contains_key(metric))
    });
    let rate = rate.unwrap_or(Metric::ServerCpu);
    let heads = [rate.to_string(), "change".to_owned(), "msgs/CPU-s".to_owned(), "B/connection".to_owned()];
    writeln!(f, "{INDENT}{:<26}{:>13}{:>10}{:>13}{:>14}", "", heads[0], heads[1], heads[2], heads[3])?;
    for arm in &sweep.arms {
        let median = |metric: Metric| arm.figures.get(&metric).map(|spread| spread.median);
        let show = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
        let change = arm.change.get(&rate).and_then(|estimate| estimate.change).map(signed_percent);
        let name = settings(arm);
        let name = if name.chars().count() > 25 {
            writeln!(f, "{INDENT}{name}")?;
            String::new()
        } else {
            name
        };
        writeln!(
            f,
            "{INDENT}{name:<26}{:>13}{:>10}{:>13}{:>14}",
            show(median(rate).map(|figure| rate.show(figure))),
            change.unwrap_or_else(|| if arm.change.is_empty() { "reference".to_owned() } else { "-".to_owned() }),
            show(arm.messages_per_cpu_second.map(units::number)),
            show(median(Metric::ConnectionMemory).map(|bytes| units::count(bytes.round() as u64))),
        )?;
    }
    Ok(())
}

fn settings(arm: &ArmReport) -> String {
    arm.settings.iter().map(|setting| format!("{}={}", setting.name, setting.value)).collect::<Vec<_>>().join(" ")
}

fn effects(sweep: &Sweep, metric: Metric, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "\n{INDENT}{:<42}{:>9}{:>20}", format!("effects on {metric}"), "change", "95% interval")?;
    let worth_naming = |effect: &&Effect| effect.steps.len() == 1 || effect.change != Change::Inconclusive;
    for effect in sweep.effects.iter().filter(|effect| effect.metric == metric).filter(worth_naming) {
        let step = |Step { name, from, to }: &Step| format!("{name} {from} -> {to}");
        let name = effect.steps.iter().map(step).collect::<Vec<_>>().join(" with ");
        let estimate = &effect.estimate;
        let change = estimate.change.map_or_else(|| "-".to_owned(), signed_percent);
        let interval = match (estimate.low, estimate.high) {
            (Some(low), Some(high)) => format!("{}..{}", signed_percent(low), signed_percent(high)),
            _ => "-".to_owned(),
        };
        let called = match effect.change {
            Change::Improved => "better",
            Change::Regressed => "worse",
            Change::Equivalent | Change::Inconclusive => "",
        };
        let name = if name.chars().count() > 41 {
            writeln!(f, "{INDENT}{name}")?;
            String::new()
        } else {
            name
        };
        writeln!(f, "{}", format!("{INDENT}{name:<42}{change:>9}{interval:>20} {called}").trim_end())?;
    }
    Ok(())
}
