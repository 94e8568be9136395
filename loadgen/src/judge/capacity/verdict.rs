//! What one probe says, and which kind of answer a search for a capacity has come to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one probe of a rate showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// Every threshold was kept. Sound even if the generator was late, because lateness only adds to latencies.
    Passed,
    /// A threshold was broken while the generator was on time.
    Failed,
    /// A threshold was broken, but the generator was late: this says nothing about the server.
    CannotTell,
}

/// The kinds of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// One rate is proven to keep every limit, another, close above it, to break one.
    Found,
    /// From some rate on the generator was late itself, so that the server's capacity lies above what is proven, and is not
    /// known.
    GeneratorLimited,
    /// The lowest rate that was to be tried breaks a limit.
    BelowRange,
    /// The highest rate that was to be tried keeps all of them.
    AboveRange,
    /// The time was over before, or starts of the server differ too much.
    Inconclusive,
}
