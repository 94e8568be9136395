//! The parts of the report of a fan-out: reach, what disturbed it, and what it cost.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::resources::Usage;
use crate::measure::failures::Failures;
use crate::measure::fanout::{Deliveries, Measured, Visitors};
use crate::plan::Rate;
use crate::plan::tls::Tls;
use crate::report::{Stats, TlsReport};

/// How many of the receivers got a message, and by when. Deliveries that never came have no time: where there are too many of
/// them for a share to be reached, the time is null.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reach {
    /// The share of all deliveries expected that came; null where none was expected.
    pub share: Option<f64>,
    /// The time from due by which half of all deliveries expected had come, ns.
    pub p50: Option<u64>,
    /// By which 99% had, ns.
    pub p99: Option<u64>,
    /// By which all had, ns.
    pub last: Option<u64>,
    /// The share of messages that reached every receiver of their room; null where none was sent.
    pub everyone_share: Option<f64>,
}

/// The load before anything disturbed it, for as long as the measured time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Undisturbed {
    /// How long, in seconds.
    #[schemars(range(min = 0))]
    pub seconds: f64,
    /// What became of the deliveries, to the same receivers.
    pub deliveries: Deliveries,
    /// From due to arrived, ns.
    pub latency: Stats,
}

/// Receivers that did not read in the measured time, and did again after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stalled {
    /// How many.
    pub receivers: u64,
    /// Of these, connections that were lost.
    pub dropped: u64,
    /// What became of their deliveries of the measured time.
    pub deliveries: Deliveries,
    /// From due to arrived, ns: where the kernel had room for them, they arrived without being read.
    pub latency: Stats,
}

/// Members that joined and left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Churn {
    /// Members per second that were to join, and to leave a second later.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub asked_per_second: f64,
    /// That joined.
    pub joined: u64,
    /// That could not.
    pub failed: u64,
    /// Due and not begun, since too many were there.
    pub skipped: u64,
    /// That the server dropped before they left.
    pub dropped: u64,
    /// Why they failed or were dropped, and how often.
    pub failures: Failures,
    /// How long joining took, ns.
    pub handshake: Stats,
    /// How TLS was spoken on them; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
    /// Their deliveries: expected are those from the first message of each sender that came to the last.
    pub deliveries: Deliveries,
}

/// What processes used of the machine in the measured time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// CPU time, user and system, of all threads, in seconds.
    #[schemars(range(min = 0))]
    pub cpu_seconds: f64,
    /// The same for each delivery that came, in microseconds; null without.
    pub cpu_us_per_delivery: Option<f64>,
    /// Deliveries for each second of CPU time; null where none was used.
    pub deliveries_per_cpu_second: Option<f64>,
    /// The most memory that was resident, in bytes.
    pub max_rss_bytes: u64,
}

impl Reach {
    /// Of what was measured.
    pub fn of(measured: &Measured) -> Self {
        let (deliveries, latency) = (&measured.tally.deliveries, &measured.tally.latency);
        let by = |share| by_when(latency, deliveries.expected, share);
        let sent = measured.messages.sent;
        Self {
            share: deliveries.share(),
            p50: by(0.5),
            p99: by(0.99),
            last: by(1.0),
            everyone_share: (sent > 0).then(|| measured.reached_all as f64 / sent as f64),
        }
    }
}

/// The time by which a share of all `expected` had come, of those whose latency is known; `None` where so many never did.
fn by_when(latency: &Histogram<u64>, expected: u64, share: f64) -> Option<u64> {
    let count = (expected as f64 * share - 1e-6).ceil();
    let came = latency.len() as f64;
    (expected > 0 && count <= came).then(|| latency.value_at_quantile((count / came).min(1.0)))
}

impl Churn {
    /// Of those that came at this rate, over TLS as it was asked for where it was spoken; `compared` says whether what they got
    /// was compared with what was sent.
    pub fn of(visitors: &Visitors, rate: Rate, tls: &Tls, compared: bool) -> Self {
        Self {
            asked_per_second: rate.get(),
            joined: visitors.joined,
            failed: visitors.failed,
            skipped: visitors.skipped,
            dropped: visitors.dropped,
            failures: visitors.failures.clone(),
            handshake: Stats::from(&visitors.handshake),
            tls: TlsReport::of(tls, &visitors.tls),
            deliveries: visitors.deliveries.compared(compared),
        }
    }
}

impl Cost {
    /// Of so many deliveries.
    pub fn of(usage: &Usage, deliveries: u64) -> Self {
        let cpu_seconds = usage.cpu.as_secs_f64();
        Self {
            cpu_seconds,
            cpu_us_per_delivery: (deliveries > 0).then(|| cpu_seconds * 1e6 / deliveries as f64),
            deliveries_per_cpu_second: (cpu_seconds > 0.0).then(|| deliveries as f64 / cpu_seconds),
            max_rss_bytes: usage.max_rss_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::histogram::histogram;

    #[test]
    fn what_never_came_has_no_time() {
        let mut latency = histogram();
        (1..=98).for_each(|ns| latency.saturating_record(ns));
        let by = |expected, share| by_when(&latency, expected, share);
        assert_eq!((by(98, 0.5), by(98, 0.99), by(98, 1.0)), (Some(49), Some(98), Some(98)));
        assert_eq!((by(100, 0.5), by(100, 0.98), by(100, 0.99), by(100, 1.0)), (Some(50), Some(98), None, None));
        assert_eq!((by(0, 0.5), by_when(&histogram(), 5, 0.5)), (None, None));
    }
}
