//! What processes have resident: of their memory, what is in the machine's now.

use procfs::process::Process;

/// What these processes have resident now, in bytes; `None` where there are none, or one cannot be looked at.
pub fn resident(pids: &[i32]) -> Option<u64> {
    let resident = |&pid: &i32| Process::new(pid).ok()?.status().ok()?.vmrss.map(|kibibytes| kibibytes * 1024);
    let sum = pids.iter().map(resident).sum::<Option<u64>>()?;
    (!pids.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_that_can_be_looked_at_have_memory() {
        let own = [i32::try_from(std::process::id()).unwrap()];
        assert!(resident(&own).is_some_and(|bytes| bytes > 0));
        assert_eq!((resident(&[]), resident(&[-1])), (None, None));
    }
}
