//! A TLS connection that a tokio runtime watches.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncWrite as _, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::Tls;
use super::session::{Received, Session};

/// A TLS connection whose socket a tokio runtime watches.
#[derive(Debug)]
pub(crate) struct WatchedTls {
    pub(in crate::transport) socket: TcpStream,
    session: Box<Session>,
    /// What is decrypted and was not read; of this the first `read` bytes were.
    plain: Vec<u8>,
    read: usize,
}

impl WatchedTls {
    /// What the session holds is counted by the task that the connection belongs to.
    pub(super) fn new(socket: TcpStream, mut session: Box<Session>) -> Self {
        session.set_counts(false);
        Self { socket, session, plain: Vec::new(), read: 0 }
    }

    /// One of which this plaintext has come already.
    pub(super) fn with_plain(mut self, plain: Vec<u8>) -> Self {
        self.plain = plain;
        self
    }

    /// See [`crate::transport::Watched::unwatch`].
    pub(in crate::transport) fn unwatch(mut self) -> io::Result<Tls> {
        debug_assert!(self.plain.is_empty(), "{} bytes that nobody will read", self.plain.len());
        self.session.set_counts(true);
        Ok(Tls { socket: self.socket.into_std()?, session: self.session.into() })
    }

    /// See [`crate::transport::Stream::held`].
    pub(in crate::transport) fn held(&self) -> usize {
        self.session.held() + self.plain.capacity()
    }

    /// See [`crate::transport::Watched::stop_reading`].
    pub(in crate::transport) fn stop_reading(&mut self) {
        self.session.stop_reading();
        (self.plain, self.read) = (Vec::new(), 0);
    }

    /// See [`crate::transport::Watched::take_ahead`].
    pub(in crate::transport) fn take_ahead(&mut self, ahead: Bytes) -> Bytes {
        if self.plain.is_empty() {
            return ahead;
        }
        let rest = &std::mem::take(&mut self.plain)[std::mem::take(&mut self.read)..];
        Bytes::from([&ahead[..], rest].concat())
    }

    pub(in crate::transport) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        window: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.plain.is_empty() {
                self.read_plain(window);
                return Poll::Ready(Ok(()));
            }
            ready!(self.socket.poll_read_ready(cx))?;
            let Self { socket, session, plain, .. } = self;
            let most = window.remaining();
            let take = |bytes: &[u8]| {
                let (now, later) = bytes.split_at(bytes.len().min(window.remaining()));
                window.put_slice(now);
                plain.extend_from_slice(later);
            };
            let received = socket.try_io(Interest::READABLE, || {
                match session.receive(socket.as_fd(), most, &mut 0, take)? {
                    // Only this tells that the socket is empty.
                    Received::Nothing => Err(ErrorKind::WouldBlock.into()),
                    received => Ok(received),
                }
            });
            match received {
                Ok(Received::Partial | Received::Nothing) => {}
                Ok(Received::Plain(_) | Received::End) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn read_plain(&mut self, window: &mut ReadBuf<'_>) {
        let rest = &self.plain[self.read..];
        let now = rest.len().min(window.remaining());
        window.put_slice(&rest[..now]);
        self.read += now;
        if self.read == self.plain.len() {
            (self.plain, self.read) = (Vec::new(), 0);
        }
    }

    pub(in crate::transport) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.poll_until(cx, |session, socket| {
            session.send(socket.as_fd(), slices).map(|sent| (sent > 0).then_some(sent))
        })
    }

    /// Ends this side of the stream, once what is encrypted is sent.
    pub(in crate::transport) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.close();
        ready!(self.poll_until(cx, |session, socket| session.flush(socket.as_fd()).map(|all| all.then_some(()))))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    /// Calls `act` whenever the socket takes something, until it gives a result.
    fn poll_until<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut act: impl FnMut(&mut Session, &TcpStream) -> io::Result<Option<R>>,
    ) -> Poll<io::Result<R>> {
        let Self { socket, session, .. } = self;
        loop {
            ready!(socket.poll_write_ready(cx))?;
            let acted =
                socket.try_io(Interest::WRITABLE, || act(session, socket)?.ok_or_else(|| ErrorKind::WouldBlock.into()));
            match acted {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                acted => return Poll::Ready(acted),
            }
        }
    }
}
