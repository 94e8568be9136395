//! CPU time that was withheld while something was measured: by the CPU quota of a control group (cgroup v1 or v2) that this
//! process or the server belongs to, and by the hypervisor, which Linux calls steal. Read from /sys/fs/cgroup and /proc/stat;
//! where those tell nothing, nothing is known to have been withheld.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use procfs::process::{MountInfos, Process};
use procfs::{CurrentSI as _, KernelStats, ProcessCGroups};
use serde::{Deserialize, Serialize};

use crate::serde_time::Seconds;

/// What was withheld over some time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Withheld {
    /// That time.
    #[serde(with = "Seconds")]
    pub elapsed: Duration,
    /// The control groups whose quota ran out meanwhile.
    pub quotas: Vec<Throttled>,
    /// CPU time that the hypervisor gave to others while this machine wanted it, all CPUs together.
    #[serde(with = "Seconds")]
    pub stolen: Duration,
    /// That and the CPU time that this machine got, idle time left out.
    #[serde(with = "Seconds")]
    pub wanted: Duration,
}

/// A control group whose quota ran out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Throttled {
    /// Its path below the mount of its hierarchy.
    pub group: String,
    /// The quota in CPUs, where it still has one.
    pub cpus: Option<f64>,
    /// Periods of the quota in which a process of the group wanted to run.
    pub periods: u64,
    /// Those in which the quota ran out.
    pub throttled: u64,
    /// How long the group's processes were held back: at most this, since the kernel adds up the time of CPUs that were held
    /// back together. A period counts once.
    #[serde(with = "Seconds")]
    pub stalled: Duration,
}

/// Reads the counters of the control groups of some processes.
#[derive(Debug)]
pub struct Meter {
    groups: Vec<Group>,
}

/// The counters at one moment.
#[derive(Debug)]
pub struct Sample {
    at: Instant,
    groups: Vec<Option<Counters>>,
    machine: Option<Machine>,
}

#[derive(Debug, PartialEq)]
struct Group {
    name: String,
    directory: PathBuf,
}

/// Of a control group, from cpu.stat.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Counters {
    periods: u64,
    throttled: u64,
    time: Duration,
}

/// How much of a period a control group may run, in total of all CPUs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Quota {
    quota: Duration,
    period: Duration,
}

/// Of all CPUs, from /proc/stat.
#[derive(Debug, Clone, Copy)]
struct Machine {
    stolen: Duration,
    wanted: Duration,
}

impl Meter {
    /// A meter for this process and the processes `pids`.
    pub fn of(pids: &[i32]) -> Self {
        let mut groups = Vec::new();
        let own = Process::myself();
        if let Some(mounts) = own.as_ref().ok().and_then(|own| own.mountinfo().ok()) {
            let others = pids.iter().map(|&pid| Process::new(pid));
            for process in [own].into_iter().chain(others) {
                // Another user's process, or one that has ended, is in no group that is known.
                let Ok(cgroups) = process.and_then(|process| process.cgroups()) else { continue };
                for group in groups_of(&cgroups, &mounts) {
                    if !groups.contains(&group) && group.counters().is_some() {
                        groups.push(group);
                    }
                }
            }
        }
        Self { groups }
    }

    /// Reads the counters.
    pub fn sample(&self) -> Sample {
        let groups = self.groups.iter().map(Group::counters).collect();
        Sample { at: Instant::now(), groups, machine: machine() }
    }

    /// What was withheld since `before`.
    pub fn since(&self, before: &Sample) -> Withheld {
        let now = self.sample();
        let mut withheld = Withheld { elapsed: now.at - before.at, ..Withheld::default() };
        for ((group, before), now) in self.groups.iter().zip(&before.groups).zip(&now.groups) {
            let (Some(before), Some(now)) = (before, now) else { continue };
            withheld.quotas.extend(throttled(group, *before, *now));
        }
        if let (Some(before), Some(now)) = (before.machine, now.machine) {
            withheld.stolen = now.stolen.saturating_sub(before.stolen);
            withheld.wanted = now.wanted.saturating_sub(before.wanted);
        }
        withheld
    }
}

impl Withheld {
    /// Adds what was withheld at another time.
    pub fn add(&mut self, other: Self) {
        self.elapsed += other.elapsed;
        self.stolen += other.stolen;
        self.wanted += other.wanted;
        for more in other.quotas {
            match self.quotas.iter_mut().find(|known| known.group == more.group) {
                Some(known) => {
                    known.periods += more.periods;
                    known.throttled += more.throttled;
                    known.stalled += more.stalled;
                }
                None => self.quotas.push(more),
            }
        }
    }

