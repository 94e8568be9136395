//! How trials follow each other, and when servers are started anew.

use std::time::Duration;

pub use super::warming::Warmup;
use crate::host::target::Spec;

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
}

/// Whether it is known after so many starts that the time (in seconds) is too short for the fewest that can tell anything, which
/// end after `seconds`.
pub(super) fn is_too_short(seconds: f64, time: f64, starts: usize) -> bool {
    seconds > time && starts <= STARTS_THAT_TELL
}

/// Whether so few starts were made, or so little was measured in them, that it may be the machine's fault if a server has not
/// replied in any of their trials. A busy machine keeps a server from its core for many trials of 10 ms, which are as many
/// starts where each has one trial.
pub(super) fn is_early(starts: usize, measured: Duration) -> bool {
    starts < STARTS_FOR_A_REPLY || measured < TRIALS_FOR_A_REPLY
}

/// Starts whose prices tell what others will cost: later ones were worth their while.
const STARTS_THAT_TELL: usize = 3;

/// Starts without a reply after which there will be none.
const STARTS_FOR_A_REPLY: usize = 3;

/// The time of all their trials together: twice as long as the trials of one start are at first.
const TRIALS_FOR_A_REPLY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_waited_for_in_several_starts_and_in_many_trials() {
        assert!(is_early(2, Duration::from_secs(60)), "one start may go wrong");
        assert!(is_early(40, Duration::from_millis(800)), "starts of one short trial");
        assert!(!is_early(3, Duration::from_secs(1)));
    }
}
