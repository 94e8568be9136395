//! What workers tell while they run: relaxed counters, to which each adds once per batch.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// What the workers tell while they run.
#[derive(Debug, Default)]
pub struct Live {
    /// Connections opened so far.
    pub connected: AtomicU64,
    /// Connections that could not be opened.
    pub failed: AtomicU64,
    /// Replies so far, warm-up included.
    pub replies: AtomicU64,
    /// The 99th percentile of latency so far, ns; 0 while there is none.
    pub p99_ns: AtomicU64,
}

/// What the run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Opening connections.
    Connecting,
    /// Under load that is not measured.
    WarmingUp,
    /// Under load that is.
    Measuring,
    /// Waiting for the last replies.
    Draining,
}

/// How often the progress is shown at least.
pub const SHOW_EVERY: Duration = Duration::from_millis(200);
