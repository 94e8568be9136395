//! The figures of a fan-out: their names, what they count, and which way they improve.

use crate::measure::metric::{Better, Unit};
use crate::measure::named::{Named, Names};

/// One figure of `loadgen fanout`.
pub type FanoutMetric = Named<Plain, Span>;

/// A figure that is no time's statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// Members that could not connect.
    Failed,
    /// Members whose connection was lost.
    Dropped,
    /// Messages that were sent.
    Sent,
    /// Messages that were due and not sent.
    Unsent,
    /// Deliveries expected.
    Expected,
    /// Deliveries that came.
    Received,
    /// Deliveries that did not.
    Lost,
    /// Deliveries that came again.
    Duplicated,
    /// Deliveries that came after later ones.
    OutOfOrder,
    /// Deliveries that came changed.
    Altered,
    /// Messages that were not expected.
    Unexpected,
    /// Deliveries per second.
    Rate,
    /// The share of deliveries that came.
    ReachShare,
    /// The time by which half of all deliveries had come.
    ReachHalf,
    /// The time by which 99% had.
    ReachMost,
    /// The time by which all had.
    ReachLast,
    /// The share of messages that reached every receiver.
    ReachEveryone,
    /// The server's CPU time for each delivery.
    ServerCpu,
    /// Deliveries lost to receivers that did not read.
    StalledLost,
    /// Receivers that did not read whose connection was lost.
    StalledDropped,
    /// Visitors that could not join.
    ChurnFailed,
    /// Visitors whose connection was lost.
    ChurnDropped,
    /// Deliveries lost to visitors.
    ChurnLost,
}

/// A distribution of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// From due to arrived, of deliveries to receivers that read all the time.
    Latency,
    /// From due to sent.
    SendLag,
    /// From arrived to read.
    ReadLag,
    /// From due until a message had reached all receivers.
    Everyone,
    /// Between a message's first and its last receiver.
    Skew,
    /// The latency before anything disturbed it.
    Undisturbed,
    /// The latency of those that did not read.
    Stalled,
    /// How long visitors took to join.
    ChurnHandshake,
}

impl FanoutMetric {
    /// What it counts.
    pub fn unit(self) -> Unit {
        match self {
            Self::Time(..) | Self::Plain(Plain::ReachHalf | Plain::ReachMost | Plain::ReachLast) => Unit::Nanoseconds,
            Self::Plain(Plain::ReachShare | Plain::ReachEveryone) => Unit::Share,
            Self::Plain(Plain::Rate) => Unit::MessagesPerSecond,
            Self::Plain(Plain::ServerCpu) => Unit::NanosecondsPerMessage,
            Self::Plain(_) => Unit::Count,
        }
    }

    /// Which way it improves.
    pub fn better(self) -> Better {
        use Plain::{Expected, Rate, ReachEveryone, ReachShare, Received, Sent};
        match self {
            Self::Plain(Sent | Expected | Received | Rate | ReachShare | ReachEveryone) => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// Whether it counts what went wrong, so that a limit on it stands in place of the rule that nothing may.
    pub fn is_of_errors(self) -> bool {
        use Plain::{
            Altered, ChurnDropped, ChurnFailed, ChurnLost, Dropped, Duplicated, Failed, Lost, OutOfOrder,
            ReachEveryone, ReachShare, Unexpected, Unsent,
        };
        matches!(
            self,
            Self::Plain(
                Failed
                    | Dropped
                    | Unsent
                    | Lost
                    | Duplicated
                    | OutOfOrder
                    | Altered
                    | Unexpected
                    | ReachShare
                    | ReachEveryone
                    | ChurnFailed
                    | ChurnDropped
                    | ChurnLost
            )
        )
    }

    /// The share of the deliveries whose time it is.
    pub fn reach(self) -> Option<f64> {
        match self {
            Self::Plain(Plain::ReachHalf) => Some(0.5),
            Self::Plain(Plain::ReachMost) => Some(0.99),
            Self::Plain(Plain::ReachLast) => Some(1.0),
            _ => None,
        }
    }

    /// Whether it is a time that a generator that sends late makes longer.
    pub fn holds_lateness(self) -> bool {
        self.reach().is_some()
            || matches!(self, Self::Time(Span::Latency | Span::Everyone | Span::Undisturbed | Span::Stalled, _))
    }
}

impl Names for Plain {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("connections.failed", Plain::Failed),
        ("connections.dropped", Plain::Dropped),
        ("messages.sent", Plain::Sent),
        ("messages.unsent", Plain::Unsent),
        ("deliveries.expected", Plain::Expected),
        ("deliveries.received", Plain::Received),
        ("deliveries.lost", Plain::Lost),
        ("deliveries.duplicated", Plain::Duplicated),
        ("deliveries.out_of_order", Plain::OutOfOrder),
        ("deliveries.altered", Plain::Altered),
        ("deliveries.unexpected", Plain::Unexpected),
        ("deliveries.rate", Plain::Rate),
        ("reach.share", Plain::ReachShare),
        ("reach.p50", Plain::ReachHalf),
        ("reach.p99", Plain::ReachMost),
        ("reach.last", Plain::ReachLast),
        ("reach.everyone", Plain::ReachEveryone),
        ("server.cpu_per_delivery", Plain::ServerCpu),
        ("stalled.lost", Plain::StalledLost),
        ("stalled.dropped", Plain::StalledDropped),
        ("churn.failed", Plain::ChurnFailed),
        ("churn.dropped", Plain::ChurnDropped),
        ("churn.lost", Plain::ChurnLost),
    ];
}

impl Names for Span {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("latency", Span::Latency),
        ("send_lag", Span::SendLag),
        ("read_lag", Span::ReadLag),
        ("everyone", Span::Everyone),
        ("skew", Span::Skew),
        ("undisturbed", Span::Undisturbed),
        ("stalled", Span::Stalled),
        ("churn.handshake", Span::ChurnHandshake),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for metric in FanoutMetric::catalogue() {
            assert_eq!(metric.to_string().parse(), Ok(metric));
        }
        for (wrong, said) in [("latency", "no metric"), ("skew.q9", "no statistic"), ("speed", "reach.p99")] {
            assert!(wrong.parse::<FanoutMetric>().unwrap_err().contains(said), "{wrong}");
        }
    }
}
