//! What UDP did in a run, as its report has it.

use std::ops::Add;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::datagrams::Datagrams;
use crate::measure::measured::Measured;
use crate::plan::Plan;

/// What UDP did to the messages of a run and to their replies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DatagramsReport {
    /// How long the reply to a message was waited for, in seconds.
    #[schemars(range(min = 0))]
    pub timeout_seconds: f64,
    /// How many messages or replies it was.
    #[serde(flatten)]
    pub counts: Datagrams,
}

impl DatagramsReport {
    /// From what was measured; `None` where it was not UDP.
    pub(super) fn of(plan: &Plan, measured: &Measured) -> Option<Self> {
        measured.counts.datagrams.map(|counts| Self::new(plan, counts))
    }

    /// From these counts.
    pub(crate) fn new(plan: &Plan, counts: Datagrams) -> Self {
        Self { timeout_seconds: plan.udp_timeout.as_secs_f64(), counts }
    }
}

/// Adds what a later run of the same plan has counted.
impl Add for DatagramsReport {
    type Output = Self;

    fn add(mut self, part: Self) -> Self {
        self.counts += part.counts;
        self
    }
}

/// How many messages all of these have lost.
pub(crate) fn lost(reports: impl IntoIterator<Item = Option<DatagramsReport>>) -> u64 {
    reports.into_iter().flatten().map(|report| report.counts.lost).sum()
}

/// The counts by their names; `None` where it was not UDP.
pub(super) fn counts(report: Option<DatagramsReport>) -> [(&'static str, Option<u64>); 4] {
    let of = |count: fn(&Datagrams) -> u64| report.map(|report| count(&report.counts));
    [
        ("lost", of(|counts| counts.lost)),
        ("late", of(|counts| counts.late)),
        ("duplicated", of(|counts| counts.duplicated)),
        ("reordered", of(|counts| counts.reordered)),
    ]
}
