//! Each rule with a run that is fine but for it.

use std::time::SystemTime;

use super::*;
use crate::host::resources::Usage;
use crate::host::withheld::{Throttled, Withheld};
use crate::judge::outcome::Outcome;
use crate::measure::counts::{Connections, Counts, Messages};
use crate::measure::histogram::histogram;
use crate::measure::measured::AllLost;
use crate::measure::paced::Paced;
use crate::measure::recorder::Slice;
use crate::measure::times::{Moments, Times};
use crate::plan::tests::plan;
use crate::plan::{Rate, Sizes};

/// The default plan, in an open loop of 1,000 messages/s.
pub(super) fn open() -> Plan {
    let rate = Rate::try_from(1_000.0).unwrap();
    Plan { load: Load::Open { rate, arrival: Arrival::Uniform }, ..closed() }
}

fn closed() -> Plan {
    Plan {
        connections: 100.try_into().unwrap(),
        stop: Stop::After(Duration::from_secs(10)),
        warmup: Duration::from_secs(1),
        ..plan()
    }
}

fn poisson() -> Plan {
    let rate = Rate::try_from(1_000.0).unwrap();
    Plan { load: Load::Open { rate, arrival: Arrival::Poisson }, ..closed() }
}

/// Ten seconds of 1,000 messages/s, each answered in 1 ms after a lag of 10 us.
pub(super) fn fine() -> Measured {
    let filled = |ns: u64| {
        let mut histogram = histogram();
        histogram.saturating_record_n(ns, 10_000);
        histogram
    };
    let connections = Connections { requested: 100, established: 100, failed: 0, dropped: 0 };
    let usage = |cpu| Usage { cpu: Duration::from_secs(cpu), max_rss_bytes: 1 << 24, ..Usage::default() };
    let frame = Measured::new(SystemTime::UNIX_EPOCH, Duration::from_secs(10), connections, usage(1));
    Measured {
        last_reply_after: Duration::from_secs(10),
        times: Times {
            latency: filled(1_000_000),
            service_time: filled(990_000),
            send_lag: filled(10_000),
            read_lag: filled(0),
            seen: filled(1_000_000),
            least: filled(990_000),
            saturated: 0,
            longest_turn: 0,
            longest_lag: 10_000,
        },
        slices: vec![Slice { messages: 100, latency_ns: 100_000_000 }; 100],
        counts: Counts {
            connections,
            messages: Messages { sent: 10_000, received: 10_000, verified: 10_000, ..Messages::default() },
            replies_in_window: 10_000,
            reply_bytes_in_window: 640_000,
            ..Counts::default()
        },
        worker_busy: vec![0.3, 0.4],
        server: Some(usage(2)),
        is_fathom: true,
        ..frame
    }
}

/// The judgement of a fine run changed by `change`.
fn judged(plan: &Plan, change: impl FnOnce(&mut Measured)) -> Trust {
    let mut measured = fine();
    change(&mut measured);
    let trust = judge(plan, &measured);
    assert_eq!(trust.is_valid(), trust.reasons.is_empty());
    trust
}

#[track_caller]
fn assert_one(findings: &[String], part: &str) {
    assert!(matches!(findings, [only] if only.contains(part)), "{part:?} is not the only one of {findings:#?}");
}

#[test]
fn a_run_without_fault_is_valid_without_a_word() {
    for plan in [open(), closed(), poisson()] {
        let trust = judged(&plan, |_| {});
        assert_eq!((trust.reasons, trust.notes), (vec![], vec![]));
    }
}

#[test]
fn an_open_loop_that_does_not_achieve_its_rate() {
    assert!(judged(&open(), |m| m.counts.replies_in_window = 9_900).is_valid());
    let trust = judged(&open(), |m| m.counts.replies_in_window = 9_898);
    assert_one(&trust.reasons, "990 messages/s achieved of 1,000 offered");
    assert!(judged(&closed(), |m| m.counts.replies_in_window = 5_000).is_valid(), "a closed loop offers no rate");
}

#[test]
fn messages_that_are_lost_are_no_queue_that_grows() {
    let lossy = |lost, last_reply_after| {
        judged(&open(), |m| {
            (m.counts.messages.lost, m.counts.replies_in_window) = (lost, 10_000 - lost);
            m.last_reply_after = Duration::from_millis(last_reply_after);
        })
    };
    let trust = lossy(500, 9_990);
    assert!(trust.is_valid());
    assert_one(&trust.notes, "the latency tells nothing of 500 messages that were lost");
    assert_one(&lossy(500, 9_500).reasons, "the queue grows");
    let waited = judged(&open(), |m| {
        (m.counts.messages.lost, m.counts.replies_in_window) = (500, 9_500);
        let waited = open().drain_timeout.as_nanos() as u64 + 1_000_000_000;
        m.times.latency.saturating_record(waited);
        m.times.least.saturating_record(waited);
    });
    assert_one(&waited.reasons, "the queue grows");
}

