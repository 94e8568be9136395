//! The flags of what peers may use up.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use super::machine_memory;
use super::numbers::{count, count_in};
use super::values::{LEAST_BUFFERED, max_buffered, message_bytes, time};
use crate::Error;
use crate::config::{Endpoint, Limits, Scheme};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// Largest message over all its fragments, at most 4GiB; a larger one is refused with 1009
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = message_bytes)]
    max_message_size: u64,
    /// Most fragments of one message, refused with 1009 (the default lets 16 MiB come in pieces of 128 bytes)
    #[arg(long, value_name = "N", default_value = "131072", value_parser = count_in::<u32, 1, { u32::MAX as u64 }>)]
    max_fragments: u32,
    /// Most memory, over all connections, for messages that are not whole yet and replies that are not taken. Whoever
    /// holds most is closed with 1013 when it is passed, in the middle of a reply without a word; a new connection that
    /// finds it full is answered 503. At least 1 MiB [default: a quarter of the machine's or the control group's
    /// memory, 1 GiB at most]
    #[arg(long, value_name = "BYTES", value_parser = max_buffered)]
    max_buffered: Option<u64>,
    /// Most connections over all workers, handshakes included; one more is answered 503 and closed
    #[arg(long, value_name = "N", default_value = "100000", value_parser = count::<NonZeroUsize>)]
    max_connections: NonZeroUsize,
    /// Most datagrams a second, in the long run, that each worker answers one source; up to N of them at once, so that within
    /// one second it may be up to 2N. What is beyond is dropped.
    /// A source is an IPv4 address, or the first 64 bits of an IPv6 address [default: 0, all are answered]
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true, value_parser = count::<u32>)]
    udp_limit: u32,
    /// From accept to the first request's end, and from each HTTP request to the end of the next one's head; the
    /// connection is closed then
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = time)]
    handshake_timeout: Duration,
    /// From our Close frame until the peer has closed
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = time)]
    close_timeout: Duration,
    /// From SIGINT or SIGTERM until connections still open are dropped
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = time)]
    drain_timeout: Duration,
}

impl LimitArgs {
    /// The limits of a server that listens there.
    pub(super) fn lower(self, listen: &[Endpoint]) -> Result<Limits, Error> {
        let udp_limit = NonZeroU32::new(self.udp_limit);
        if udp_limit.is_some() && !listen.iter().any(|endpoint| endpoint.scheme == Scheme::Udp) {
            return Err(Error::NoDatagrams);
        }
        Ok(Limits {
            max_message_size: self.max_message_size,
            max_fragments: self.max_fragments,
            max_buffered: match self.max_buffered {
                Some(size) => size,
                None => (machine_memory::available() / 4).clamp(LEAST_BUFFERED, MOST_BUFFERED),
            },
            max_connections: self.max_connections.get(),
            udp_limit,
            handshake_timeout: self.handshake_timeout,
            close_timeout: self.close_timeout,
            drain_timeout: self.drain_timeout,
        })
    }
}

/// Bytes: the default of `--max-buffered` on a machine with plenty, which is 64 messages of the default's largest size.
const MOST_BUFFERED: u64 = 1 << 30;
