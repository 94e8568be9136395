//! What the trials of a comparison in an open loop are worth: a generator that is late itself, or does not offer its
//! rate, compares nothing but itself.

use std::fmt::Display;

use super::bounds::{TOLERANCE_NS, remedy};
use super::{MIN_ACHIEVED, POISSON_SIGMAS, Trust};
use crate::measure::trial::Trial;
use crate::plan::{Arrival, Load, Plan, Stop};
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
        let Counts { all, short, late } = Counts::of(rate.get(), arrival, seconds, trials);
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
                "{name}: in {late} of {all} trials the send lag's p99 was over {} and over {:.0}% of the shortest latency: the \
                 generator was late itself; {}",
                units::time(TOLERANCE_NS as f64),
                MAX_LAG_SHARE * 100.0,
                remedy(plan)
            ));
        }
    }
    Trust::unless(reasons, notes)
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
    fn of<'a>(rate: f64, arrival: Arrival, seconds: f64, trials: impl IntoIterator<Item = &'a Trial>) -> Self {
        let mut counts = Self::default();
        let chance = match arrival {
            Arrival::Uniform => 0.0,
            Arrival::Poisson => POISSON_SIGMAS * (rate / seconds).sqrt(),
        };
        for &Trial { achieved_rate, latency_min, send_lag_p99, .. } in trials {
            counts.all += 1;
            // A trial begins with no message on its way and ends with some.
            let under_way = (rate * latency_min as f64 / 1e9).max(1.0) / seconds;
            counts.short += usize::from(achieved_rate + under_way < MIN_ACHIEVED * (rate - chance));
            let limit = MAX_LAG_SHARE * latency_min as f64;
            counts.late += usize::from(send_lag_p99 > TOLERANCE_NS && send_lag_p99 as f64 > limit);
        }
        counts
    }
}

/// The largest share of the trial's shortest latency that the send lag's p99 may have, where it is over the tolerance. A
/// lag of x on both sides makes (B + x) / (A + x) of a ratio B / A: of a change there remains A / (A + x), four fifths or
/// more where x is at most a quarter of A. The shortest latency is the one that a late generator hardly lengthens, so that a
/// later one never passes where an earlier one did not.
const MAX_LAG_SHARE: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;
    use crate::plan::{Arrival, Rate};

    fn trial(achieved_rate: f64, send_lag_p99: u64) -> Trial {
        Trial { achieved_rate, send_lag_p99, latency_min: 100_000, ..Trial::default() }
    }

    #[test]
    fn trials_that_measure_the_generator_are_counted() {
        let of = |arrival, trials: &[Trial]| {
            let Counts { all, short, late } = Counts::of(1_000.0, arrival, 0.1, trials);
            (all, short, late)
        };
        let fine = trial(1_000.0, 40_000);
        assert_eq!(of(Arrival::Uniform, &[fine.clone(), fine.clone(), trial(900.0, 90_000)]), (3, 1, 1));
        assert_eq!(of(Arrival::Uniform, &[fine, trial(1_000.0, 60_000)]), (2, 0, 1));
        assert_eq!(of(Arrival::Uniform, &[trial(970.0, 0), trial(970.0, 0)]), (2, 2, 0));
        assert_eq!(of(Arrival::Poisson, &[trial(970.0, 0)]), (1, 0, 0), "chance explains it");
        let distant = Trial { latency_min: 400_000, ..trial(1_000.0, 90_000) };
        assert_eq!(of(Arrival::Uniform, &[distant]), (1, 0, 0), "a quarter of the shortest latency is little");
        let far = Trial { latency_min: 5_000_000, ..trial(950.0, 0) };
        assert_eq!(of(Arrival::Uniform, &[far]), (1, 0, 0), "replies are on their way for 5 ms");
    }

    #[test]
    fn each_server_is_held_to_its_own_rate_and_only_the_first_must_carry_it() {
        let offered = |rate: f64| {
            let load = Load::Open { rate: Rate::try_from(rate).unwrap(), arrival: Arrival::Uniform };
            Plan { load, stop: Stop::After(std::time::Duration::from_millis(100)), ..plan() }
        };
        let (fast, slow) = (offered(2_000.0), offered(1_000.0));
        let judged = |a: Trial, b: Trial| of_paired_trials([("A", &fast, [&a]), ("B", &slow, [&b])]);
        assert!(judged(trial(2_000.0, 0), trial(1_000.0, 0)).is_valid());
        let first = judged(trial(1_000.0, 0), trial(1_000.0, 0));
        assert!(!first.is_valid() && first.reasons[0].starts_with("A: 1 of 1 trials achieved under 99%"), "{first:?}");
        let second = judged(trial(2_000.0, 0), trial(900.0, 0));
        assert!(second.is_valid() && second.notes[0].starts_with("B: 1 of 1 trials achieved under 99%"), "{second:?}");
        let late = judged(trial(2_000.0, 0), trial(1_000.0, 60_000));
        assert!(!late.is_valid() && late.reasons[0].starts_with("B: in 1 of 1 trials the send lag"), "{late:?}");
    }
}
