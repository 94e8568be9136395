//! How the bytes of a connection travel, once it is open: plain TCP. The lane reads and writes through this alone, once for
//! each batch of messages; another way of travelling is another variant here, and another way to open it in `connect`.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

/// An open connection's bytes.
#[derive(Debug)]
pub enum Transport {
    /// TCP with nothing in between.
    Tcp(TcpStream),
}

impl Transport {
    /// Has reads and writes return at once where the kernel has nothing to give or no room.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(true),
        }
    }

    /// Reads what has come; 0 at the end.
    ///
    /// # Errors
    /// As `read(2)`.
    #[inline]
    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).read(into),
        }
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// As `write(2)`.
    #[inline]
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).write(bytes),
        }
    }
}

/// What epoll waits for.
impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}
