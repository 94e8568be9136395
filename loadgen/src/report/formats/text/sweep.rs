//! The sweep to read, for a terminal of 80 columns.

use std::fmt::{self, Display, Formatter};
use std::ops::Range;

use crate::measure::metric::Metric;
use crate::report::formats::text::parts::{INDENT, item};
use crate::report::sweep::{Sweep, words};

/// Renders a sweep as lines of text.
pub fn render(sweep: &Sweep) -> String {
    Rendered(sweep).to_string()
}

struct Rendered<'a>(&'a Sweep);

impl Display for Rendered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sweep = self.0;
        write!(f, "sweep: ")?;
        writeln!(f, "{}", words::load(sweep))?;
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

/// The combinations, under each other where they need more room than a line has, and in several tables where all columns do.
fn arms(sweep: &Sweep, f: &mut Formatter<'_>) -> fmt::Result {
    let heads = words::arm_heads(sweep);
    let of_head =
        |(column, head): (usize, &String)| COLUMNS.get(column).copied().unwrap_or(NARROWEST).max(head.len() + 2);
    let widths: Vec<usize> = heads.iter().enumerate().map(of_head).collect();
    for (number, columns) in tables(&widths).into_iter().enumerate() {
        let room = WIDTH - widths[columns.clone()].iter().sum::<usize>();
        let line = |name: String, cells: &[String]| {
            let cells = cells.iter().zip(&widths).skip(columns.start).take(columns.len());
            let cells = cells.map(|(cell, width)| format!("{cell:>width$}"));
            format!("{INDENT}{name:<room$}{}", cells.collect::<String>())
        };
        if number > 0 {
            writeln!(f)?;
        }
        writeln!(f, "{}", line(String::new(), &heads))?;
        for arm in &sweep.arms {
            let name = or_line(f, words::settings(arm), room - 1)?;
            writeln!(f, "{}", line(name, &words::arm_cells(sweep, arm)))?;
        }
    }
    Ok(())
}

/// The columns of each table, as many as have room beside names, given their widths.
fn tables(widths: &[usize]) -> Vec<Range<usize>> {
    let mut tables: Vec<Range<usize>> = Vec::new();
    for column in 0..widths.len() {
        match tables.last_mut() {
            Some(last) if widths[last.start..=column].iter().sum::<usize>() + NAMES <= WIDTH => last.end = column + 1,
            _ => tables.push(column..column + 1),
        }
    }
    tables
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

/// Widths of the first of the combinations' columns beside their names; others are as wide as their heads.
const COLUMNS: [usize; 5] = [13, 10, 13, 14, 11];

/// The width of the narrowest of those others.
const NARROWEST: usize = 11;

/// Of a line behind its indentation; 80 columns leave two beside it.
const WIDTH: usize = 76;

/// The least room for the combinations' names; a longer one has a line of its own.
const NAMES: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_have_no_room_in_a_table_are_in_the_next() {
        let ends = |widths: &[usize]| tables(widths).into_iter().map(|table| table.end).collect::<Vec<usize>>();
        assert_eq!((ends(&COLUMNS), ends(&COLUMNS[..4])), (vec![5], vec![4]));
        let besides = |widths: &[usize]| ends(&[&COLUMNS[..4], widths].concat());
        assert_eq!(besides(&[11]), [5]);
        assert_eq!(besides(&[13, 13, 21]), [4, 7]);
        assert_eq!(besides(&[21, 21, 21]), [4, 6, 7]);
    }
}
