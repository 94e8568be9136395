//! The figures of many held connections: their names, what they count, and which way they improve.

use crate::measure::metric::{Better, Unit};
use crate::measure::named::{Named, Names};

/// One figure of `loadgen connections`.
pub type HeldMetric = Named<Plain, Span>;

/// A figure that is no time's statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// Connections that were opened.
    Established,
    /// Connections that were not.
    Failed,
    /// Connections that were lost while they were held.
    Dropped,
    /// Messages of the trickle that were lost or answered wrongly.
    Errors,
    /// Pings that were not answered.
    PingsUnanswered,
    /// User memory of the server for each connection.
    UserMemory,
    /// The kernel's memory for each connection.
    KernelMemory,
    /// The share of the added user memory that the server gave back.
    UserReturned,
    /// The share of the kernel's added memory that it gave back.
    KernelReturned,
    /// Connections of the churn that could not be opened.
    ChurnFailed,
    /// Connections that did not come back after the storm.
    StormFailed,
    /// The time until all were back.
    StormTime,
}

/// A distribution of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// TCP, TLS and the WebSocket handshake together.
    Handshake,
    /// TCP.
    Tcp,
    /// The handshake of TLS on it.
    Tls,
    /// The WebSocket handshake on it.
    Upgrade,
    /// Of the trickle's messages, from due to arrived.
    Latency,
    /// From a Ping to its Pong.
    Ping,
    /// Of the trickle's messages while no connections came and went.
    ChurnWithout,
    /// The same while they did.
    ChurnWith,
    /// Opening one of those that came and went.
    ChurnHandshake,
    /// From the moment when all were gone until a connection was back.
    StormWait,
}

impl HeldMetric {
    /// What it counts.
    pub fn unit(self) -> Unit {
        match self {
            Self::Time(..) | Self::Plain(Plain::StormTime) => Unit::Nanoseconds,
            Self::Plain(Plain::UserMemory | Plain::KernelMemory) => Unit::BytesPerConnection,
            Self::Plain(Plain::UserReturned | Plain::KernelReturned) => Unit::Share,
            Self::Plain(_) => Unit::Count,
        }
    }

    /// Which way it improves.
    pub fn better(self) -> Better {
        match self {
            Self::Plain(Plain::Established | Plain::UserReturned | Plain::KernelReturned) => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// Whether it counts what went wrong.
    pub fn is_of_errors(self) -> bool {
        use Plain::{ChurnFailed, Dropped, Errors, Established, Failed, PingsUnanswered, StormFailed};
        matches!(
            self,
            Self::Plain(Established | Failed | Dropped | Errors | PingsUnanswered | ChurnFailed | StormFailed)
        )
    }
}

impl Names for Plain {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("connections.established", Plain::Established),
        ("connections.failed", Plain::Failed),
        ("connections.dropped", Plain::Dropped),
        ("errors", Plain::Errors),
        ("pings.unanswered", Plain::PingsUnanswered),
        ("memory.user_per_connection", Plain::UserMemory),
        ("memory.kernel_per_connection", Plain::KernelMemory),
        ("memory.user_returned", Plain::UserReturned),
        ("memory.kernel_returned", Plain::KernelReturned),
        ("churn.failed", Plain::ChurnFailed),
        ("storm.failed", Plain::StormFailed),
        ("storm.time", Plain::StormTime),
    ];
}

impl Names for Span {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("handshake", Span::Handshake),
        ("tcp", Span::Tcp),
        ("tls", Span::Tls),
        ("upgrade", Span::Upgrade),
        ("latency", Span::Latency),
        ("ping", Span::Ping),
        ("churn.without", Span::ChurnWithout),
        ("churn.with", Span::ChurnWith),
        ("churn.handshake", Span::ChurnHandshake),
        ("storm.wait", Span::StormWait),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for metric in HeldMetric::catalogue() {
            assert_eq!(metric.to_string().parse(), Ok(metric));
        }
        for (wrong, said) in [("handshake", "no metric"), ("handshake.q9", "no statistic"), ("speed", "storm.wait")] {
            assert!(wrong.parse::<HeldMetric>().unwrap_err().contains(said), "{wrong}");
        }
    }
}
