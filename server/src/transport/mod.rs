//! How the bytes of a connection travel: the one place, with the listeners and the accept loops, that knows sockets by
//! their kind. Everybody else has a [`Stream`], which is either on the lane or watched by a tokio runtime
//! ([`Watched`]).
//!
//! Both are enums with a variant for each kind. With a single kind a match costs nothing; with several, one is decided
//! per system call.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

mod tcp;

/// A connection's bytes in both directions. Nothing here waits.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Plain TCP.
    Tcp(std::net::TcpStream),
}

/// A [`Stream`] that a tokio runtime watches: tasks may wait for it.
#[derive(Debug)]
pub(crate) enum Watched {
    /// Plain TCP.
    Tcp(tokio::net::TcpStream),
}

impl Stream {
    /// Reads what there is: `Some(0)` at the end of the stream, `None` where nothing is to be had now.
    #[inline]
    pub(crate) fn read(&self, window: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Tcp(stream) => tcp::read(stream, window),
        }
    }

    /// Reads behind what `buffer` holds, as much as it has room for and `most` bytes at the most; otherwise as
    /// [`Stream::read`].
    pub(crate) fn read_behind(&self, buffer: &mut Vec<u8>, most: usize) -> io::Result<Option<usize>> {
        match self {
            Self::Tcp(stream) => tcp::read_behind(stream, buffer, most),
        }
    }

    /// Sends what can be sent now, which may be nothing.
    #[inline]
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => tcp::send(stream, bytes),
        }
    }

    /// As [`Stream::send`], for bytes that lie in several places.
    pub(crate) fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => tcp::send_vectored(stream, slices),
        }
    }

    /// Has what came last acknowledged at once. A hint to the kernel, which forgets it with every reply.
    pub(crate) fn acknowledge(&self) {
        match self {
            Self::Tcp(stream) => tcp::acknowledge(stream),
        }
    }

    /// Sends the last bytes that this side has to say, without waiting for what the peer says.
    pub(crate) fn send_last(&self, bytes: &[u8]) {
        match self {
            Self::Tcp(stream) => tcp::send_last(stream, bytes),
        }
    }

    /// Has the current runtime watch it.
    pub(crate) fn watch(self) -> io::Result<Watched> {
        Ok(match self {
            Self::Tcp(stream) => Watched::Tcp(tokio::net::TcpStream::from_std(stream)?),
        })
    }
}

/// The descriptor that is ready when the stream is.
impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

impl Watched {
    /// Has no runtime watch it any longer.
    pub(crate) fn unwatch(self) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(stream) => Stream::Tcp(stream.into_std()?),
        })
    }

    /// As [`Stream::acknowledge`].
    pub(crate) fn acknowledge(&self) {
        match self {
            Self::Tcp(stream) => tcp::acknowledge(stream),
        }
    }

    /// Waits until something, or the end, may be read.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
        }
    }

    /// Reads what there is, without waiting.
    pub(crate) fn try_read(&self, window: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(window),
        }
    }

    /// Where the peer is, while it is there.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
        }
    }
}

impl AsyncRead for Watched {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, window: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, window),
        }
    }
}

impl AsyncWrite for Watched {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
