//! UDP by a connected socket. With offload several datagrams pass through the kernel as one: what is sent is taken apart as late
//! as possible (UDP_SEGMENT), and what comes merged is received by one call (UDP_GRO). Where the kernel or the way to the server
//! refuses, each datagram goes by itself.

use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};

/// A connected socket.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
    /// Bytes of each datagram of what was read last, but for the last one.
    segment: u32,
    /// Bytes of the datagrams that the kernel takes apart what is sent into, if it is longer; 0: it does not.
    apart: u16,
    /// Whether it is to take anything apart, and has not refused to.
    joins: bool,
    /// Whether what comes may be merged.
    merges: bool,
}

impl Udp {
    /// Without offload.
    pub fn new(socket: UdpSocket) -> Self {
        Self { socket, segment: 0, apart: 0, joins: false, merges: false }
    }

    /// The socket.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Has datagrams pass through the kernel together, as far as it can do that.
    pub fn set_offload(&mut self) {
        self.merges = setsockopt(&self.socket, sockopt::UdpGroSegment, &true).is_ok();
        self.joins = self.merges;
    }

    /// Bytes of each datagram of what was read last, but for the last one, which may be shorter.
    #[inline]
    pub fn segment(&self) -> usize {
        self.segment as usize
    }

    /// Reads a datagram, or several that came merged.
    ///
    /// # Errors
    /// As `recvmsg(2)`.
    #[inline]
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.merges {
            return Ok(self.read_stamped(into)?.0);
        }
        let bytes = self.socket.recv(into)?;
        self.segment = bytes as u32;
        Ok(bytes)
    }

    /// As [`Udp::read`], with the time at which what was read reached the socket, in ns since 1970 by the wall clock, if the
    /// kernel has noted it.
    ///
    /// # Errors
    /// As `recvmsg(2)`.
    #[inline]
    pub fn read_stamped(&mut self, into: &mut [u8]) -> io::Result<(usize, Option<i64>)> {
        let mut control = Control([0; CONTROL_BYTES]);
        let mut into = [IoSliceMut::new(into)];
        let control = Some(&mut control.0[..]);
        let received = recvmsg::<()>(self.socket.as_raw_fd(), &mut into, control, MsgFlags::empty())?;
        let (mut stamp, mut segment) = (None, 0);
        for message in received.cmsgs().ok().into_iter().flatten() {
            match message {
                ControlMessageOwned::ScmTimestampsns(stamps) => {
                    stamp = Some(stamps.system.tv_sec() * 1_000_000_000 + stamps.system.tv_nsec());
                }
                ControlMessageOwned::UdpGroSegments(bytes) => segment = u32::try_from(bytes).unwrap_or(0),
                _ => {}
            }
        }
        self.segment = if segment > 0 { segment } else { received.bytes as u32 };
        Ok((received.bytes, stamp.filter(|ns| *ns > 0)))
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// As `send(2)`.
    #[inline]
    pub fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if self.apart > 0 && datagram.len() > usize::from(self.apart) {
            self.take_apart(0)?;
        }
        match self.send_whole(datagram) {
            // What fits in a packet has become less than what was sent before.
            Err(error) if self.apart > 0 && is_refusal(&error) => {
                self.joins = false;
                self.take_apart(0)?;
                self.send_whole(datagram)
            }
            sent => sent,
        }
    }

    /// Sends datagrams that lie one behind the other, each of `segment` bytes but for the last, which may have less. How many
    /// bytes have gone, which are whole datagrams.
    ///
    /// # Errors
    /// As `send(2)`.
    #[inline]
    pub fn send(&mut self, datagrams: &[u8], segment: usize) -> io::Result<usize> {
        if datagrams.len() <= segment {
            return self.write(datagrams);
        }
        if self.joins {
            match self.send_together(datagrams, segment) {
                Err(error) if is_refusal(&error) => self.joins = false,
                sent => return sent,
            }
        }
        self.send_apart(datagrams, segment)
    }

    fn send_together(&mut self, datagrams: &[u8], segment: usize) -> io::Result<usize> {
        if usize::from(self.apart) != segment {
            self.take_apart(u16::try_from(segment).map_err(|_| io::Error::from(Errno::EMSGSIZE))?)?;
        }
        self.send_whole(datagrams)
    }

    /// Sends each datagram by a call of its own.
    fn send_apart(&mut self, datagrams: &[u8], segment: usize) -> io::Result<usize> {
        let mut sent = 0;
        for datagram in datagrams.chunks(segment) {
            match self.write(datagram) {
                Ok(bytes) => sent += bytes,
                Err(error) if sent > 0 && error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    fn send_whole(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.socket.send(bytes) {
            // The kernel's queue of the interface is full, and it has dropped the datagram: it is on its way, and lost.
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => Ok(bytes.len()),
            sent => sent,
        }
    }

    /// Has the kernel take apart what is longer than so many bytes; 0: nothing.
    fn take_apart(&mut self, segment: u16) -> io::Result<()> {
        setsockopt(&self.socket, sockopt::UdpGsoSegment, &segment.into())?;
        self.apart = segment;
        Ok(())
    }
}

/// Whether an error says that the kernel, or the way to the server, does not take several datagrams at a time.
fn is_refusal(error: &io::Error) -> bool {
    let refusals = [Errno::EINVAL, Errno::EMSGSIZE, Errno::EIO, Errno::ENOPROTOOPT, Errno::EOPNOTSUPP];
    error.raw_os_error().is_some_and(|error| refusals.contains(&Errno::from_raw(error)))
}

/// What the kernel writes control messages into; it wants them aligned like the numbers that they begin with.
#[repr(align(8))]
struct Control([u8; CONTROL_BYTES]);

/// A control message of three times takes 64 bytes, a header of 16 and 16 for each; one of a segment's size 24.
const CONTROL_BYTES: usize = 88;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A socket with offload, and a server's without.
    fn pair() -> (Udp, UdpSocket) {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server.local_addr().unwrap()).unwrap();
        server.connect(socket.local_addr().unwrap()).unwrap();
        for socket in [&server, &socket] {
            socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        }
        let mut udp = Udp::new(socket);
        udp.set_offload();
        (udp, server)
    }

    /// What comes of `datagrams`, sent by `segment` bytes.
    fn arrive(udp: &mut Udp, server: &UdpSocket, datagrams: &[u8], segment: usize) {
        assert_eq!(udp.send(datagrams, segment).unwrap(), datagrams.len());
        for datagram in datagrams.chunks(segment) {
            let mut buffer = [0; 4096];
            let bytes = server.recv(&mut buffer).unwrap();
            assert!(buffer[..bytes] == *datagram, "{bytes} of {}", datagram.len());
        }
    }

    #[test]
    fn datagrams_are_sent_together_and_arrive_one_by_one() {
        let (mut udp, server) = pair();
        let bytes: Vec<u8> = (0..4000_u16).map(|at| at as u8).collect();
        for (length, segment) in [(350, 100), (400, 100), (64, 64), (1000, 1000), (2001, 1000), (50, 100), (3000, 3000)]
        {
            arrive(&mut udp, &server, &bytes[..length], segment);
        }
    }

    #[test]
    fn what_comes_merged_says_how_long_each_datagram_is() {
        let (mut udp, server) = pair();
        if !udp.merges || setsockopt(&server, sockopt::UdpGsoSegment, &100).is_err() {
            return;
        }
        // Whatever has become of what was sent.
        udp.joins = false;
        let mut buffer = [0; 4096];
        assert_eq!(server.send(&[7; 350]).unwrap(), 350);
        assert_eq!((udp.read(&mut buffer).unwrap(), udp.segment()), (350, 100));
        assert_eq!(server.send(&[7; 90]).unwrap(), 90);
        assert_eq!((udp.read(&mut buffer).unwrap(), udp.segment()), (90, 90));
        assert_eq!(server.send(&[]).unwrap(), 0);
        assert_eq!((udp.read(&mut buffer).unwrap(), udp.segment()), (0, 0));
    }

    #[test]
    fn where_the_kernel_refuses_each_goes_by_itself() {
        let (mut udp, server) = pair();
        // One more than Linux takes at a time; then what it would have taken.
        arrive(&mut udp, &server, &[1; 129], 1);
        assert!(!udp.joins, "it is not asked again");
        arrive(&mut udp, &server, &[2; 350], 100);
        arrive(&mut udp, &server, &[3; 2000], 2000);
        let mut without = Udp::new(udp.socket);
        arrive(&mut without, &server, &[4; 350], 100);
    }
}