#[test]
fn connections_that_all_ended_are_told_of_with_time_and_cause() {
    let lost = |plan: &Plan, after: u64, causes: &[(&str, u64)]| {
        judged(plan, |m| {
            m.counts.connections.dropped = 100;
            (m.counts.messages.received, m.counts.replies_in_window) = (9_000, 3_000);
            let why = causes.iter().map(|(why, times)| ((*why).to_owned(), *times)).collect();
            m.all_lost = Some(AllLost { after: Duration::from_millis(after), why });
        })
    };
    let plan = Plan { warmup: Duration::from_secs(2), ..closed() };
    let reset = [("receiving: reset", 99), ("closed by the server", 1)];
    let causes = "receiving: reset, 99 times; closed by the server, once";
    for (after, expected) in [
        (1_500, "1.50 s into the 2.00 s of warm-up"),
        (3_300, "1.30 s into the 10.0 s"),
        (12_500, "500 ms after the measured 10.0 s, before the last replies had come"),
    ] {
        let expected = format!("all 100 connections had ended {expected}: {causes}");
        assert_one(&lost(&plan, after, &reset).reasons, &expected);
    }
    let counted = Plan { stop: Stop::Messages(10_000.try_into().unwrap()), ..plan.clone() };
    let trust = lost(&counted, 3_300, &reset);
    assert_one(&trust.reasons, "1.30 s into the measured phase, with 9,000 of 10,000 messages answered: ");
    assert_one(&lost(&Plan { warmup: plan.warmup, ..open() }, 3_300, &reset).reasons, causes);
    let many = [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)];
    assert_one(&lost(&plan, 3_300, &many).reasons, "e, 5 times; d, 4 times; c, 3 times; 2 other causes");
    let ended = judged(&plan, |m| m.server_ended = Some("exit status: 3".to_owned()));
    assert_one(&ended.reasons, "the server's process ended during the run: exit status: 3");
}

#[test]
fn messages_still_on_their_way_are_not_missed_and_no_more_than_those() {
    // Without a warm-up nothing arrives from before the window; 1 ms at 1,000 messages/s is one message.
    let plan = Plan { warmup: Duration::ZERO, ..open() };
    let slow = |replies| {
        judged(&plan, |m| {
            for histogram in [&mut m.times.latency, &mut m.times.least] {
                histogram.reset();
                histogram.saturating_record_n(200_000_000, 10_000);
            }
            m.counts.replies_in_window = replies;
        })
    };
    assert!(slow(9_800).is_valid());
    assert_one(&slow(9_600).reasons, "achieved");
    // A run that counts messages ends with its last reply.
    let counted = Plan { stop: Stop::Messages(100.try_into().unwrap()), ..open() };
    let of =
        |replies| judged(&counted, |m| (m.window, m.counts.replies_in_window) = (Duration::from_millis(100), replies));
    assert!(of(99).is_valid());
    assert_one(&of(98).reasons, "achieved");
}

#[test]
fn a_poisson_schedule_is_held_to_what_was_due_as_far_as_chance_goes() {
    let due = |due: u64, replies: u64| {
        judged(&poisson(), |m| {
            (m.counts.messages.received, m.counts.messages.lost) = (due, 0);
            m.counts.replies_in_window = replies;
        })
    };
    assert!(due(9_700, 9_700).is_valid(), "three standard deviations below");
    assert_one(&due(9_000, 9_000).reasons, "achieved");
    assert_one(&due(10_200, 9_850).reasons, "achieved");
}

#[test]
fn refused_by_the_backlog() {
    assert_one(&judged(&open(), |m| m.counts.over_backlog = 1).reasons, "backlog");
}

