//! Looks at memory: at a number of connections, and after they were closed until it has returned.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::footprint;
use crate::report::connections::parts::MemoryPoint;

/// The memory now, with so many connections open to the server's processes.
pub(super) fn look(pids: &[i32], connections: u64) -> MemoryPoint {
    MemoryPoint { connections, user_bytes: footprint::of_user(pids), kernel_bytes: footprint::of_kernel() }
}

/// The memory after all connections were closed: the least within [`LONGEST`]. Ends sooner where the user memory is not
/// looked at, or the user has no patience.
pub(super) fn once_returned(pids: &[i32], most: Option<MemoryPoint>, interrupted: &AtomicBool) -> MemoryPoint {
    let began = Instant::now();
    let mut least = look(pids, 0);
    let in_sight = most.is_some_and(|most| most.user_bytes.is_some() || most.kernel_bytes.is_some());
    while in_sight && began.elapsed() < LONGEST && !interrupted.load(Ordering::Relaxed) {
        thread::sleep(POLL);
        let now = look(pids, 0);
        let less = |least: Option<u64>, now: Option<u64>| Some(least?.min(now?)).or(now);
        least.user_bytes = less(least.user_bytes, now.user_bytes);
        least.kernel_bytes = less(least.kernel_bytes, now.kernel_bytes);
    }
    least
}

/// How long memory is waited for: a server that gives it back does so when it has been idle for a second or two.
const LONGEST: Duration = Duration::from_secs(3);

/// How often it is looked at.
const POLL: Duration = Duration::from_millis(250);
