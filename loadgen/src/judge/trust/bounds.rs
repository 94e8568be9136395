//! What a late generator leaves certain of an open loop's latency: for each percentile an interval in which that of an
//! on-time generator lies. docs/loadgen.md derives it and names what it assumes of the server.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Findings;
use crate::measure::arrivals::EndsAt;
use crate::measure::histogram::histogram;
use crate::measure::measured::Measured;
use crate::measure::metric::Statistic;
use crate::measure::percentile;
use crate::measure::times::Times;
use crate::plan::{Pacing, Plan};
use crate::units;

/// What the lower ends of intervals rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LowerEnd {
    /// One worker sent everything, so that it knows when nothing was in flight; and the kernel said when most replies
    /// arrived. Those that share a stamp, or have none, are counted as `unsure`.
    Proven,
    /// Several workers did, none of which knows of what the others have in flight; or replies arrived some time before they
    /// were read, which is what was recorded.
    Estimate,
}

impl LowerEnd {
    /// What they rest on in a run.
    pub fn of(measured: &Measured) -> Self {
        // Where the kernel does not stamp replies, they arrive when they are read.
        let stamped = measured.ends_at() == EndsAt::Kernel;
        if measured.worker_busy.len() == 1 && stamped { Self::Proven } else { Self::Estimate }
    }
}

/// What is certain of the latency at least where the arrival of `unsure` replies is not known exactly: nothing of these,
/// whichever they are.
pub fn with_unsure(least: &Histogram<u64>, unsure: u64) -> Histogram<u64> {
    let unsure = unsure.min(least.len());
    let mut left = least.len() - unsure;
    let mut certain = histogram();
    certain.saturating_record_n(0, unsure);
    for bucket in least.iter_recorded() {
        let count = bucket.count_at_value().min(left);
        if count == 0 {
            break;
        }
        certain.saturating_record_n(bucket.value_iterated_to(), count);
        left -= count;
    }
    certain
}

/// The interval in which a statistic of the latency lies that an on-time generator would have seen: from that of what is
/// certain at `least` (0 where that was not recorded of each message) to that of the `latency`. `None` for a statistic
/// that has no bounds, or that needs more values.
pub fn interval(latency: &Histogram<u64>, least: Option<&Histogram<u64>>, statistic: Statistic) -> Option<(f64, f64)> {
    // Of the same number of messages, each of which has no more of the one than of the other: then so have all statistics
    // but the spread.
    let high = statistic.of_histogram(latency).filter(|_| statistic != Statistic::Stdev)?;
    let least = least.filter(|least| least.len() == latency.len());
    // A histogram's values are the highest of their buckets.
    let low = least.and_then(|least| Some(least.lowest_equivalent(statistic.of_histogram(least)? as u64)));
    Some((low.unwrap_or(0) as f64, high))
}

/// Whether such an interval may be given as one figure, its upper end.
pub fn is_narrow((low, high): (f64, f64)) -> bool {
    high - low <= TOLERANCE_NS as f64 + high * RESOLUTION
}

/// Whether the generator sent the messages when they were due, but for one in a hundred.
pub fn is_on_time(times: &Times) -> bool {
    times.send_lag.value_at_quantile(0.99) <= TOLERANCE_NS
}

/// Whether the send lag makes the figures bounds: by what it is alone, whatever the latency.
pub(super) fn judge(plan: &Plan, measured: &Measured, findings: &mut Findings) {
    let times = &measured.times;
    if !is_on_time(times) {
        let lag = times.send_lag.value_at_quantile(0.99);
        // Of fewer values both are the highest.
        let name = if times.send_lag.len() < percentile::needed(99.0) { "max" } else { "p99" };
        findings.bounding.push(format!(
            "send lag {name} is {} (up to {} is believed): the generator was late itself{}; {}",
            units::time(lag as f64),
            units::time(TOLERANCE_NS as f64),
            or_the_server(measured.counts.full_sockets),
            remedy(plan)
        ));
        return;
    }
    // What p99 is to many messages, the highest is to few.
    let judged = percentile::RANKS.into_iter().filter(|rank| *rank <= 99.0).map(Statistic::percentile);
    let few = times.latency.len() < percentile::needed(99.0);
    for statistic in judged.chain(few.then_some(Statistic::Max)) {
        let Some(wide) = interval(&times.latency, Some(&times.least), statistic).filter(|found| !is_narrow(*found))
        else {
            continue;
        };
        findings.bounding.push(format!(
            "some messages were sent late and may have held up those after them: latency {statistic} lies between {} and {} \
             (up to {} apart is believed); {}",
            units::time(wide.0),
            units::time(wide.1),
            units::time(TOLERANCE_NS as f64),
            remedy(plan)
        ));
        return;
    }
    let tail = interval(&times.latency, Some(&times.least), Statistic::Max);
    if let Some((low, high)) = tail.filter(|tail| !few && !is_narrow(*tail)) {
        findings.notes.push(format!(
            "in the tail beyond p99 the generator's lateness has a part: latency max lies between {} and {}",
            units::time(low),
            units::time(high)
        ));
    }
}

