//! Why a run measured nothing.

use std::io;

use crate::host::running::Running;
use crate::host::target::END_TIMEOUT;
use crate::plan::Plan;
use crate::plan::url::Url;

/// Why a run measured nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
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
    /// The plan is not for what the server speaks.
    #[error("{0}")]
    Unfit(String),
    /// The plan wants its workers in a real-time class, and they may not be.
    #[error("--realtime: {why}")]
    Realtime {
        /// Why not, and what was expected.
        why: String,
    },
    /// It was interrupted before it measured.
    #[error("interrupted before anything was measured")]
    Interrupted,
    /// The kernel refused a thread or an epoll set.
    #[error("cannot run a worker")]
    Worker(#[from] io::Error),
}

impl RunError {
    /// The same, where the connections that failed were the first of those of `plan`, and the others were not tried.
    pub fn with_all(mut self, plan: &Plan) -> Self {
        if let Self::NoConnection { requested, .. } = &mut self {
            *requested = plan.connections.get();
        }
        self
    }

    /// The same, with how `server` ended where that is why there was no connection.
    pub fn with_end_of(mut self, server: &Running) -> Self {
        if let Self::NoConnection { why, .. } = &mut self
            && let Some(status) = server.ended(END_TIMEOUT)
        {
            *why += &format!("; the server's process has ended: {status}");
        }
        self
    }
}
