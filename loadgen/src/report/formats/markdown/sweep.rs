//! The sweep as Markdown, for the summary of a job or a comment: what each flag is worth, then the combinations.

use std::fmt::Write as _;

use crate::report::formats::markdown::run::escaped;
use crate::report::sweep::{Sweep, words};

/// The sweep.
pub fn render(sweep: &Sweep) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes every write");
    let varied: Vec<String> = sweep.factors.iter().map(|factor| factor.name.clone()).collect();
    let mark = if sweep.trust.is_valid() { "" } else { ": \u{26a0}\u{fe0f} not to be trusted" };
    line(format!("### Sweep of {}{mark}\n", escaped(&varied.join(", "))));
    line(format!("- {}; {}", escaped(&words::load(sweep)), escaped(&words::sent(sweep))));
    line(format!("- {}\n", words::course(sweep)));
    for metric in words::metrics(sweep) {
        line(format!("| effects on {metric} | change | 95% interval | |\n|---|---:|---:|---|"));
        for effect in words::worth_naming(sweep, metric) {
            let [change, interval, called] = words::effect_cells(effect);
            line(format!("| {} | {change} | {interval} | {called} |", escaped(&words::steps(effect))));
        }
        line(String::new());
    }
    let heads = words::arm_heads(sweep);
    line(format!("| combination | {} |\n|---|{}", heads.join(" | "), "---:|".repeat(heads.len())));
    for arm in &sweep.arms {
        let cells = words::arm_cells(sweep, arm).join(" | ");
        line(format!("| {} | {cells} |", escaped(&words::settings(arm))));
    }
    line(String::new());
    for sentence in words::scaling(sweep) {
        line(format!("- {}", escaped(&sentence)));
    }
    for (_, fact) in words::way(sweep) {
        line(format!("- {}", escaped(&fact)));
    }
    for reason in &sweep.trust.reasons {
        line(format!("- not valid: {}", escaped(reason)));
    }
    for note in words::notes(sweep) {
        line(format!("- note: {}", escaped(&note)));
    }
    out
}
