//! The sweep to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter};

use crate::measure::metric::Metric;
use crate::report::formats::text::run::{INDENT, item};
use crate::report::sweep::{Sweep, words};
use crate::report::words::{load, what};

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
        writeln!(f, "{INDENT}{}\n{INDENT}{}\n", what(&plan.message), words::course(sweep),)?;
        arms(sweep, f)?;
        for metric in words::metrics(sweep) {
            effects(sweep, metric, f)?;
        }
        writeln!(f)?;
        words::notes(sweep).iter().try_for_each(|note| item(f, "note", note))?;
        if !sweep.trust.is_valid() {
            writeln!(f, "\n{INDENT}trust       NOT VALID, because")?;
        }
        sweep.trust.reasons.iter().try_for_each(|reason| item(f, "          -", reason))
    }
}

/// The combinations, under each other where they need more room than a line has.
fn arms(sweep: &Sweep, f: &mut Formatter<'_>) -> fmt::Result {
    let [rate, change, cpu, memory] = words::arm_heads(sweep);
    writeln!(f, "{INDENT}{:<26}{rate:>13}{change:>10}{cpu:>13}{memory:>14}", "")?;
    for arm in &sweep.arms {
        let name = or_line(f, words::settings(arm), 25)?;
        let [rate, change, cpu, memory] = words::arm_cells(sweep, arm);
        writeln!(f, "{INDENT}{name:<26}{rate:>13}{change:>10}{cpu:>13}{memory:>14}")?;
    }
    Ok(())
}

fn effects(sweep: &Sweep, metric: Metric, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "\n{INDENT}{:<42}{:>9}{:>20}", format!("effects on {metric}"), "change", "95% interval")?;
    for effect in words::worth_naming(sweep, metric) {
        let name = or_line(f, words::steps(effect), 41)?;
        let [change, interval, called] = words::effect_cells(effect);
        writeln!(f, "{}", format!("{INDENT}{name:<42}{change:>9}{interval:>20} {called}").trim_end())?;
    }
    Ok(())
}

/// The name, or nothing after a line with the name where it is longer than there is room.
fn or_line(f: &mut Formatter<'_>, name: String, room: usize) -> Result<String, fmt::Error> {
    if name.chars().count() <= room {
        return Ok(name);
    }
    writeln!(f, "{INDENT}{name}")?;
    Ok(String::new())
}
