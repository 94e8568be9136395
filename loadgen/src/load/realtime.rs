//! The real-time scheduling class for workers (`--realtime`): a worker in SCHED_FIFO runs as soon as it is woken, before every
//! thread of the ordinary class. It is asked for, never chosen: a worker that spins in it lets nothing else onto its core.

use std::io;
use std::thread;

use thread_priority::unix::{
    RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use thread_priority::{Error, ThreadPriority};

use crate::load::error::RunError;
use crate::load::pacing::Room;
use crate::plan::{Pacing, Plan};

/// Whether the workers of a plan that asks for it may be in the class.
///
/// # Errors
/// When the kernel refuses, or a worker that never sleeps would have to share its core with a server or another worker.
pub fn check(plan: &Plan, room: Room) -> Result<(), RunError> {
    if !plan.realtime {
        return Ok(());
    }
    if plan.pacing == Pacing::Spin && !room.has_a_core_for_each_of(plan.workers()) {
        return Err(RunError::Realtime {
            why: "with --pacing spin a worker may have to share its core, and whatever shares it would not run at all; expected \
                  fewer --threads, or another --pacing"
                .to_owned(),
        });
    }
    // In a thread that ends then: this one starts servers, which are not to inherit it.
    let entered = thread::scope(|scope| scope.spawn(enter).join().expect("asking the kernel does not panic"));
    entered.map_err(|error| RunError::Realtime {
        why: format!("the kernel refuses ({error}); expected CAP_SYS_NICE, or a limit of 1 at least (`ulimit -r`)"),
    })
}

/// Puts this thread into the class, at its lowest priority.
///
/// # Errors
/// When the kernel refuses.
pub fn enter() -> io::Result<()> {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let lowest = ThreadPriority::try_from(LOWEST).expect("priorities begin at 1");
    set_thread_priority_and_policy(thread_native_id(), lowest, policy).map_err(|error| match error {
        Error::OS(code) => io::Error::from_raw_os_error(code),
        other => io::Error::other(format!("{other:?}")),
    })
}

/// Every real-time priority comes before the ordinary class; the lowest leaves those of the kernel's own threads above it.
const LOWEST: u8 = 1;

#[cfg(test)]
mod tests {
    use rustix::thread::gettid;

    use super::*;
    use crate::plan::tests::plan;

    const ROOM: Room = Room { allowed: 1, usable: 1, kept: None, server_here: true };

    /// The scheduling policy of a thread, as /proc has it: 1 is SCHED_FIFO.
    fn policy() -> Option<String> {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{}/stat", gettid().as_raw_nonzero())).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(38).map(str::to_owned)
    }

    #[test]
    fn a_worker_is_in_the_class_where_the_kernel_lets_it() {
        thread::spawn(|| match enter() {
            Ok(()) => assert_eq!(policy().as_deref(), Some("1")),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                let refused = check(&Plan { realtime: true, ..plan() }, ROOM).unwrap_err().to_string();
                assert!(refused.contains("--realtime") && refused.contains("CAP_SYS_NICE"), "{refused}");
            }
        })
        .join()
        .unwrap();
        assert_eq!(policy().as_deref(), Some("0"), "no other thread");
    }

    #[test]
    fn one_that_spins_is_refused_where_it_would_share_its_core() {
        let spinning = Plan { realtime: true, pacing: Pacing::Spin, ..plan() };
        let refused = check(&spinning, ROOM).unwrap_err().to_string();
        assert!(refused.contains("--pacing spin") && refused.contains("share its core"), "{refused}");
        assert!(check(&Plan { realtime: false, ..spinning }, ROOM).is_ok());
    }
}
