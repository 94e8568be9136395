//! The parts of the report of held connections: opening, memory, holding, churn, storm and closing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::statistics::Slope;
use crate::measure::counts::Messages;
use crate::measure::failures::Failures;
use crate::report::{Stats, TlsReport};

/// How the connections were opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Opening {
    /// Connections asked for per second; null for as fast as they go.
    pub asked_per_second: Option<f64>,
    /// Connections opened per second, while connections were opened.
    #[schemars(range(min = 0))]
    pub per_second: f64,
    /// How long that took, in seconds, without the pauses after the steps.
    #[schemars(range(min = 0))]
    pub seconds: f64,
}

/// What the connections took of memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// Anonymous memory of the server's processes for each connection; null where the server is on another machine or is
    /// another user's, or too few steps were made for an interval.
    pub user_bytes_per_connection: Option<PerConnection>,
    /// The same of the kernel's slabs and TCP buffers on this machine: of both ends where the server runs on it too.
    pub kernel_bytes_per_connection: Option<PerConnection>,
    /// Whether both ends of each connection are in the kernel's figure.
    pub kernel_has_both_ends: bool,
    /// The memory before the first connection.
    pub before: MemoryPoint,
    /// After each step of opening, what the slopes are taken of.
    pub steps: Vec<MemoryPoint>,
    /// At the end of the hold; null where it did not come to that.
    pub held: Option<MemoryPoint>,
    /// After the connections were closed; null where it did not come to that.
    pub after: Option<MemoryPoint>,
    /// Of the user memory that the connections added, the share that was given back; null where none was added or seen.
    pub user_returned: Option<f64>,
    /// The same of the kernel's.
    pub kernel_returned: Option<f64>,
}

/// The memory at a number of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryPoint {
    /// Open connections.
    pub connections: u64,
    /// Anonymous memory of the server's processes, bytes; null where it cannot be looked at.
    pub user_bytes: Option<u64>,
    /// The kernel's slabs and TCP buffers on this machine, bytes; null where /proc does not tell.
    pub kernel_bytes: Option<u64>,
}

/// Bytes for each connection: the slope of memory over connections.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PerConnection {
    /// The most likely slope (Theil and Sen).
    pub estimate: f64,
    /// The lower end of its 95% interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// How the connections were held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// How long, in seconds.
    #[schemars(range(min = 0))]
    pub seconds: f64,
    /// What was sent meanwhile; null where nothing was.
    pub trickle: Option<Trickle>,
    /// What became of Pings; null where none was sent.
    #[serde(default)]
    pub pings: Option<Pinged>,
}

/// Pings on connections that are held (RFC 6455, 5.5.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pinged {
    /// Seconds between two Pings of a connection.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub every_seconds: f64,
    /// Pings sent.
    pub sent: u64,
    /// Answered by a Pong with the same bytes.
    pub answered: u64,
    /// Answered by the Pong to a later Ping alone, as RFC 6455, 5.5.3, allows.
    pub passed_over: u64,
    /// Never answered.
    pub unanswered: u64,
    /// Pongs that answer no Ping that waited, which RFC 6455, 5.5.3, allows.
    pub unsolicited: u64,
    /// Why Pings were not answered, and how often.
    pub failures: Failures,
    /// From a Ping's sending to the arrival of its Pong, ns.
    pub round_trip: Stats,
}

/// Messages on connections that are held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trickle {
    /// Seconds between two messages of a connection.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub every_seconds: f64,
    /// What became of them.
    pub messages: Messages,
    /// From due to arrived, ns.
    pub latency: Stats,
    /// From due to sent, ns: the generator's own lateness.
    pub send_lag: Stats,
}

/// What connections that come and go did to those that were held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Churn {
    /// Connections per second that were to be opened and closed.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub asked_per_second: f64,
    /// Opened and closed again.
    pub opened: u64,
    /// Not opened.
    pub failed: u64,
    /// Due and not begun, since the server had left too many unanswered.
    pub skipped: u64,
    /// Why they were not opened, and what was wrong with messages of the held connections meanwhile, and how often.
    pub failures: Failures,
    /// How long they took to open, ns.
    pub handshake: Stats,
    /// How TLS was spoken on them; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
    /// How long the others' latency was measured without and with them, in seconds each.
    #[schemars(range(min = 0))]
    pub seconds: f64,
    /// Messages of the held connections that were lost or answered wrongly in both.
    pub wrong_messages: u64,
    /// Latency of the held connections' messages while none came or went, ns.
    pub without: Stats,
    /// While they did, in turn with the above.
    pub with: Stats,
    /// From due to sent without them, ns: the generator's own lateness, which the latency contains.
    pub send_lag_without: Stats,
    /// The same with them.
    pub send_lag_with: Stats,
}

