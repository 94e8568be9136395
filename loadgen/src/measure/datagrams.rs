//! What UDP did to messages and their replies.

use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What UDP did to messages and replies of the measured phase: results, and no errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Datagrams {
    /// Messages that got no reply in time; they are among the messages lost.
    pub lost: u64,
    /// Replies to messages that had been lost by then.
    pub late: u64,
    /// Further replies to messages that had got one.
    pub duplicated: u64,
    /// Replies that came after that to a later message (RFC 4737).
    pub reordered: u64,
}

impl Datagrams {
    /// One of these counts as a share of the messages that were due: those lost, and so many others; `None` where none was due.
    pub fn share(self, count: u64, others: u64) -> Option<f64> {
        let due = self.lost + others;
        (due > 0).then(|| count as f64 / due as f64)
    }

    /// What came after `before`, an earlier state of the same counts.
    pub fn since(self, before: Self) -> Self {
        Self {
            lost: self.lost - before.lost,
            late: self.late - before.late,
            duplicated: self.duplicated - before.duplicated,
            reordered: self.reordered - before.reordered,
        }
    }
}

impl AddAssign for Datagrams {
    fn add_assign(&mut self, part: Self) {
        self.lost += part.lost;
        self.late += part.late;
        self.duplicated += part.duplicated;
        self.reordered += part.reordered;
    }
}
