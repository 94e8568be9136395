//! The books of made-up runs.

use super::*;
use crate::load::dialogue::observer::Observer as _;
use crate::load::dialogue::pending::{Pending, UNSENT};
use crate::measure::counts::{Messages, WarmupErrors};
use crate::measure::tally::Errors;
use crate::plan::{Arrival, Rate};

const MS: u64 = 1_000_000;

fn ledger(end: End) -> (Ledger, mpsc::Receiver<Box<Interval>>) {
    let (full, intervals) = mpsc::channel();
    let (_, spare) = mpsc::channel();
    let phases = Phases { begin: 100 * MS, end, drain: 50 * MS };
    (Ledger::new(phases, Exchange { full, spare, every: INTERVAL_NS }), intervals)
}

fn pending(due: u64, sent: u64) -> Pending {
    Pending { sent, ..Pending::new(due) }
}

#[test]
fn a_message_counts_by_its_intended_time_and_throughput_by_the_reply() {
    let (mut ledger, intervals) = ledger(End::At(2_100 * MS));
    assert!(ledger.enter(99 * MS) && ledger.enter(100 * MS));
    assert!(ledger.turn(101 * MS, false));
    ledger.verified(pending(99 * MS, 99 * MS), 1);
    ledger.verified(pending(100 * MS, 100 * MS), 1);
    assert!(ledger.enter(2_099 * MS) && !ledger.enter(2_100 * MS));
    assert!(ledger.turn(2_110 * MS, false) && !ledger.sending());
    ledger.verified(pending(2_099 * MS, 2_100 * MS), 1);
    assert!(!ledger.turn(2_150 * MS, false), "the drain has a limit");
    let closed = ledger.close(2_150 * MS);
    assert_eq!((closed.counts.replies_in_window, closed.ended), (2, 2_100 * MS));
    assert_eq!(closed.counts.messages, Messages { sent: 2, received: 2, verified: 2, ..Messages::default() });
    let intervals: Vec<_> = intervals.iter().map(|interval| (interval.index, interval.times.latency.len())).collect();
    assert_eq!(intervals, [(0, 1), (1, 1)], "what comes in the drain belongs to the last interval");
}

#[test]
fn an_interval_is_handed_over_in_parts_where_that_is_asked_for() {
    let (full, intervals) = mpsc::channel();
    let (spares, spare) = mpsc::channel();
    let phases = Phases { begin: 100 * MS, end: End::At(1_500 * MS), drain: 50 * MS };
    let mut ledger = Ledger::new(phases, Exchange { full, spare, every: 300 * MS });
    let mut parts = Vec::new();
    for now in (110..1_550).step_by(10) {
        assert!(ledger.turn(now * MS, false));
        ledger.verified(pending(now * MS, now * MS), 1);
        parts.extend(intervals.try_iter().map(|part: Box<Interval>| {
            let slices: Vec<_> = part.slices.iter().map(|slice| slice.messages).collect();
            let said = (part.index, now, part.tally.verified, slices);
            spares.send(part).unwrap();
            said
        }));
    }
    ledger.close(1_550 * MS);
    // The first and the last slice of the first interval: a message every 10 ms from the tenth on, and up to its end.
    assert_eq!(
        parts.iter().map(|(index, now, verified, _)| (*index, *now, *verified)).collect::<Vec<_>>(),
        [(0, 400, 29), (0, 700, 30), (0, 1_000, 30), (0, 1_100, 10), (1, 1_400, 30)]
    );
    let messages: Vec<_> = (0..10).map(|slice| parts[..4].iter().map(|part| part.3[slice]).sum::<u64>()).collect();
    assert_eq!(messages, [9, 10, 10, 10, 10, 10, 10, 10, 10, 10], "slices lie where they would in a whole interval");
    let last = intervals.iter().next().unwrap();
    assert_eq!((last.index, last.tally.verified), (1, 15), "10 until the end, and those of the drain");
}

