//! How a worker waits: it sleeps in the kernel, or spins, which is to ask again and again without sleeping. `--pacing auto`
//! sleeps until shortly before a message is due and spins the rest; how long before, its margin, it learns from its own
//! wake-ups. Pure: times come in as parameters, and nothing is allocated.

use rustix::event::Timespec;

use crate::measure::paced::Paced;
use crate::plan::{Pacing, Plan};

/// What to do until something is due or comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Sleep until then, ns of the run's clock.
    Sleep(u64),
    /// Look at once whether something has come.
    Spin,
}

/// The cores that the workers of a run have, and what else is on them.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Cores that this process may run on.
    pub allowed: usize,
    /// How many of them a CPU quota lets it keep busy.
    pub usable: usize,
    /// Cores kept for the workers, if they are kept apart from the servers.
    pub kept: Option<usize>,
    /// Whether a server may run on this machine.
    pub server_here: bool,
}

/// How one worker waits, and what it has learned of its wake-ups.
#[derive(Debug)]
pub struct Pacer {
    way: Way,
    /// Whether `--pacing auto` sleeps since a worker may have to share its core.
    core_shared: bool,
    /// Whether messages are due by a schedule in this phase.
    open: bool,
    timer_slack_refused: bool,
    overslept: Overslept,
    margin: u64,
    /// When a wake-up was last learned from.
    learned_at: u64,
    /// The beginning of the measured phase, ns.
    begin: u64,
    /// How long it spun within it, ns.
    spun: u64,
    /// Whether it has slept in it for as long as its margin allowed.
    slept: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Sleep,
    Spin,
    Auto,
}

/// How late sleeps ended: a histogram of four buckets to each doubling, in us, in which newer sleeps count more.
#[derive(Debug)]
struct Overslept {
    counts: [u32; BUCKETS],
    total: u32,
}

impl Wait {
    /// How long the kernel may let a worker sleep at `now`.
    #[inline]
    pub fn timeout(self, now: u64) -> Timespec {
        let ns = match self {
            Self::Sleep(until) => until.saturating_sub(now),
            Self::Spin => 0,
        };
        Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
    }
}

impl Room {
    /// Whether each of so many workers may have a core for itself alone. A quota says no, since spinning uses it up.
    pub fn has_a_core_for_each_of(self, workers: usize) -> bool {
        let enough = workers + usize::from(self.server_here) <= self.usable;
        enough && self.usable >= self.allowed && self.kept.is_none_or(|kept| workers <= kept)
    }
}

impl Pacer {
    /// The pacer of one of the plan's workers.
    pub fn new(plan: &Plan, room: Room, timer_slack_refused: bool) -> Self {
        let room = room.has_a_core_for_each_of(plan.workers());
        let way = match plan.pacing {
            Pacing::Spin => Way::Spin,
            Pacing::Auto if room => Way::Auto,
            Pacing::Auto | Pacing::Sleep => Way::Sleep,
        };
        Self {
            way,
            core_shared: plan.pacing == Pacing::Auto && !room,
            open: false,
            timer_slack_refused,
            overslept: Overslept { counts: [0; BUCKETS], total: 0 },
            margin: FIRST_MARGIN_NS,
            learned_at: 0,
            begin: 0,
            spun: 0,
            slept: false,
        }
    }

    /// A phase of load begins, whose measured part begins at `begin` of its clock; where it is `open`, messages are due by a
    /// schedule, else nothing is worth spinning for. What was learned stays.
    pub fn start(&mut self, begin: u64, open: bool) {
        (self.begin, self.open, self.spun, self.learned_at, self.slept) = (begin, open, 0, 0, false);
    }

    /// What to do at `now` until `due`, when the next message is, if a schedule says; not for longer than until `longest`.
    #[inline]
    pub fn decide(&mut self, now: u64, due: Option<u64>, longest: u64) -> Wait {
        match (self.way, due) {
            (Way::Spin, _) => Wait::Spin,
            (Way::Auto, Some(due)) if self.open => self.decide_by_margin(now, due, longest),
            (Way::Sleep | Way::Auto, _) => Wait::Sleep(due.map_or(longest, |due| due.min(longest))),
        }
    }

