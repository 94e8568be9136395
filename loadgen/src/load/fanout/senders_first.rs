//! Receivers are opened once all threads have tried their senders, and only if there is a sender in any of them: a server that
//! answers none is waited for once. A server that does not take all has taken the senders so.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What the threads wait for between the two.
#[derive(Debug)]
pub struct SendersFirst {
    so_far: Mutex<SoFar>,
    changed: Condvar,
}

#[derive(Debug)]
struct SoFar {
    /// Threads that have not tried their senders.
    left: usize,
    /// Whether a sender is there.
    any: bool,
}

impl SendersFirst {
    /// So many threads are going to try theirs.
    pub fn of(threads: usize) -> Self {
        Self { so_far: Mutex::new(SoFar { left: threads, any: false }), changed: Condvar::new() }
    }

    /// One has, and has senders or not. Waits for the others; whether any has.
    pub fn tried(&self, any: bool) -> bool {
        let mut so_far = self.lock();
        so_far.left = so_far.left.saturating_sub(1);
        so_far.any |= any;
        self.changed.notify_all();
        let waited = self.changed.wait_while(so_far, |so_far| so_far.left > 0);
        waited.unwrap_or_else(PoisonError::into_inner).any
    }

    /// Not all threads are there: nobody waits for them, and there is nothing to open.
    pub fn give_up(&self) {
        *self.lock() = SoFar { left: 0, any: false };
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn all_are_told_whether_any_has_a_sender() {
        for has in [[false, false, true], [false; 3]] {
            let senders = &SendersFirst::of(has.len());
            let told = thread::scope(|scope| {
                let threads = has.map(|has| scope.spawn(move || senders.tried(has)));
                threads.map(|thread| thread.join().unwrap())
            });
            assert_eq!(told, [has.contains(&true); 3]);
        }
    }

    #[test]
    fn nobody_waits_for_threads_that_are_not_there() {
        let senders = SendersFirst::of(2);
        thread::scope(|scope| {
            let waits = scope.spawn(|| senders.tried(false));
            senders.give_up();
            assert!(!waits.join().unwrap());
            assert!(!senders.tried(false), "whoever comes later does not wait either");
        });
    }
}
