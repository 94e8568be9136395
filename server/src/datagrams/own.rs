//! Which datagrams come from an address at which this server itself answers. Only a forged one does, or the reply to one:
//! the server would answer itself, and the answer too, for ever.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

/// Whether `source` is an address at which a server answers that is bound to `listened`. Where one of these stands for every
/// address of the machine, the kernel is asked whether the source is among them, which may change while the server runs.
#[inline]
pub(super) fn is_own(listened: &[SocketAddr], source: SocketAddr) -> bool {
    listened.iter().any(|own| own.port() == source.port() && is_at(*own, source))
}

/// Of two addresses with the same port: whether the one that is listened at takes in the source.
#[cold]
fn is_at(own: SocketAddr, source: SocketAddr) -> bool {
    let (at, from) = (own.ip().to_canonical(), source.ip().to_canonical());
    at == from || at.is_unspecified() && is_of_this_machine(source)
}

/// Whether a socket can be bound to that address.
fn is_of_this_machine(mut address: SocketAddr) -> bool {
    address.set_port(0);
    if let Some(ip) = address.ip().to_canonical().is_ipv4().then(|| address.ip().to_canonical()) {
        address.set_ip(ip);
    }
    UdpSocket::bind(address).map_or_else(|error| error.kind() != ErrorKind::AddrNotAvailable, |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_by_its_port_and_machine() {
        let is_own = |listened: &[&str], source: &str| {
            let listened: Vec<SocketAddr> = listened.iter().map(|address| address.parse().unwrap()).collect();
            super::is_own(&listened, source.parse().unwrap())
        };
        assert!(is_own(&["127.0.0.1:7"], "127.0.0.1:7"));
        assert!(!is_own(&["127.0.0.1:7"], "127.0.0.1:8"), "a client on this machine");
        assert!(!is_own(&["127.0.0.1:7"], "127.0.0.2:7"), "nothing of this server is there");
        assert!(is_own(&["127.0.0.1:7", "127.0.0.2:8"], "127.0.0.2:8"), "each listener counts");
        assert!(!is_own(&["127.0.0.1:7", "127.0.0.2:8"], "127.0.0.2:7"));
        for every in ["0.0.0.0:7", "[::]:7"] {
            assert!(is_own(&[every], "127.0.0.2:7") && !is_own(&[every], "127.0.0.2:8"), "{every}");
            assert!(!is_own(&[every], "192.0.2.1:7"), "another machine: {every}");
        }
        assert!(is_own(&["[::]:7"], "[::ffff:127.0.0.2]:7") && !is_own(&["[::]:7"], "[::ffff:192.0.2.1]:7"));
        assert!(is_own(&["127.0.0.1:7"], "[::ffff:127.0.0.1]:7"));
    }
}
