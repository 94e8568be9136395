//! One message that is due or in flight.

/// A message that is due or in flight. Times are in ns of the run's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// When it was due.
    pub due: u64,
    /// When its first byte was handed to the kernel; [`UNSENT`] before that.
    pub sent: u64,
    /// What has come for it before its turn.
    pub answer: Answer,
}

/// What has come for a message that is due or in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Awaited,
    /// A wrong message, after which the true reply may still come.
    Ambiguous,
    /// Its reply, right or wrong.
    Done,
    /// Nothing in time, where a message is lost after a while: something may come yet.
    Lost,
}

impl Pending {
    /// A message that is due then and has not been sent.
    pub fn new(due: u64) -> Self {
        Self { due, sent: UNSENT, answer: Answer::Awaited }
    }
}

// What `IN_FLIGHT_BYTES` says a message takes.
const _: () = assert!(size_of::<Pending>() as u64 == crate::plan::IN_FLIGHT_BYTES);

/// The send time of a message that has not been sent.
pub const UNSENT: u64 = u64::MAX;
