//! The limits that many held connections run into beside those of a run: the server's own descriptors, memory for what the
//! kernel keeps of each connection, and the queue of connections that a listener has not taken yet.

use std::fs;

use procfs::ProcError;
use procfs::process::{LimitValue, Process};

use super::{LimitError, SPARE_DESCRIPTORS, memory, port_range, ports};
use crate::plan::Plan;

/// Checks that the server's processes may have the connections' descriptors, and that there is memory for the kernel's part
/// of them; `local` where both ends are on this machine.
///
/// # Errors
/// Names the limit that is too low, and how to raise it.
pub fn make_room(connections: u32, server_pids: &[i32], local: bool) -> Result<(), LimitError> {
    // Several processes share the connections in a way that is theirs: each needs its part at least.
    let share = u64::from(connections).div_ceil(server_pids.len().max(1) as u64);
    for &pid in server_pids {
        // Of a process that may not be looked at nothing is known: the connections that fail will tell.
        if let Ok((used, limit)) = descriptors(pid) {
            check_descriptors(share, pid, used, limit)?;
        }
    }
    check_memory(connections, local, memory::available())
}

/// Checks that there are ports enough for all connections of the plan to be dropped and opened again at once.
///
/// # Errors
/// Says how many are missing, and how to have more.
pub fn make_room_for_a_storm(plan: &Plan) -> Result<(), LimitError> {
    check_ports_twice(plan, port_range())
}

/// Whoever closes a connection first keeps its port in TIME_WAIT, which the kernel gives to another connection to the same
/// server only on the loopback interface, a second later, and not to one that is bound to a source address.
fn check_ports_twice(plan: &Plan, range: u64) -> Result<(), LimitError> {
    let connections = plan.connections.get();
    let (needed, (sources, ports)) = (2 * u64::from(connections), ports(plan, range));
    if needed > ports {
        return Err(LimitError::StormPorts { connections, needed, ports, range, sources });
    }
    Ok(())
}

/// What to know beforehand of a listener's queue where `at_once` handshakes are under way at the same time.
pub fn queue_note(at_once: u64) -> Option<String> {
    let longest = fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?.trim().parse().ok()?;
    too_short(at_once, longest)
}

fn too_short(at_once: u64, longest: u64) -> Option<String> {
    (at_once > longest).then(|| {
        format!(
            "up to {at_once} connections are opened at the same time, and a listener of this machine queues {longest} at the \
             most (net.core.somaxconn): those beyond it wait a second or more until TCP tries again; raise it with sysctl -w \
             net.core.somaxconn={at_once}, and the server's own backlog"
        )
    })
}

fn descriptors(pid: i32) -> Result<(u64, u64), ProcError> {
    let process = Process::new(pid)?;
    let limit = match process.limits()?.max_open_files.soft_limit {
        LimitValue::Unlimited => u64::MAX,
        LimitValue::Value(limit) => limit,
    };
    Ok((process.fd_count()? as u64, limit))
}

fn check_descriptors(connections: u64, pid: i32, used: u64, limit: u64) -> Result<(), LimitError> {
    let needed = connections + used + SPARE_DESCRIPTORS;
    if needed > limit {
        return Err(LimitError::ServerDescriptors { connections, pid, needed, limit });
    }
    Ok(())
}

fn check_memory(connections: u32, local: bool, available: u64) -> Result<(), LimitError> {
    let ends = if local { 2 } else { 1 };
    let needed = u64::from(connections) * BYTES_PER_END * ends;
    if needed > available {
        return Err(LimitError::HeldMemory { connections, needed, available, ends });
    }
    Ok(())
}

/// What the kernel keeps for one end of an idle TCP connection, in bytes: socket, file, inode, directory entry and epoll
/// entry take 4 to 5 KiB on Linux 6.
pub const BYTES_PER_END: u64 = 5 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;

    #[test]
    fn limits_are_named_with_their_remedies() {
        assert_eq!(check_descriptors(15_000, 7, 20, 20_000), Ok(()));
        let error = check_descriptors(15_000, 7, 20, 1_024).unwrap_err().to_string();
        for words in ["process 7", "15052", "may have 1024", "ulimit -n 15052"] {
            assert!(error.contains(words), "{words} is not in: {error}");
        }
        assert_eq!(check_memory(15_000, true, 1 << 30), Ok(()));
        let error = check_memory(15_000, true, 1 << 20).unwrap_err().to_string();
        for words in ["15000 connections", "146 MiB", "may have 1.00 MiB", "memory.max"] {
            assert!(error.contains(words), "{words} is not in: {error}");
        }
        assert_eq!(too_short(4_096, 4_096), None);
        assert!(too_short(10_000, 4_096).unwrap().contains("sysctl -w net.core.somaxconn=10000"));
    }

    #[test]
    fn connections_that_come_back_at_once_need_ports_beside_those_of_the_dropped() {
        let mut plan = plan();
        plan.connections = 14_116.try_into().unwrap();
        assert_eq!(check_ports_twice(&plan, 28_232), Ok(()));
        plan.connections = 15_000.try_into().unwrap();
        let error = check_ports_twice(&plan, 28_232).unwrap_err().to_string();
        for words in ["--storm", "15000 connections", "30000 local ports", "TIME_WAIT", "28232", "--source-ip"] {
            assert!(error.contains(words), "{words} is not in: {error}");
        }
        plan.connect.source_ips = vec!["127.0.0.2".parse().unwrap(), "127.0.0.3".parse().unwrap()];
        assert_eq!(check_ports_twice(&plan, 28_232), Ok(()));
    }

    #[test]
    fn this_process_s_descriptors_are_counted() {
        let (used, limit) = descriptors(std::process::id() as i32).unwrap();
        assert!(used > 2 && limit >= used, "{used} of {limit}");
    }
}
