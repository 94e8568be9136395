//! How trials follow each other, and when servers are started anew.

use std::time::Duration;

pub use super::warming::Warmup;

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
