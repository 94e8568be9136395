//! Which sockets of this machine listen on an address, or receive datagrams there, by the kernel's tables and without a
//! connection to it.

use std::net::{IpAddr, SocketAddr};

use procfs::net::{TcpNetEntry, TcpState, UdpState};
use procfs::process::{FDTarget, Process, all_processes};

/// Whether anything is seen to listen on `address`, or on all addresses at its port.
pub fn is_listened_on(address: SocketAddr) -> bool {
    !sockets(address, false).is_empty()
}

/// The sockets that listen there, or receive datagrams there, by the kernel's numbers.
pub fn sockets(address: SocketAddr, datagrams: bool) -> Vec<u64> {
    let all: Vec<(SocketAddr, u64)> = if datagrams {
        receivers().collect()
    } else {
        listeners().map(|entry| (entry.local_address, entry.inode)).collect()
    };
    let listening: Vec<_> = all.into_iter().filter(|(local, _)| local.port() == address.port()).collect();
    // The kernel prefers the listener on the very address to one on all of them.
    let bound_to = |matches: &dyn Fn(IpAddr) -> bool| -> Vec<u64> {
        listening.iter().filter(|(local, _)| matches(local.ip())).map(|(_, inode)| *inode).collect()
    };
    let exact = bound_to(&|ip| ip.to_canonical() == address.ip().to_canonical());
    let any = |ip: IpAddr| ip.is_unspecified() && ip.is_ipv4() == address.is_ipv4();
    // A listener on all IPv6 addresses takes what comes for IPv4 ones, where no other does.
    let inodes = [exact, bound_to(&any), bound_to(&|ip| ip.is_unspecified() && ip.is_ipv6())];
    inodes.into_iter().find(|inodes| !inodes.is_empty()).unwrap_or_default()
}

/// Where the processes of a group listen, each address once; none where that cannot be seen.
pub fn addresses_of_group(group: i32) -> Vec<SocketAddr> {
    let is_of_group = |process: &Process| process.stat().is_ok_and(|stat| stat.pgrp == group);
    let processes = all_processes().into_iter().flatten().flatten().filter(is_of_group);
    let descriptors = processes.flat_map(|process| process.fd().into_iter().flatten().flatten());
    let sockets: Vec<u64> = descriptors
        .filter_map(|descriptor| match descriptor.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect();
    let mut addresses: Vec<SocketAddr> =
        listeners().filter(|entry| sockets.contains(&entry.inode)).map(|entry| entry.local_address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// All sockets for datagrams that are not connected: their addresses, and the kernel's numbers.
fn receivers() -> impl Iterator<Item = (SocketAddr, u64)> {
    let entries = [procfs::net::udp(), procfs::net::udp6()].into_iter().flat_map(Result::unwrap_or_default);
    entries.filter(|entry| entry.state == UdpState::Close).map(|entry| (entry.local_address, entry.inode))
}

/// All sockets that listen.
fn listeners() -> impl Iterator<Item = TcpNetEntry> {
    let entries = [procfs::net::tcp(), procfs::net::tcp6()].into_iter().flat_map(Result::unwrap_or_default);
    entries.filter(|entry| entry.state == TcpState::Listen)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use rustix::process::getpgrp;

    use super::*;

    #[test]
    fn sockets_for_datagrams_are_told_from_those_for_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(sockets(address, true), [0_u64; 0]);
        let receiver = UdpSocket::bind(address).unwrap();
        let [stream, datagrams] = [false, true].map(|datagrams| sockets(address, datagrams));
        assert_eq!((stream.len(), datagrams.len()), (1, 1));
        assert_ne!(stream, datagrams);
        receiver.connect("127.0.0.1:9").unwrap();
        assert_eq!(sockets(address, true), [0_u64; 0], "a connected socket is a client's");
    }

    #[test]
    fn the_listeners_of_a_group_of_processes_are_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let group = getpgrp().as_raw_nonzero().get();
        assert!(addresses_of_group(group).contains(&address));
        drop(listener);
        assert!(!addresses_of_group(group).contains(&address));
    }
}
