//! Connections opened in steps: at the end of each all workers wait until the server's memory was looked at, so that it is
//! known at several numbers of connections. A connection is open once the server has answered its handshake.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::load::live::SHOW_EVERY;
use crate::measure::growth::Growth;

/// A worker's part in it.
#[derive(Debug)]
pub struct Steps {
    said: mpsc::Sender<Said>,
    go: mpsc::Receiver<()>,
    reached: u32,
}

/// What a worker says.
#[derive(Debug)]
enum Said {
    /// It has opened this many connections and has none under way.
    Reached(u32),
    /// It will make no further step.
    GaveUp,
}

/// The end that looks at the memory.
#[derive(Debug)]
pub struct Watcher {
    said: mpsc::Receiver<Said>,
    go: Vec<mpsc::Sender<()>>,
}

/// As many workers' parts, and the end that they wait for.
pub fn among(workers: usize) -> (Vec<Steps>, Watcher) {
    let (said, hears) = mpsc::channel();
    let (go, steps) = (0..workers)
        .map(|_| {
            let (go, goes) = mpsc::channel();
            (go, Steps { said: said.clone(), go: goes, reached: 0 })
        })
        .unzip();
    (steps, Watcher { said: hears, go })
}

impl Steps {
    /// How many of its `connections` a worker may begin before it has [reached](Steps::reached) the next step; `None`
    /// after the last.
    pub fn until(&self, connections: u32) -> Option<u32> {
        let part = u64::from(connections) * u64::from(self.reached + 1) / u64::from(STEPS);
        (self.reached < STEPS).then_some(part as u32)
    }

    /// Says that all connections until here are `established`, and waits until the memory was looked at.
    pub fn reached(&mut self, established: u32) {
        // Nobody listens where another worker gave up, or the run does.
        let waits = self.said.send(Said::Reached(established)).is_ok() && self.go.recv().is_ok();
        self.reached = if waits { self.reached + 1 } else { STEPS };
    }

    /// Makes no further step.
    pub fn give_up(&mut self) {
        if self.reached < STEPS {
            self.reached = STEPS;
            // Nobody listens where another worker gave up before.
            let _ = self.said.send(Said::GaveUp);
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl Watcher {
    /// Asks for the memory in `resident` at each step. Calls `waiting` every [`SHOW_EVERY`] or so.
    pub fn watch(self, resident: &dyn Fn() -> Option<u64>, waiting: &mut dyn FnMut()) -> Growth {
        let mut seen = Vec::new();
        for _ in 0..STEPS {
            let mut established = 0;
            for _ in &self.go {
                match self.hear(waiting) {
                    Some(more) => established += more,
                    None => return Growth::NotAllOpened,
                }
            }
            thread::sleep(REST);
            let Some(bytes) = resident() else { return Growth::Unseen };
            seen.push((established, bytes));
            // A worker that is gone has said so.
            for go in &self.go {
                let _ = go.send(());
            }
        }
        Growth::Seen(seen)
    }

    /// The connections of the worker that has reached the step next; `None` where one gave up.
    fn hear(&self, waiting: &mut dyn FnMut()) -> Option<u32> {
        loop {
            match self.said.recv_timeout(SHOW_EVERY) {
                Ok(Said::Reached(established)) => return Some(established),
                Ok(Said::GaveUp) | Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => waiting(),
            }
        }
    }
}

/// Numbers of connections at which the memory is looked at. A slope's 95% interval needs 5, and is half as wide with 8.
const STEPS: u32 = 8;

/// How long a server has, at each step, to give back what only the handshakes needed.
const REST: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn memory_is_looked_at_while_all_workers_wait() {
        let (steps, watcher) = among(3);
        let asked = Cell::new(0);
        let growth = thread::scope(|scope| {
            for (mut steps, connections) in steps.into_iter().zip([80, 40, 3]) {
                scope.spawn(move || {
                    while let Some(until) = steps.until(connections) {
                        steps.reached(until);
                    }
                });
            }
            watcher.watch(&|| Some(asked.replace(asked.get() + 1)), &mut || ())
        });
        let counts = [15, 30, 46, 61, 76, 92, 107, 123];
        assert_eq!(growth, Growth::Seen(counts.into_iter().zip(0..).collect()));
    }

    #[test]
    fn one_that_gives_up_lets_the_others_go() {
        let (steps, watcher) = among(2);
        let growth = thread::scope(|scope| {
            for (worker, mut steps) in steps.into_iter().enumerate() {
                scope.spawn(move || {
                    steps.reached(1);
                    if worker == 0 {
                        steps.give_up();
                    }
                    while let Some(until) = steps.until(10) {
                        steps.reached(until);
                    }
                });
            }
            watcher.watch(&|| Some(1), &mut || ())
        });
        assert_eq!(growth, Growth::NotAllOpened);
        let (steps, watcher) = among(1);
        let unseen = thread::scope(|scope| {
            for mut steps in steps {
                scope.spawn(move || steps.reached(1));
            }
            watcher.watch(&|| None, &mut || ())
        });
        assert_eq!(unseen, Growth::Unseen);
    }
}
