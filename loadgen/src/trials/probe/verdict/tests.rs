//! Made-up probes of 1,000 messages in a second.

use std::time::{Duration, SystemTime};

use super::*;
use crate::host::environment::Environment;
use crate::host::resources::Usage;
use crate::judge::trust::Level;
use crate::measure::arrivals::Arrivals;
use crate::measure::counts::{Connections, Counts, Messages};
use crate::measure::histogram::histogram;
use crate::measure::tally::{Errors, Tally};
use crate::plan::tests::plan;
use crate::plan::{Load, Plan, Rate};

const MS: u64 = 1_000_000;

/// What the messages of a probe had.
#[derive(Clone, Copy)]
struct Made {
    latency: u64,
    service_time: u64,
    /// Of nearly all; the longest of one.
    lag: u64,
    longest_lag: u64,
    least: u64,
    longest_turn: u64,
    workers: usize,
    /// Replies whose arrival is not known exactly.
    shared: u64,
    answered: u64,
    in_window: u64,
    dropped: u64,
    lost: u64,
}

/// All answered in a millisecond by one worker that was on time.
const FINE: Made = Made {
    latency: MS,
    service_time: MS,
    lag: 10_000,
    longest_lag: 10_000,
    least: MS,
    longest_turn: 100_000,
    workers: 1,
    shared: 0,
    answered: 1_000,
    in_window: 1_000,
    dropped: 0,
    lost: 0,
};

/// A generator that was late by 1 ms for most and by 2 ms for some of the messages, of which the least of 8 ms is thought to be
/// certain; no stamp of a reply is its own.
const LATE: Made =
    Made { latency: 10 * MS, service_time: 9 * MS, lag: MS, longest_lag: 2 * MS, least: 8 * MS, shared: 1_000, ..FINE };

fn measured(made: Made) -> Measured {
    let filled = |ns: u64| {
        let mut histogram = histogram();
        histogram.saturating_record_n(ns, made.answered);
        histogram
    };
    let connections = Connections { requested: 10, established: 10, failed: 0, dropped: made.dropped };
    let frame = Measured::new(SystemTime::UNIX_EPOCH, Duration::from_secs(1), connections, Usage::default());
    let messages = Messages {
        sent: 1_000,
        received: made.answered,
        verified: made.answered,
        lost: made.lost,
        ..Messages::default()
    };
    Measured {
        times: Times {
            latency: filled(made.latency),
            service_time: filled(made.service_time),
            send_lag: filled(made.lag),
            read_lag: filled(0),
            seen: filled(made.latency),
            least: filled(made.least),
            saturated: 0,
            longest_turn: made.longest_turn,
            longest_lag: made.longest_lag,
        },
        arrivals: Arrivals { stamped: made.answered, shared: made.shared, ..Arrivals::default() },
        worker_busy: vec![0.1; made.workers],
        counts: Counts { connections, messages, replies_in_window: made.in_window, ..Counts::default() },
        ..frame
    }
}

/// What such a probe says of a limit, as the trials judge it.
fn said(slo: &str, made: Made, broken: Option<String>) -> Said {
    let (slos, measured) = ([slo.parse::<Threshold>().unwrap()], measured(made));
    let load = Load::Open { rate: Rate::try_from(1_000.0).unwrap(), arrival: Arrival::Uniform };
    let environment = Environment::collect(&Plan { load, ..plan() }, None, None);
    let mut report = Report::new("probe", "", &measured, environment);
    report.trust.level = Level::Bounded;
    let mut report = report.judged_by(&slos).unwrap();
    say(&slos, &mut report, &measured, made.lost, broken)
}

#[track_caller]
fn assert_said(slo: &str, made: Made, outcome: Probe) -> String {
    let Said { outcome: found, why, untold } = said(slo, made, None);
    assert_eq!((found, untold), (outcome, false), "{slo}: {why:?}");
    assert_eq!(why.is_none(), outcome == Probe::Passed, "{slo}: {why:?}");
    why.unwrap_or_default()
}

