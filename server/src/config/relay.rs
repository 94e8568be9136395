//! How messages are handed on to other connections.

use serde::Serialize;

/// How messages are handed on to the connections of the same path, a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RelayOptions {
    /// Who gets a message.
    pub to: RelayTo,
    /// Bytes of messages that may wait for a connection.
    pub queue: usize,
    /// What happens when more would.
    pub slow_reader: SlowReader,
    /// Most rooms at a time.
    pub rooms: usize,
}

/// Which connections of a room get a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayTo {
    /// All but the one that sent it.
    Others,
    /// All.
    All,
}

/// What happens to a connection that reads so slowly that its queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlowReader {
    /// New messages are dropped.
    DropNewest,
    /// Those that have waited longest are dropped.
    DropOldest,
    /// It is closed with 1008.
    Close,
}
