//! What the kernel is told and says of a batch of datagrams: the arrays of recvmmsg(2) and sendmmsg(2), their control messages
//! and the buffers. With UDP_GRO one message that is received may hold several datagrams of one source, and with UDP_SEGMENT
//! one message that is sent becomes several.
//!
//! nix has both calls, but its headers cannot be used twice where control messages differ: their room shrinks to what the last
//! call brought, and those that are sent are the same for all messages of a call.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ops::Range;
use std::os::fd::RawFd;
use std::ptr;

use libc::{
    AF_INET, AF_INET6, CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_NXTHDR, CMSG_SPACE, IP_PKTINFO, IPPROTO_IP,
    IPPROTO_IPV6, IPV6_PKTINFO, MSG_DONTWAIT, SOL_UDP, UDP_GRO, UDP_SEGMENT, c_int, c_uint, cmsghdr, in_addr,
    in_pktinfo, in6_addr, in6_pktinfo, iovec, mmsghdr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t,
};

/// The messages of one batch.
pub(super) struct Messages {
    received: Vec<mmsghdr>,
    /// How many of those the kernel has written into since they were last made ready.
    written: usize,
    from: Vec<sockaddr_storage>,
    into: Vec<iovec>,
    said: Vec<Control>,
    buffers: Vec<u8>,
    sent: Vec<mmsghdr>,
    out_of: Vec<iovec>,
    told: Vec<Control>,
}

// SAFETY: nothing in it is tied to a thread. Its pointers lead into vectors that it owns and that never grow.
unsafe impl Send for Messages {}

/// One message that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Received {
    /// Of all its datagrams.
    pub(super) bytes: usize,
    /// Of each of its datagrams but the last, which may have less.
    pub(super) segment: usize,
    pub(super) from: Option<SocketAddr>,
    /// The address that it came to, where the socket says so.
    pub(super) came_to: Option<IpAddr>,
}

impl Received {
    /// How many datagrams it holds.
    #[inline]
    pub(super) fn datagrams(&self) -> usize {
        if self.bytes > self.segment { self.bytes.div_ceil(self.segment) } else { 1 }
    }
}

/// Bytes to be sent back, from where they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where they begin in the buffers.
    pub(super) at: usize,
    pub(super) bytes: usize,
}

/// One message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// Which of the pieces it is made of.
    pub(super) pieces: Range<usize>,
    /// It goes to the source of this received message.
    pub(super) to: usize,
    /// The address that it is to come from; `None` leaves that to the kernel.
    pub(super) from: Option<IpAddr>,
    /// Of all its datagrams.
    pub(super) bytes: usize,
    /// How many datagrams it is.
    pub(super) datagrams: usize,
    /// Bytes of each but the last, which may have less.
    pub(super) segment: usize,
}

impl Messages {
    /// Room for [`MOST`] messages.
    pub(super) fn new() -> Self {
        // SAFETY: of plain data, in which null pointers and lengths of 0 are valid.
        let (header, address): (mmsghdr, sockaddr_storage) = unsafe { (mem::zeroed(), mem::zeroed()) };
        let nothing = iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        let mut messages = Self {
            received: vec![header; MOST],
            written: MOST,
            from: vec![address; MOST],
            into: vec![nothing; MOST],
            said: vec![Control([0; CONTROL_BYTES]); MOST],
            buffers: vec![0; MOST * STRIDE],
            sent: vec![header; MOST],
            out_of: vec![nothing; MOST],
            told: vec![Control([0; CONTROL_BYTES]); MOST],
        };
        for (slice, buffer) in messages.into.iter_mut().zip(messages.buffers.chunks_exact_mut(STRIDE)) {
            *slice = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        }
        messages
    }

