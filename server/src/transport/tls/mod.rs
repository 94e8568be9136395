//! TLS by rustls, over TCP. A connection keeps its keys and nothing else while it is idle: what is received, decrypted and
//! encrypted passes through buffers that all connections of a thread share ([`scratch`]), and only the beginning of a record and
//! what the socket does not take are kept ([`session`]).

mod certificates;
pub mod files;
pub(super) mod handshake;
pub(super) mod identity;
mod provider;
mod records;
mod scratch;
mod session;
mod watched;

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use self::scratch::PARTIAL_AT_MOST;
use self::session::Session;
pub(super) use self::watched::WatchedTls;

/// A TLS connection on the lane.
#[derive(Debug)]
pub(crate) struct Tls {
    socket: TcpStream,
    session: RefCell<Box<Session>>,
}

impl Tls {
    /// See [`super::Stream::read`].
    pub(super) fn read(&self, buffer: &mut [u8], most: usize, work: &mut u64) -> io::Result<Option<usize>> {
        // Records of which the beginning has come before say more than what is received now.
        let most = most.min(buffer.len() - PARTIAL_AT_MOST);
        let mut at = 0;
        let received = self.session.borrow_mut().receive(self.as_fd(), most, work, |bytes| {
            buffer[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        })?;
        Ok(received.bytes())
    }

    /// See [`super::Stream::read_behind`].
    pub(super) fn read_behind(&self, buffer: &mut Vec<u8>, most: usize, work: &mut u64) -> io::Result<Option<usize>> {
        let room = buffer.capacity() - buffer.len();
        // About what it takes to bring so many bytes, in records of 1.4 KB or more.
        let most = most.min(room + room / 64 + 64);
        let received = self.session.borrow_mut().receive(self.as_fd(), most, work, |bytes| {
            buffer.reserve_exact(bytes.len());
            buffer.extend_from_slice(bytes);
        })?;
        Ok(received.bytes())
    }

    /// See [`super::Stream::send`].
    pub(super) fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.session.borrow_mut().send(self.as_fd(), slices)
    }

    /// See [`super::Stream::send_last`].
    pub(super) fn send_last(&self, bytes: &[u8]) {
        let mut session = self.session.borrow_mut();
        let _ = session.send(self.as_fd(), &[IoSlice::new(bytes)]);
        session.close();
        let _ = session.flush(self.as_fd());
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// See [`super::Stream::held`].
    pub(super) fn held(&self) -> usize {
        self.session.borrow().held()
    }

    /// See [`super::Stream::watch`].
    pub(super) fn watch(self) -> io::Result<WatchedTls> {
        Ok(WatchedTls::new(tokio::net::TcpStream::from_std(self.socket)?, self.session.into_inner()))
    }
}

impl AsFd for Tls {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
