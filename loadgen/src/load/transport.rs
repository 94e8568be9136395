//! How the bytes of a connection travel, once it is open: plain TCP, TLS, or UDP. The lane reads and writes through this alone, once
//! for each batch of messages; another way of travelling is another variant here, and another way to open it in `connect`.

mod udp;

use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, TimestampingFlag, recvmsg, setsockopt, sockopt};

pub use self::udp::Udp;
use crate::host::tls::Channel;

/// An open connection's bytes.
#[derive(Debug)]
pub enum Transport {
    /// TCP with nothing in between.
    Tcp(TcpStream),
    /// TLS over TCP: its records are decrypted where they are read, and encrypted into a buffer of the worker's.
    Tls(Box<Channel>),
    /// UDP, by a connected socket: each write is a datagram, and each read takes one, or several that came merged.
    Udp(Udp),
}

impl Transport {
    /// Has reads and writes return at once where the kernel has nothing to give or no room.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(true),
            Self::Tls(channel) => channel.stream().set_nonblocking(true),
            Self::Udp(udp) => udp.socket().set_nonblocking(true),
        }
    }

    /// Whether it has an end that reading comes to.
    pub fn has_an_end(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Tls(_) => true,
            Self::Udp(_) => false,
        }
    }

    /// Reads what has come; 0 at the end, if it has one. `into` holds `LEAST_BUFFER` bytes at least.
    ///
    /// # Errors
    /// As `read(2)`: `WouldBlock` also where what has come is no data, or not a whole record of it.
    #[inline]
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Tls(channel) => channel.read(into),
            Self::Udp(udp) => udp.read(into).map_err(in_words),
        }
    }

    /// Has the kernel note when what it receives from now on reached the socket.
    ///
    /// # Errors
    /// When it cannot.
    pub fn set_stamped(&self) -> io::Result<()> {
        let software = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
        match self {
            Self::Tcp(stream) => Ok(setsockopt(stream, sockopt::Timestamping, &software)?),
            Self::Tls(channel) => Ok(setsockopt(channel.stream(), sockopt::Timestamping, &software)?),
            Self::Udp(udp) => Ok(setsockopt(udp.socket(), sockopt::Timestamping, &software)?),
        }
    }

    /// As [`Transport::read`], with the time at which the last segment of what was read reached the socket, in ns since
    /// 1970 by the wall clock, if the kernel has noted it.
    ///
    /// # Errors
    /// As `recvmsg(2)`.
    #[inline]
    pub fn read_stamped(&mut self, into: &mut [u8]) -> io::Result<(usize, Option<i64>)> {
        match self {
            Self::Tcp(stream) => receive_stamped(stream, into),
            Self::Tls(channel) => {
                let (plain, stamp) = channel.read_by(into, receive_stamped)?;
                Ok((plain, stamp.flatten()))
            }
            Self::Udp(udp) => udp.read_stamped(into).map_err(in_words),
        }
    }

    /// Bytes of each datagram of the `received` bytes that were read last, but for the last one, which may be shorter; all of
    /// them where there are no datagrams.
    #[inline]
    pub fn segment(&self, received: usize) -> usize {
        match self {
            Self::Tcp(_) | Self::Tls(_) => received,
            Self::Udp(udp) => udp.segment(),
        }
    }

    /// Has datagrams pass through the kernel together, as far as it can do that.
    pub fn set_offload(&mut self) {
        if let Self::Udp(udp) = self {
            udp.set_offload();
        }
    }

    /// Writes as much as there is room for. TLS takes more than that, and keeps it until it is [flushed](Transport::flush).
    ///
    /// # Errors
    /// As `write(2)`.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(channel) => channel.write(bytes),
            Self::Udp(udp) => udp.write(bytes).map_err(in_words),
        }
    }

    /// As [`Transport::write`]; datagrams may be several, each of `segment` bytes but for the last, which may be shorter.
    ///
    /// # Errors
    /// As `write(2)`.
    #[inline]
    pub fn send(&mut self, bytes: &[u8], segment: usize) -> io::Result<usize> {
        match self {
            Self::Tcp(_) | Self::Tls(_) => self.write(bytes),
            Self::Udp(udp) => udp.send(bytes, segment).map_err(in_words),
        }
    }

    /// Writes what is kept of earlier writes.
    ///
    /// # Errors
    /// As `write(2)`: `WouldBlock` where there is no room for all of it.
    #[inline]
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) | Self::Udp(_) => Ok(()),
            Self::Tls(channel) => channel.flush(),
        }
    }

    /// Writes what is said last, and ends TLS where that is spoken. Nothing depends on whether it gets through: the socket is
    /// closed next.
    pub fn write_last(&mut self, words: &[u8]) {
        if !words.is_empty() {
            let _ = self.write(words);
        }
        if let Self::Tls(channel) = self {
            channel.close();
        }
    }
}