    /// Receives what has come, [`MOST`] messages at the most; how many there are. That none has come is no error.
    pub(super) fn receive(&mut self, socket: RawFd) -> io::Result<usize> {
        for at in 0..mem::take(&mut self.written) {
            let header = &mut self.received[at].msg_hdr;
            header.msg_name = (&raw mut self.from[at]).cast();
            header.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
            header.msg_iov = &raw mut self.into[at];
            header.msg_iovlen = 1;
            header.msg_control = self.said[at].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_BYTES as _;
            header.msg_flags = 0;
        }
        // SAFETY: there are `MOST` headers. Each one's pointers lead to memory of this object as long as it says, which nobody
        // else uses meanwhile.
        let received = unsafe {
            libc::recvmmsg(socket, self.received.as_mut_ptr(), MOST as c_uint, MSG_DONTWAIT as _, ptr::null_mut())
        };
        match usize::try_from(received) {
            Ok(received) => {
                self.written = received;
                Ok(received)
            }
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) }
            }
        }
    }

    /// One of those that the last call of [`Messages::receive`] brought.
    #[inline]
    pub(super) fn received(&self, at: usize) -> Received {
        assert!(at < self.written, "it brought no more");
        let bytes = self.received[at].msg_len as usize;
        let header = &self.received[at].msg_hdr;
        let mut received = Received { bytes, segment: bytes, from: address(&self.from[at]), came_to: None };
        // SAFETY: the kernel has written the control messages and how long they are.
        let mut control = unsafe { CMSG_FIRSTHDR(header) };
        // SAFETY: it is null or leads to a whole header among them.
        while let Some(message) = unsafe { control.as_ref() } {
            // SAFETY: what a message of this kind holds lies behind its header.
            let data = unsafe { CMSG_DATA(control) };
            match (message.cmsg_level, message.cmsg_type) {
                (SOL_UDP, UDP_GRO) => {
                    // SAFETY: as above; it is an int.
                    let segment = unsafe { data.cast::<c_int>().read_unaligned() };
                    received.segment = usize::try_from(segment).ok().filter(|segment| *segment > 0).unwrap_or(bytes);
                }
                (IPPROTO_IP, IP_PKTINFO) => {
                    // SAFETY: as above.
                    let info = unsafe { data.cast::<in_pktinfo>().read_unaligned() };
                    received.came_to = Some(IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes()));
                }
                (IPPROTO_IPV6, IPV6_PKTINFO) => {
                    // SAFETY: as above.
                    let info = unsafe { data.cast::<in6_pktinfo>().read_unaligned() };
                    received.came_to = Some(IpAddr::from(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
                }
                _ => {}
            }
            // SAFETY: as for the first one.
            control = unsafe { CMSG_NXTHDR(header, control) };
        }
        received
    }

    /// Sends these replies, [`MOST`] at the most, made of these pieces; how many of them the kernel took.
    ///
    /// # Errors
    /// When it takes not even the first one.
    pub(super) fn send(&mut self, socket: RawFd, replies: &[Reply], pieces: &[Piece]) -> io::Result<usize> {
        for (slice, piece) in self.out_of.iter_mut().zip(pieces) {
            let bytes = &mut self.buffers[piece.at..][..piece.bytes];
            *slice = iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        }
        for (at, reply) in replies.iter().enumerate() {
            let out_of = &mut self.out_of[reply.pieces.clone()];
            let header = &mut self.sent[at].msg_hdr;
            header.msg_name = (&raw mut self.from[reply.to]).cast();
            header.msg_namelen = self.received[reply.to].msg_hdr.msg_namelen;
            header.msg_iov = out_of.as_mut_ptr();
            header.msg_iovlen = out_of.len() as _;
            header.msg_control = self.told[at].0.as_mut_ptr().cast();
            header.msg_controllen = self.told[at].of(reply) as _;
        }
        // SAFETY: so many headers have just been made. Their pointers lead to memory of this object as long as they say.
        let sent =
            unsafe { libc::sendmmsg(socket, self.sent.as_mut_ptr(), replies.len() as c_uint, MSG_DONTWAIT as _) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// What the kernel says or is told of one message beside its bytes, aligned like the headers in it.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Control([u8; CONTROL_BYTES]);

impl Control {
    /// Writes what the kernel is told of a reply; how many bytes that takes.
    #[inline]
    fn of(&mut self, reply: &Reply) -> usize {
        let mut end = match reply.from {
            None => 0,
            Some(IpAddr::V4(ip)) => {
                let from = in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
                let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: from };
                self.append(0, IPPROTO_IP, IP_PKTINFO, info)
            }
            Some(IpAddr::V6(ip)) => {
                let info = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
                self.append(0, IPPROTO_IPV6, IPV6_PKTINFO, info)
            }
        };
        if reply.datagrams > 1 {
            let segment = u16::try_from(reply.segment).expect("several fit in one message");
            end = self.append(end, SOL_UDP, UDP_SEGMENT, segment);
        }
        end
    }

    /// Writes a message at `at`; where it ends.
    fn append<T: Copy>(&mut self, at: usize, level: c_int, kind: c_int, value: T) -> usize {
        let size = size_of::<T>() as c_uint;
        // SAFETY: they only reckon.
        let (len, space) = unsafe { (CMSG_LEN(size), CMSG_SPACE(size) as usize) };
        let room = &mut self.0[at..at + space];
        room.fill(0);
        // SAFETY: the room is as long as a header with such a value, and aligned, since everything before it takes up a multiple
        // of 8 bytes.
        unsafe {
            let header = room.as_mut_ptr().cast::<cmsghdr>();
            (*header).cmsg_len = len as _;
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            CMSG_DATA(header).cast::<T>().write_unaligned(value);
        }
        at + space
    }
}

/// The address that the kernel has written, as the standard library has it.
#[inline]
fn address(storage: &sockaddr_storage) -> Option<SocketAddr> {
    let storage = &raw const *storage;
    // SAFETY: it is as large as any address and aligned for it, and the family says which one it holds.
    unsafe {
        match c_int::from((*storage).ss_family) {
            AF_INET => {
                let v4 = &*storage.cast::<sockaddr_in>();
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            AF_INET6 => {
                let v6 = &*storage.cast::<sockaddr_in6>();
                let (ip, port) = (Ipv6Addr::from(v6.sin6_addr.s6_addr), u16::from_be(v6.sin6_port));
                Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// Messages of one batch: the system calls are shared by so many that they no longer count, and the buffers' beginnings stay
/// in the core's cache.
pub(super) const MOST: usize = 64;

/// Bytes from one buffer to the next. The largest message has 65,527; 64 more than a power of two let the buffers' beginnings
/// be in different places of the core's cache.
pub(super) const STRIDE: usize = (64 << 10) + 64;

/// Bytes: for the address of an IPv6 message (40) and a segment's size (24).
const CONTROL_BYTES: usize = 64;
