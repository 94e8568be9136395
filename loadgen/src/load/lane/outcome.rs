//! What one worker reports of one phase.

use crate::load::ledger::Closed;
use crate::measure::failures::Failures;
use crate::measure::mismatch::Mismatches;
use crate::measure::recorder::{Checks, Messages, Traffic};

/// What a worker reports once all is sent and answered, or given up.
#[derive(Debug)]
pub struct Outcome {
    /// What became of the measured messages.
    pub messages: Messages,
    /// Replies that came within the measured phase.
    pub replies_in_window: u64,
    /// Bytes received within it, frame headers included.
    pub reply_bytes_in_window: u64,
    /// Messages and replies that were sent and that came within it.
    pub traffic: Traffic,
    /// How replies were checked, as far as they were not compared as they came.
    pub checks: Checks,
    /// What was wrong with messages that were not the replies they should be.
    pub mismatches: Mismatches,
    /// When the measured phase ended, ns of the run's clock.
    pub ended: u64,
    /// When the last reply within it came, likewise.
    pub last_in_window: u64,
    /// Connections lost.
    pub dropped: u64,
    /// When the last of them was, ns of the run's clock, if none is left.
    pub all_lost_at: Option<u64>,
    /// Messages that the backlog bound refused.
    pub over_backlog: u64,
    /// Why connections were lost, and how often.
    pub failures: Failures,
    /// The worker's CPU time in the measured phase over its length.
    pub busy: f64,
}

impl Outcome {
    pub(super) fn new(closed: Closed, all_lost_at: Option<u64>, failures: Failures) -> Self {
        Self {
            messages: closed.messages,
            replies_in_window: closed.replies_in_window,
            reply_bytes_in_window: closed.reply_bytes_in_window,
            traffic: closed.traffic,
            checks: closed.checks,
            mismatches: closed.mismatches,
            ended: closed.ended,
            last_in_window: closed.last_in_window,
            dropped: closed.dropped,
            all_lost_at,
            over_backlog: closed.refused,
            failures,
            busy: closed.busy,
        }
    }
}
