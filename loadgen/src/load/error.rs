//! Why a run measured nothing.

use std::io;

use crate::host::addresses::AddressError;
use crate::host::target::{END_TIMEOUT, Server};
use crate::plan::url::Url;

/// Why a run measured nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The server has no address to connect to.
    #[error(transparent)]
    Addresses(AddressError),
    /// No connection could be opened.
    #[error("none of {requested} connections to {url} could be opened: {why}")]
    NoConnection {
        /// Connections asked for.
        requested: u32,
        /// The URL.
        url: Url,
        /// The most frequent cause.
        why: String,
    },
    /// The plan wants the kernel's receive stamps, and there are none.
    #[error(
        "--timestamps on: the kernel does not stamp what reaches a TCP socket ({why}); expected Linux with SO_TIMESTAMPING, \
         or --timestamps auto or off"
    )]
    Unstamped {
        /// What the kernel said or did instead.
        why: String,
    },
    /// It was interrupted before it measured.
    #[error("interrupted before anything was measured")]
    Interrupted,
    /// The kernel refused a thread or an epoll set.
    #[error("cannot run a worker")]
    Worker(#[from] io::Error),
}

impl From<AddressError> for RunError {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::Interrupted { .. } => Self::Interrupted,
            error => Self::Addresses(error),
        }
    }
}

impl RunError {
    /// The same, with how `server` ended where that is why there was no connection.
    pub fn with_end_of(mut self, server: &Server) -> Self {
        if let Self::NoConnection { why, .. } = &mut self
            && let Some(status) = server.ended(END_TIMEOUT)
        {
            *why += &format!("; the server's process has ended: {status}");
        }
        self
    }
}
