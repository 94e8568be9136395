//! Sockets for datagrams: one for each worker and address, among which the kernel shares out what comes by a hash of both
//! addresses (SO_REUSEPORT).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::sockets::{grant, local_address, takes_ipv4};
use crate::Error;
use crate::config::{Config, Endpoint};
use crate::datagrams;

/// Binds an address once for every worker; the address has the port that the kernel picked where it was 0. Which addresses are
/// this server's own is to be told to the sockets when all are bound.
///
/// # Errors
/// When it cannot be bound, or the kernel refuses an option for another reason than its size.
pub(super) fn bind(endpoint: Endpoint, config: &Config) -> Result<(SocketAddr, Vec<datagrams::Socket>), Error> {
    let fail = |source| Error::Listen { address: endpoint, source };
    let count = config.workers.shards();
    let first = open(endpoint, config)?;
    // As for connections: without SO_REUSEPORT first, so that a port in use is an error.
    first.bind(&endpoint.address.into()).map_err(fail)?;
    if count > 1 {
        first.set_reuse_port(true).map_err(fail)?;
    }
    let address = local_address(&first).map_err(fail)?;
    let mut sockets = vec![first];
    while sockets.len() < count {
        let sibling = open(Endpoint { address, ..endpoint }, config)?;
        sibling.set_reuse_port(true).and_then(|()| sibling.bind(&address.into())).map_err(fail)?;
        sockets.push(sibling);
    }
    if config.limits.udp_limit.is_none() && !address.ip().to_canonical().is_loopback() {
        tracing::warn!(
            "--listen udp://{address} is answered without a limit: whoever forges the address of a sender has that \
             machine sent as much as it sends here; --udp-limit bounds it"
        );
    }
    let socket = |socket: Socket| {
        let offload = config.socket.udp_offload && merge(&socket);
        datagrams::Socket { socket: socket.into(), offload, own: Arc::default() }
    };
    Ok((address, sockets.into_iter().map(socket).collect()))
}

/// A socket with every option set. (SO_REUSEADDR is not among them: with it another program could take the port over.)
fn open(endpoint: Endpoint, config: &Config) -> Result<Socket, Error> {
    let Endpoint { address, .. } = endpoint;
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))
        .and_then(|socket| {
            if address.is_ipv6() {
                socket.set_only_v6(!takes_ipv4(endpoint, &config.listen))?;
            }
            if address.ip().is_unspecified() {
                say_address(&socket, address)?;
            }
            socket.set_nonblocking(true).map(|()| socket)
        })
        .map_err(|source| Error::Listen { address: endpoint, source })?;
    let options = &config.socket;
    let named = |flag| move |source| Error::SocketOption { flag, source };
    grant(options.busy_poll, |v| socket.set_busy_poll(v), || socket.busy_poll()).map_err(named("busy-poll"))?;
    grant(options.recv_buffer, |v| socket.set_recv_buffer_size(v), || socket.recv_buffer_size())
        .map_err(named("recv-buffer"))?;
    grant(options.send_buffer, |v| socket.set_send_buffer_size(v), || socket.send_buffer_size())
        .map_err(named("send-buffer"))?;
    Ok(socket)
}

/// Has the kernel merge datagrams of one source and of equal length into one message; whether it can.
fn merge(socket: &Socket) -> bool {
    setsockopt(socket, sockopt::UdpGroSegment, &true)
        .inspect_err(|error| tracing::info!("--udp-offload on: this kernel cannot merge datagrams (UDP_GRO): {error}"))
        .is_ok()
}

/// Has each datagram say which address it came to, so that its reply comes from there: a peer that has connected its socket
/// takes no other.
fn say_address(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true),
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true),
    }
    .map_err(io::Error::from)
}
