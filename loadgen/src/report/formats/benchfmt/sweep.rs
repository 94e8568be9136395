//! The sweep in Go's benchmark format: each combination is a benchmark, with the figures of its table.

use std::fmt::Write as _;

use super::comparison::{unit, units};
use super::run::{configuration, load};
use crate::report::sweep::{ArmReport, Of, Sweep};

/// The combinations in Go's benchmark format: a line for each, of as many iterations as it had trials.
pub fn render(sweep: &Sweep) -> String {
    let mut measured: Vec<_> = sweep.arms.iter().flat_map(|arm| arm.figures.keys().copied()).collect();
    measured.sort_unstable();
    measured.dedup();
    let mut text = units(measured) + &configuration(&sweep.environment);
    // But for what is varied, of which each combination has its own.
    let varies = |key: &str| {
        let of_load = sweep.factors.iter().filter(|factor| factor.of == Of::Load);
        let mut names = of_load.map(|factor| factor.name.replace('-', "_"));
        names.any(|name| key.split('=').next() == Some(name.as_str()))
    };
    let load = load(&sweep.environment.plan);
    let load: String = load.split('/').skip(1).filter(|key| !varies(key)).map(|key| format!("/{key}")).collect();
    for arm in &sweep.arms {
        let Some(trials) = arm.figures.values().map(|spread| spread.count).max() else { continue };
        write!(text, "BenchmarkSweep{}{load}\t{trials}", keys(arm)).expect(NO_ERROR);
        for (metric, figure) in arm.figures.keys().filter_map(|metric| Some((metric, arm.told(*metric)?))) {
            write!(text, "\t{figure} {}", unit(*metric)).expect(NO_ERROR);
        }
        text.push('\n');
    }
    text
}

/// The combination as `/key=value` each, of which neither may have white space or a slash in it.
fn keys(arm: &ArmReport) -> String {
    let key = |text: &str| text.replace(|c: char| c.is_whitespace() || c == '/', "_");
    let keys = arm.settings.iter().map(|setting| format!("/{}={}", key(&setting.name), key(&setting.value)));
    keys.collect()
}

const NO_ERROR: &str = "a String takes every write";
