//! The sweep to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter};

use crate::measure::metric::Metric;
use crate::report::formats::text::parts::{INDENT, item};
use crate::report::sweep::{Sweep, words};
use crate::report::words::load;

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
        writeln!(f, "{INDENT}{}\n{INDENT}{}\n", words::sent(sweep), words::course(sweep),)?;
        arms(sweep, f)?;
        for metric in words::metrics(sweep) {
            effects(sweep, metric, f)?;
        }
        writeln!(f)?;
        words::scaling(sweep).iter().try_for_each(|line| item(f, "scaling", line))?;
        words::way(sweep).iter().try_for_each(|(name, fact)| item(f, name, fact))?;
        words::notes(sweep).iter().try_for_each(|note| item(f, "note", note))?;
        if !sweep.trust.is_valid() {
            writeln!(f, "\n{INDENT}trust       NOT VALID, because")?;
        }
        sweep.trust.reasons.iter().try_for_each(|reason| item(f, "          -", reason))
    }
}

/// The combinations, under each other where they need more room than a line has.
fn arms(sweep: &Sweep, f: &mut Formatter<'_>) -> fmt::Result {
    let heads = words::arm_heads(sweep);
    let room = WIDTH - COLUMNS.iter().take(heads.len()).sum::<usize>();
    let line = |name: String, cells: Vec<String>| {
        let cells = cells.iter().zip(COLUMNS).map(|(cell, width)| format!("{cell:>width$}"));
        format!("{INDENT}{name:<room$}{}", cells.collect::<String>())
    };
    writeln!(f, "{}", line(String::new(), heads))?;
    for arm in &sweep.arms {
        let name = or_line(f, words::settings(arm), room - 1)?;
        writeln!(f, "{}", line(name, words::arm_cells(sweep, arm)))?;
    }
    Ok(())
}

fn effects(sweep: &Sweep, metric: Metric, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "\n{INDENT}{:<40}{:>9}{:>20}", format!("effects on {metric}"), "change", "95% interval")?;
    for effect in words::worth_naming(sweep, metric) {
        let name = or_line(f, words::steps(effect), 39)?;
        let [change, interval, called] = words::effect_cells(effect);
        writeln!(f, "{}", format!("{INDENT}{name:<40}{change:>9}{interval:>20} {called}").trim_end())?;
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

/// Widths of the combinations' columns beside their names.
const COLUMNS: [usize; 5] = [13, 10, 13, 14, 11];

/// Of a line behind its indentation; 80 columns leave two beside it.
const WIDTH: usize = 76;
