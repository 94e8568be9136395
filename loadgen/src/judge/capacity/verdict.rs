//! What one probe says, what a search for a capacity has come to, and which kind of answer that is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one probe of a rate showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// Every threshold was kept. Sound even if the generator was late, because lateness only adds to latencies.
    Passed,
    /// A threshold was broken for certain: while the generator was on time, or by more than its lateness explains.
    Failed,
    /// A threshold was broken, but by no more than the lateness of the generator may explain: this says nothing about the server.
    CannotTell,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found {
    /// Both ends are proven: a probe at `sustains` passes more often than it fails, one at `breaks` fails more often.
    Bracket {
        /// The lower end, a rate that was asked for.
        sustains: f64,
        /// The upper end, a rate that was asked for.
        breaks: f64,
    },
    /// Above `sustains` the generator was too late to tell whether the server keeps its thresholds.
    GeneratorLimited {
        /// Proven, as in a bracket.
        sustains: f64,
    },
    /// No rate is sustained: the lowest one breaks, or was proven and failed on fresh starts.
    BelowRange,
    /// The highest rate is sustained. After [`Search::step_down`](super::Search::step_down) from there: a rate just below it is, and none was seen to break.
    AboveRange,
    /// Even at the lowest rate the generator was too late to tell.
    GeneratorLimitedFromStart,
}

/// What is proven so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bracket {
    /// The highest rate proven to be sustained.
    pub sustains: Option<f64>,
    /// The lowest rate proven to break the thresholds.
    pub breaks: Option<f64>,
}

/// The kinds of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// One rate is proven to keep every limit, another, as close above it as could be told, to break one.
    Found,
    /// Above what is proven to be sustained the generator was late itself, at rates far beyond it too, so that the server's capacity is
    /// not known.
    GeneratorLimited,
    /// The lowest rate that was to be tried breaks a limit.
    BelowRange,
    /// The highest rate that was to be tried keeps all of them.
    AboveRange,
    /// The time was over before, or starts of the server differ too much.
    Inconclusive,
}
