//! How much memory there is for this process: the machine's, or what its control group allows if that is less.

use std::fs;
use std::path::Path;

/// Bytes.
pub(crate) fn available() -> u64 {
    let info = rustix::system::sysinfo();
    let machine = (info.totalram as u64).saturating_mul(u64::from(info.mem_unit.max(1)));
    let limits = fs::read_to_string("/proc/self/cgroup").map(|groups| limits(&groups)).unwrap_or_default();
    limits.into_iter().fold(machine, u64::min)
}

/// The limits of the control groups that /proc/self/cgroup lists, and of all that they lie in (cgroups(7)). In a
/// container a group may be listed by a path that is not mounted there; its limit is then that of the mount's root.
fn limits(groups: &str) -> Vec<u64> {
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (root, file) = match fields.next() {
            Some("") => ("/sys/fs/cgroup", "memory.max"),
            Some(controllers) if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = Path::new(fields.next().unwrap_or_default().trim_start_matches('/'));
        let read = |group: &Path| fs::read_to_string(Path::new(root).join(group).join(file)).ok();
        // "max" is no number, and no limit.
        limits.extend(group.ancestors().filter_map(read).filter_map(|limit| limit.trim().parse::<u64>().ok()));
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_found_and_what_is_no_group_is_skipped() {
        assert!(available() > 1 << 20);
        assert_eq!(limits("1:cpu:/a\nnonsense\n\n"), Vec::<u64>::new());
    }
}
