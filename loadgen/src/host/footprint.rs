//! How much memory connections take: the user memory of some processes, and what the kernel keeps for sockets.

use std::fs;

use procfs::{Current as _, Meminfo};

use crate::host::resident::resident;

/// Bytes of anonymous memory that these processes have resident, page by page; where the kernel does not tell, all that
/// they have resident. `None` where there are none, or one cannot be looked at.
pub fn of_user(pids: &[i32]) -> Option<u64> {
    let of_one = |pid: &i32| kibibytes(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?, "Anonymous:");
    let sum = pids.iter().map(of_one).sum::<Option<u64>>();
    if pids.is_empty() { None } else { sum.or_else(|| resident(pids)) }
}

/// Bytes that the kernel of this machine keeps in slabs (socket, file, inode and epoll entry of a connection) and in the
/// buffers of TCP sockets; both ends of a connection where both are on this machine. Everything else that the machine does
/// is in it too. `None` where /proc does not tell.
pub fn of_kernel() -> Option<u64> {
    let slabs = Meminfo::current().ok()?.slab;
    let pages = tcp_pages(&fs::read_to_string("/proc/net/sockstat").ok()?)?;
    Some(slabs + pages * procfs::page_size())
}

/// The value of a line `NAME   12 kB`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The pages of TCP's buffers: `TCP: inuse 5 orphan 0 tw 0 alloc 8 mem 3`.
fn tcp_pages(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    line.split_whitespace().skip_while(|word| *word != "mem").nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_proc_are_read() {
        let rollup = "00400000-7fff [rollup]\nRss:  4096 kB\nAnonymous:      1234 kB\n";
        assert_eq!(kibibytes(rollup, "Anonymous:"), Some(1234 * 1024));
        assert_eq!(kibibytes(rollup, "Swap:"), None);
        let sockstat = "sockets: used 9\nTCP: inuse 5 orphan 0 tw 0 alloc 8 mem 31\nUDP: inuse 1 mem 2\n";
        assert_eq!((tcp_pages(sockstat), tcp_pages("UDP: inuse 1 mem 2\n")), (Some(31), None));
    }

    #[test]
    fn memory_that_is_written_to_is_seen() {
        let own = [std::process::id() as i32];
        let before = of_user(&own).unwrap();
        let taken = vec![1u8; 64 << 20];
        let after = of_user(&own).unwrap();
        assert!(after >= before + (48 << 20), "{before} {after} {}", taken[taken.len() - 1]);
        assert!(of_kernel().is_some_and(|bytes| bytes > 0));
        assert_eq!((of_user(&[]), of_user(&[-1])), (None, None));
    }
}
