use super::*;
use crate::plan::tests::plan;
use crate::plan::{Arrival, Load, Rate};

const ROOM: Room = Room { allowed: 2, usable: 2, kept: Some(1), server_here: true };

fn open(pacing: Pacing) -> Plan {
    let load = Load::Open { rate: Rate::try_from(1_000.0).unwrap(), arrival: Arrival::Uniform };
    Plan { load, pacing, ..plan() }
}

fn auto() -> Pacer {
    started(&open(Pacing::Auto), ROOM, true)
}

/// A pacer whose phase has begun, an `open` loop or a closed one.
fn started(plan: &Plan, room: Room, open: bool) -> Pacer {
    let mut pacer = Pacer::new(plan, room, true);
    pacer.start(0, open);
    pacer
}

/// Sleeps that end late by turns by so much, one each ms.
fn sleep(pacer: &mut Pacer, sleeps: usize, late_us: &[u64]) {
    for i in 0..sleeps {
        let until = pacer.learned_at + 1_000_000;
        pacer.woke(Wait::Sleep(until), until - 1, until + late_us[i % late_us.len()] * 1_000);
    }
}

#[test]
fn it_sleeps_until_the_margin_and_spins_from_there() {
    let mut pacer = auto();
    let due = 10_000_000;
    assert_eq!(pacer.decide(0, Some(due), u64::MAX), Wait::Sleep(due - FIRST_MARGIN_NS));
    assert_eq!(pacer.decide(0, Some(due), 5_000_000), Wait::Sleep(5_000_000), "no longer than that");
    for now in [due - FIRST_MARGIN_NS, due - 1, due, due + 1] {
        assert_eq!(pacer.decide(now, Some(due), u64::MAX), Wait::Spin, "at {now}");
    }
    assert_eq!(pacer.decide(0, None, 7), Wait::Sleep(7), "without a schedule there is nothing to be early for");
}

#[test]
fn the_margin_is_what_few_sleeps_exceed() {
    let mut idle = auto();
    sleep(&mut idle, ENOUGH as usize - 1, &[40]);
    assert_eq!(idle.margin, FIRST_MARGIN_NS, "too few to tell");
    sleep(&mut idle, 1_000, &[40]);
    assert_eq!(idle.margin, LEAST_MARGIN_NS);
    // One sleep in a hundred is far later than the others: more than half a percent.
    let mut busy = auto();
    let mut late = [60; 100];
    late[50] = 400;
    sleep(&mut busy, 1_000, &late);
    assert!((400_000..=500_000).contains(&busy.margin), "{}", busy.margin);
    // One in a thousand is let go.
    let mut rare = [60; 1_000];
    rare[500] = 400;
    let mut pacer = auto();
    sleep(&mut pacer, 1_000, &rare);
    assert!((60_000..=75_000).contains(&pacer.margin), "{}", pacer.margin);
}

#[test]
fn the_margin_grows_at_once_and_shrinks_when_it_is_quiet_again() {
    let mut pacer = auto();
    sleep(&mut pacer, 2_000, &[60]);
    sleep(&mut pacer, 20, &[500]);
    assert!(pacer.margin >= 500_000, "{}", pacer.margin);
    sleep(&mut pacer, 20_000, &[60]);
    assert!(pacer.margin <= 75_000, "{}", pacer.margin);
    sleep(&mut pacer, 2_000, &[900_000]);
    assert_eq!(pacer.margin, MOST_MARGIN_NS);
    assert!(pacer.overslept.total <= MEMORY);
}

#[test]
fn gaps_shorter_than_the_margin_are_spun_through_but_for_a_sleep_now_and_then() {
    let mut pacer = auto();
    let (mut now, mut slept) = (0, 0);
    // A message each 100 us, for a second.
    for due in (1..=10_000).map(|n| n * 100_000) {
        while now < due {
            let before = now;
            let wait = pacer.decide(now, Some(due), u64::MAX);
            now = match wait {
                Wait::Sleep(until) => until + 10_000,
                Wait::Spin => now + 1_000,
            };
            slept += u64::from(wait != Wait::Spin);
            pacer.woke(wait, before, now);
        }
    }
    assert!((8..=10).contains(&slept), "{slept} sleeps");
    assert!(pacer.paced(now).spun > 0.99, "{:?}", pacer.paced(now));
    // Gaps of the least margin leave nothing to learn.
    assert_eq!(pacer.decide(9 * now, Some(9 * now + LEAST_MARGIN_NS), u64::MAX), Wait::Spin);
}

