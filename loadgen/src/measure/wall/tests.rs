//! Made-up clocks: slewed, stepped, and read by a thread that is preempted.

use std::cell::{Cell, RefCell};

use super::*;

/// The wall clock's lead at 0: some time in 2026.
const LEAD: i64 = 1_790_000_000_000_000_000;

/// Nanoseconds that each reading of a clock takes.
const READING: u64 = 20;

/// Clocks that advance when they are read, and when they are told to.
struct Made {
    time: Cell<u64>,
    /// What the wall clock gains, in millionths of the time.
    ppm: i64,
    /// Steps of the wall clock: when, and by how much.
    steps: RefCell<Vec<(u64, i64)>>,
    /// How long the thread is kept waiting after each of the next readings of the wall clock.
    preempted: RefCell<Vec<u64>>,
    /// Whether the coarse clocks tell anything.
    coarse: bool,
}

impl Made {
    fn new(ppm: i64) -> Self {
        let (steps, preempted) = (RefCell::default(), RefCell::default());
        Self { time: Cell::new(0), ppm, steps, preempted, coarse: true }
    }

    fn step(&self, by: i64) {
        self.steps.borrow_mut().push((self.time.get(), by));
    }

    fn lead(&self, at: u64) -> i64 {
        let stepped: i64 = self.steps.borrow().iter().filter(|(when, _)| *when <= at).map(|(_, by)| by).sum();
        LEAD + stepped + at as i64 * self.ppm / 1_000_000
    }

    /// What the kernel stamps what arrives at `at` with.
    fn stamp(&self, at: u64) -> Option<i64> {
        Some(at as i64 + self.lead(at))
    }

    fn pass(&self, ns: u64) {
        self.time.set(self.time.get() + ns);
    }

    /// A reply arrives now and is read `wait` later; returns when, and when it arrived by `wall`.
    fn reply(&self, wall: &mut Wall, wait: u64) -> (u64, Arrived) {
        let at = self.time.get();
        let stamp = self.stamp(at);
        self.pass(wait);
        (at, wall.arrived(self, stamp, self.run()))
    }
}

impl Clocks for Made {
    fn run(&self) -> u64 {
        self.pass(READING);
        self.time.get()
    }

    fn wall(&self) -> i64 {
        self.pass(READING);
        let now = self.time.get();
        let wall = now as i64 + self.lead(now);
        self.pass(self.preempted.borrow_mut().pop().unwrap_or(0));
        wall
    }

    fn coarse_lead(&self) -> i64 {
        self.pass(READING);
        if self.coarse { self.lead(self.time.get()) } else { 0 }
    }
}

/// By how many ns `arrived` differs from `at`.
fn error(at: u64, arrived: Arrived) -> u64 {
    let Arrived::Stamped(arrived) = arrived else { panic!("{arrived:?} instead of {at}") };
    arrived.abs_diff(at)
}

#[test]
fn clocks_slewed_apart_err_by_less_than_a_microsecond() {
    for (ppm, coarse) in [(0, true), (500, true), (-500, true), (500, false), (-500, false)] {
        let clocks = Made { coarse, ..Made::new(ppm) };
        let mut wall = Wall::new(&clocks);
        let mut worst = 0;
        // Ten minutes, in which 500 ppm make 300 ms; gaps of 10 us to 0.4 s.
        for i in 0_u64.. {
            clocks.pass(if i % 100 == 0 { 400_000_000 } else { 10_000 * (1 + i % 150) });
            let (at, arrived) = clocks.reply(&mut wall, 30_000 + i % 7 * 100_000);
            worst = worst.max(error(at, arrived));
            if at > 600_000_000_000 {
                break;
            }
        }
        assert!(worst < 1_000, "{worst} ns at {ppm} ppm");
        // One that waits for long errs by as much as the clocks came apart meanwhile.
        let (at, arrived) = clocks.reply(&mut wall, 300_000_000);
        assert!(error(at, arrived) < 151_000, "{arrived:?} instead of {at} at {ppm} ppm");
    }
}

