//! A connection while it is being opened, or as long as it waits with tokio: TCP, with TLS on it or not.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::host::tls::Ready;
use crate::load::transport::Transport;

/// A connection that waits with tokio.
#[derive(Debug)]
pub enum Stream {
    /// TCP alone.
    Plain(TcpStream),
    /// TLS on it, whose handshake is made.
    Tls(Box<Ready>),
}

impl Stream {
    /// A connection that was opened.
    ///
    /// # Errors
    /// When the kernel refuses to watch it.
    pub fn of(transport: Transport) -> io::Result<Self> {
        transport.set_nonblocking()?;
        Ok(match transport {
            Transport::Tcp(stream) => Self::Plain(TcpStream::from_std(stream)?),
            Transport::Tls(channel) => Self::Tls(Box::new(Ready::of(*channel)?)),
            Transport::Udp(_) => return Err(io::Error::other("a socket for datagrams is no connection")),
        })
    }

    /// The connection for a lane, and what has been read of it that nobody has taken.
    ///
    /// # Errors
    /// When it cannot be taken from tokio.
    pub fn into_transport(self) -> io::Result<(Transport, Vec<u8>)> {
        Ok(match self {
            Self::Plain(stream) => (Transport::Tcp(stream.into_std()?), Vec::new()),
            Self::Tls(ready) => {
                let (channel, rest) = ready.into_channel()?;
                (Transport::Tls(Box::new(channel)), rest)
            }
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(ready) => Pin::new(ready).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(ready) => Pin::new(ready).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(ready) => Pin::new(ready).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Self::Plain(stream) if stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(ready) => Pin::new(ready).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(ready) => Pin::new(ready).poll_shutdown(cx),
        }
    }
}
