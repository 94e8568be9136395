//! The parts of the report of a capacity: the answer, the generator's own limit, and a probe.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::capacity::{Probe, Verdict};
use crate::judge::trust::Level;

/// What the search came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// Which kind of answer it is.
    pub verdict: Verdict,
    /// The highest rate that keeps every limit, as far as it is proven; null where none is.
    pub sustains: Option<End>,
    /// The lowest rate that breaks one, as far as it is proven; null where none is.
    pub breaks: Option<End>,
    /// Which limit was broken there, or why there is no such rate, in words.
    pub why: Option<String>,
    /// Where the capacity seems to be, which is not proven; null where the two ends say it.
    pub narrowed: Option<Narrowed>,
    /// The lowest rate from which on most probes were too late to tell, at that rate and at those beyond it; null where there is none,
    /// and where the generator was not what ended the search.
    pub generator_late_at: Option<f64>,
    /// How often a lower rate was searched for because fresh starts of the server did not keep it.
    pub stepped_down: u32,
    /// About how many seconds more it would take; null where nothing is left to find out, or no probe shows how
    /// long one takes.
    pub needs_seconds: Option<f64>,
}

/// One end of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    /// Messages per second offered.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub rate: f64,
    /// Messages per second answered, the median of its probes.
    pub achieved_rate: Option<f64>,
    /// What each limit is on, the median of its probes, in the limit's unit and order; null where there is no value.
    pub values: Vec<Option<f64>>,
    /// Percentiles of the latency, the median of its probes, ns.
    pub latency: Percentiles,
    /// CPU time of the server for a message, ns, the median of its probes; null where its process cannot be seen.
    pub server_cpu: Option<f64>,
}

/// Two rates, in messages per second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Narrowed {
    /// The lower.
    pub low: f64,
    /// The higher.
    pub high: f64,
}

/// Percentiles of the latency, ns; null of too few messages for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// The median.
    pub p50: Option<f64>,
    /// The 90th percentile.
    pub p90: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
    /// The 99.9th percentile.
    pub p99_9: Option<f64>,
    /// The highest.
    pub max: Option<f64>,
}

/// What a closed loop against the server and the first probe tell of the generator here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// Its worker threads.
    pub workers: usize,
    /// Messages per second in a closed loop with one message in flight on each connection: what server and generator do
    /// together.
    #[schemars(range(min = 0))]
    pub closed_loop_rate: f64,
    /// CPU time of the generator for a message then, ns.
    #[schemars(range(min = 0))]
    pub cpu_per_message: f64,
    /// Messages per second at which its workers would be busy all the time: the most that it could offer.
    #[schemars(range(min = 0))]
    pub ceiling_rate: f64,
    /// The 99th percentile of how late it sent in the first probe, ns; null of too few messages.
    pub send_lag_p99: Option<f64>,
    /// Whether the server runs on the same machine, so that both share its cores and its caches.
    pub beside_the_server: bool,
    /// The share of the CPU time of both that was the generator's; null where the server's process cannot be seen.
    pub cpu_share: Option<f64>,
}

/// One probe: a short time of one offered rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeReport {
    /// Of which start of the server, from 1 on.
    pub start: u32,
    /// When it began, seconds from the beginning of all.
    #[schemars(range(min = 0))]
    pub at_seconds: f64,
    /// How long it offered messages, in seconds.
    #[schemars(range(min = 0))]
    pub seconds: f64,
    /// Messages per second offered.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub offered_rate: f64,
    /// Messages per second answered meanwhile.
    #[schemars(range(min = 0))]
    pub achieved_rate: f64,
    /// What it showed.
    pub outcome: Probe,
    /// Why it did not pass, in words; null where it passed.
    pub why: Option<String>,
    /// What each limit is on, in the limit's unit and order; null where there is no value.
    pub values: Vec<Option<f64>>,
    /// Percentiles of the latency, ns.
    pub latency: Percentiles,
    /// The 99th percentile of how late the generator sent, ns.
    pub send_lag_p99: Option<f64>,
    /// What the figures of the probe are worth taken by themselves.
    pub trust: Level,
    /// Messages that got no reply in time.
    pub lost: u64,
    /// CPU time of the server for a message, ns; null where its process cannot be seen.
    pub server_cpu: Option<f64>,
    /// CPU time of the generator for a message, ns.
    pub loadgen_cpu: Option<f64>,
    /// Bytes of a message's frame on the wire, header included; null where none was sent.
    pub sent_bytes: Option<f64>,
    /// The same of a reply's.
    pub received_bytes: Option<f64>,
}

/// What the connections of the first start took of memory.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionCost {
    /// Memory of the server's processes for each connection, bytes: the upper end of its 95% interval; null where that cannot be told.
    pub user_bytes: Option<f64>,
    /// The same of the kernel, which is of the whole machine, and of both ends of each connection where the server runs on it.
    pub kernel_bytes: Option<f64>,
    /// Memory of the server's processes before the first connection, bytes.
    pub process_bytes: Option<f64>,
}

impl End {
    /// The rate as its probes saw it: medians over them.
    pub fn of(rate: f64, probes: &[&ProbeReport]) -> Self {
        let limits = probes.iter().map(|probe| probe.values.len()).max().unwrap_or(0);
        let over = |value: &dyn Fn(&ProbeReport) -> Option<f64>| {
            median(probes.iter().filter_map(|probe| value(probe)).collect())
        };
        Self {
            rate,
            achieved_rate: over(&|probe| Some(probe.achieved_rate)),
            values: (0..limits).map(|i| over(&|probe| probe.values.get(i).copied().flatten())).collect(),
            latency: Percentiles {
                p50: over(&|probe| probe.latency.p50),
                p90: over(&|probe| probe.latency.p90),
                p99: over(&|probe| probe.latency.p99),
                p99_9: over(&|probe| probe.latency.p99_9),
                max: over(&|probe| probe.latency.max),
            },
            server_cpu: over(&|probe| probe.server_cpu),
        }
    }
}

/// Of no values none; of an even number the lower of the two in the middle, which is one that was measured.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_the_median_of_its_probes() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0]), Some(1.0));
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
    }
}
