//! `loadgen` without a subcommand: how fast the embedded server is, and how late at half of that.

use std::io;
use std::time::Duration;

use super::failure::Failure;
use super::output::{Output, Sinks};
use super::run::Bench;
use crate::host::cores::Cores;
use crate::host::target::Spec;
use crate::judge::outcome::Outcome;
use crate::load::error::RunError;
use crate::plan::{Arrival, Load, Plan, Rate, Stop};
use crate::report::Runs;

/// How fast, and how late at half of that.
pub(super) fn run(plan: &Plan, output: &Output, cores: &Cores) -> Result<Outcome, Failure> {
    let mut sinks = Sinks::open(output, io::stdout())?;
    let fast = Plan { warmup: QUICK_WARMUP, stop: Stop::After(QUICK_DURATION), ..plan.clone() };
    let bench = Bench::set_up(&fast, &Spec::Embedded(Vec::new()), cores)?;
    let first = bench.run("how fast", &fast, &[], output.quiet)?;
    sinks.text(&first);
    let mut verdict = first.outcome();
    let half = round(first.throughput.messages_per_second / 2.0);
    let mut runs = vec![first];
    if let (Ok(rate), Outcome::Ok | Outcome::Untrusted) = (Rate::try_from(half), verdict) {
        let late = Plan { load: Load::Open { rate, arrival: Arrival::Uniform }, ..fast };
        match bench.run("how late at half of that", &late, &[], output.quiet) {
            Ok(second) => {
                sinks.text(&second);
                verdict = verdict.max(second.outcome());
                runs.push(second);
            }
            // The first run is told all the same.
            Err(RunError::Interrupted) => verdict = Outcome::Interrupted,
            Err(error) => {
                sinks.runs(&Runs::from(runs))?;
                return Err(error.into());
            }
        }
    }
    sinks.runs(&Runs::from(runs))?;
    Ok(verdict)
}

/// Three significant digits: a rate that a person would have chosen.
fn round(rate: f64) -> f64 {
    let scale = 10f64.powf(rate.log10().floor() - 2.0);
    (rate / scale).round() * scale
}

/// The warm-up of each of the two quick runs.
const QUICK_WARMUP: Duration = Duration::from_secs(1);

/// The measured phase of each of them: with start and warm-up, both take about 15 seconds.
const QUICK_DURATION: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_rounded_to_three_digits() {
        assert_eq!(round(71_834.2), 71_800.0);
        assert_eq!(round(999.6), 1000.0);
        assert!((round(0.123_45) - 0.123).abs() < 1e-12);
    }
}
