//! What figures are worth where CPU time was withheld from the generator or the server: they are then those of a quota or of
//! a busy host, not the server's.

use super::Trust;
use crate::host::withheld::{Throttled, Withheld};
use crate::units;

/// The shares from which withheld time is a reason not to believe a figure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of the time measured, that a quota held processes back.
    quota: f64,
    /// Of the CPU time that the machine wanted, that went to other machines.
    steal: f64,
}

/// For one run: 1% of the time is what decides the p99, and the share that the achieved rate may fall short by; of steal,
/// which comes in short pieces, 5%, what other processes may take too.
pub(super) const OF_A_RUN: Limits = Limits { quota: 0.01, steal: 0.05 };

/// For trials in alternation, which an interference hits on both sides: half of the time, as for other disturbances.
const OF_TRIALS: Limits = Limits { quota: 0.5, steal: 0.5 };

impl Trust {
    /// The same, with what was withheld over all trials.
    pub fn of_trials_with(mut self, withheld: &Withheld) -> Self {
        judge(withheld, OF_TRIALS, &mut self.reasons, &mut self.notes);
        Self::unless(self.reasons, self.notes)
    }
}

pub(super) fn judge(withheld: &Withheld, limits: Limits, reasons: &mut Vec<String>, notes: &mut Vec<String>) {
    let elapsed = withheld.elapsed.as_secs_f64();
    for Throttled { group, cpus, periods, throttled, stalled } in &withheld.quotas {
        let cpus = cpus.map_or_else(String::new, |cpus| format!(" of {cpus:.2} CPUs"));
        let held = format!(
            "the CPU quota{cpus} of control group {group} ran out in {} of {} periods and held its processes back for up to {} \
             of {}",
            units::count(*throttled),
            units::count(*periods),
            units::seconds(stalled.as_secs_f64()),
            units::seconds(elapsed),
        );
        if stalled.as_secs_f64() > limits.quota * elapsed {
            reasons.push(format!("{held}: the figures are the quota's; raise it or offer less"));
        } else {
            notes.push(held);
        }
    }
    let stolen = withheld.stolen.as_secs_f64();
    let share = stolen / withheld.wanted.as_secs_f64().max(f64::MIN_POSITIVE);
    // On an idle machine a tick of 10 ms may be much of what was wanted.
    if share < NOTABLE_STEAL || stolen < NOTABLE_STEAL * elapsed {
        return;
    }
    let held = format!(
        "the hypervisor withheld {} of the CPU time that this machine wanted (steal, {} in all)",
        units::percent(share),
        units::seconds(stolen)
    );
    if share > limits.steal {
        reasons.push(format!("{held}: the figures are those of a busy host; take another one, or a quieter time"));
    } else {
        notes.push(held);
    }
}

/// The share of the wanted CPU time, and of the time measured, below which steal is not spoken of.
const NOTABLE_STEAL: f64 = 0.01;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn quota(stalled: Duration) -> Withheld {
        let throttled = Throttled { group: "/a".to_owned(), cpus: Some(0.4), periods: 100, throttled: 7, stalled };
        Withheld { elapsed: Duration::from_secs(10), quotas: vec![throttled], ..Withheld::default() }
    }

    fn steal(stolen: Duration, wanted: Duration) -> Withheld {
        Withheld { elapsed: Duration::from_secs(10), stolen, wanted, ..Withheld::default() }
    }

    /// How many reasons and notes there are.
    fn judged(withheld: &Withheld, limits: Limits) -> (Vec<String>, Vec<String>) {
        let (mut reasons, mut notes) = (Vec::new(), Vec::new());
        judge(withheld, limits, &mut reasons, &mut notes);
        (reasons, notes)
    }

    #[test]
    fn a_quota_that_ran_out_is_noted_and_beyond_the_limit_a_reason() {
        let (reasons, notes) = judged(&quota(Duration::from_millis(90)), OF_A_RUN);
        assert_eq!((reasons.len(), notes.len()), (0, 1));
        let words = "the CPU quota of 0.40 CPUs of control group /a ran out in 7 of 100 periods";
        assert!(notes[0].starts_with(words), "{notes:?}");
        let (reasons, notes) = judged(&quota(Duration::from_millis(110)), OF_A_RUN);
        assert_eq!((reasons.len(), notes.len()), (1, 0));
        assert!(
            reasons[0].starts_with(words)
                && reasons[0].ends_with("the figures are the quota's; raise it or offer less"),
            "{reasons:?}"
        );
        assert_eq!(judged(&quota(Duration::from_millis(4_900)), OF_TRIALS).0.len(), 0);
        assert_eq!(judged(&quota(Duration::from_millis(5_100)), OF_TRIALS).0.len(), 1);
        assert_eq!(judged(&Withheld::default(), OF_A_RUN), (Vec::new(), Vec::new()));
    }

    #[test]
    fn steal_is_noted_and_beyond_the_limit_a_reason() {
        let counts = |stolen, wanted, limits| {
            let (reasons, notes) = judged(&steal(Duration::from_millis(stolen), Duration::from_millis(wanted)), limits);
            (reasons.len(), notes.len())
        };
        assert_eq!(counts(90, 10_000, OF_A_RUN), (0, 0));
        assert_eq!(counts(200, 10_000, OF_A_RUN), (0, 1));
        assert_eq!(counts(600, 10_000, OF_A_RUN), (1, 0));
        assert_eq!(counts(600, 10_000, OF_TRIALS), (0, 1));
        assert_eq!(counts(6_000, 10_000, OF_TRIALS), (1, 0));
        assert_eq!(counts(20, 50, OF_A_RUN), (0, 0), "two ticks of an idle machine");
    }

    #[test]
    fn trials_are_worth_nothing_where_a_quota_held_them_back_half_of_the_time() {
        let trust = || Trust::unless(Vec::new(), Vec::new());
        assert!(trust().of_trials_with(&quota(Duration::from_secs(1))).is_valid());
        assert!(!trust().of_trials_with(&quota(Duration::from_secs(6))).is_valid());
    }
}