#[test]
fn where_a_core_must_be_shared_it_sleeps() {
    let of = |room: Room, threads: usize| {
        let plan =
            Plan { threads: threads.try_into().unwrap(), connections: 9.try_into().unwrap(), ..open(Pacing::Auto) };
        let mut pacer = started(&plan, room, true);
        let waits = pacer.decide(0, Some(1_000), u64::MAX);
        assert_eq!(waits == Wait::Sleep(1_000), pacer.paced(1).core_shared);
        waits
    };
    assert_eq!(of(ROOM, 1), Wait::Spin);
    assert_eq!(of(ROOM, 2), Wait::Sleep(1_000), "two workers and a server on two cores");
    let one = Room { allowed: 1, usable: 1, kept: None, server_here: true };
    assert_eq!(of(one, 1), Wait::Sleep(1_000));
    assert_eq!(of(Room { server_here: false, ..one }, 1), Wait::Spin, "the server is on another machine");
    assert_eq!(of(Room { allowed: 8, usable: 4, kept: None, server_here: true }, 1), Wait::Sleep(1_000), "a quota");
    assert_eq!(of(Room { allowed: 8, usable: 8, kept: Some(1), server_here: true }, 2), Wait::Sleep(1_000));
}

#[test]
fn the_other_ways_and_a_closed_loop_learn_nothing() {
    let mut sleeping = started(&open(Pacing::Sleep), ROOM, true);
    assert_eq!(sleeping.decide(0, Some(10), 20), Wait::Sleep(10));
    let mut spinning = started(&open(Pacing::Spin), ROOM, true);
    assert_eq!(spinning.decide(0, Some(1_000_000_000), u64::MAX), Wait::Spin);
    let mut closed = started(&open(Pacing::Auto), Room { allowed: 1, usable: 1, ..ROOM }, false);
    assert_eq!(closed.decide(0, None, 20), Wait::Sleep(20));
    assert_eq!(closed.decide(0, Some(10), 20), Wait::Sleep(10), "a Ping");
    for pacer in [&mut sleeping, &mut spinning, &mut closed] {
        sleep(pacer, 1, &[1]);
        assert_eq!((pacer.paced(1).margin_ns, pacer.overslept.total, pacer.paced(1).core_shared), (None, 0, false));
    }
    assert!(closed.paced(1).timer_slack_refused);
}

#[test]
fn only_what_is_spun_in_the_measured_phase_counts_and_only_while_it_has_the_core() {
    let mut pacer = auto();
    pacer.start(1_000_000, true);
    pacer.woke(Wait::Spin, 0, 10_000);
    pacer.woke(Wait::Spin, 1_000_000, 1_010_000);
    assert!((pacer.paced(100_000).spun - 0.1).abs() < 1e-9);
    pacer.woke(Wait::Spin, 2_000_000, 9_000_000);
    assert!((pacer.paced(100_000).spun - 0.3).abs() < 1e-9);
    pacer.start(0, true);
    assert_eq!(pacer.paced(100_000).spun, 0.0);
    assert_eq!(pacer.paced(0).spun, 0.0);
}

#[test]
fn a_phase_is_paced_by_its_own_loop_and_not_by_that_of_the_plan() {
    let mut pacer = started(&Plan { pacing: Pacing::Auto, ..plan() }, ROOM, false);
    assert_eq!(pacer.decide(0, Some(1_000), u64::MAX), Wait::Sleep(1_000), "a closed loop");
    pacer.start(0, true);
    assert_eq!(pacer.decide(0, Some(1_000), u64::MAX), Wait::Spin, "an open loop after it, as a search has it");
    pacer.start(0, false);
    assert_eq!(pacer.decide(0, Some(1_000), u64::MAX), Wait::Sleep(1_000));
}
