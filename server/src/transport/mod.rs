//! How the bytes of a connection travel: the one place, with the listeners and the accept loops, that knows sockets by
//! their kind. Everybody else has a [`Stream`], which is either on the lane or watched by a tokio runtime
//! ([`Watched`]).
//!
//! Both are enums with a variant for each kind, of which one is decided per system call.

mod tcp;
mod tls;
mod watched;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

pub use self::tls::files as tls_files;
pub(crate) use self::tls::handshake::{Refused, shake_hands};
pub(crate) use self::tls::identity::Identity;
pub use self::tls::words as tls_words;
pub(crate) use self::watched::Watched;

/// A connection's bytes in both directions, and what stays with it as long as it is there (`T`), which makes the whole no larger
/// for plain TCP where that is a reference. Nothing here waits.
#[derive(Debug)]
pub(crate) enum Stream<T = ()> {
    /// Plain TCP, and whether it is marked.
    Tcp(std::net::TcpStream, bool, T),
    /// TLS over TCP, after its handshake.
    Tls(Box<(tls::Tls, T)>),
}

impl<T> Stream<T> {
    /// Reads what there is, `most` bytes from the socket at the most: `Some(0)` at the end of the stream, `None` where nothing is
    /// to be had now. `buffer` must have room for `most` bytes, and for more than a record of TLS.
    /// What TLS takes is added to `work` (nanoseconds, about).
    #[inline]
    pub(crate) fn read(&self, buffer: &mut [u8], most: usize, work: &mut u64) -> io::Result<Option<usize>> {
        match self {
            Self::Tcp(stream, ..) => tcp::read(stream, &mut buffer[..most]),
            Self::Tls(stream) => stream.0.read(buffer, most, work),
        }
    }

    /// Reads behind what `buffer` holds, as much as it has room for and `most` bytes at the most; otherwise as
    /// [`Stream::read`]. With TLS the buffer may grow by what a record has beyond that.
    pub(crate) fn read_behind(&self, buffer: &mut Vec<u8>, most: usize, work: &mut u64) -> io::Result<Option<usize>> {
        match self {
            Self::Tcp(stream, ..) => tcp::read_behind(stream, buffer, most),
            Self::Tls(stream) => stream.0.read_behind(buffer, most, work),
        }
    }

    /// Sends what can be sent now, which may be nothing. Who calls it again begins with the first byte that was not sent.
    #[inline]
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream, ..) => tcp::send(stream, bytes),
            Self::Tls(stream) => stream.0.send(&[IoSlice::new(bytes)]),
        }
    }

    /// As [`Stream::send`], for bytes that lie in several places.
    pub(crate) fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream, ..) => tcp::send_vectored(stream, slices),
            Self::Tls(stream) => stream.0.send(slices),
        }
    }

    /// Has what came last acknowledged at once. A hint to the kernel, which forgets it with every reply.
    pub(crate) fn acknowledge(&self) {
        tcp::acknowledge(self);
    }

    /// Bytes of memory that it holds for what has come and is not whole, and for what is encrypted and not taken.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::Tcp(..) => 0,
            Self::Tls(stream) => stream.0.held(),
        }
    }

    /// Whether it is marked: a bit for whoever serves it, which lies beside the socket's number, so that both come with one
    /// look at memory. TLS has none, and is never marked.
    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        matches!(self, Self::Tcp(_, true, _))
    }

    /// Marks it, or takes the mark away.
    pub(crate) fn mark(&mut self, on: bool) {
        if let Self::Tcp(_, marked, _) = self {
            *marked = on;
        }
    }

    /// The stream alone, and what stayed with it.
    pub(crate) fn apart(self) -> (Stream, T) {
        match self {
            Self::Tcp(stream, _, companion) => (Stream::tcp(stream), companion),
            Self::Tls(both) => {
                let (stream, companion) = *both;
                (Stream::Tls(Box::new((stream, ()))), companion)
            }
        }
    }
}

impl Stream {
    /// Plain TCP over a socket that does not block.
    pub(crate) fn tcp(stream: std::net::TcpStream) -> Self {
        Self::Tcp(stream, false, ())
    }

    /// The stream, and with it what is to stay with it.
    pub(crate) fn with<T>(self, companion: T) -> Stream<T> {
        match self {
            Self::Tcp(stream, marked, ()) => Stream::Tcp(stream, marked, companion),
            Self::Tls(stream) => Stream::Tls(Box::new((stream.0, companion))),
        }
    }

    /// Sends the last bytes that this side has to say, without waiting for what the peer says.
    pub(crate) fn send_last(&self, bytes: &[u8]) {
        match self {
            Self::Tcp(stream, ..) => tcp::send_last(stream, bytes),
            Self::Tls(stream) => stream.0.send_last(bytes),
        }
    }

    /// Has the current runtime watch it.
    pub(crate) fn watch(self) -> io::Result<Watched> {
        Ok(match self {
            Self::Tcp(stream, ..) => Watched::Tcp(tokio::net::TcpStream::from_std(stream)?),
            Self::Tls(stream) => Watched::Tls(Box::new(stream.0.watch()?)),
        })
    }
}

/// The descriptor that is ready when the stream is.
impl<T> AsFd for Stream<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream, ..) => stream.as_fd(),
            Self::Tls(stream) => stream.0.as_fd(),
        }
    }
}
