//! How a server's anonymous memory, what it allocated, grew while a run's connections were opened.

use serde::{Deserialize, Serialize};

/// Memory by the number of connections, or why it is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Growth {
    /// Connections that were open, and the bytes of anonymous memory that the server's processes had resident then.
    Seen(Vec<(u32, u64)>),
    /// The connections are fewer than [`FEWEST_CONNECTIONS`].
    FewConnections,
    /// The server's processes are not known, or may not be looked at.
    #[default]
    Unseen,
    /// Not every connection was opened.
    NotAllOpened,
    /// Several processes opened connections to the server at the same time, so that none knew how many there were.
    SeveralGenerators,
}

/// With fewer connections than this the memory that they add is not told from what else a server does: the kernel counts
/// memory in pages of 4 KiB, which hold several connections.
pub const FEWEST_CONNECTIONS: u32 = 50;