#[test]
fn a_step_is_found_before_a_stamp_is_believed_across_it() {
    for by in [3_600_000_000_000, 10_000_000, 20_000, -20_000, -10_000_000, -3_600_000_000_000] {
        let clocks = Made::new(0);
        let mut wall = Wall::new(&clocks);
        clocks.pass(5_000_000);
        let (at, arrived) = clocks.reply(&mut wall, 50_000);
        assert!(error(at, arrived) < 100);
        // The reply was stamped before the step and is read after it, in the midst of the time between two looks.
        let stamp = clocks.stamp(clocks.time.get());
        clocks.pass(10_000);
        clocks.step(by);
        clocks.pass(10_000);
        assert_eq!(wall.arrived(&clocks, stamp, clocks.run()), Arrived::Dropped, "{by}");
        // So is everything in the second after it: it might have been stamped before.
        let stepped = clocks.time.get();
        while clocks.time.get() < stepped + DISTRUST_NS - 1_000_000 {
            assert_eq!(clocks.reply(&mut wall, 500_000).1, Arrived::Dropped, "{by}");
        }
        clocks.pass(2_000_000);
        let (at, arrived) = clocks.reply(&mut wall, 50_000);
        assert!(error(at, arrived) < 100, "{by}");
    }
}

#[test]
fn without_coarse_clocks_a_step_is_found_at_the_next_look() {
    for by in [10_000_000, -10_000_000] {
        let clocks = Made { coarse: false, ..Made::new(0) };
        let mut wall = Wall::new(&clocks);
        clocks.step(by);
        clocks.pass(LOOK_EVERY_NS);
        assert_eq!(clocks.reply(&mut wall, 100).1, Arrived::Dropped, "{by}");
    }
}

#[test]
fn looks_that_are_preempted_do_no_harm() {
    for (ppm, preempted) in [0, 500].into_iter().flat_map(|ppm| (0..=LOOKS).map(move |preempted| (ppm, preempted))) {
        let clocks = Made::new(ppm);
        let mut wall = Wall::new(&clocks);
        clocks.pass(2_000_000);
        // So many of the looks are preempted for 3 ms each; all the while the clocks come apart.
        *clocks.preempted.borrow_mut() = vec![3_000_000; preempted];
        let (at, arrived) = clocks.reply(&mut wall, 1_000);
        if ppm == 0 || preempted < LOOKS {
            let drift = preempted as u64 * 3_001_000 / SLEW_PART;
            assert!(error(at, arrived) < 1_000 + drift, "{preempted}: {arrived:?} instead of {at}");
        } else {
            // No look was any good, and the coarse clocks came apart: it may have been a step.
            assert_eq!(arrived, Arrived::Dropped);
        }
    }
}

#[test]
fn a_step_during_looks_of_which_none_is_good_is_found_afterwards() {
    let clocks = Made::new(0);
    let mut wall = Wall::new(&clocks);
    clocks.pass(2_000_000);
    clocks.step(1_000_000);
    *clocks.preempted.borrow_mut() = vec![3_000_000; LOOKS];
    assert_eq!(clocks.reply(&mut wall, 1_000).1, Arrived::Dropped, "the looks err by more than the step");
    assert_eq!(clocks.reply(&mut wall, 1_000).1, Arrived::Dropped);
    clocks.pass(DISTRUST_NS);
    let (at, arrived) = clocks.reply(&mut wall, 1_000);
    assert!(error(at, arrived) < 100);
}

#[test]
fn a_stamp_after_the_reading_is_moved_to_it_or_dropped() {
    let clocks = Made::new(0);
    let mut wall = Wall::new(&clocks);
    clocks.pass(500_000);
    let read = clocks.run();
    let stamp = |late: u64| clocks.stamp(read + late);
    assert_eq!(wall.arrived(&clocks, stamp(TOLERANCE_NS - 100), read), Arrived::Stamped(read));
    assert_eq!(wall.arrived(&clocks, stamp(TOLERANCE_NS + 100), read), Arrived::Dropped);
    assert_eq!(wall.arrived(&clocks, None, read), Arrived::Unstamped);
}

#[test]
fn the_clocks_of_this_machine_agree() {
    let clock = Clock::starting_at(std::time::Instant::now());
    let mut wall = Wall::new(&clock);
    // As the kernel would stamp it: between two readings of the run's clock.
    let before = clock.now();
    let stamp = clock.wall();
    let after = clock.now();
    let Arrived::Stamped(at) = wall.arrived(&clock, Some(stamp), clock.now()) else {
        panic!("the wall clock was stepped just now")
    };
    let error = wall.look.error as u64 + TOLERANCE_NS;
    assert!(at + error >= before && at <= after + error, "{before} {at} {after}");
}
