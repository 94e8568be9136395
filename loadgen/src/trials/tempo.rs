//! How trials follow each other, and when servers are started anew.

use std::time::Duration;

pub use super::warming::Warmup;
use crate::host::target::Spec;
use crate::report::repetition::RestartKind;

/// How trials follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tempo {
    /// How long a trial is measured.
    pub trial: Duration,
    /// How long the load runs before each trial: what a server's absence did to the caches is over by then.
    pub settle: Duration,
    /// The fewest replies of a trial, which is longer than `trial` where the server is slower. 0 leaves it at that.
    pub replies: u64,
    /// How servers are warmed up after each start.
    pub warmup: Warmup,
    /// When they are started anew.
    pub restarts: Restarts,
    /// The longest that all starts may take.
    pub max_time: Duration,
    /// Seed of the order and of all random choices of the load.
    pub seed: u64,
}

/// When servers are started anew. Two starts of one server differ by more than chance, so that each is one observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarts {
    /// After so many rounds as tell most in the time that there is; so many to begin with.
    Auto(u32),
    /// After this many rounds.
    Every(u32),
    /// Never: as many rounds in a row are one observation, of one start.
    Never(u32),
}

impl Restarts {
    /// Whether this server is started anew: one that is given by its URL is connected to anew at the most.
    pub fn are_of(self, spec: &Spec) -> bool {
        match self {
            Self::Never(_) => false,
            Self::Auto(_) | Self::Every(_) => !matches!(spec, Spec::Url(_)),
        }
    }

    /// When these servers are started anew, as reports have it: never where none of them is.
    pub fn kind<'s>(self, mut servers: impl Iterator<Item = &'s Spec>) -> RestartKind {
        match self {
            Self::Auto(_) | Self::Every(_) if !servers.any(|spec| self.are_of(spec)) => RestartKind::Never,
            Self::Auto(_) => RestartKind::Auto,
            Self::Every(_) => RestartKind::Fixed,
            Self::Never(_) => RestartKind::Never,
        }
    }
}

/// Whether it is known after so many starts that the time (in seconds) is too short for the fewest that can tell anything, which
/// end after `seconds`.
pub(super) fn is_too_short(seconds: f64, time: f64, starts: usize) -> bool {
    seconds > time && starts <= STARTS_THAT_TELL
}

/// The shortest time (in seconds) of each of so many attempts that holds what `needs` seconds in all, given the time of one: what a
/// warm-up and a trial may take at the most grows with that. `time` is the one that there is.
pub(super) fn enough(time: f64, attempts: u32, needs: impl Fn(f64) -> f64) -> f64 {
    let of_one = |time: f64| needs(time) / f64::from(attempts);
    let mut enough = of_one(time);
    for _ in 0..MOST_STEPS {
        let next = of_one(enough.max(time));
        if next <= enough * NO_LONGER {
            return next;
        }
        enough = next;
    }
    // What grows as fast as the time grows until it needs no more of it.
    of_one(LONGEST)
}

/// Whether so few starts were made, or so little was measured in them, that it may be the machine's fault if a server has not
/// replied in any of their trials. A busy machine keeps a server from its core for many trials of 10 ms, which are as many
/// starts where each has one trial.
pub(super) fn is_early(starts: usize, measured: Duration) -> bool {
    starts < STARTS_FOR_A_REPLY || measured < TRIALS_FOR_A_REPLY
}

/// Starts whose prices tell what others will cost: later ones were worth their while.
const STARTS_THAT_TELL: usize = 3;

/// Steps towards the time that is enough.
const MOST_STEPS: usize = 1_000;

/// A time that needs no more than so many times itself is enough: rounding.
const NO_LONGER: f64 = 1.000_001;

/// A time in which no share of it is short, in seconds: a day.
const LONGEST: f64 = 86_400.0;

/// Starts without a reply after which there will be none.
const STARTS_FOR_A_REPLY: usize = 3;

/// The time of all their trials together: twice as long as the trials of one start are at first.
const TRIALS_FOR_A_REPLY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_enough_for_the_shares_that_grow_with_it() {
        // Nine starts of two servers, each of which takes a tenth of the time, 10 s at the most, and half a second besides.
        let nine = |time: f64| 9.0 * (2.0 * (time / 10.0).min(10.0) + 0.5);
        assert_eq!(enough(60.0, 1, nine), 184.5);
        assert!(nine(184.5) <= 184.5, "it is not refused again");
        // Where one server alone takes its share, the tenth that is left is enough for the rest.
        let one = |time: f64| 9.0 * ((time / 10.0).min(10.0) + 0.5);
        let needed = enough(20.0, 1, one);
        assert!((44.0..=45.0).contains(&needed), "{needed}");
        // What does not grow is what it is; two attempts hold it in half of the time.
        assert_eq!(
            (enough(60.0, 1, |_| 75.0), enough(60.0, 2, |_| 75.0), enough(60.0, 1, |_| 20.0)),
            (75.0, 37.5, 20.0)
        );
        // As fast as the time, for a long time.
        assert_eq!(enough(1.0, 1, |time| time.min(5_000.0) + 0.01), 5_000.01);
    }

    #[test]
    fn servers_that_are_given_by_their_urls_are_never_started_anew() {
        let url = Spec::Url("ws://127.0.0.1:1/".parse().unwrap());
        let command = Spec::Command(vec!["serve".to_owned(), "{port}".to_owned()]);
        let kind = |restarts: Restarts, servers: [&Spec; 2]| restarts.kind(servers.into_iter());
        assert_eq!(kind(Restarts::Auto(5), [&url, &url]), RestartKind::Never);
        assert_eq!(kind(Restarts::Every(5), [&url, &url]), RestartKind::Never);
        assert_eq!(kind(Restarts::Auto(5), [&url, &command]), RestartKind::Auto);
        assert_eq!(kind(Restarts::Every(5), [&command, &command]), RestartKind::Fixed);
        assert_eq!(kind(Restarts::Never(5), [&command, &command]), RestartKind::Never);
    }

    #[test]
    fn a_reply_is_waited_for_in_several_starts_and_in_many_trials() {
        assert!(is_early(2, Duration::from_secs(60)), "one start may go wrong");
        assert!(is_early(40, Duration::from_millis(800)), "starts of one short trial");
        assert!(!is_early(3, Duration::from_secs(1)));
    }
}