#[test]
fn a_generator_that_sends_late_makes_latencies_bounds() {
    let lag = |lag: u64, latency: u64, messages: u64| {
        judged(&open(), |m| {
            m.times.reset();
            let moments = Moments { due: 0, sent: lag, arrived: latency, read: latency };
            m.times.record(moments, messages);
            m.times.record_least(moments, lag, messages);
        })
    };
    let late = lag(300_000, 1_000_000, 10_000);
    assert_eq!(late.level, Level::Bounded);
    assert_one(&late.reasons, "send lag p99 is 300 us (up to 50.0 us is believed)");
    assert_one(
        &late.reasons,
        "the generator was late itself; --pacing auto, a lower rate or a machine of its own makes it less",
    );
    let full =
        judged(&open(), |m| (m.times.send_lag.saturating_record_n(300_000, 10_000), m.counts.full_sockets = 3).1);
    assert_one(&full.reasons, "or waited for the server to read what was sent before (3 times a socket was full)");
    assert_eq!(lag(300_000, 100_000_000, 10_000).level, Level::Bounded, "however long the latency is");
    assert_eq!(lag(49_000, 60_000, 10_000).level, Level::Valid);
    assert_one(&lag(300_000, 1_000_000, 99).reasons, "send lag max is 300 us");
    let spinning =
        judged(&Plan { pacing: Pacing::Spin, ..open() }, |m| m.times.send_lag.saturating_record_n(300_000, 10_000));
    assert_one(&spinning.reasons, "the generator was late itself; a lower rate or a machine of its own");
}

#[test]
fn few_late_messages_that_held_up_many() {
    let held_up = |count: u64| {
        judged(&open(), |m| {
            let moments = Moments { due: 0, sent: 10_000, arrived: 3_000_000, read: 3_000_000 };
            m.times.record(moments, count);
            m.times.record_least(moments, 2_500_000, count);
        })
    };
    let many = held_up(500);
    assert_eq!(many.level, Level::Bounded);
    assert_one(&many.reasons, "latency p99 lies between 990 us and 3.00 ms (up to 50.0 us apart is believed)");
    let few = held_up(50);
    assert_eq!(few.level, Level::Valid);
    assert_one(
        &few.notes,
        "in the tail beyond p99 the generator's lateness has a part: latency max lies between 990 us and 3.00 ms",
    );
}

#[test]
fn a_generator_that_stood_still() {
    for plan in [open(), closed()] {
        let stamped = judged(&plan, |m| {
            (m.times.longest_turn, m.times.saturated) = (300_000_000, 0);
            m.times.read_lag.saturating_record(290_000_000);
        });
        assert!(stamped.is_valid());
        assert_one(&stamped.notes, "stood still for 300 ms: replies waited up to 290 ms to be read");
        let open = matches!(plan.load, Load::Open { .. });
        let consequence =
            if open { "sent late, which the latency does contain" } else { "latency does not contain it, seen does" };
        assert_one(&stamped.notes, consequence);
        let read = judged(&plan, |m| m.times.longest_turn = 300_000_000);
        assert_one(&read.notes, "stood still for 300 ms: replies that came meanwhile count as later by as much");
        assert_eq!(judged(&plan, |m| m.times.longest_turn = 60_000_000).notes.len(), 0, "it slept");
    }
}

#[test]
fn cpu_time_that_only_the_generator_missed() {
    let held = |plan: &Plan, change: fn(&mut Measured)| {
        let elapsed = Duration::from_secs(10);
        let stolen = Duration::from_secs(2);
        judged(plan, |m| {
            m.withheld = Withheld { elapsed, stolen, wanted: elapsed, ..Withheld::default() };
            change(m);
        })
        .level
    };
    let elsewhere = |m: &mut Measured| {
        m.server = None;
        m.addresses = [("192.0.2.7:8181".parse().unwrap(), 100)].into();
    };
    let unseen = |m: &mut Measured| {
        m.server = None;
        m.addresses = [("127.0.0.1:8181".parse().unwrap(), 100)].into();
    };
    assert_eq!(held(&open(), elsewhere), Level::Bounded);
    assert_eq!(held(&open(), unseen), Level::NotValid, "the server missed it too");
    assert_eq!(held(&open(), |_| {}), Level::NotValid);
    assert_eq!(held(&closed(), elsewhere), Level::NotValid, "a closed loop has no bounds");
}

