//! The limits of the system that a plan can run into, checked before anything is connected: file descriptors of this
//! process, local ports towards one server address, and memory.

pub mod held;
mod memory;

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::plan::messages::Corpus;
use crate::plan::{IN_FLIGHT_BYTES, Plan};
use crate::units;

/// A limit that is in the plan's way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Too few file descriptors.
    #[error(
        "{connections} connections need {needed} file descriptors, and this process may have {limit}; \
         raise the hard limit (ulimit -Hn {needed}, or LimitNOFILE= in its systemd unit) or use fewer connections"
    )]
    Descriptors {
        /// Connections asked for.
        connections: u32,
        /// Descriptors that they need.
        needed: u64,
        /// Descriptors that there are.
        limit: u64,
    },
    /// Too few local ports.
    #[error(
        "{connections} connections to one server address need as many local ports, and there are {ports} \
         ({range} of net.ipv4.ip_local_port_range on {sources} source address(es)); \
         give more addresses with --source-ip, or widen the range with sysctl"
    )]
    Ports {
        /// Connections asked for.
        connections: u32,
        /// Ports that there are.
        ports: u64,
        /// Ports per source address.
        range: u64,
        /// Source addresses.
        sources: usize,
    },
    /// Too few local ports for connections that are dropped and opened again.
    #[error(
        "--storm: {connections} connections that are dropped and opened again need {needed} local ports, since the kernel keeps the \
         ports of those that were dropped for a minute (TIME_WAIT), and there are {ports} ({range} of \
         net.ipv4.ip_local_port_range on {sources} source address(es)); give more addresses with --source-ip, or widen the \
         range with sysctl"
    )]
    StormPorts {
        /// Connections asked for.
        connections: u32,
        /// Ports that they need.
        needed: u64,
        /// Ports that there are.
        ports: u64,
        /// Ports per source address.
        range: u64,
        /// Source addresses.
        sources: usize,
    },
    /// Too few file descriptors of the server.
    #[error(
        "{connections} connections need {needed} file descriptors in the server's process {pid}, and it may have {limit}; raise \
         its limit before it starts (ulimit -n {needed}, or LimitNOFILE= in its systemd unit) or use fewer connections"
    )]
    ServerDescriptors {
        /// Connections that it is to take.
        connections: u64,
        /// The process.
        pid: i32,
        /// Descriptors that it needs.
        needed: u64,
        /// Descriptors that it may have.
        limit: u64,
    },
    /// Too little memory for the kernel's part of the connections.
    #[error(
        "{connections} connections need about {} of memory in the kernel ({} for each of {ends} end(s) on this machine), and this \
         process may have {}; raise memory.max of its control group, or use fewer connections",
        units::memory(*needed),
        units::memory(held::BYTES_PER_END),
        units::memory(*available)
    )]
    HeldMemory {
        /// Connections asked for.
        connections: u32,
        /// Bytes that they need.
        needed: u64,
        /// Bytes that there are.
        available: u64,
        /// Ends of each connection on this machine.
        ends: u64,
    },
    /// Too little memory.
    #[error(
        "this load needs {} of memory, and this process may have {}: --connections {connections} x --in-flight {in_flight} \
         x {IN_FLIGHT_BYTES} B = {} for the times of the messages in flight, and {} for prebuilt messages of --size {size} B, \
         for {servers} server(s); use fewer connections, fewer messages in flight or smaller messages",
        units::memory(*needed),
        units::memory(*available),
        units::memory(*stamps),
        units::memory(*messages)
    )]
    Memory {
        /// Connections asked for, to each server.
        connections: u32,
        /// Messages in flight on each.
        in_flight: u32,
        /// Bytes for the times of one server's messages.
        stamps: u64,
        /// Bytes for the messages to one server.
        messages: u64,
        /// Bytes of the largest message.
        size: usize,
        /// Servers at once.
        servers: u32,
        /// Bytes that all of them need.
        needed: u64,
        /// Bytes that there are.
        available: u64,
    },
}

/// Raises the soft limit of file descriptors to the hard one, and checks that the plan's connections to as many
/// `servers` at once fit, and that there is memory for their messages, which take more where some may be sent as `bytes` without
/// frames.
///
/// # Errors
/// Names the limit that is too low, and how to raise it.
pub fn make_room(plan: &Plan, servers: u32, bytes: bool) -> Result<(), LimitError> {
    let limit = getrlimit(Resource::Nofile);
    // It fails only where there is nothing to raise; the check below says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    check(plan, servers, descriptors, port_range())?;
    check_memory(plan, servers, bytes, memory::available())
}