#[test]
fn an_open_loop_records_what_is_certain_and_how_long_its_turns_were() {
    let (mut ledger, intervals) = ledger(End::At(1_100 * MS));
    assert!(ledger.turn(90 * MS, false) && ledger.turn(190 * MS, false));
    ledger.nothing_in_flight();
    ledger.sends(200 * MS, 230 * MS);
    ledger.sends(220 * MS, 230 * MS);
    assert!(ledger.turn(235 * MS, false));
    ledger.received(2, Arrived::Stamped(240 * MS), 240 * MS);
    ledger.verified(pending(220 * MS, 230 * MS), 1);
    ledger.close(1_100 * MS);
    let times = intervals.iter().next().unwrap().times;
    let ms = |histogram: &hdrhistogram::Histogram<u64>| (histogram.max() as f64 / 1e6).round();
    assert_eq!((ms(&times.latency), ms(&times.service_time)), (20.0, 10.0));
    assert_eq!(times.least.max(), 0, "30 ms late: it may have been answered at once");
    assert_eq!((times.longest_turn, times.longest_lag), (100 * MS, 30 * MS));
}

#[test]
fn lost_messages_are_told_from_unsent_ones() {
    let (mut ledger, _intervals) = ledger(End::At(1_100 * MS));
    (0..3).for_each(|i| assert!(ledger.enter(200 * MS + i)));
    ledger.lost(pending(200 * MS, UNSENT));
    ledger.lost(pending(200 * MS, 201 * MS));
    ledger.lost(pending(50 * MS, 51 * MS));
    ledger.lost(pending(50 * MS, UNSENT));
    ledger.refused(200 * MS);
    let counts = ledger.close(1_100 * MS).counts;
    assert_eq!(counts.messages, Messages { sent: 1, lost: 2, ..Messages::default() });
    assert_eq!(counts.warmup_errors, WarmupErrors { lost: 1, ..WarmupErrors::default() });
}

#[test]
fn what_goes_wrong_in_the_warm_up_is_counted_apart() {
    let (mut ledger, intervals) = ledger(End::At(1_100 * MS));
    assert!(ledger.turn(60 * MS, false));
    let in_window = ledger.corrupted(pending(50 * MS, 50 * MS));
    ledger.corrupted(pending(51 * MS, 51 * MS));
    ledger.withdrawn(pending(50 * MS, 50 * MS), in_window);
    ledger.reordered(pending(52 * MS, 52 * MS));
    ledger.unexpected();
    ledger.refused(53 * MS);
    assert!(ledger.turn(110 * MS, false));
    ledger.corrupted(pending(99 * MS, 99 * MS));
    ledger.lost(pending(98 * MS, 98 * MS));
    assert!(ledger.has_lost());
    let counts = ledger.close(1_100 * MS).counts;
    assert_eq!((counts.messages, counts.over_backlog), (Messages::default(), 0));
    let expected = WarmupErrors { lost: 1, corrupted: 2, reordered: 1, unexpected: 2, over_backlog: 1 };
    assert_eq!(counts.warmup_errors, expected);
    assert!(intervals.iter().all(|interval| interval.tally.errors == Errors::default()), "no limit is about them");
}

#[test]
fn a_quota_of_messages_ends_with_the_last_reply() {
    let (mut ledger, _intervals) = ledger(End::Messages(2));
    assert!(ledger.enter(0), "warm-up messages are not counted");
    assert!(ledger.turn(100 * MS, false));
    assert!(ledger.enter(100 * MS) && ledger.enter(100 * MS) && !ledger.enter(100 * MS));
    assert!(!ledger.sending());
    ledger.received(2, Arrived::Stamped(120 * MS), 130 * MS);
    ledger.verified(pending(100 * MS, 100 * MS), 2);
    assert!(ledger.turn(149 * MS, false) && !ledger.turn(150 * MS, false), "the drain begins with the last message");
    let closed = ledger.close(150 * MS);
    assert_eq!((closed.ended, closed.counts.replies_in_window), (130 * MS, 2));
}

#[test]
fn an_interruption_ends_the_measured_phase_at_once() {
    let (mut ledger, _intervals) = ledger(End::At(u64::MAX - 1));
    assert!(ledger.turn(300 * MS, true));
    assert!(!ledger.sending());
    assert!(!ledger.turn(350 * MS, true));
    assert_eq!(ledger.close(350 * MS).ended, 300 * MS);
}

