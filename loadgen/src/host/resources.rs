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
        Self { processes: vec![Sampled { pid, clock, start, peak: Peak::Kernel(PeakOf::Life) }] }
    }

    /// Starts with the processes `pids`; `None` where there are none, or one cannot be looked at.
    pub fn of(pids: &[i32]) -> Option<Self> {
        let sample = |&pid: &i32| {
            // 0 would mean the calling process.
            let pid = Some(pid).filter(|&pid| pid > 0).map(Pid::from_raw)?;
            // The process's clock counts in nanoseconds and keeps the time of threads that have ended; neither the tick
            // counts of /proc/PID/stat nor the sum over /proc/PID/task do both.
            let clock = ClockId::pid_cpu_clock_id(pid).ok()?;
            Some(Sampled { pid, clock, start: now(clock)?, peak: Peak::Kernel(PeakOf::Life) })
        };
        let processes: Vec<Sampled> = pids.iter().map(sample).collect::<Option<_>>()?;
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

    /// The CPU time that they used since, added up. `None` where one of them has ended.
    pub fn cpu(&self) -> Option<Duration> {
        self.processes.iter().map(|process| now(process.clock)?.checked_sub(process.start)).sum()
    }

    /// What they used since; the CPU times added, and the peaks of memory. `None` where one of them has ended, or is not
    /// this one and /proc does not tell of its memory.
    pub fn finish(self) -> Option<Usage> {
        self.so_far()
    }

    /// The same, while it goes on.
    pub fn so_far(&self) -> Option<Usage> {
        self.sample();
        let max_rss_bytes = self.processes.iter().map(Sampled::max_rss_bytes).sum::<Option<u64>>()?;
        let max_rss_of = self.processes.iter().map(Sampled::peak_of).min().unwrap_or_default();
        let pids: Vec<i32> = self.processes.iter().map(|process| process.pid.as_raw()).collect();
        Some(Usage { cpu: self.cpu()?, max_rss_bytes, max_rss_of, rss_bytes: resident(&pids) })
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
mod tests {
    use std::net::TcpListener;
    use std::os::fd::OwnedFd;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;
    use crate::host::addresses::race::tests::{addresses, deaf};

    /// Burns at least `cpu` of this thread's CPU time.
    fn burn(cpu: Duration) {
        let start = thread_cpu();
        while thread_cpu() - start < cpu {
            std::hint::black_box((0..10_000u64).sum::<u64>());
        }
    }

    #[test]
    fn the_time_of_a_thread_that_has_ended_counts() {
        let sampler = Sampler::own();
        std::thread::spawn(|| burn(Duration::from_millis(30))).join().unwrap();
        let usage = sampler.finish().unwrap();
        assert!(usage.cpu >= Duration::from_millis(30), "{:?}", usage.cpu);
        assert!(usage.max_rss_bytes > 1 << 20, "{}", usage.max_rss_bytes);
    }

    #[test]
    fn another_process_is_measured_and_its_end_is_noticed() {
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap();
        let sampler = Sampler::of(&[child.id() as i32]).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let busy = loop {
            match sampler.so_far() {
                Some(usage) if usage.cpu < Duration::from_millis(5) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                other => break other,
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(busy.is_some_and(|usage| usage.cpu >= Duration::from_millis(5)), "{busy:?}");
        assert_eq!(sampler.finish(), None);
    }

    #[test]
    fn a_peak_from_here_forgets_what_was_before() {
        let before = {
            let large = std::hint::black_box(vec![1u8; 64 << 20]);
            assert_eq!(large.len(), 64 << 20);
            max_rss_bytes(Pid::this()).unwrap()
        };
        let usage = Sampler::own().from_here().finish().unwrap();
        assert!(usage.max_rss_of > PeakOf::Life, "{usage:?}");
        assert!(before > 64 << 20 && usage.max_rss_bytes + (32 << 20) < before, "{before} {usage:?}");
        assert_eq!(Sampler::own().finish().unwrap().max_rss_of, PeakOf::Life);
    }

    #[test]
    fn a_peak_that_cannot_be_reset_is_that_of_what_was_seen() {
        let mut sampler = Sampler::own();
        sampler.processes[0].peak = Peak::Sampled(Cell::new(1 << 50));
        let usage = sampler.finish().unwrap();
        assert_eq!((usage.max_rss_bytes, usage.max_rss_of), (1 << 50, PeakOf::Samples));
        let mut sampler = Sampler::own();
        sampler.processes[0].peak = Peak::Sampled(Cell::default());
        let usage = sampler.finish().unwrap();
        assert!(usage.max_rss_bytes >= usage.rss_bytes.unwrap() && usage.rss_bytes.unwrap() > 0, "{usage:?}");
    }

    #[test]
    fn what_is_no_process_has_no_usage() {
        // Linux gives out process ids up to 4,194,304 (PID_MAX_LIMIT).
        for pids in [&[][..], &[0], &[-1], &[4_194_305]] {
            assert!(Sampler::of(pids).is_none(), "{pids:?}");
        }
    }

    /// A process that does nothing but hold a listener; killed when dropped.
    struct Holder(std::process::Child);

    impl Holder {
        fn of(listener: impl Into<OwnedFd>) -> Self {
            Self(Command::new("sleep").arg("60").stdin(Stdio::from(listener.into())).spawn().unwrap())
        }

        fn pid(&self) -> i32 {
            self.0.id() as i32
        }
    }

    impl Drop for Holder {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn of_a_name_s_addresses_the_one_that_answers_says_who_the_server_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut deaf = deaf("127.0.0.2", port);
        let (other, server) = (Holder::of(deaf.pop().unwrap()), Holder::of(listener));
        let name = addresses(&["127.0.0.2", "127.0.0.1"], port);
        assert_eq!(listeners_of(&name), [[other.pid()], [server.pid()]]);
        assert_eq!(of_server(None, &name), [server.pid()]);
        assert_eq!(of_server(Some(1), &name), [1, server.pid()]);
        // Where there is only one, nobody has to be connected to.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Holder::of(listener);
        let name = addresses(&["127.0.0.2", "127.0.0.1"], port);
        assert_eq!((of_server(None, &name), name.undecided()), (vec![server.pid()], true));
    }

    #[test]
    #[allow(clippy::print_stderr, reason = "scripts/check lists what is skipped")]
    fn a_listener_of_all_addresses_is_found_by_its_family() {
        let six = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).and_then(|six| {
            six.set_only_v6(true)?;
            six.bind(&"[::]:0".parse::<SocketAddr>().unwrap().into())?;
            six.listen(1).map(|()| six)
        });
        let Ok(six) = six else {
            eprintln!("SKIPPED: a listener of all addresses is found by its family: no IPv6");
            return;
        };
        let port = six.local_addr().unwrap().as_socket().unwrap().port();
        let four = Holder::of(TcpListener::bind(("0.0.0.0", port)).unwrap());
        let six = Holder::of(six);
        let of = |address: &str| listeners(SocketAddr::new(address.parse().unwrap(), port), false);
        assert_eq!((of("127.0.0.1"), of("::1")), (vec![four.pid()], vec![six.pid()]));
    }

    #[test]
    #[allow(clippy::print_stderr, reason = "scripts/check lists what is skipped")]
    fn the_listener_of_an_address_is_found_and_a_free_port_has_none() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = match TcpListener::bind(address) {
                Err(_) if address.starts_with('[') => {
                    eprintln!("SKIPPED: the listener of an IPv6 address is found: no IPv6");
                    continue;
                }
                bound => bound.unwrap(),
            };
            let address = listener.local_addr().unwrap();
            assert_eq!(listeners(address, false), [Pid::this().as_raw()]);
            drop(listener);
            assert_eq!(listeners(address, false), [0i32; 0]);
        }
    }
}
