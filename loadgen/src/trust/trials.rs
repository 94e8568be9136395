//! What the trials of a comparison in an open loop are worth: a generator that is late itself, or does not offer its
//! rate, compares nothing but itself.

use super::{LAG_FLOOR_NS, MAX_LAG_SHARE, MIN_ACHIEVED, POISSON_SIGMAS, Trust};
use crate::plan::{Arrival, Load, Plan, Stop};
use crate::trials::Trial;
use crate::units;

/// Judges the trials of a comparison or a sweep of this plan. A disturbed trial now and then does no harm: the verdict
/// falls where half of them are or more. In a closed loop the generator has no schedule to keep.
pub fn of_paired_trials<'a>(plan: &Plan, trials: impl IntoIterator<Item = &'a Trial>) -> Trust {
    let Load::Open { rate, arrival } = plan.load else {
        return Trust { valid: true, reasons: Vec::new(), notes: Vec::new() };
    };
    let seconds = match plan.stop {
        Stop::After(duration) => duration.as_secs_f64(),
        Stop::Messages(messages) => messages.get() as f64 / rate.get(),
    };
    let figures = trials.into_iter().map(|trial| (trial.achieved_rate, trial.send_lag_p99, trial.latency_p99));
    of_trials(rate.get(), arrival, seconds, figures)
}

/// Each trial is given by its achieved rate and the 99th percentiles of send lag and latency in ns.
fn of_trials(rate: f64, arrival: Arrival, seconds: f64, trials: impl IntoIterator<Item = (f64, u64, u64)>) -> Trust {
    let (mut all, mut short, mut late) = (0, 0, 0);
    let chance = match arrival {
        Arrival::Uniform => 0.0,
        Arrival::Poisson => POISSON_SIGMAS * (rate / seconds).sqrt(),
    };
    for (achieved, lag, latency) in trials {
        all += 1;
        short += usize::from(achieved < MIN_ACHIEVED * (rate - chance));
        late += usize::from(lag > LAG_FLOOR_NS && lag as f64 > MAX_LAG_SHARE * latency as f64);
    }
    let mut reasons = Vec::new();
    if short * 2 >= all {
        let under = MIN_ACHIEVED * 100.0;
        reasons.push(format!(
            "{short} of {all} trials achieved under {under:.0}% of the {} messages/s offered: what was compared is how \
             a queue grows",
            units::number(rate)
        ));
    }
    if late * 2 >= all {
        reasons.push(format!(
            "in {late} of {all} trials the send lag's p99 was over {:.0}% of the latency's: the generator was late \
             itself",
            MAX_LAG_SHARE * 100.0
        ));
    }
    Trust { valid: reasons.is_empty(), reasons, notes: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_is_mostly_late_or_short_compares_nothing() {
        let fine = (1_000.0, 40_000, 100_000);
        assert!(of_trials(1_000.0, Arrival::Uniform, 0.1, [fine, fine, (900.0, 90_000, 100_000)]).valid);
        let late = of_trials(1_000.0, Arrival::Uniform, 0.1, [fine, (1_000.0, 60_000, 100_000)]);
        assert!(!late.valid && late.reasons[0].contains("1 of 2 trials the send lag"), "{late:?}");
        let short = of_trials(1_000.0, Arrival::Uniform, 0.1, [(980.0, 0, 100_000); 2]);
        assert!(of_trials(1_000.0, Arrival::Poisson, 0.1, [(980.0, 0, 100_000); 2]).valid, "chance explains it");
        assert!(!short.valid && short.reasons[0].contains("2 of 2 trials achieved under 99%"), "{short:?}");
    }
}