/// Receives with the time at which it reached the socket, as [`Transport::read_stamped`] says.
#[inline]
fn receive_stamped(socket: &impl AsRawFd, into: &mut [u8]) -> io::Result<(usize, Option<i64>)> {
    let mut control = Control([0; CONTROL_BYTES]);
    let mut into = [IoSliceMut::new(into)];
    let control = Some(&mut control.0[..]);
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut into, control, MsgFlags::empty())?;
    let mut messages = received.cmsgs().ok().into_iter().flatten();
    let stamp = messages.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampsns(stamps) => Some(stamps.system),
        _ => None,
    });
    let ns = stamp.map(|stamp| stamp.tv_sec() * 1_000_000_000 + stamp.tv_nsec());
    Ok((received.bytes, ns.filter(|ns| *ns > 0)))
}

/// What an error of a socket for datagrams means, where that is not plain.
fn in_words(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::ConnectionRefused {
        return error;
    }
    io::Error::new(
        error.kind(),
        "nothing receives datagrams there (ICMP: port unreachable): the server has ended, or never was there",
    )
}

/// What epoll waits for.
impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Tls(channel) => channel.stream().as_fd(),
            Self::Udp(udp) => udp.socket().as_fd(),
        }
    }
}

/// What the kernel writes control messages into; it wants them aligned like the numbers that they begin with.
#[repr(align(8))]
struct Control([u8; CONTROL_BYTES]);

/// A control message of three times takes 64 bytes: a header of 16, and 16 for each.
const CONTROL_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, TcpListener};
    use std::time::{Duration, Instant};

    use super::*;

    fn pair(listener: &TcpListener) -> [Transport; 2] {
        let receiver = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (sender, _) = listener.accept().unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        [sender, receiver].map(Transport::Tcp)
    }

    /// Reads until the kernel has begun to stamp; the last stamp.
    fn stamped(sender: &mut Transport, receiver: &mut Transport) -> i64 {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            sender.write(&[1, 2, 3]).unwrap();
            let (bytes, stamp) = receiver.read_stamped(&mut [0; 3]).unwrap();
            assert!(bytes > 0);
            if let Some(stamp) = stamp {
                return stamp;
            }
            assert!(Instant::now() < deadline, "the kernel stamps nothing");
        }
    }

    #[test]
    fn the_stamp_is_of_the_arrival_over_either_family() {
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        for listener in [v4, v6] {
            let [mut sender, mut receiver] = pair(&listener);
            receiver.set_stamped().unwrap();
            let first = stamped(&mut sender, &mut receiver);
            sender.write(&[7; 5]).unwrap();
            // However late it is read.
            std::thread::sleep(Duration::from_millis(60));
            let woken = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
            let mut buffer = [0; 16];
            let (bytes, stamp) = receiver.read_stamped(&mut buffer).unwrap();
            assert_eq!((bytes, &buffer[..5]), (5, &[7; 5][..]));
            let stamp = stamp.expect("it has stamped before");
            assert!(stamp >= first && stamp < woken - 30_000_000, "{first} {stamp} {woken}");
        }
    }

    #[test]
    fn what_one_read_brings_bears_the_stamp_of_the_last() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ([mut one_by_one, mut reader], [mut together, mut late_reader]) = (pair(&listener), pair(&listener));
        for (sender, receiver) in [(&mut one_by_one, &mut reader), (&mut together, &mut late_reader)] {
            receiver.set_stamped().unwrap();
            stamped(sender, receiver);
        }
        let mut truth = Vec::new();
        for _ in 0..8 {
            // This one is there before that one: its stamp is no later.
            one_by_one.write(&[7; 5]).unwrap();
            let (bytes, stamp) = reader.read_stamped(&mut [0; 64]).unwrap();
            assert_eq!(bytes, 5);
            truth.push(stamp.expect("it has stamped before"));
            together.write(&[7; 5]).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        let (bytes, shared) = late_reader.read_stamped(&mut [0; 64]).unwrap();
        assert_eq!(bytes, 40, "all in one read");
        let shared = shared.expect("it has stamped before");
        let off: Vec<i64> = truth.iter().map(|truth| shared - truth).collect();
        // By the time between a reply and the last of its read: 2 ms for each that came after it.
        #[expect(clippy::print_stderr, reason = "how far off they are, with --no-capture")]
        let () =
            eprintln!("us over the truth, oldest first: {:?}", off.iter().map(|ns| ns / 1_000).collect::<Vec<_>>());
        assert!(off.iter().all(|ns| *ns >= 0), "never under the truth: {off:?}");
        assert!(off.windows(2).all(|pair| pair[0] - pair[1] >= 2_000_000), "less for each later one: {off:?}");
    }

    #[test]
    fn an_end_and_a_socket_that_is_not_stamped_bring_no_stamp() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let [mut sender, mut receiver] = pair(&listener);
        sender.write(&[1; 4]).unwrap();
        assert_eq!(receiver.read_stamped(&mut [0; 16]).unwrap(), (4, None));
        receiver.set_nonblocking().unwrap();
        let error = receiver.read_stamped(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(sender);
        receiver.set_stamped().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while receiver.read_stamped(&mut [0; 16]).map_or(true, |(bytes, _)| bytes > 0) {
            assert!(Instant::now() < deadline, "the end never comes");
        }
    }
}
