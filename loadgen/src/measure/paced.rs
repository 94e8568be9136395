//! How the workers of a run waited for what was due: asleep in the kernel, or spinning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How one worker waited within the measured phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Paced {
    /// The share of the phase that it spun by choice, with nothing to send or to read.
    #[schemars(range(min = 0, max = 1))]
    pub spun: f64,
    /// How long before a message was due it last stopped to sleep, ns; null where it spins or sleeps whatever it learns.
    pub margin_ns: Option<u64>,
    /// Whether it only slept since it may have to share its core, although `--pacing auto` would have it spin.
    pub core_shared: bool,
    /// Whether the kernel refused to let its sleeps end without timer slack.
    pub timer_slack_refused: bool,
}