/// Most of the memory is that for when each message in flight was due and sent, taken before the load begins, so that
/// nothing is allocated while it runs. What is in flight itself lies in the kernel's buffers, which it bounds.
fn check_memory(plan: &Plan, servers: u32, bytes: bool, available: u64) -> Result<(), LimitError> {
    let connections = plan.connections.get();
    let in_flight = plan.load.capacity() as u64;
    let stamps = u64::from(connections).saturating_mul(in_flight).saturating_mul(IN_FLIGHT_BYTES);
    let messages = Corpus::memory(plan, bytes);
    let needed = stamps.saturating_add(messages).saturating_mul(servers.into());
    if needed <= available {
        return Ok(());
    }
    let (in_flight, size) = (u32::try_from(in_flight).unwrap_or(u32::MAX), plan.message.size.max());
    Err(LimitError::Memory { connections, in_flight, stamps, messages, size, servers, needed, available })
}

fn check(plan: &Plan, servers: u32, descriptors: u64, range: u64) -> Result<(), LimitError> {
    let connections = plan.connections.get();
    let of_a_server = u64::from(connections) + plan.threads.get() as u64 * DESCRIPTORS_PER_WORKER;
    let needed = of_a_server * u64::from(servers) + SPARE_DESCRIPTORS;
    if needed > descriptors {
        let connections = connections.saturating_mul(servers);
        return Err(LimitError::Descriptors { connections, needed, limit: descriptors });
    }
    let (sources, ports) = ports(plan, range);
    if u64::from(connections) > ports {
        return Err(LimitError::Ports { connections, ports, range, sources });
    }
    Ok(())
}

/// From how many addresses the plan connects, and how many ports they have where each has `range`.
fn ports(plan: &Plan, range: u64) -> (usize, u64) {
    let sources = plan.connect.source_ips.len().max(1);
    (sources, range.saturating_mul(sources as u64))
}

/// Local ports that the kernel gives out per address; all of them where it does not say.
fn port_range() -> u64 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| {
            let mut bounds = text.split_whitespace().map(str::parse::<u64>);
            let (low, high) = (bounds.next()?.ok()?, bounds.next()?.ok()?);
            Some((high + 1).saturating_sub(low))
        })
        .unwrap_or(1 << 16)
}

/// Descriptors for standard streams, files of the report, the server's pipes and /proc.
const SPARE_DESCRIPTORS: u64 = 32;

/// Descriptors of a worker: the lane's epoll set, and its runtime's epoll set and waker while it connects.
const DESCRIPTORS_PER_WORKER: u64 = 8;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::plan::tests::plan;
    use crate::plan::{Load, MAX_MESSAGE_BYTES, Sizes};

    #[test]
    fn fifteen_thousand_connections_fit_into_twenty_thousand_descriptors() {
        let mut plan = plan();
        plan.connections = 15_000.try_into().unwrap();
        assert_eq!(check(&plan, 1, 20_000, 28_232), Ok(()));
    }

    #[test]
    fn a_limit_in_the_way_is_named_with_its_remedy() {
        let mut plan = plan();
        plan.connections = 30_000.try_into().unwrap();
        let error = check(&plan, 1, 20_000, 28_232).unwrap_err().to_string();
        assert!(error.contains("20000") && error.contains("ulimit -Hn"), "{error}");
        let error = check(&plan, 1, 100_000, 28_232).unwrap_err().to_string();
        assert!(error.contains("28232") && error.contains("--source-ip"), "{error}");
        plan.connect.source_ips = vec!["127.0.0.2".parse().unwrap(), "127.0.0.3".parse().unwrap()];
        assert_eq!(check(&plan, 1, 100_000, 28_232), Ok(()));
    }
    #[test]
    fn memory_that_there_is_not_is_refused_with_the_arithmetic() {
        let mut plan = plan();
        (plan.connections, plan.load) = (100.try_into().unwrap(), Load::Closed { in_flight: NonZeroU32::MAX });
        let error = check_memory(&plan, 1, false, 8 << 30).unwrap_err().to_string();
        for words in [
            "needs 9600 GiB",
            "may have 8.00 GiB",
            "--connections 100 x --in-flight 4294967295 x 24 B = 9600 GiB",
            "--size 64 B",
        ] {
            assert!(error.contains(words), "{words} is not in: {error}");
        }
        plan.load = Load::Closed { in_flight: 1_000.try_into().unwrap() };
        assert_eq!(check_memory(&plan, 1, false, 8 << 30), Ok(()));
        // 2 MiB for each server; it is the servers that are too many.
        assert!(check_memory(&plan, 3, false, 4 << 20).is_err() && check_memory(&plan, 1, false, 4 << 20).is_ok());
        plan.message.size = Sizes::exactly(MAX_MESSAGE_BYTES);
        assert!(check_memory(&plan, 1, false, 640 << 20).is_err() && check_memory(&plan, 1, false, 700 << 20).is_ok());
        assert!(check_memory(&plan, 1, true, 896 << 20).is_err() && check_memory(&plan, 1, true, 900 << 20).is_ok());
    }
}
