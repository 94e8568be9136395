//! Which cores a thread may run on: the server and the workers are kept apart where there are enough.

use std::{io, thread};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A set of cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// The cores that this thread may run on.
    pub fn allowed() -> Self {
        let cores = sched_getaffinity(None).map(|set| (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect());
        Self(cores.unwrap_or_default())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many of them threads can keep busy: fewer where a control group has a CPU quota. One at least.
    pub fn usable(&self) -> usize {
        let by_quota = thread::available_parallelism().map_or(1, usize::from);
        if self.0.is_empty() { by_quota } else { self.count().min(by_quota) }
    }

    /// Why the scheduler does not let this process choose its cores; `None` where it does.
    pub fn refusal() -> Option<io::Error> {
        // To the same cores as before, which changes nothing.
        sched_getaffinity(None).and_then(|set| sched_setaffinity(None, &set)).err().map(io::Error::from)
    }

    /// Two halves, for a server and for the workers; the server's is the larger one. With a single core, both get it.
    pub fn split(&self) -> (Self, Self) {
        if self.count() < 2 {
            return (self.clone(), self.clone());
        }
        let (server, workers) = self.0.split_at(self.count().div_ceil(2));
        (Self(server.to_vec()), Self(workers.to_vec()))
    }

    /// The core for worker number `index`, in turn.
    pub fn for_worker(&self, index: usize) -> Self {
        Self(self.0.get(index % self.count().max(1)).copied().into_iter().collect())
    }

    /// Keeps this thread, and what it starts from now on, to these cores. Where the kernel refuses, or there are none,
    /// nothing changes: placement helps a measurement, it is no condition for one.
    pub fn pin(&self) {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|&core| set.set(core));
        if self.count() > 0 {
            let _ = sched_setaffinity(None, &set);
        }
    }

    /// Runs `action` on these cores; a process that it starts stays on them.
    pub fn during<T>(&self, action: impl FnOnce() -> T) -> T {
        let before = Self::allowed();
        self.pin();
        let result = action();
        before.pin();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_disjoint_and_complete() {
        let cores = |list: &[usize]| Cores(list.to_vec());
        assert_eq!(cores(&[0, 2, 5]).split(), (cores(&[0, 2]), cores(&[5])));
        assert_eq!(cores(&[3]).split(), (cores(&[3]), cores(&[3])));
        assert_eq!(cores(&[4, 6]).for_worker(3), cores(&[6]));
    }

    #[test]
    fn a_core_that_there_is_not_leaves_a_thread_where_it_was() {
        let before = Cores::allowed();
        let none = Cores(vec![CpuSet::MAX_CPU - 1]);
        assert_eq!(none.during(Cores::allowed), before);
        assert!(Cores::refusal().is_none() && Cores::allowed() == before);
        assert!((1..=before.count()).contains(&before.usable()));
        assert!(Cores(Vec::new()).usable() >= 1, "where the scheduler does not tell");
    }

    #[test]
    fn a_thread_is_pinned_for_a_while() {
        let before = Cores::allowed();
        let one = before.for_worker(0);
        assert_eq!(one.during(Cores::allowed), one);
        assert_eq!(Cores::allowed(), before);
    }
}