#[test]
fn a_late_generator_passes_by_what_the_latency_is_at_the_most() {
    assert_said("latency.p99<5ms", FINE, Probe::Passed);
    assert_said("latency.p99<11ms", LATE, Probe::Passed);
    assert_said("latency.p99<11ms", Made { workers: 2, ..LATE }, Probe::Passed);
}

#[test]
fn a_latency_fails_by_what_is_certain_of_it() {
    let why = assert_said("latency.p99<5ms", LATE, Probe::Failed);
    assert!(why.starts_with("latency.p99 < 5.00 ms: "), "{why}");
    // A turn of the loop may be in it.
    let waited = Made { longest_turn: 4 * MS, ..LATE };
    let why = assert_said("latency.p99<5ms", waited, Probe::CannotTell);
    assert!(why.contains("the generator was late itself"), "{why}");
    assert_said("latency.p99<9ms", LATE, Probe::CannotTell);
}

#[test]
fn what_several_workers_think_certain_fails_no_probe_unless_they_were_on_time() {
    // One message was 7 ms late, as no worker but its own knows.
    let several = Made { workers: 2, longest_lag: 7 * MS, ..LATE };
    assert_said("latency.p99<5ms", several, Probe::CannotTell);
    assert_said("latency.p99<5ms", Made { workers: 1, ..several }, Probe::Failed);
    assert_said("latency.p99<5ms", Made { lag: 10_000, ..several }, Probe::Failed);
    // The latency breaks it by more than any message was late.
    assert_said("latency.p99<5ms", Made { workers: 2, ..LATE }, Probe::Failed);
}

#[test]
fn a_service_time_that_a_bunch_of_late_messages_may_have_made_fails_no_probe() {
    // Each was late by up to 8 ms, and the last of a bunch waited for the others: on time, it may have been answered at once.
    let bunches = Made { lag: 5 * MS, longest_lag: 8 * MS, service_time: 6 * MS, latency: 8 * MS, least: 0, ..LATE };
    let why = assert_said("service_time.p99<5ms", bunches, Probe::CannotTell);
    assert!(why.contains("the generator was late itself"), "{why}");
    assert_said("service_time.p99<7ms", bunches, Probe::Passed);
    let on_time = Made { lag: 10_000, ..bunches };
    assert_said("service_time.p99<5ms", on_time, Probe::Failed);
    assert_said("service_time.p99<5ms", LATE, Probe::Failed);
}

#[test]
fn replies_that_the_generator_s_lateness_may_have_cost_fail_no_probe() {
    let few = Made { in_window: 960, ..FINE };
    assert_said("achieved>=99%", few, Probe::Failed);
    assert_said("achieved>=95%", few, Probe::Passed);
    // Late by 60 ms, 60 of 1,000 messages a second were not sent yet when the probe ended.
    let late = Made { lag: MS, longest_lag: 60 * MS, ..few };
    let why = assert_said("achieved>=99%", late, Probe::CannotTell);
    assert!(why.contains("between 96.0% and 100.0%"), "{why}");
    assert_said("achieved>=99%", Made { longest_lag: 20 * MS, ..late }, Probe::Failed);
    // Without a limit on latency or on this, 95% have to be answered.
    let fewer = Made { in_window: 920, ..FINE };
    assert_said("errors<1", fewer, Probe::Failed);
    assert_said("errors<1", Made { in_window: 920, ..late }, Probe::CannotTell);
    assert_said("errors<1", Made { in_window: 700, ..late }, Probe::Failed);
    assert_said("latency.p50<5ms", fewer, Probe::Passed);
}

