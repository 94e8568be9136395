//! What processes have resident: of their memory, what is in the machine's now.

use procfs::process::Process;

/// What these processes have resident now, in bytes; `None` where there are none, or one cannot be looked at.
pub fn resident(pids: &[i32]) -> Option<u64> {
    let resident = |&pid: &i32| Process::new(pid).ok()?.status().ok()?.vmrss.map(|kibibytes| kibibytes * 1024);
    let sum = pids.iter().map(resident).sum::<Option<u64>>()?;
    (!pids.is_empty()).then_some(sum)
}

/// The same, page by page: what [`resident`] has may be off by some hundred KiB, since the kernel counts for each CPU.
/// It takes longer, about 1 ms for each GiB.
pub fn exactly(pids: &[i32]) -> Option<u64> {
    let resident = |&pid: &i32| {
        let rollup = Process::new(pid).ok()?.smaps_rollup().ok()?;
        rollup.memory_map_rollup.0.iter().map(|map| map.extension.map.get("Rss").copied()).sum::<Option<u64>>()
    };
    // A kernel may be built without it.
    let sum = pids.iter().map(resident).sum::<Option<u64>>().filter(|bytes| *bytes > 0);
    if pids.is_empty() { None } else { sum.or_else(|| self::resident(pids)) }
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    #[test]
    fn resident_memory_page_by_page_is_about_what_the_kernel_counts() {
        let own = [i32::try_from(process::id()).unwrap()];
        let (exact, about) = (exactly(&own).unwrap(), resident(&own).unwrap());
        assert!(exact.abs_diff(about) < about / 2 + (8 << 20), "{exact} {about}");
        assert_eq!((exactly(&[]), exactly(&[-1])), (None, None));
    }
}
