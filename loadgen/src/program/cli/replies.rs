//! The arguments that say how replies are looked at, and how UDP carries both.

use std::time::Duration;

use clap::Args;

use super::{Switch, values};
use crate::plan::{Expect, Verify};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Messages")]
pub(super) struct ReplyArgs {
    /// How much of the replies is verified; what was done is in the report
    #[arg(long, value_name = "WHAT", default_value = "full")]
    pub(super) verify: Verify,
    /// What answers a message: echo, the message itself; template:TEXT, the text with the message in the place of {} ({{ and }}
    /// are braces), verified to the byte; order, whatever comes next, its content not checked, for servers with answers of
    /// their own
    #[arg(long, value_name = "echo|template:TEXT|order", default_value = "echo")]
    pub(super) expect: Expect,
    /// Do not count the first N messages that the server sends on each connection, such as a greeting; one that is a right
    /// reply counts all the same
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) skip_messages: u32,
    /// How long the reply to a datagram is waited for (udp://): then it is lost, and a closed loop sends the next one
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::positive_duration)]
    pub(super) udp_timeout: Duration,
    /// Have datagrams that one connection of a closed loop sends at the same time pass through the kernel as one, which takes
    /// them apart (UDP_SEGMENT), and receive replies merged (UDP_GRO): less CPU, and the server finds them waiting together.
    /// Off: each by itself
    #[arg(long, value_name = "ON|OFF", default_value = "on")]
    pub(super) udp_offload: Switch,
}
