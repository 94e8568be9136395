//! Which sockets of this machine listen on an address, by the kernel's tables and without a connection to it.

use std::net::{IpAddr, SocketAddr};

use procfs::net::{TcpNetEntry, TcpState};

/// Whether anything is seen to listen on `address`, or on all addresses at its port.
pub fn is_listened_on(address: SocketAddr) -> bool {
    !sockets(address).is_empty()
}

/// The sockets that listen there, by the kernel's numbers.
pub fn sockets(address: SocketAddr) -> Vec<u64> {
    let listening: Vec<TcpNetEntry> = [procfs::net::tcp(), procfs::net::tcp6()]
        .into_iter()
        .flat_map(Result::unwrap_or_default)
        .filter(|entry| entry.state == TcpState::Listen && entry.local_address.port() == address.port())
        .collect();
    // The kernel prefers the listener on the very address to one on all of them.
    let bound_to = |matches: &dyn Fn(IpAddr) -> bool| -> Vec<u64> {
        listening.iter().filter(|entry| matches(entry.local_address.ip())).map(|entry| entry.inode).collect()
    };
    let exact = bound_to(&|ip| ip.to_canonical() == address.ip().to_canonical());
    let any = |ip: IpAddr| ip.is_unspecified() && ip.is_ipv4() == address.is_ipv4();
    // A listener on all IPv6 addresses takes what comes for IPv4 ones, where no other does.
    let inodes = [exact, bound_to(&any), bound_to(&|ip| ip.is_unspecified() && ip.is_ipv6())];
    inodes.into_iter().find(|inodes| !inodes.is_empty()).unwrap_or_default()
}
