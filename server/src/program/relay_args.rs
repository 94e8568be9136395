//! The flags of relaying.

use std::num::NonZeroUsize;

use super::numbers::count;
use super::values::relay_queue;
use crate::Error;
use crate::config::{RelayOptions, RelayTo, SlowReader};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Relay (instead of the echo; --relay-* and --slow-reader only with --relay)")]
pub(super) struct RelayArgs {
    /// Hand each message on to the connections of the same path (a room) instead of answering it: to all but its sender
    /// (others), or to all. Needs the lane, and does not go with --reply. GET /stats counts what is received, delivered and
    /// lost [default: messages are answered]
    #[arg(long, value_name = "others|all", value_enum, hide_possible_values = true)]
    relay: Option<RelayTo>,
    /// Bytes that may wait for a connection that reads more slowly than the others send; each message counts with 64 B more
    /// than its frame has, and an empty queue takes any message. 1 KiB to 4 GiB [default: 1 MiB]
    #[arg(long, value_name = "BYTES", value_parser = relay_queue, requires = "relay")]
    relay_queue: Option<u64>,
    /// What happens when that queue is full: the new message is dropped, the oldest messages are, or the connection is closed
    /// with 1008 [default: drop-newest]
    #[arg(long, value_enum, requires = "relay")]
    slow_reader: Option<SlowReader>,
    /// Most rooms at a time; a handshake that would open one more is answered 503 [default: 10000]
    #[arg(long, value_name = "N", value_parser = count::<NonZeroUsize>, requires = "relay")]
    relay_rooms: Option<NonZeroUsize>,
}

impl RelayArgs {
    /// How messages are relayed, if they are; `against` are the choices that rule it out, and whether they were made.
    pub(super) fn lower(self, against: &[(&'static str, bool)]) -> Result<Option<RelayOptions>, Error> {
        let Some(to) = self.relay else { return Ok(None) };
        if let Some(&(obstacle, _)) = against.iter().find(|(_, made)| *made) {
            return Err(Error::NoRelay { obstacle });
        }
        let queue = self.relay_queue.unwrap_or(DEFAULT_QUEUE);
        Ok(Some(RelayOptions {
            to,
            queue: usize::try_from(queue).unwrap_or(usize::MAX),
            slow_reader: self.slow_reader.unwrap_or(SlowReader::DropNewest),
            rooms: self.relay_rooms.map_or(DEFAULT_ROOMS, NonZeroUsize::get),
        }))
    }
}

/// Bytes: some 8,000 messages of 64 bytes, or the burst that a reader misses that pauses for a moment.
const DEFAULT_QUEUE: u64 = 1 << 20;

/// Rooms: one costs some hundred bytes beside its members, so that these take a few megabytes, and 10 MB more where their names
/// are as long as may be.
const DEFAULT_ROOMS: usize = 10_000;
