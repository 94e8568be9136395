//! How much memory this process may take: what the machine has left, the limits of its control groups, and its own limit.

use std::fs;
use std::path::Path;

use procfs::{Current as _, Meminfo};
use rustix::process::{Resource, getrlimit};

/// Bytes that this process may still take, as far as the system says; all that there could be where it does not.
pub(super) fn available() -> u64 {
    let machine = Meminfo::current().ok().and_then(|memory| memory.mem_available);
    let address_space = getrlimit(Resource::As).current;
    let groups = fs::read_to_string("/proc/self/cgroup").ok().and_then(|list| limit(Path::new(GROUPS), &list));
    [machine, address_space, groups].into_iter().flatten().min().unwrap_or(u64::MAX)
}

/// The tightest limit of the control group (version 2) in the content of `/proc/self/cgroup` and of those that it is in;
/// `None` where none has one. What they use already is not looked at: most of it may be files that the kernel would drop.
fn limit(root: &Path, list: &str) -> Option<u64> {
    let path = list.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let of_group =
        |group: &Path| -> Option<u64> { fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok() };
    let group = root.join(path);
    group.ancestors().take_while(|group| group.starts_with(root)).filter_map(of_group).min()
}

/// Where the control groups are mounted.
const GROUPS: &str = "/sys/fs/cgroup";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_group_counts() {
        let root = std::env::temp_dir().join(format!("fathom-groups-{}", std::process::id()));
        let inner = root.join("outer/inner");
        fs::create_dir_all(&inner).unwrap();
        let write = |group: &Path, max: &str| fs::write(group.join("memory.max"), max).unwrap();
        write(&inner, "max\n");
        assert_eq!(limit(&root, "0::/outer/inner\n"), None);
        write(&root.join("outer"), "1000\n");
        assert_eq!(limit(&root, "1:cpu:/x\n0::/outer/inner\n"), Some(1_000));
        write(&inner, "500\n");
        assert_eq!((limit(&root, "0::/outer/inner\n"), limit(&root, "0::/outer\n")), (Some(500), Some(1_000)));
        assert_eq!((limit(&root, "0::/\n"), limit(&root, "1:cpu:/x\n")), (None, None));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn there_is_memory_here() {
        assert!(available() > 0);
    }
}
