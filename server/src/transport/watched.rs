//! A stream that a tokio runtime watches: tasks may wait for it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Stream, tcp, tls};

/// A [`Stream`] that a tokio runtime watches.
#[derive(Debug)]
pub(crate) enum Watched {
    /// Plain TCP.
    Tcp(tokio::net::TcpStream),
    /// TLS over TCP, after its handshake.
    Tls(Box<tls::WatchedTls>),
}

impl Watched {
    /// Has no runtime watch it any longer. Nothing that has come may be left in it ([`Watched::take_ahead`]).
    pub(crate) fn unwatch(self) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(stream) => Stream::tcp(stream.into_std()?),
            Self::Tls(stream) => Stream::Tls(Box::new((stream.unwatch()?, ()))),
        })
    }

    /// The socket beneath it.
    fn socket(&self) -> &tokio::net::TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => &stream.socket,
        }
    }

    /// As [`Stream::acknowledge`].
    pub(crate) fn acknowledge(&self) {
        tcp::acknowledge(self.socket());
    }

    /// As [`Stream::held`].
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::Tcp(_) => 0,
            Self::Tls(stream) => stream.held(),
        }
    }

    /// Gives up what has come and was not read: nothing more will be.
    pub(crate) fn stop_reading(&mut self) {
        match self {
            Self::Tcp(_) => {}
            Self::Tls(stream) => stream.stop_reading(),
        }
    }

    /// Has TLS tell the peer that nothing more comes (close_notify), as far as the socket takes it now.
    pub(crate) fn say_end(&mut self) {
        match self {
            Self::Tcp(_) => {}
            Self::Tls(stream) => stream.say_end(),
        }
    }

    /// What was read `ahead` of it, and behind that what has been decrypted and not read.
    pub(crate) fn take_ahead(&mut self, ahead: Bytes) -> Bytes {
        match self {
            Self::Tcp(_) => ahead,
            Self::Tls(stream) => stream.take_ahead(ahead),
        }
    }

    /// Waits until something, or the end, may be received.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket().readable().await
    }

    /// Receives what there is, as it came and encrypted where it is, to be thrown away; does not wait.
    pub(crate) fn try_receive(&self, window: &mut [u8]) -> io::Result<usize> {
        self.socket().try_read(window)
    }

    /// Where the peer is, while it is there.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.socket().peer_addr().ok()
    }
}

impl AsyncRead for Watched {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, window: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, window),
            Self::Tls(stream) => stream.poll_read(cx, window),
        }
    }
}

impl AsyncWrite for Watched {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => stream.poll_write(cx, &[IoSlice::new(bytes)]),
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
            Self::Tls(stream) => stream.poll_write(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What counts as written has been taken by the socket.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => stream.poll_shutdown(cx),
        }
    }
}