    /// Takes in what another process saw of the same machine at the same time: nothing is added up, and of each figure the
    /// greater counts.
    pub fn merge_same_time(&mut self, other: Self) {
        self.elapsed = self.elapsed.max(other.elapsed);
        self.stolen = self.stolen.max(other.stolen);
        self.wanted = self.wanted.max(other.wanted);
        for seen in other.quotas {
            match self.quotas.iter_mut().find(|known| known.group == seen.group) {
                Some(known) => {
                    known.cpus = known.cpus.or(seen.cpus);
                    known.periods = known.periods.max(seen.periods);
                    known.throttled = known.throttled.max(seen.throttled);
                    known.stalled = known.stalled.max(seen.stalled);
                }
                None => self.quotas.push(seen),
            }
        }
    }
}

impl Group {
    fn counters(&self) -> Option<Counters> {
        parse_stat(&self.read("cpu.stat")?)
    }

    fn quota(&self) -> Option<Quota> {
        self.read("cpu.max").and_then(|max| parse_quota(&max)).or_else(|| {
            let (quota, period) = (self.read("cpu.cfs_quota_us")?, self.read("cpu.cfs_period_us")?);
            parse_quota(&format!("{quota} {period}"))
        })
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.directory.join(file)).ok()
    }
}

fn throttled(group: &Group, before: Counters, now: Counters) -> Option<Throttled> {
    let times = now.throttled.checked_sub(before.throttled).filter(|times| *times > 0)?;
    let quota = group.quota();
    let period = quota.map_or(DEFAULT_PERIOD, |quota| quota.period);
    let most = period.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX));
    Some(Throttled {
        group: group.name.clone(),
        cpus: quota.map(|quota| quota.quota.as_micros() as f64 / quota.period.as_micros() as f64),
        periods: now.periods.saturating_sub(before.periods),
        throttled: times,
        stalled: now.time.saturating_sub(before.time).min(most),
    })
}

/// The control groups that may have a CPU quota and that a process of `cgroups` is in, with their ancestors: any of them may
/// run out of its own.
fn groups_of(cgroups: &ProcessCGroups, mounts: &MountInfos) -> Vec<Group> {
    let mut groups = Vec::new();
    for mount in mounts {
        let of_mount = |hierarchy: u32, controllers: &[String]| match mount.fs_type.as_str() {
            "cgroup" => mount.super_options.contains_key("cpu") && controllers.iter().any(|name| name == "cpu"),
            "cgroup2" => hierarchy == 0,
            _ => false,
        };
        let Some(cgroup) = cgroups.0.iter().find(|cgroup| of_mount(cgroup.hierarchy, &cgroup.controllers)) else {
            continue;
        };
        // What lies outside the mount, as seen from within a container, begins with `..` or with another root.
        let Ok(below) = Path::new(&cgroup.pathname).strip_prefix(&mount.root) else { continue };
        if below.components().any(|part| part.as_os_str() == "..") {
            continue;
        }
        for below in below.ancestors() {
            let name = format!("/{}", below.display());
            groups.push(Group { name, directory: mount.mount_point.join(below) });
        }
    }
    groups
}

/// Reads cpu.stat, of either version; `None` where it does not tell of a quota.
fn parse_stat(text: &str) -> Option<Counters> {
    let value = |wanted: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(key, _)| *key == wanted).and_then(|(_, value)| value.trim().parse::<u64>().ok())
    };
    let time = value("throttled_usec").map(Duration::from_micros);
    let time = time.or_else(|| value("throttled_time").map(Duration::from_nanos))?;
    Some(Counters { periods: value("nr_periods")?, throttled: value("nr_throttled")?, time })
}

/// Reads `QUOTA PERIOD` in us, as cpu.max of version 2 has it; `None` where there is no quota (`max`, in version 1 -1).
fn parse_quota(text: &str) -> Option<Quota> {
    let mut words = text.split_whitespace();
    let quota = words.next()?.parse().ok().map(Duration::from_micros)?;
    let period = words.next()?.parse().ok().map(Duration::from_micros).filter(|period| !period.is_zero())?;
    Some(Quota { quota, period })
}

fn machine() -> Option<Machine> {
    let total = KernelStats::current().ok()?.total;
    let ticks = |ticks: u64| Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64);
    let stolen = total.steal.unwrap_or_default();
    let got =
        total.user + total.nice + total.system + total.irq.unwrap_or_default() + total.softirq.unwrap_or_default();
    Some(Machine { stolen: ticks(stolen), wanted: ticks(got + stolen) })
}

