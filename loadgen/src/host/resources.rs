//! What processes use of the machine: CPU time, peak memory, and which process it is that listens somewhere.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;
use std::{fs, process};

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::ClockId;
use nix::unistd::Pid;
use procfs::process::{FDTarget, Process, all_processes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::addresses::Addresses;
use crate::host::descendants::{cpu_of_ended, descendants};
use crate::host::listening;
use crate::host::resident::resident;
use crate::serde_time::Seconds;

/// Measures what some processes use between its start and its end, taken together.
#[derive(Debug)]
pub struct Sampler {
    processes: Vec<Sampled>,
}

/// A process's use of the machine over the measured phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time, user and system, of all its threads.
    #[serde(with = "Seconds")]
    pub cpu: Duration,
    /// The most memory that it had resident, in bytes.
    pub max_rss_bytes: u64,
    /// Since when, and by whom it was seen.
    #[serde(default)]
    pub max_rss_of: PeakOf,
    /// What it had resident at the end, in bytes; `None` where that cannot be told.
    #[serde(default)]
    pub rss_bytes: Option<u64>,
}

/// Of what a peak of memory is the peak; ordered by what it is worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PeakOf {
    /// Of the process's whole life, by the kernel.
    #[default]
    Life,
    /// Of the measured phase, as seen some five times a second: the kernel did not let its own figure be reset.
    Samples,
    /// Of the measured phase, by the kernel.
    MeasuredPhase,
}

#[derive(Debug)]
struct Sampled {
    pid: Pid,
    clock: ClockId,
    start: Duration,
    /// Whether a server's process has started it: then it may end.
    child: bool,
    /// The CPU time of those that it had started and that had ended; `None` where those do not count.
    ended: Option<Duration>,
    peak: Peak,
}

/// Where the peak of a process's memory is taken from.
#[derive(Debug)]
enum Peak {
    Kernel(PeakOf),
    /// The most that was seen, in bytes.
    Sampled(Cell<u64>),
}

impl Sampler {
    /// Starts with this process.
    pub fn own() -> Self {
        let (pid, clock) = (Pid::this(), ClockId::CLOCK_PROCESS_CPUTIME_ID);
        let start = now(clock).expect("every process has a CPU clock");
        Self {
            processes: vec![Sampled { pid, clock, start, child: false, ended: None, peak: Peak::Kernel(PeakOf::Life) }],
        }
    }

    /// Starts with the processes `pids` and those that they have started; `None` where there are none, or one of `pids` cannot be
    /// looked at.
    pub fn of(pids: &[i32]) -> Option<Self> {
        Self::of_known(pids, &descendants(pids))
    }

    /// The same, where it is known what they have started: looking for that takes milliseconds.
    pub fn of_known(pids: &[i32], children: &[i32]) -> Option<Self> {
        let sample = |child: bool, pid: i32| {
            // 0 would mean the calling process.
            let pid = Some(pid).filter(|&pid| pid > 0).map(Pid::from_raw)?;
            // The process's clock counts in nanoseconds and keeps the time of threads that have ended; neither the tick
            // counts of /proc/PID/stat nor the sum over /proc/PID/task do both.
            let clock = ClockId::pid_cpu_clock_id(pid).ok()?;
            // Without /proc nothing tells.
            let ended = cpu_of_ended(pid.as_raw());
            Some(Sampled { pid, clock, start: now(clock)?, child, ended, peak: Peak::Kernel(PeakOf::Life) })
        };
        let mut processes: Vec<Sampled> = pids.iter().map(|pid| sample(false, *pid)).collect::<Option<_>>()?;
        processes.extend(children.iter().filter_map(|pid| sample(true, *pid)));
        (!processes.is_empty()).then_some(Self { processes })
    }

    /// The same, whose peaks of memory begin now.
    #[must_use]
    pub fn from_here(mut self) -> Self {
        for process in &mut self.processes {
            // 5 resets the peak alone (proc_pid_clear_refs(5)).
            let reset = fs::write(format!("/proc/{}/clear_refs", process.pid), "5").is_ok();
            process.peak = if reset { Peak::Kernel(PeakOf::MeasuredPhase) } else { Peak::Sampled(Cell::default()) };
        }
        self.sample();
        self
    }

    /// Looks at the memory of those whose peak the kernel does not tell.
    pub fn sample(&self) {
        for process in &self.processes {
            if let Peak::Sampled(most) = &process.peak {
                most.set(most.get().max(resident(&[process.pid.as_raw()]).unwrap_or(0)));
            }
        }
    }

    /// The CPU time that they used since, added up, and that of what they started since. `None` where one of them has ended, or
    /// one that they started has and nobody's count holds it.
    pub fn cpu(&self) -> Option<Duration> {
        self.cpu_with(&self.started_since())
    }

    /// The same without what they started since.
    pub fn cpu_of_known(&self) -> Option<Duration> {
        self.cpu_with(&[])
    }

