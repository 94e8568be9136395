//! One batch of datagrams: received by one system call, and sent back by one for each address that they came to. The
//! replies are sent from where the datagrams lie, and nothing is allocated for them.

use std::array;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};

use libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, sendmmsg,
};

use super::Socket;
use super::counts::{Counts, Outcome};
use super::limit::Limit;
use super::own::is_own;
use crate::dialogue::inject::{self, Injected};

/// Room for the datagrams of one batch, and what is done about them.
pub(super) struct Batch {
    received: Headers,
    /// Without room for the address that a reply comes from.
    plain: Headers,
    /// With room for it.
    addressed: Headers,
    buffers: Vec<u8>,
    /// Those to be answered.
    due: Vec<Due>,
    /// Where their replies go, in the same order.
    to: Vec<Option<SockaddrStorage>>,
    limit: Option<Limit>,
    injected: Option<Injected>,
    logs: bool,
}

/// A datagram that is to be answered.
#[derive(Debug, Clone, Copy)]
struct Due {
    /// Which buffer it lies in.
    buffer: usize,
    bytes: usize,
    /// The address that it came to, where the socket has several.
    came_to: Option<IpAddr>,
}

impl Batch {
    pub(super) fn new(socket: &Socket, limit: Option<Limit>, injected: Option<Injected>, logs: bool) -> Self {
        let room = || Some(cmsg_space!(in6_pktinfo));
        Self {
            received: Headers::new(room().filter(|_| socket.says_address)),
            plain: Headers::new(None),
            addressed: Headers::new(room()),
            buffers: vec![0; MOST * STRIDE],
            due: Vec::with_capacity(MOST),
            to: Vec::with_capacity(MOST),
            limit,
            injected,
            logs,
        }
    }

    /// Receives what has come, [`MOST`] datagrams at the most, and answers it; returns how many came.
    ///
    /// # Errors
    /// When they cannot be received. That none has come is no error.
    pub(super) fn answer(&mut self, socket: &Socket, counts: &Counts) -> io::Result<usize> {
        let (received, own) = self.receive(socket)?;
        if received > 0 {
            let over_limit = received - own - self.due.len();
            inject::hold_up(self.injected.as_ref(), self.due.len());
            let answered = self.send(socket.as_raw_fd());
            counts.add(Outcome { received, answered, over_limit, own, unsent: self.due.len() - answered });
        }
        Ok(received)
    }

    /// Receives what has come and notes what is to be answered; returns how many datagrams came, and how many of them from an
    /// address of this server.
    fn receive(&mut self, socket: &Socket) -> io::Result<(usize, usize)> {
        self.due.clear();
        self.to.clear();
        let mut buffers = self.buffers.chunks_exact_mut(STRIDE);
        let mut slices: [[IoSliceMut<'_>; 1]; MOST] =
            array::from_fn(|_| [IoSliceMut::new(buffers.next().expect("one for each"))]);
        let messages =
            match recvmmsg(socket.as_raw_fd(), &mut self.received.0, &mut slices, MsgFlags::MSG_DONTWAIT, None) {
                Ok(messages) => messages,
                Err(Errno::EAGAIN) => return Ok((0, 0)),
                Err(error) => return Err(error.into()),
            };
        let now = self.limit.as_ref().map_or(0, Limit::now);
        let (mut received, mut own) = (0, 0);
        for message in messages {
            let buffer = received;
            received += 1;
            let from = message.address.as_ref().and_then(address);
            if from.is_some_and(|from| is_own(&socket.own, from)) {
                own += 1;
                continue;
            }
            if let (Some(limit), Some(from)) = (&mut self.limit, from)
                && !limit.takes(from.ip(), now)
            {
                continue;
            }
            if self.logs {
                tracing::info!(peer = from.map(tracing::field::display), bytes = message.bytes, "datagram");
            }
            self.due.push(Due { buffer, bytes: message.bytes, came_to: came_to(&message) });
            self.to.push(message.address);
        }
        Ok((received, own))
    }

    /// Sends back what is to be answered; returns how many replies the kernel took.
    fn send(&mut self, socket: RawFd) -> usize {
        let mut slices = [[IoSlice::new(&[])]; MOST];
        for (slice, due) in slices.iter_mut().zip(&self.due) {
            *slice = [IoSlice::new(&self.buffers[due.buffer * STRIDE..][..due.bytes])];
        }
        let (mut answered, mut begin) = (0, 0);
        while begin < self.due.len() {
            let from = self.due[begin].came_to;
            // They share the address that their replies come from.
            let alike = self.due[begin..].iter().take_while(|due| due.came_to == from).count();
            let (slices, to) = (&slices[begin..begin + alike], &self.to[begin..begin + alike]);
            let sent = match from {
                None => sendmmsg(socket, &mut self.plain.0, slices, to, [], FLAGS).map(Iterator::count),
                Some(IpAddr::V4(ip)) => {
                    let from = in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
                    let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: from };
                    let from = [ControlMessage::Ipv4PacketInfo(&info)];
                    sendmmsg(socket, &mut self.addressed.0, slices, to, from, FLAGS).map(Iterator::count)
                }
                Some(IpAddr::V6(ip)) => {
                    let info = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
                    let from = [ControlMessage::Ipv6PacketInfo(&info)];
                    sendmmsg(socket, &mut self.addressed.0, slices, to, from, FLAGS).map(Iterator::count)
                }
            };
            match sent {
                Ok(sent) => {
                    answered += sent;
                    begin += sent.max(1);
                }
                // So would be the others.
                Err(Errno::EAGAIN | Errno::ENOBUFS) => break,
                // There is no way to this one.
                Err(error) => {
                    tracing::debug!("a datagram cannot be answered: {error}");
                    begin += 1;
                }
            }
        }
        answered
    }
}

/// What the kernel reads and writes of the datagrams of a batch beside their bytes.
struct Headers(MultiHeaders<SockaddrStorage>);

// SAFETY: nothing in it is tied to a thread. Between two calls its pointers lead into boxes that it owns, or are not followed
// until the next call has replaced them.
#[allow(unsafe_code)]
unsafe impl Send for Headers {}

impl Headers {
    /// For [`MOST`] datagrams, with so much room for what the kernel says or is told of each.
    fn new(room: Option<Vec<u8>>) -> Self {
        Self(MultiHeaders::preallocate(MOST, room))
    }
}

/// The address that a datagram came to, where the socket says so.
fn came_to(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<IpAddr> {
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes())),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(Ipv6Addr::from(info.ipi6_addr.s6_addr))),
        _ => None,
    })
}

/// The same address as the standard library has it.
fn address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|&v4| SocketAddrV4::from(v4).into());
    v4.or_else(|| address.as_sockaddr_in6().map(|&v6| SocketAddrV6::from(v6).into()))
}

const FLAGS: MsgFlags = MsgFlags::MSG_DONTWAIT;

/// Datagrams of one batch: the system calls are shared by so many that they no longer count, and the buffers' beginnings stay
/// in the core's cache.
pub(super) const MOST: usize = 64;

/// Bytes from one buffer to the next. The largest datagram has 65,527; 64 more than a power of two let the buffers' beginnings
/// be in different places of the core's cache.
const STRIDE: usize = (64 << 10) + 64;
