//! Parts of one run that were measured at the same time, each by some of its workers, become the whole. It is exact: what
//! comes out is what one process with all the workers would have measured. (Reports of runs that were made one after
//! another are added up by `report::merge`, where the times stand one behind the other.)

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::resources::Usage;
use crate::measure::encoded::Encoded;
use crate::measure::failures;
use crate::measure::growth::Growth;
use crate::measure::histogram::add;
use crate::measure::measured::{AllLost, IntervalLatency, Measured};

impl Measured {
    /// This part of a run and another one, of the same plan, phase and server, measured on the same machine:
    ///
    /// - what each part did is added up: counts, histograms (bucket for bucket), intervals by their beginning, slices by
    ///   their place, agreements, what TLS settled, addresses, failures, the generator's CPU time and its memory; `worker_busy` and `paced` are appended;
    /// - what both parts looked at counts once, as the part says that saw more of it: the server's use of the machine, the CPU
    ///   time withheld, how the server's process ended (the first part that knows);
    /// - the window begins with the earlier part and is as long as the longer one; the last reply is the later one;
    /// - it was interrupted, or aborted, where a part was; all connections were lost where that is so of both parts, and at
    ///   the later time; the server is Fathom where one part has found it to be;
    /// - how the server's memory grew with connections is not known, since no part knew how many the others had.
    ///
    /// The order of the parts decides the order of `worker_busy` and `paced`, and which message stands as the example of a mismatch. Causes
    /// of failures are bounded in number: beyond the bound, which of them are kept by name depends on the order too.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        // Taken apart by name, so that a field that is not merged does not compile.
        let Self {
            began_at,
            window,
            last_reply_after,
            answered_after,
            interrupted,
            aborted,
            times,
            arrivals,
            connect,
            tcp,
            upgrade,
            intervals,
            slices,
            counts,
            all_lost,
            server_ended,
            agreements,
            tls,
            addresses,
            failures,
            worker_busy,
            paced,
            loadgen,
            server,
            growth,
            is_fathom,
            withheld,
        } = other;
        self.began_at = self.began_at.min(began_at);
        self.window = self.window.max(window);
        self.last_reply_after = self.last_reply_after.max(last_reply_after);
        self.answered_after = self.answered_after.max(answered_after);
        self.interrupted |= interrupted;
        self.aborted |= aborted;
        self.times.add(&times);
        self.arrivals += arrivals;
        add(&mut self.connect, &connect);
        add(&mut self.tcp, &tcp);
        add(&mut self.upgrade, &upgrade);
        self.intervals = by_start(self.intervals, intervals);
        self.slices.resize_with(self.slices.len().max(slices.len()), Default::default);
        self.slices.iter_mut().zip(slices).for_each(|(sum, slice)| *sum += slice);
        self.counts += counts;
        self.all_lost = self.all_lost.zip(all_lost).map(|(one, other)| one.and(other));
        self.server_ended = self.server_ended.or(server_ended);
        self.agreements += agreements;
        self.tls += tls;
        addresses.into_iter().for_each(|(address, n)| *self.addresses.entry(address).or_default() += n);
        failures::merge(&mut self.failures, failures);
        self.worker_busy.extend(worker_busy);
        self.paced.extend(paced);
        self.loadgen = Usage {
            cpu: self.loadgen.cpu + loadgen.cpu,
            max_rss_bytes: self.loadgen.max_rss_bytes + loadgen.max_rss_bytes,
            max_rss_of: self.loadgen.max_rss_of.min(loadgen.max_rss_of),
            rss_bytes: self.loadgen.rss_bytes.zip(loadgen.rss_bytes).map(|(one, other)| one + other),
        };
        self.server = seen_by_both(self.server, server);
        if self.growth != growth || matches!(growth, Growth::Seen(_)) {
            self.growth = Growth::SeveralGenerators;
        }
        self.is_fathom |= is_fathom;
        self.withheld.merge_same_time(withheld);
        self
    }
}

/// What the server used, of which each part saw some.
fn seen_by_both(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Usage {
            cpu: one.cpu.max(other.cpu),
            max_rss_bytes: one.max_rss_bytes.max(other.max_rss_bytes),
            max_rss_of: one.max_rss_of.min(other.max_rss_of),
            rss_bytes: one.rss_bytes.max(other.rss_bytes),
        }),
        (one, other) => one.or(other),
    }
}

impl AllLost {
    /// The loss of the last connection of both parts.
    fn and(mut self, other: Self) -> Self {
        failures::merge(&mut self.why, other.why);
        Self { after: self.after.max(other.after), why: self.why }
    }
}

fn by_start(one: Vec<IntervalLatency>, other: Vec<IntervalLatency>) -> Vec<IntervalLatency> {
    let mut all: BTreeMap<Duration, IntervalLatency> =
        one.into_iter().map(|interval| (interval.start, interval)).collect();
    for interval in other {
        match all.get_mut(&interval.start) {
            Some(sum) => {
                let decoded =
                    |latency: &Encoded| latency.decode().expect("it was encoded here, or checked when it was read");
                let mut latency = decoded(&sum.latency);
                add(&mut latency, &decoded(&interval.latency));
                // Where a part ended within the interval, the other may have gone on.
                sum.length = sum.length.max(interval.length);
                sum.latency = Encoded::from(&latency);
            }
            None => {
                all.insert(interval.start, interval);
            }
        }
    }
    all.into_values().collect()
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