    fn cpu_with(&self, since: &[i32]) -> Option<Duration> {
        let (mut used, mut ended, mut gone) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for process in &self.processes {
            match now(process.clock) {
                Some(cpu) => {
                    used += cpu.checked_sub(process.start)?;
                    if let Some(before) = process.ended {
                        ended += cpu_of_ended(process.pid.as_raw())?.saturating_sub(before);
                    }
                }
                None if process.child => gone += process.start.max(Duration::from_nanos(1)),
                None => return None,
            }
        }
        for &pid in since {
            let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid)).ok().and_then(now);
            used += clock.unwrap_or_default() + cpu_of_ended(pid).unwrap_or_default();
        }
        // What is gone counts in whole with whoever waited for it, and from the start on here. A parent need not wait.
        if gone > Duration::ZERO && (ended.is_zero() || ended + TICKS < gone) {
            return None;
        }
        Some(used + ended.saturating_sub(gone))
    }

    /// Those that a server's processes have started since.
    fn started_since(&self) -> Vec<i32> {
        let counted = self.processes.iter().filter(|process| process.ended.is_some());
        descendants(&counted.map(|process| process.pid.as_raw()).collect::<Vec<_>>())
    }

    /// What they used since; the CPU times added, and the peaks of memory. `None` where one of them has ended, or is not
    /// this one and /proc does not tell of its memory.
    pub fn finish(self) -> Option<Usage> {
        self.usage(&self.started_since())
    }

    /// The same, while it goes on: without what has been started since, since looking for that takes time.
    pub fn so_far(&self) -> Option<Usage> {
        self.usage(&[])
    }

    fn usage(&self, since: &[i32]) -> Option<Usage> {
        self.sample();
        let cpu = self.cpu_with(since)?;
        let present = || self.processes.iter().filter(|process| !process.child || now(process.clock).is_some());
        let peaks = since.iter().filter_map(|pid| max_rss_bytes(Pid::from_raw(*pid)));
        let max_rss_bytes = present().map(Sampled::max_rss_bytes).sum::<Option<u64>>()? + peaks.sum::<u64>();
        let max_rss_of = present().map(Sampled::peak_of).min().unwrap_or_default();
        let pids: Vec<i32> = present().map(|process| process.pid.as_raw()).chain(since.iter().copied()).collect();
        Some(Usage { cpu, max_rss_bytes, max_rss_of, rss_bytes: resident(&pids) })
    }
}

impl Sampled {
    fn max_rss_bytes(&self) -> Option<u64> {
        match &self.peak {
            Peak::Kernel(_) => max_rss_bytes(self.pid),
            Peak::Sampled(most) => Some(most.get()).filter(|bytes| *bytes > 0).or_else(|| max_rss_bytes(self.pid)),
        }
    }

    fn peak_of(&self) -> PeakOf {
        match &self.peak {
            Peak::Kernel(of) => *of,
            Peak::Sampled(most) if most.get() > 0 => PeakOf::Samples,
            Peak::Sampled(_) => PeakOf::Life,
        }
    }
}

/// CPU time of the calling thread, user and system.
pub fn thread_cpu() -> Duration {
    now(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has a CPU clock")
}

/// The processes of this machine that listen on `address`, or on all addresses at its port; none where that cannot be
/// told: the listener is on another machine, or another user's. With `datagrams`, those that receive them there.
pub fn listeners(address: SocketAddr, datagrams: bool) -> Vec<i32> {
    let inodes = listening::sockets(address, datagrams);
    if inodes.is_empty() {
        return Vec::new();
    }
    let holds = |process: &Process| {
        process.fd().into_iter().flatten().flatten().any(|fd| match fd.target {
            FDTarget::Socket(inode) => inodes.contains(&inode),
            _ => false,
        })
    };
    // Processes come and go while this looks, and others' may not be looked into: those are passed over.
    let processes = all_processes().into_iter().flatten().flatten();
    processes.filter(holds).map(|process| process.pid()).collect()
}

/// The processes whose use of the machine is a server's: `started`, if it was started here, and whoever listens on this
/// machine, since what was started may be a shell that waits for the server. This process is not among them.
pub fn of_server(started: Option<i32>, addresses: &Addresses) -> Vec<i32> {
    let mut found = listeners_of(addresses);
    if addresses.undecided() && found.iter().any(|pids| *pids != found[0]) {
        // A name whose addresses are of different servers: which of them is measured shows by connecting only.
        addresses.settle();
        found = listeners_of(addresses);
    }
    let mut pids = found.concat();
    pids.extend(started);
    pids.sort_unstable();
    pids.dedup();
    pids.retain(|pid| u32::try_from(*pid) != Ok(process::id()));
    pids
}

/// The listeners of each address of this machine that is in use and has some.
fn listeners_of(addresses: &Addresses) -> Vec<Vec<i32>> {
    let local = addresses.in_use().into_iter().filter(|address| address.ip().is_loopback());
    local.map(|address| listeners(address, addresses.datagrams())).filter(|pids| !pids.is_empty()).collect()
}

/// How much less than was used the kernel's ticks of 10 ms may say.
const TICKS: Duration = Duration::from_millis(50);

/// The most memory that the process had resident, in bytes, since that was last reset.
fn max_rss_bytes(pid: Pid) -> Option<u64> {
    let status = Process::new(pid.as_raw()).and_then(|process| process.status());
    let kibibytes = status.ok().and_then(|status| status.vmhwm);
    // Without /proc the kernel tells a process of itself, where the figure may be that of the program that started it.
    let own =
        || (pid == Pid::this()).then(|| getrusage(UsageWho::RUSAGE_SELF).ok()?.max_rss().try_into().ok()).flatten();
    kibibytes.or_else(own).map(|kibibytes: u64| kibibytes * 1024)
}

fn now(clock: ClockId) -> Option<Duration> {
    clock.now().ok().map(Duration::from)
}

#[cfg(test)]
#[path = "resources/tests.rs"]
mod tests;
