//! What is an error, and the few counts that limits are held against while a run goes on.

use std::ops::AddAssign;

use crate::measure::datagrams::Datagrams;

/// Everything that counts as an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Errors {
    /// Messages that brought no right reply, and replies that nothing had asked for.
    pub wrong: u64,
    /// Messages that an open loop's backlog bound refused.
    pub over_backlog: u64,
    /// Connections that could not be opened.
    pub failed: u64,
    /// Connections that were lost after they were opened.
    pub dropped: u64,
}

/// The part of what is counted that limits are held against while a run goes on. None of its counts ever falls, so what
/// came in an interval is the difference of two states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Replies that were what had been sent.
    pub verified: u64,
    /// What was an error.
    pub errors: Errors,
    /// What UDP did to messages and replies.
    pub datagrams: Datagrams,
    /// Bytes received within the measured phase.
    pub bytes: u64,
}

impl Errors {
    /// All of them.
    pub fn all(self) -> u64 {
        self.of_messages() + self.failed + self.dropped
    }

    /// Those of messages.
    pub fn of_messages(self) -> u64 {
        self.wrong + self.over_backlog
    }

    /// Those of messages as a share of the messages due, of which so many were answered rightly; `None` where none was due.
    pub fn rate(self, verified: u64) -> Option<f64> {
        let due = verified + self.of_messages();
        (due > 0).then(|| self.of_messages() as f64 / due as f64)
    }
}

impl AddAssign for Errors {
    fn add_assign(&mut self, part: Self) {
        self.wrong += part.wrong;
        self.over_backlog += part.over_backlog;
        self.failed += part.failed;
        self.dropped += part.dropped;
    }
}

impl Tally {
    /// What came after `before`, an earlier state of the same counts.
    pub fn since(self, before: Self) -> Self {
        let (errors, earlier) = (self.errors, before.errors);
        Self {
            verified: self.verified - before.verified,
            errors: Errors {
                wrong: errors.wrong - earlier.wrong,
                over_backlog: errors.over_backlog - earlier.over_backlog,
                failed: errors.failed - earlier.failed,
                dropped: errors.dropped - earlier.dropped,
            },
            datagrams: self.datagrams.since(before.datagrams),
            bytes: self.bytes - before.bytes,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, part: Self) {
        self.verified += part.verified;
        self.errors += part.errors;
        self.datagrams += part.datagrams;
        self.bytes += part.bytes;
    }
}
