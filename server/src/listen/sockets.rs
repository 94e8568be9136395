//! What sockets for connections and sockets for datagrams are set up with alike.

use std::io;
use std::net::SocketAddr;

use socket2::Socket;

use crate::config::Endpoint;

/// Whether the socket of `endpoint`, which is one of `all`, takes what comes to IPv4 addresses: `[::]` does, as people
/// expect of "every address", unless another socket is to take that of the same port, which would then fail to bind.
pub(super) fn takes_ipv4(endpoint: Endpoint, all: &[Endpoint]) -> bool {
    let Endpoint { scheme, address } = endpoint;
    let port = address.port();
    // Connections and datagrams have ports of their own.
    let mut beside = all.iter().filter(|other| other.scheme.is_stream() == scheme.is_stream());
    address.is_ipv4()
        || (address.ip().is_unspecified()
            && (port == 0 || !beside.any(|other| other.address.is_ipv4() && other.address.port() == port)))
}

/// Asks for `wanted`, if anything, and reads back what came of it. A missing privilege is no grant, but no error.
pub(super) fn grant<T: Copy>(
    wanted: Option<T>,
    set: impl FnOnce(T) -> io::Result<()>,
    get: impl FnOnce() -> io::Result<T>,
) -> io::Result<Option<T>> {
    let Some(wanted) = wanted else { return Ok(None) };
    match set(wanted) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error),
        Ok(()) => get().map(Some),
    }
}

/// The address that a socket is bound to.
pub(super) fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("not an IP address"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Scheme;

    #[test]
    fn every_address_includes_ipv4_unless_it_is_asked_for_apart() {
        let takes = |address: &str, others: &[&str]| {
            let endpoint = Endpoint::ws(address.parse().unwrap());
            let others = others.iter().map(|other| match other.strip_prefix("udp://") {
                Some(other) => Endpoint { scheme: Scheme::Udp, address: other.parse().unwrap() },
                None => Endpoint::ws(other.parse().unwrap()),
            });
            takes_ipv4(endpoint, &others.chain([endpoint]).collect::<Vec<_>>())
        };
        assert!(takes("[::]:80", &[]));
        assert!(takes("[::]:80", &["127.0.0.1:81", "[::1]:82"]));
        assert!(takes("[::]:80", &["udp://127.0.0.1:80"]), "it has ports of its own");
        assert!(takes("[::]:0", &["127.0.0.1:0"]), "each has a port of its own");
        assert!(!takes("[::]:80", &["0.0.0.0:80"]));
        assert!(!takes("[::]:80", &["127.0.0.1:80"]));
        assert!(!takes("[::1]:80", &[]));
        assert!(takes("0.0.0.0:80", &[]));
    }
}
