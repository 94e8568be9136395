//! Plain TCP: each read, write and hint is one system call on a socket that does not block.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;

use rustix::buffer::spare_capacity;
use socket2::SockRef;

/// See [`super::Stream::read`].
#[inline]
pub(super) fn read(mut stream: &TcpStream, window: &mut [u8]) -> io::Result<Option<usize>> {
    settle(stream.read(window))
}

/// See [`super::Stream::read_behind`].
pub(super) fn read_behind(stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
    settle(rustix::io::read(stream, spare_capacity(buffer)).map_err(io::Error::from))
}

/// See [`super::Stream::send`].
#[inline]
pub(super) fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(settle(stream.write(bytes))?.unwrap_or(0))
}

/// See [`super::Stream::acknowledge`].
pub(super) fn acknowledge(stream: &impl AsFd) {
    // Failing to give the hint changes nothing that is promised.
    let _ = SockRef::from(stream).set_tcp_quickack(true);
}

/// See [`super::Stream::send_last`].
pub(super) fn send_last(mut stream: &TcpStream, bytes: &[u8]) {
    let _ = stream.write(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    // What the peer sent and nobody read would turn the close into a reset, which may overtake these bytes.
    let _ = stream.read(&mut [0; 4096]);
}

/// `None` where there was nothing to be had now.
#[inline]
fn settle(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