#[test]
fn a_generator_that_never_slept() {
    let busy = |m: &mut Measured| m.worker_busy = vec![0.2, 0.96];
    let bound = judged(&open(), busy);
    assert_eq!(bound.level, Level::Bounded);
    assert_one(&bound.reasons, "CPU-bound");
    let short = judged(&open(), |m| (m.worker_busy, m.counts.replies_in_window) = (vec![1.0], 5_000));
    assert_eq!((short.level, short.reasons.len()), (Level::NotValid, 2), "the worst reason decides");
    let auto = Plan { pacing: Pacing::Auto, ..open() };
    let spun = |spun: f64| vec![Paced::default(), Paced { spun, ..Paced::default() }];
    assert!(
        judged(&auto, |m| (m.worker_busy, m.paced) = (vec![0.2, 0.99], spun(0.5))).is_valid(),
        "it had time to spare"
    );
    let bound = judged(&auto, |m| (m.worker_busy, m.paced) = (vec![0.2, 0.99], spun(0.01)));
    assert_one(&bound.reasons, "CPU-bound");
    let spinning = judged(&Plan { pacing: Pacing::Spin, ..open() }, busy);
    assert!(spinning.is_valid());
    assert_one(&spinning.notes, "send lag");
    let spinning = judged(&Plan { pacing: Pacing::Spin, ..closed() }, busy);
    assert_one(&spinning.notes, "is not known");
    let closed = judged(&closed(), busy);
    assert!(closed.is_valid());
    assert_one(&closed.notes, "the pair's, not the server's alone");
}

#[test]
fn a_closed_loop_whose_generator_was_as_busy_as_the_server() {
    let trust = judged(&closed(), |m| m.loadgen.cpu = Duration::from_millis(1_900));
    assert!(trust.is_valid());
    assert_one(&trust.notes, "the pair's, not the server's alone");
}

#[test]
fn connections_that_were_not_there() {
    assert_one(&judged(&closed(), |m| m.counts.connections.failed = 1).reasons, "could not be opened");
    assert_one(&judged(&closed(), |m| m.counts.connections.dropped = 2).reasons, "2 of 100 connections were lost");
}

#[test]
fn silence() {
    for plan in [open(), closed()] {
        let trust = judged(&plan, |m| {
            (m.times.latency, m.times.service_time, m.times.send_lag) = (histogram(), histogram(), histogram());
            (m.counts.messages, m.counts.replies_in_window) = (Messages::default(), 0);
            m.slices = vec![Slice::default(); 100];
        });
        assert_one(&trust.reasons, "no message was answered");
        let trust = judged(&plan, |m| {
            (m.times.latency, m.times.service_time, m.times.send_lag) = (histogram(), histogram(), histogram());
            m.counts.messages = Messages { sent: 10_000, received: 10_000, corrupted: 10_000, ..Messages::default() };
        });
        assert_one(&trust.reasons, "no reply was right: 10,000 came, wrong or out of order");
    }
}

#[test]
fn a_run_that_was_not_steady() {
    let slowing = |m: &mut Measured| m.slices[50..].iter_mut().for_each(|slice| slice.messages = 80);
    assert_one(&judged(&closed(), slowing).reasons, "replies per slice went from 100 in the run's first third to 80");
    let later = |m: &mut Measured| m.slices[50..].iter_mut().for_each(|slice| slice.latency_ns *= 2);
    assert_one(&judged(&open(), later).reasons, "mean latency went from 1.00 ms in the run's first third to 2.00 ms");
    let short = judged(&closed(), |m| m.slices.truncate(10));
    assert!(short.is_valid());
    assert_one(&short.notes, "too short to tell");
}

#[test]
fn what_to_know_when_reading() {
    assert_one(&judged(&closed(), |m| m.interrupted = true).notes, "interrupted after 10.0 s");
    assert_one(&judged(&closed(), |m| m.times.saturated = 3).notes, "3 latencies above 3600 s");
    let mut alike = closed();
    alike.message.size = Sizes::exactly(0);
    assert_one(&judged(&alike, |_| {}).notes, "alike");
    alike.message.payload = Payload::File("tick.json".into());
    assert_one(&judged(&alike, |_| {}).notes, "alike");
}

#[test]
fn of_several_verdicts_the_gravest_wins() {
    let codes: Vec<u8> = {
        let mut verdicts = [Outcome::Interrupted, Outcome::Ok, Outcome::Failed, Outcome::Untrusted];
        verdicts.sort();
        verdicts.iter().map(|verdict| verdict.exit_code()).collect()
    };
    assert_eq!(codes, [0, 98, 1, 130]);
}

#[test]
fn a_quota_that_held_the_run_back() {
    let held = |stalled: Duration| {
        let throttled = Throttled { group: "/a".to_owned(), cpus: None, periods: 100, throttled: 9, stalled };
        let elapsed = Duration::from_secs(10);
        judged(&closed(), |m| m.withheld = Withheld { elapsed, quotas: vec![throttled], ..Withheld::default() })
    };
    assert_one(&held(Duration::from_secs(1)).reasons, "the CPU quota of control group /a ran out in 9 of 100 periods");
    assert!(held(Duration::from_millis(50)).is_valid());
    assert_one(&held(Duration::from_millis(50)).notes, "held its processes back for up to");
}