/// The period of a quota unless it is set otherwise.
const DEFAULT_PERIOD: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use procfs::FromRead as _;

    use super::*;

    /// The mounts of a machine with both versions, version 2 without controllers.
    const HYBRID: &str = "\
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
        34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    fn names(cgroup: &str, mounts: &str) -> Vec<(String, String)> {
        let cgroups = ProcessCGroups::from_read(cgroup.as_bytes()).unwrap();
        let mounts = MountInfos::from_read(mounts.as_bytes()).unwrap();
        let shown = |group: Group| (group.name, group.directory.display().to_string());
        groups_of(&cgroups, &mounts).into_iter().map(shown).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, directory)| ((*name).to_owned(), (*directory).to_owned())).collect()
    }

    #[test]
    fn a_process_is_in_its_group_and_in_all_above_it() {
        let expected = [
            ("/a/b", "/sys/fs/cgroup/cpu,cpuacct/a/b"),
            ("/a", "/sys/fs/cgroup/cpu,cpuacct/a"),
            ("/", "/sys/fs/cgroup/cpu,cpuacct/"),
            ("/", "/sys/fs/cgroup/unified/"),
        ];
        assert_eq!(names("3:cpuset:/other\n1:cpu,cpuacct:/a/b\n0::/\n", HYBRID), pairs(&expected));
        let unified = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let expected = [
            ("/user.slice/x.scope", "/sys/fs/cgroup/user.slice/x.scope"),
            ("/user.slice", "/sys/fs/cgroup/user.slice"),
            ("/", "/sys/fs/cgroup/"),
        ];
        assert_eq!(names("0::/user.slice/x.scope\n", unified), pairs(&expected));
    }

    #[test]
    fn a_container_sees_its_own_part() {
        // Version 1 without a namespace of control groups: the mount's root is the container's group.
        let docker = "32 31 0:29 /docker/1f /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n";
        assert_eq!(names("1:cpu:/docker/1f\n", docker), pairs(&[("/", "/sys/fs/cgroup/cpu/")]));
        let nested = [("/in", "/sys/fs/cgroup/cpu/in"), ("/", "/sys/fs/cgroup/cpu/")];
        assert_eq!(names("1:cpu:/docker/1f/in\n", docker), pairs(&nested));
        assert_eq!(names("1:cpu:/docker/2e\n", docker), []);
        // The server is in another namespace, as seen from this one.
        let unified = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(names("0::/../2e\n", unified), []);
        assert_eq!(names("", HYBRID), []);
    }

    #[test]
    fn counters_and_quotas_of_both_versions_are_read() {
        let counters =
            |periods, throttled, micros| Some(Counters { periods, throttled, time: Duration::from_micros(micros) });
        let v1 = "nr_periods 52\nnr_throttled 51\nthrottled_time 3123456000\nnr_bursts 0\nburst_time 0\n";
        assert_eq!(parse_stat(v1), counters(52, 51, 3_123_456));
        let v2 = "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods 52\nnr_throttled 51\nthrottled_usec 3123456\n";
        assert_eq!(parse_stat(v2), counters(52, 51, 3_123_456));
        assert_eq!(parse_stat("usage_usec 9\nuser_usec 5\nsystem_usec 4\n"), None, "no controller");
        assert_eq!(parse_stat(""), None);
        let quota = Quota { quota: Duration::from_micros(40_000), period: Duration::from_micros(100_000) };
        assert_eq!(parse_quota("40000 100000\n"), Some(quota));
        for none in ["max 100000\n", "-1\n 100000\n", "40000", "40000 0", "", "x y"] {
            assert_eq!(parse_quota(none), None, "{none:?}");
        }
    }

    #[test]
    fn what_a_group_was_held_back_is_the_difference_of_two_samples() {
        let directory = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(directory.path().join(file), text).unwrap();
        let there = Group { name: "/a".to_owned(), directory: directory.path().to_owned() };
        let missing = Group { name: "/b".to_owned(), directory: directory.path().join("b") };
        let meter = Meter { groups: vec![there, missing] };
        write("cpu.cfs_quota_us", "40000\n");
        write("cpu.cfs_period_us", "100000\n");
        write("cpu.stat", "nr_periods 10\nnr_throttled 10\nthrottled_time 1000000000\n");
        let before = meter.sample();
        assert_eq!(meter.since(&before).quotas, [], "nothing since");
        write("cpu.stat", "nr_periods 62\nnr_throttled 61\nthrottled_time 3500000000\n");
        let mut withheld = meter.since(&before);
        let held = |periods, throttled, millis| Throttled {
            group: "/a".to_owned(),
            cpus: Some(0.4),
            periods,
            throttled,
            stalled: Duration::from_millis(millis),
        };
        assert_eq!(withheld.quotas, [held(52, 51, 2_500)]);
        withheld.add(meter.since(&before));
        assert_eq!(withheld.quotas, [held(104, 102, 5_000)]);
        // Four CPUs that were held back together for 60 ms: no more than the one period.
        let before = meter.sample();
        write("cpu.stat", "nr_periods 63\nnr_throttled 62\nthrottled_time 3740000000\n");
        assert_eq!(meter.since(&before).quotas, [held(1, 1, 100)]);
    }
}