/// How connections came back after all were lost at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Storm {
    /// Connections that were dropped without a Close frame.
    pub dropped: u64,
    /// How long dropping them took, in seconds.
    #[schemars(range(min = 0))]
    pub dropping_seconds: f64,
    /// Each was first tried at a random moment within this time, in seconds, and its waits were random too; null where all
    /// came at once and waited equally long.
    pub jitter_seconds: Option<f64>,
    /// The wait after the first try of a connection, in seconds, which doubles after each other; null in reports of before
    /// there were more tries than one.
    #[serde(default)]
    pub retry_delay_seconds: Option<f64>,
    /// How long after that moment a connection is tried at the latest, in seconds; null likewise.
    #[serde(default)]
    pub retry_time_seconds: Option<f64>,
    /// Connections that came back.
    pub back: u64,
    /// That did not; what was still to be tried when it was interrupted is in neither.
    pub failed: u64,
    /// Tries of all of them; 0 in reports of before there were more tries than one.
    #[serde(default)]
    pub tries: u64,
    /// The most tries of one connection; 0 likewise.
    #[serde(default)]
    pub most_tries: u32,
    /// Why tries failed, and how often.
    pub failures: Failures,
    /// From the moment when all were gone until the last was back, in seconds; null where not all came back.
    pub all_back_seconds: Option<f64>,
    /// From that moment until each was back, ns; the longest is the worst wait.
    pub wait: Stats,
    /// How long each took to open, ns.
    pub handshake: Stats,
    /// How TLS was spoken on them; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
}

/// How the connections were closed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Closing {
    /// Connections closed per second; null for all at once.
    pub per_second: Option<f64>,
    /// How long it took, in seconds.
    #[schemars(range(min = 0))]
    pub seconds: f64,
    /// How long it was looked, from then on, whether memory returns, in seconds.
    #[schemars(range(min = 0))]
    pub looked_seconds: f64,
}

impl Memory {
    /// Of these points, the slopes with their intervals and the shares that returned.
    pub fn of(
        before: MemoryPoint,
        steps: Vec<MemoryPoint>,
        held: Option<MemoryPoint>,
        after: Option<MemoryPoint>,
        kernel_has_both_ends: bool,
    ) -> Self {
        let most = steps.iter().chain(&held).max_by_key(|point| point.connections).copied();
        let returned = |bytes: fn(&MemoryPoint) -> Option<u64>| {
            let [before, most, after] = [Some(before), most, after].map(|point| point.as_ref().and_then(bytes));
            returned(before?, most?, after?)
        };
        Self {
            user_bytes_per_connection: PerConnection::of(&steps, |point| point.user_bytes),
            kernel_bytes_per_connection: PerConnection::of(&steps, |point| point.kernel_bytes),
            kernel_has_both_ends,
            user_returned: returned(|point| point.user_bytes),
            kernel_returned: returned(|point| point.kernel_bytes),
            before,
            steps,
            held,
            after,
        }
    }
}

/// Of what was added to `before` at the `most`, the share that is gone `after`; `None` where nothing was added.
fn returned(before: u64, most: u64, after: u64) -> Option<f64> {
    let added = most.checked_sub(before).filter(|added| *added > 0)?;
    Some((most.saturating_sub(after) as f64 / added as f64).min(1.0))
}

impl PerConnection {
    fn of(steps: &[MemoryPoint], bytes: fn(&MemoryPoint) -> Option<u64>) -> Option<Self> {
        let points: Option<Vec<_>> =
            steps.iter().map(|point| Some((point.connections as f64, bytes(point)? as f64))).collect();
        let Slope { estimate, low, high } = Slope::of(&points?, CONFIDENCE)?;
        Some(Self { estimate, low, high })
    }
}

/// Of the intervals.
const CONFIDENCE: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;

    fn point(connections: u64, user: u64) -> MemoryPoint {
        MemoryPoint { connections, user_bytes: Some(user), kernel_bytes: None }
    }

    #[test]
    fn memory_is_a_slope_and_what_returned_a_share_of_what_was_added() {
        let steps: Vec<_> = (1..=8).map(|step| point(step * 100, 50_000 + step * 100 * 200)).collect();
        let memory = Memory::of(point(0, 10_000), steps.clone(), None, Some(point(0, 60_000)), true);
        let slope = memory.user_bytes_per_connection.unwrap();
        assert_eq!((slope.estimate, slope.low, slope.high), (200.0, 200.0, 200.0));
        // 210,000 at the most: 200,000 were added, and 150,000 are gone.
        assert_eq!(memory.user_returned, Some(0.75));
        assert_eq!((memory.kernel_bytes_per_connection, memory.kernel_returned), (None, None));
        assert_eq!(Memory::of(steps[0], steps[..4].to_vec(), None, None, true).user_bytes_per_connection, None);
        assert_eq!((returned(5, 5, 5), returned(5, 4, 4), returned(5, 9, 2)), (None, None, Some(1.0)));
    }
}
