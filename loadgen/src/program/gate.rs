//! What a run has to keep, and what it is compared with.

use crate::judge::threshold::Threshold;
use crate::report::baseline;

/// What a run has to keep, and what it is compared with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gate {
    /// The limits.
    pub thresholds: Vec<Threshold>,
    /// Whether the run ends as soon as one is crossed.
    pub abort: bool,
    /// The saved report to compare with.
    pub baseline: Option<baseline::Request>,
}

impl Gate {
    /// The limits that end the run.
    pub fn abort_on(&self) -> &[Threshold] {
        if self.abort { &self.thresholds } else { &[] }
    }
}
