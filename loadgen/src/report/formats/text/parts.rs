//! Parts that several reports for a terminal have alike: labelled lines, limits and what became of them, trust, distributions
//! of times.

use std::fmt::{self, Formatter};

use crate::judge::threshold::{Judged, Standing};
use crate::judge::trust::{Level, Trust};
use crate::report::Stats;
use crate::report::words::experiments::{HEADS, cells};

/// Judged limits, each with the limit and the value that `show` writes, in columns of these widths.
pub(super) fn thresholds(
    f: &mut Formatter<'_>,
    thresholds: &[Judged],
    show: impl Fn(&Judged) -> (String, String),
    [limit_width, value_width]: [usize; 2],
) -> fmt::Result {
    for (i, judged) in thresholds.iter().enumerate() {
        let (limit, value) = show(judged);
        let outcome = match judged.outcome {
            Standing::Met => "met",
            Standing::Crossed => "CROSSED",
            Standing::Unknown => "UNKNOWN",
        };
        let (label, blank) = if i == 0 { ("thresholds", "\n") } else { ("", "") };
        writeln!(f, "{blank}{INDENT}{label:<LABEL$}{outcome:<8} {limit:<limit_width$} {value:>value_width$}")?;
        if judged.outcome == Standing::Unknown {
            item(f, "", judged.why_unknown())?;
        }
    }
    Ok(())
}

/// What the figures are worth and why, and what to know of them.
pub(super) fn trust(f: &mut Formatter<'_>, trust: &Trust, notes: &[String]) -> fmt::Result {
    let verdict = match trust.level {
        Level::Valid => "valid",
        Level::Bounded => "BOUNDED, because",
        Level::NotValid => "NOT VALID, because",
    };
    writeln!(f, "\n{INDENT}trust       {verdict}")?;
    trust.reasons.iter().try_for_each(|reason| item(f, "          -", reason))?;
    notes.iter().try_for_each(|note| item(f, "note", note))
}

/// Distributions of times, a row each.
pub(super) fn times(f: &mut Formatter<'_>, distributions: &[(&str, &Stats)]) -> fmt::Result {
    let row = |f: &mut Formatter<'_>, name: &str, cells: &[String]| {
        debug_assert!(name.chars().count() < NAME, "'{name}' leaves no space behind it");
        write!(f, "{INDENT}{name:<NAME$}")?;
        cells.iter().try_for_each(|cell| write!(f, "{cell:>13}"))?;
        writeln!(f)
    };
    writeln!(f)?;
    row(f, "", &HEADS.map(str::to_owned))?;
    distributions.iter().try_for_each(|(name, stats)| row(f, name, &cells(stats)))
}

/// A labelled text of as many lines as it takes.
pub(crate) fn item(f: &mut Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    debug_assert!(label.chars().count() < LABEL, "'{label}' leaves no space behind it");
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    labels.zip(wrap(text, WIDTH - MARGIN)).try_for_each(|(label, line)| writeln!(f, "{INDENT}{label:<LABEL$}{line}"))
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

/// Columns of an item's label, a space behind it included.
const LABEL: usize = 12;

/// Columns of a distribution's name, likewise.
const NAME: usize = 20;

/// Columns before the text of an item.
const MARGIN: usize = INDENT.len() + LABEL;