#[test]
fn a_wrong_reply_counts_as_one_until_the_true_one_comes() {
    let (mut ledger, _intervals) = ledger(End::At(1_100 * MS));
    (0..2).for_each(|i| assert!(ledger.enter(200 * MS + i)));
    assert!(ledger.turn(210 * MS, false));
    let in_window = ledger.corrupted(pending(200 * MS, 200 * MS)) && ledger.corrupted(pending(200 * MS + 1, 201 * MS));
    assert!(in_window);
    assert_eq!(
        (ledger.counts.messages.corrupted, ledger.counts.messages.received, ledger.counts.replies_in_window),
        (2, 2, 2)
    );
    ledger.withdrawn(pending(200 * MS, 200 * MS), in_window);
    ledger.verified(pending(200 * MS, 200 * MS), 1);
    let closed = ledger.close(1_100 * MS);
    let expected = Messages { sent: 2, received: 2, verified: 1, corrupted: 1, unexpected: 1, ..Messages::default() };
    assert_eq!((closed.counts.messages, closed.counts.replies_in_window), (expected, 2));
}

#[test]
fn what_no_connection_is_left_for_is_lost_in_the_whole_of_the_phase() {
    let schedule = || Schedule::new(Rate::try_from(1_000.0).unwrap(), Arrival::Uniform, 1, 0.0, 0);
    let (mut timed, intervals) = ledger(End::At(3_100 * MS));
    let mut handed_out = schedule();
    while handed_out.pop(1_099 * MS).is_some() {}
    assert!(timed.turn(1_099 * MS, false));
    timed.dropped("closed by the server");
    timed.lose_the_rest(&handed_out);
    let closed = timed.close_ahead(1_100 * MS);
    assert_eq!((closed.ended, closed.counts.messages.lost, closed.counts.connections.dropped), (3_100 * MS, 2_000, 1));
    let counts: Vec<_> = intervals.iter().map(|interval| (interval.index, interval.tally.errors.wrong)).collect();
    assert_eq!(counts, [(0, 2_000)], "the intervals of the dead time are not handed over one by one");

    let (mut warming_up, _intervals) = ledger(End::At(3_100 * MS));
    warming_up.lose_the_rest(&schedule());
    let closed = warming_up.close_ahead(50 * MS);
    assert_eq!((closed.ended, closed.counts.messages.lost), (3_100 * MS, 3_000), "none of the warm-up");

    let (mut counted, _intervals) = ledger(End::Messages(10));
    counted.lose_the_rest(&schedule());
    let closed = counted.close_ahead(50 * MS);
    assert_eq!((closed.ended, closed.counts.messages.lost), (109 * MS, 10), "it ends when the last one was due");

    let (mut closed_loop, _intervals) = ledger(End::Messages(10));
    assert!(closed_loop.enter(100 * MS));
    closed_loop.lose_quota();
    assert!(!closed_loop.sending());
    assert_eq!(closed_loop.close(150 * MS).counts.messages.lost, 9, "and the one that was sent, once that is told");
}

#[test]
fn each_interval_has_its_own_counts() {
    let (mut ledger, intervals) = ledger(End::At(3_100 * MS));
    assert!(ledger.turn(500 * MS, false));
    ledger.verified(pending(400 * MS, 400 * MS), 3);
    ledger.corrupted(pending(400 * MS, 400 * MS));
    ledger.received(100, Arrived::Unstamped, 600 * MS);
    assert!(ledger.turn(1_500 * MS, false));
    ledger.verified(pending(1_400 * MS, 1_400 * MS), 1);
    assert!(ledger.enter(1_400 * MS));
    ledger.refused(1_400 * MS);
    ledger.dropped("closed by the server");
    ledger.close(3_100 * MS);
    let tallies: Vec<_> = intervals.iter().map(|interval| interval.tally).collect();
    let first = Tally { verified: 3, errors: Errors { wrong: 1, ..Errors::default() }, bytes: 100, ..Tally::default() };
    let errors = Errors { over_backlog: 1, dropped: 1, ..Errors::default() };
    assert_eq!(tallies, [first, Tally { verified: 1, errors, ..Tally::default() }, Tally::default()]);
}
