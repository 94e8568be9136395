//! CPU time burnt for messages: `--inject-cost` and `--inject-jitter`.
//!
//! A thread notes what it owes and burns it in portions that are long against a reading of its CPU time, so that what
//! is burnt per message is right on average even where it is a fraction of such a reading. The clock is the one by
//! which CPU time is charged: pauses of a virtual machine are on it, other processes' turns are not.

use std::cell::Cell;
use std::hint;
use std::sync::OnceLock;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Owes `ns` nanoseconds more, and burns what is owed if that is enough for a portion.
pub(super) fn owe(ns: i64) {
    OWED.with(|owed| {
        let mut sum = owed.get().saturating_add(ns);
        if sum >= PORTION_NS {
            let (before, start) = (cpu_time(), Instant::now());
            while start.elapsed().as_nanos() < sum as u128 {
                hint::spin_loop();
            }
            // What was burnt too much is credited, what another process took is still owed.
            sum -= cpu_time() - before + uncounted();
        }
        owed.set(sum);
    });
}

/// CPU time of this thread, ns.
fn cpu_time() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// What two readings of the CPU time cost beyond what lies between them, ns.
fn uncounted() -> i64 {
    static UNCOUNTED: OnceLock<i64> = OnceLock::new();
    *UNCOUNTED.get_or_init(|| {
        let before = cpu_time();
        let counted: i64 = (0..READINGS).map(|_| -cpu_time() + cpu_time()).sum();
        (cpu_time() - before - counted) / READINGS
    })
}

thread_local! {
    /// What this thread owes, ns.
    static OWED: Cell<i64> = const { Cell::new(0) };
}

/// Nanoseconds burnt at once: some ten readings of the CPU time.
const PORTION_NS: i64 = 3_000;

/// Readings that tell what one costs.
const READINGS: i64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_burnt_adds_up_to_what_is_owed() {
        let before = cpu_time();
        for _ in 0..10_000 {
            owe(1_000);
        }
        // Never less than was owed and is no longer; how much more depends on this test's own cost.
        assert!(cpu_time() - before >= 10_000_000 * 9 / 10 - OWED.get());
        assert!(OWED.get() < 2 * PORTION_NS);
        // A large portion is burnt at once.
        let before = cpu_time();
        owe(5_000_000);
        assert!(cpu_time() - before >= 5_000_000 * 9 / 10 - OWED.get());
    }
}
