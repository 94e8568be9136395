//! The limits of the system that a plan can run into, checked before anything is connected: file descriptors of this
//! process, and local ports towards one server address.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::plan::Plan;

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
}

/// Raises the soft limit of file descriptors to the hard one, and checks that the plan's connections to as many
/// `servers` at once fit.
///
/// # Errors
/// Names the limit that is too low, and how to raise it.
pub fn make_room(plan: &Plan, servers: u32) -> Result<(), LimitError> {
    let limit = getrlimit(Resource::Nofile);
    // It fails only where there is nothing to raise; the check below says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    check(plan, servers, descriptors, port_range())
}

fn check(plan: &Plan, servers: u32, descriptors: u64, range: u64) -> Result<(), LimitError> {
    let connections = plan.connections.get();
    let of_a_server = u64::from(connections) + plan.threads.get() as u64 * DESCRIPTORS_PER_WORKER;
    let needed = of_a_server * u64::from(servers) + SPARE_DESCRIPTORS;
    if needed > descriptors {
        let connections = connections.saturating_mul(servers);
        return Err(LimitError::Descriptors { connections, needed, limit: descriptors });
    }
    let sources = plan.connect.source_ips.len().max(1);
    let ports = range.saturating_mul(sources as u64);
    if u64::from(connections) > ports {
        return Err(LimitError::Ports { connections, ports, range, sources });
    }
    Ok(())
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
    use super::*;
    use crate::plan::tests::plan;

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
}
