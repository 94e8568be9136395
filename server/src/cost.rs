//! `--inject-cost`: CPU time burnt for every message, so that a comparison can be tried on a slow-down of known size.
//!
//! A thread notes what it owes and burns it in portions that are long against a reading of the clock, so that what is
//! burnt per message is right on average even where it is a fraction of such a reading.

use std::cell::Cell;
use std::hint;
use std::time::Instant;

/// Owes `per_message` nanoseconds for each of so many messages.
#[inline]
pub(crate) fn burn(per_message: u32, messages: usize) {
    if per_message > 0 && messages > 0 {
        owe(i64::from(per_message).saturating_mul(i64::try_from(messages).unwrap_or(i64::MAX)));
    }
}

#[cold]
fn owe(ns: i64) {
    OWED.with(|owed| {
        let mut sum = owed.get().saturating_add(ns);
        if sum >= PORTION_NS {
            let start = Instant::now();
            let mut burnt = 0;
            while burnt < sum {
                hint::spin_loop();
                burnt = i64::try_from(start.elapsed().as_nanos()).unwrap_or(i64::MAX);
            }
            // What was burnt too much is credited, but not the time in which the thread was kept from running.
            sum = (sum - burnt).max(-PORTION_NS);
        }
        owed.set(sum);
    });
}

thread_local! {
    /// What this thread owes, ns.
    static OWED: Cell<i64> = const { Cell::new(0) };
}

/// Nanoseconds burnt at once: some 50 readings of the clock, of which the two that it takes are not counted.
const PORTION_NS: i64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_burnt_adds_up_to_what_is_owed() {
        let start = Instant::now();
        for _ in 0..10_000 {
            burn(100, 10);
        }
        // Never less; how much more depends on who else runs.
        assert!(start.elapsed().as_nanos() >= 10_000_000 - 2 * PORTION_NS as u128);
        assert!(OWED.get().abs() <= PORTION_NS);
        let owed = OWED.get();
        burn(0, 1_000_000);
        burn(1_000_000, 0);
        assert_eq!(OWED.get(), owed);
    }
}
