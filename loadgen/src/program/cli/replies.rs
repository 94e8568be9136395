//! The arguments that say how replies are looked at.

use clap::Args;

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
}
