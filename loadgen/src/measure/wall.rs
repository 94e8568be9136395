//! Where the wall clock stands in relation to the run's clock: the kernel stamps what arrives by the wall clock
//! (CLOCK_REALTIME), and everything else is measured by the run's (CLOCK_MONOTONIC).
//!
//! A *look* at both clocks reads the wall clock between two readings of the run's clock, and takes their middle: it errs by
//! half of what lies between the two at the most. Of several looks the best one counts, so that one that was preempted does
//! no harm. On Linux the offset changes only where the wall clock is set, since both clocks are slewed alike
//! (clock_gettime(2): adjtime(3) and NTP affect CLOCK_MONOTONIC too). A sandbox with clocks of its own may slew them apart,
//! by 500 ppm as adjtime does at the most; a look is therefore renewed after [`LOOK_EVERY_NS`], in which that makes 500 ns.
//! With the error of the look itself ([`GOOD_NS`]) a stamp errs by less than 1 us there. One that waited longer than that to
//! be read errs by 1/2000 of its wait in addition.
//!
//! A *step* is an offset that moved by more than that. So that no stamp is believed across a step, every stamp is preceded by
//! a reading of the difference between the coarse versions of the two clocks, which the kernel derives from one and the
//! same tick: it is exact, it takes a few ns, and it changes with a step at once. Only where it has changed are the clocks
//! looked at again. A sandbox without such clocks finds a step at the next look.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::measure::arrivals::{Arrived, TOLERANCE_NS};
use crate::measure::clock::{Clock, nanoseconds};

/// The two clocks.
pub trait Clocks {
    /// The run's clock, ns.
    fn run(&self) -> u64;
    /// The wall clock, ns since 1970.
    fn wall(&self) -> i64;
    /// The wall clock's lead over the run's, ns, by their coarse versions; from any origin, as long as it stays the same.
    fn coarse_lead(&self) -> i64;
}

impl Clocks for Clock {
    #[inline]
    fn run(&self) -> u64 {
        self.now()
    }

    #[inline]
    fn wall(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| nanoseconds(since) as i64)
    }

    #[inline]
    fn coarse_lead(&self) -> i64 {
        let run = clock_gettime(ClockId::MonotonicCoarse);
        ns(clock_gettime(ClockId::RealtimeCoarse)) - ns(run)
    }
}

#[inline]
fn ns(time: Timespec) -> i64 {
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// What one worker knows of the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Wall {
    look: Look,
    coarse_lead: i64,
    /// The time from which on stamps are believed, ns of the run's clock.
    good_from: i64,
}

/// One look at both clocks, ns.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// The wall clock's lead over the run's.
    lead: i64,
    /// What it errs by at the most.
    error: i64,
    /// When it was taken, by the run's clock.
    at: u64,
}

impl Wall {
    /// Takes a first look. Both clocks must run: the run's clock stands at 0 before its start.
    pub fn new(clocks: &impl Clocks) -> Self {
        let coarse_lead = clocks.coarse_lead();
        Self { look: Look::best(clocks), coarse_lead, good_from: 0 }
    }

    /// When what was stamped with `stamp`, in ns since 1970, and read at `read` of the run's clock, reached the socket.
    #[inline]
    pub fn arrived(&mut self, clocks: &impl Clocks, stamp: Option<i64>, read: u64) -> Arrived {
        let Some(stamp) = stamp else { return Arrived::Unstamped };
        let unchanged = clocks.coarse_lead() == self.coarse_lead;
        let recent = read.saturating_sub(self.look.at) < LOOK_EVERY_NS;
        let known = unchanged && recent;
        if !known && !self.look_again(clocks) {
            return Arrived::Dropped;
        }
        let at = stamp - self.look.lead;
        if at < self.good_from || at - read as i64 > TOLERANCE_NS as i64 {
            return Arrived::Dropped;
        }
        Arrived::Stamped((at as u64).min(read))
    }

    /// Takes another look, and finds out whether the wall clock was stepped since the last one. Returns whether the offset
    /// is known now.
    #[cold]
    fn look_again(&mut self, clocks: &impl Clocks) -> bool {
        // Before the look: a step in between shows the next time.
        let coarse_lead = clocks.coarse_lead();
        let look = Look::best(clocks);
        let last = self.look;
        let drift = (look.at.saturating_sub(last.at) / SLEW_PART) as i64 + 1;
        if (look.lead - last.lead).abs() > drift + look.error + last.error {
            // What was stamped before the step and is read after it would be converted wrongly.
            self.good_from = look.at.saturating_add(DISTRUST_NS) as i64;
            (self.look, self.coarse_lead) = (look, coarse_lead);
            return true;
        }
        if look.error <= last.error + drift {
            (self.look, self.coarse_lead) = (look, coarse_lead);
            return true;
        }
        // Every attempt was preempted: the last look is still the better one, unless there was a step too small for this
        // one to tell.
        self.look = Look { error: last.error + drift, at: look.at, ..last };
        coarse_lead == self.coarse_lead
    }
}

impl Look {
    /// The best of several looks, or the first good one.
    fn best(clocks: &impl Clocks) -> Self {
        let mut best = Self::once(clocks);
        for _ in 1..LOOKS {
            if best.error <= GOOD_NS {
                break;
            }
            let next = Self::once(clocks);
            if next.error < best.error {
                best = next;
            }
        }
        best
    }

    fn once(clocks: &impl Clocks) -> Self {
        let before = clocks.run();
        let wall = clocks.wall();
        let after = clocks.run();
        let half = after.saturating_sub(before) / 2;
        Self { lead: wall - (before + half) as i64, error: half as i64 + 1, at: after }
    }
}

/// The age in ns at which a look is renewed: 500 ppm of it are 500 ns.
const LOOK_EVERY_NS: u64 = 1_000_000;

/// Clocks are slewed by one part in so many at the most: 500 ppm, the limit of adjtimex(2).
const SLEW_PART: u64 = 2_000;

/// The error of a look in ns that needs no second one: three readings of a clock take 100 ns where they are cheap.
const GOOD_NS: i64 = 250;

/// Looks of which the best one counts: where none is good, a reading takes long, and a preemption in all of them is rare.
const LOOKS: usize = 8;

/// How long stamps are dropped after a step was found, in ns: no reply that was stamped before the step waits longer to be
/// read, unless the generator stood still.
const DISTRUST_NS: u64 = 1_000_000_000;

#[cfg(test)]
#[path = "wall/tests.rs"]
mod tests;