    /// It has waited from `before` to `now`, and nothing came.
    #[inline]
    pub fn woke(&mut self, wait: Wait, before: u64, now: u64) {
        match wait {
            Wait::Spin if now >= self.begin => self.spun += (now - before).min(LONGEST_SPIN_NS),
            Wait::Spin => {}
            // A signal ends a sleep before its time.
            Wait::Sleep(until) if self.way == Way::Auto && self.open && until > before && now >= until => {
                self.learned_at = now;
                self.learn(now - until);
            }
            Wait::Sleep(_) => {}
        }
    }

    /// How it waited in a measured phase of `window` ns.
    pub fn paced(&self, window: u64) -> Paced {
        Paced {
            spun: if window == 0 { 0.0 } else { (self.spun as f64 / window as f64).min(1.0) },
            margin_ns: (self.way == Way::Auto && self.slept).then_some(self.margin),
            core_shared: self.core_shared && self.open,
            timer_slack_refused: self.timer_slack_refused,
        }
    }

    #[inline]
    fn decide_by_margin(&mut self, now: u64, due: u64, longest: u64) -> Wait {
        let until = due.saturating_sub(self.margin);
        if until > now {
            self.slept |= now >= self.begin;
            return Wait::Sleep(until.min(longest));
        }
        // Who never sleeps never learns that the margin may be smaller.
        let until = due.saturating_sub(LEAST_MARGIN_NS);
        if until > now && now.saturating_sub(self.learned_at) >= LEARN_EVERY_NS {
            return Wait::Sleep(until.min(longest));
        }
        Wait::Spin
    }

    /// A sleep ended so many ns too late.
    fn learn(&mut self, overslept: u64) {
        self.overslept.add(overslept);
        if let Some(high) = self.overslept.high() {
            self.margin = high.clamp(LEAST_MARGIN_NS, MOST_MARGIN_NS);
        }
    }
}

impl Overslept {
    fn add(&mut self, ns: u64) {
        if self.total >= MEMORY {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
        let us = (ns / 1_000).max(1);
        let doublings = us.ilog2() as usize;
        let quarter = ((us << 2) >> doublings) as usize & 3;
        self.counts[(doublings * 4 + quarter).min(BUCKETS - 1)] += 1;
        self.total += 1;
    }

    /// What few sleeps exceed, ns; `None` before enough were seen.
    fn high(&self) -> Option<u64> {
        if self.total < ENOUGH {
            return None;
        }
        let (mut beyond, mut bucket) = (0, BUCKETS);
        while bucket > 0 && beyond <= self.total / BEYOND {
            bucket -= 1;
            beyond += self.counts[bucket];
        }
        // The upper end of the bucket, whose lower end is (4 + quarter) / 4 times the doubling.
        Some(((bucket as u64 % 4 + 5) * 1_000) << (bucket / 4) >> 2)
    }
}

/// Buckets of the histogram: up to 2^16 us, and what is longer counts as that.
const BUCKETS: usize = 64;

/// Sleeps after which all counts are halved: the margin goes by the last few thousand, seconds of a run.
const MEMORY: u32 = 2_048;

/// Sleeps from which on the margin goes by them: of fewer, the highest alone would be what one in [`BEYOND`] exceeds.
const ENOUGH: u32 = 200;

/// One sleep in so many may be longer than the margin: 0.5%, so that with all else that makes it late a worker stays within
/// the 1% of messages that trust leaves out of account.
const BEYOND: u32 = 200;

/// The margin in ns before anything was learned: the p99 of a sleep's lateness on an idle virtual machine is 0.1 to 0.3 ms.
const FIRST_MARGIN_NS: u64 = 300_000;

/// The smallest margin in ns: half of an idle virtual machine's sleeps end later than 41 to 66 us.
const LEAST_MARGIN_NS: u64 = 50_000;

/// The largest margin in ns. A machine that wakes threads later than this takes the core from one that spins, too.
const MOST_MARGIN_NS: u64 = 1_000_000;

/// How often in ns one sleep is risked where gaps are shorter than the margin: of 10,000 messages/s it delays 0.1%.
const LEARN_EVERY_NS: u64 = 100_000_000;

/// As long in ns as one look without sleeping can take, many times over: in what is longer, another thread had the core.
const LONGEST_SPIN_NS: u64 = 20_000;

#[cfg(test)]
#[path = "pacing/tests.rs"]
mod tests;
