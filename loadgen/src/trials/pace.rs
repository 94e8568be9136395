//! How fast a server answers, before any trial.

use std::time::Duration;

/// How a server answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Replies per second.
    pub rate: f64,
    /// How long the quickest of them took.
    pub quickest: Duration,
}