#[test]
fn losses_decide_and_what_has_no_value_tells_nothing() {
    let lost = said("latency.p99<5ms", Made { lost: 3, ..FINE }, None);
    assert_eq!((lost.outcome, lost.why.as_deref()), (Probe::Failed, Some("3 messages got no reply")));
    let dropped = said("latency.p99<5ms", Made { dropped: 2, ..FINE }, None);
    assert_eq!((dropped.outcome, dropped.why.as_deref()), (Probe::Failed, Some("2 connections were lost")));
    let dropped = said("latency.p99<5ms", Made { dropped: 1, ..FINE }, None);
    assert_eq!(dropped.why.as_deref(), Some("1 connection was lost"));
    // p99.9 needs 1,000 values; these are all on either side of the limit or may be.
    let mut few = FINE;
    few.answered = 999;
    assert_eq!(said("latency.p99.9<100ns", few, None).outcome, Probe::Failed, "every value is beyond it");
    few.least = 0;
    let told = said("latency.p99.9<500us", Made { lag: MS, longest_lag: MS, ..few }, None);
    assert_eq!((told.outcome, told.untold), (Probe::CannotTell, true), "{told:?}");
    // It was ended early since the rest could not make up for what there was.
    let ended = said("latency.p99.9<500us", few, Some("why".to_owned()));
    assert_eq!((ended.outcome, ended.why.as_deref()), (Probe::Failed, Some("why")));
}

/// 200 answered messages of 1,000, some in 20 ms and the others in one.
fn is_broken(slo: &str, slow: u64, wrong: u64, change: impl FnOnce(&mut Times)) -> bool {
    let (mut times, connect) = (Times::new(), histogram());
    for histogram in [&mut times.latency, &mut times.least, &mut times.service_time] {
        for (value, count) in [(20 * MS, slow), (MS, 200 - slow)] {
            // None of a value would raise the highest all the same.
            (0..count).for_each(|_| histogram.saturating_record(value));
        }
    }
    times.send_lag.saturating_record_n(10_000, 200);
    change(&mut times);
    let so_far = SoFar {
        times: &times,
        connect: &connect,
        replies: 200,
        seconds: 0.4,
        offered_rate: Some(1_000.0),
        tally: Tally { verified: 200, errors: Errors { wrong, ..Errors::default() }, ..Tally::default() },
        loadgen: None,
        server: None,
    };
    is_broken_for_good(&slo.parse().unwrap(), so_far, 1_000)
}

#[test]
fn a_probe_is_over_once_the_rest_of_it_cannot_make_up_for_what_was_slow() {
    let unchanged = |_: &mut Times| ();
    // One in a hundred of the thousand may be slow.
    assert!(is_broken("latency.p99<5ms", 11, 0, unchanged) && !is_broken("latency.p99<5ms", 10, 0, unchanged));
    assert!(!is_broken("latency.p50<5ms", 200, 0, unchanged), "most are still to come");
    assert!(is_broken("latency.max<5ms", 1, 0, unchanged) && !is_broken("latency.max<5ms", 0, 0, unchanged));
    assert!(is_broken("latency.mean<3ms", 200, 0, unchanged) && !is_broken("latency.mean<5ms", 200, 0, unchanged));
    let late = |times: &mut Times| {
        times.send_lag.saturating_record_n(MS, 100);
        times.longest_lag = 16 * MS;
    };
    assert!(!is_broken("latency.p99<5ms", 100, 0, late) && is_broken("latency.p99<3ms", 100, 0, late));
    assert!(
        !is_broken("latency.p99<3ms", 100, 0, |times| times.longest_turn = 18 * MS),
        "it may have waited in the socket"
    );
    for later in ["service_time.p99<5ms", "achieved>=99%", "latency.p99>5s"] {
        assert!(!is_broken(later, 200, 0, unchanged), "{later}");
    }
    assert!(is_broken("errors.rate<1%", 0, 10, unchanged) && !is_broken("errors.rate<1%", 0, 9, unchanged));
    assert!(is_broken("errors<9", 0, 9, unchanged) && !is_broken("errors<10", 0, 9, unchanged));
}

#[test]
fn chance_makes_no_more_messages_than_these() {
    assert_eq!(most_messages(1_000.0, 1.0, Arrival::Uniform), 1_001);
    assert_eq!(most_messages(10_000.0, 1.0, Arrival::Poisson), 10_601);
}
