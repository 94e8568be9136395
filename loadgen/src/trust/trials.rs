//! What the trials of a comparison in an open loop are worth: a generator that is late itself, or does not offer its
//! rate, compares nothing but itself.

use std::fmt::Display;

use super::{LAG_FLOOR_NS, MAX_LAG_SHARE, MIN_ACHIEVED, POISSON_SIGMAS, Trust};
use crate::plan::{Arrival, Load, Plan, Stop};
use crate::trials::Trial;
use crate::units;

/// Judges the trials of servers that are measured in turn, each by its own plan; the first is what the others are compared
/// with. A disturbed trial now and then does no harm: the verdict falls where half of a server's trials are or more. One
/// that does not carry its rate where the first does is slower: that is a result, and is noted. In a closed loop the
/// generator has no schedule to keep.
pub fn of_paired_trials<'a, T: IntoIterator<Item = &'a Trial>>(
    servers: impl IntoIterator<Item = (impl Display, &'a Plan, T)>,
) -> Trust {
    let (mut reasons, mut notes) = (Vec::new(), Vec::new());
    for (number, (name, plan, trials)) in servers.into_iter().enumerate() {
        let Load::Open { rate, arrival } = plan.load else { continue };
        let seconds = match plan.stop {
            Stop::After(duration) => duration.as_secs_f64(),
            Stop::Messages(messages) => messages.get() as f64 / rate.get(),
        };
        let figures = trials.into_iter().map(|trial| (trial.achieved_rate, trial.send_lag_p99, trial.latency_p99));
        let Counts { all, short, late } = Counts::of(rate.get(), arrival, seconds, figures);
        if short * 2 >= all {
            let under = MIN_ACHIEVED * 100.0;
            let rate = units::number(rate.get());
            let fell =
                format!("{name}: {short} of {all} trials achieved under {under:.0}% of the {rate} messages/s offered");
            if number == 0 {
                reasons.push(format!("{fell}: what the others are compared with is how a queue grows"));
            } else {
                notes.push(format!("{fell}: its latency is that of a queue that grows"));
            }
        }
        if late * 2 >= all {
            reasons.push(format!(
                "{name}: in {late} of {all} trials the send lag's p99 was over {:.0}% of the latency's: the generator was \
                 late itself",
                MAX_LAG_SHARE * 100.0
            ));
        }
    }
    Trust { valid: reasons.is_empty(), reasons, notes }
}

/// How many trials there were, and how many of them measured the generator.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    all: usize,
    /// The rate was not achieved.
    short: usize,
    /// The generator sent late.
    late: usize,
}

impl Counts {
    /// Each trial is given by its achieved rate and the 99th percentiles of send lag and latency in ns.
    fn of(rate: f64, arrival: Arrival, seconds: f64, trials: impl IntoIterator<Item = (f64, u64, u64)>) -> Self {
        let mut counts = Self::default();
        let chance = match arrival {
            Arrival::Uniform => 0.0,
            Arrival::Poisson => POISSON_SIGMAS * (rate / seconds).sqrt(),
        };
        for (achieved, lag, latency) in trials {
            counts.all += 1;
            counts.short += usize::from(achieved < MIN_ACHIEVED * (rate - chance));
            counts.late += usize::from(lag > LAG_FLOOR_NS && lag as f64 > MAX_LAG_SHARE * latency as f64);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;
    use crate::plan::{Arrival, Rate};

    #[test]
    fn trials_that_measure_the_generator_are_counted() {
        let fine = (1_000.0, 40_000, 100_000);
        let of = |arrival, trials: &[(f64, u64, u64)]| {
            let Counts { all, short, late } = Counts::of(1_000.0, arrival, 0.1, trials.iter().copied());
            (all, short, late)
        };
        assert_eq!(of(Arrival::Uniform, &[fine, fine, (900.0, 90_000, 100_000)]), (3, 1, 1));
        assert_eq!(of(Arrival::Uniform, &[fine, (1_000.0, 60_000, 100_000)]), (2, 0, 1));
        assert_eq!(of(Arrival::Uniform, &[(980.0, 0, 100_000); 2]), (2, 2, 0));
        assert_eq!(of(Arrival::Poisson, &[(980.0, 0, 100_000); 2]), (2, 0, 0), "chance explains it");
    }

    #[test]
    fn each_server_is_held_to_its_own_rate_and_only_the_first_must_carry_it() {
        let offered = |rate: f64| {
            let load = Load::Open { rate: Rate::try_from(rate).unwrap(), arrival: Arrival::Uniform };
            Plan { load, stop: Stop::After(std::time::Duration::from_millis(100)), ..plan() }
        };
        let at = |achieved_rate: f64, send_lag_p99: u64| Trial {
            achieved_rate,
            send_lag_p99,
            latency_p99: 100_000,
            ..Trial::default()
        };
        let (fast, slow) = (offered(2_000.0), offered(1_000.0));
        let judged = |a: Trial, b: Trial| of_paired_trials([("A", &fast, [&a]), ("B", &slow, [&b])]);
        assert!(judged(at(2_000.0, 0), at(1_000.0, 0)).valid);
        let first = judged(at(1_000.0, 0), at(1_000.0, 0));
        assert!(!first.valid && first.reasons[0].starts_with("A: 1 of 1 trials achieved under 99%"), "{first:?}");
        let second = judged(at(2_000.0, 0), at(900.0, 0));
        assert!(second.valid && second.notes[0].starts_with("B: 1 of 1 trials achieved under 99%"), "{second:?}");
        let late = judged(at(2_000.0, 0), at(1_000.0, 60_000));
        assert!(!late.valid && late.reasons[0].starts_with("B: in 1 of 1 trials the send lag"), "{late:?}");
    }
}
