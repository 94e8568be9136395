//! Socket options that hold one integer and that neither socket2 nor rustix wraps.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use libc::{IPPROTO_TCP, TCP_DEFER_ACCEPT, TCP_FASTOPEN, c_int, socklen_t};

/// An option at the TCP level whose value is a C `int`.
#[derive(Debug, Clone, Copy)]
#[repr(i32)]
pub(crate) enum IntOption {
    /// Seconds to wait for the first data before `accept` sees a connection (tcp(7)).
    DeferAccept = TCP_DEFER_ACCEPT,
    /// Length of the queue of connections opened with data in their SYN (RFC 7413).
    FastOpen = TCP_FASTOPEN,
}

impl IntOption {
    /// Sets the option.
    pub(crate) fn set(self, socket: impl AsFd, value: c_int) -> io::Result<()> {
        // SAFETY: the descriptor is borrowed and thus open; `value` is a live `int` whose size is passed with it.
        let result = unsafe {
            libc::setsockopt(
                socket.as_fd().as_raw_fd(),
                IPPROTO_TCP,
                self as c_int,
                (&raw const value).cast(),
                size_of::<c_int>() as socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Reads the option back.
    pub(crate) fn get(self, socket: impl AsFd) -> io::Result<c_int> {
        let mut value: c_int = 0;
        let mut size = size_of::<c_int>() as socklen_t;
        // SAFETY: the descriptor is borrowed and thus open; the kernel writes at most `size` bytes into `value`.
        let result = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                IPPROTO_TCP,
                self as c_int,
                (&raw mut value).cast(),
                &raw mut size,
            )
        };
        if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
    }
}
