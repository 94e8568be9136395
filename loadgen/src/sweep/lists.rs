//! The sweep in the formats of benchmarks by name: each combination is one, with the medians of its trials.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::{ArmReport, Of, Sweep, words};
use crate::comparison::Spread;
use crate::comparison::benchfmt::{unit, units};
use crate::comparison::text::change_cells;
use crate::report::action_benchmark::{Benchmark, lists};
use crate::report::benchfmt::{configuration, load};
use crate::report::json;

/// A figure of Bencher Metric Format between its quartiles.
#[derive(Debug, Serialize)]
struct Measure {
    value: f64,
    lower_value: f64,
    upper_value: f64,
}

/// The combinations in Go's benchmark format: a line for each, of as many iterations as it had trials.
pub fn benchfmt(sweep: &Sweep) -> String {
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
        for (metric, spread) in &arm.figures {
            write!(text, "\t{} {}", spread.median, unit(*metric)).expect(NO_ERROR);
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

/// The combinations in Bencher Metric Format: medians between their quartiles.
pub fn bmf(sweep: &Sweep) -> Vec<u8> {
    let measures = |arm: &ArmReport| -> BTreeMap<String, Measure> {
        let measure =
            |spread: &Spread| Measure { value: spread.median, lower_value: spread.q1, upper_value: spread.q3 };
        arm.figures.iter().map(|(metric, spread)| (metric.to_string(), measure(spread))).collect()
    };
    let arms: BTreeMap<String, _> = sweep.arms.iter().map(|arm| (words::settings(arm), measures(arm))).collect();
    json(&arms)
}

/// The combinations for github-action-benchmark: smaller is better, bigger is better.
pub fn action_benchmark(sweep: &Sweep) -> [Vec<u8>; 2] {
    lists(sweep.arms.iter().flat_map(|arm| {
        arm.figures.iter().map(|(metric, spread)| {
            let extra = match arm.change.get(metric).map(change_cells) {
                Some([change, interval]) => format!("change {change}, 95% interval {interval}"),
                None if arm.change.is_empty() => "reference".to_owned(),
                None => "change not known".to_owned(),
            };
            let name = format!("{}: {metric}", words::settings(arm));
            (metric.better(), Benchmark { name, unit: metric.unit(), value: spread.median, extra })
        })
    }))
}

const NO_ERROR: &str = "a String takes every write";