/// What else may have made it late.
fn or_the_server(full_sockets: u64) -> String {
    if full_sockets == 0 {
        return String::new();
    }
    format!(
        ", or waited for the server to read what was sent before ({} a socket was full)",
        units::counted(full_sockets, "time")
    )
}

/// What makes a generator less late. Where a core is free for it, `--pacing auto` spins by itself.
pub(super) fn remedy(plan: &Plan) -> String {
    let less = match plan.pacing {
        Pacing::Spin | Pacing::Auto => "a lower rate or a machine of its own makes it less",
        Pacing::Sleep => "--pacing auto, a lower rate or a machine of its own makes it less",
    };
    held_back(plan).map_or_else(|| less.to_owned(), |held_back| format!("{less}; {held_back}"))
}

/// What the kernel takes from workers in the real-time class, and what keeps it from doing so. A worker that sleeps between messages
/// leaves the processor to others anyhow.
pub fn held_back(plan: &Plan) -> Option<&'static str> {
    (plan.realtime && plan.pacing != Pacing::Sleep).then_some(
        "under --realtime the kernel may take 50 ms of each second from a worker that spins (sched_rt_runtime_us; since Linux 6.12 \
         for what waits for its core): --pacing sleep gives it less cause to, and without --realtime it does not",
    )
}

/// How far apart the ends of an interval may lie that is given as one figure, and how large the p99 of the send lag may
/// be, ns: Linux's default timer slack, by which any sleeping thread may wake late. It is no share of the latency, since a
/// generator that is later makes the latency longer: a worse run would look better.
pub(super) const TOLERANCE_NS: u64 = 50_000;

/// The width of a histogram's buckets as a share of their values: it tells three digits apart.
const RESOLUTION: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::super::tests::{fine, open};
    use super::*;

    #[test]
    fn what_the_kernel_takes_from_real_time_workers_is_told_where_they_were_late() {
        let judged = |realtime: bool, pacing: Pacing, lag: u64| {
            let mut measured = fine();
            measured.times.send_lag.saturating_record_n(lag, 10_000);
            super::super::judge(&Plan { realtime, pacing, ..open() }, &measured).reasons
        };
        let told = "makes it less; under --realtime the kernel may take 50 ms of each second from a worker that spins \
                    (sched_rt_runtime_us;";
        for (realtime, pacing) in
            [(true, Pacing::Spin), (true, Pacing::Auto), (false, Pacing::Auto), (true, Pacing::Sleep)]
        {
            let reasons = judged(realtime, pacing, 300_000);
            assert_eq!(reasons.len(), 1, "{reasons:?}");
            assert_eq!(reasons[0].contains(told), realtime && pacing != Pacing::Sleep, "{reasons:?}");
            // One that was on time was held back by nothing.
            assert_eq!(judged(realtime, pacing, 10_000), Vec::<String>::new());
        }
    }

    #[test]
    fn an_interval_reaches_from_what_is_certain_to_what_was_seen() {
        let (mut latency, mut least) = (histogram(), histogram());
        (1..=100).for_each(|i| latency.saturating_record(i * 1_000));
        (1..=100).for_each(|i| least.saturating_record(i * 500));
        let of = |least: Option<&Histogram<u64>>, statistic| interval(&latency, least, statistic);
        let (low, high) = of(Some(&least), Statistic::percentile(50.0)).unwrap();
        assert!((24_950.0..=25_000.0).contains(&low) && (50_000.0..50_050.0).contains(&high), "{low}..{high}");
        assert!(is_narrow((low, high)) && !is_narrow((low, low + 51_000.0)));
        assert!(is_narrow((99.9e6, 100e6)), "no histogram tells them apart");
        assert_eq!(of(None, Statistic::percentile(50.0)).unwrap().0, 0.0);
        assert_eq!(of(Some(&least), Statistic::percentile(99.9)), None, "too few");
        assert_eq!(of(Some(&least), Statistic::Stdev), None, "later replies may lie closer together");
        least.saturating_record(1);
        assert_eq!(of(Some(&least), Statistic::Max).unwrap().0, 0.0, "not of the same messages");
    }

    #[test]
    fn of_replies_whose_arrival_is_not_known_exactly_nothing_is_certain() {
        let mut least = histogram();
        (1..=100).for_each(|i| least.saturating_record(i * 1_000));
        let certain = with_unsure(&least, 10);
        assert_eq!(certain.len(), 100);
        // The ten may be those of the most.
        assert_eq!(least.lowest_equivalent(certain.max()), least.lowest_equivalent(90_000));
        assert_eq!(certain.count_at(0), 10);
        assert_eq!(with_unsure(&least, 0).max(), least.max());
        assert_eq!(with_unsure(&least, 1_000).max(), 0);
    }
}
