//! The arguments of permessage-deflate, under the names that `echo-server` has for its side.

use clap::{Args, ValueEnum};
use wire::deflate::{Effort, Level, MemoryLevel, WindowBits, given_without_extension};

use super::{refusal, values};
use crate::plan::{ContextTakeover, Deflate, Demand};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Compression (--deflate-* only with --permessage-deflate)")]
pub(super) struct DeflateArgs {
    /// Offer permessage-deflate (RFC 7692) and send compressed messages; on fails where the server declines, prefer goes
    /// on uncompressed [default: off; on where no value is given]
    #[arg(
        long,
        value_name = "off|on|prefer",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "on",
        hide_possible_values = true
    )]
    permessage_deflate: Option<Wanted>,
    /// How hard messages are compressed, 1 (fastest) to 9 (smallest) [default: 3]
    #[arg(long, value_name = "LEVEL", value_parser = values::level)]
    deflate_level: Option<Level>,
    /// Smallest message that is compressed [default: 0 B]
    #[arg(long, value_name = "BYTES", value_parser = values::threshold)]
    deflate_threshold: Option<u32>,
    /// Whose messages may refer to earlier ones, if the server agrees. With client (or both) messages are compressed as
    /// they are sent, at the cost of the generator's CPU and up to 170 KiB a connection, otherwise before the load begins;
    /// with server (or both) every reply is inflated, for 50 KiB a connection [default: off]
    #[arg(long, value_name = "off|server|client|both", value_parser = values::context_takeover(), hide_possible_values = true)]
    deflate_context_takeover: Option<ContextTakeover>,
    /// Window to use and to ask for, as a power of two in bytes: how far back messages may refer, 9 to 15 [default: 15]
    #[arg(long, value_name = "BITS", value_parser = values::window_bits)]
    deflate_window_bits: Option<WindowBits>,
    /// Memory level, 1 to 9: 2^(level + 5) positions of 4 bytes are remembered (8: 32 KiB) [default: 8]
    #[arg(long, value_name = "LEVEL", value_parser = values::memory_level)]
    deflate_memory: Option<MemoryLevel>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    Off,
    On,
    Prefer,
}

impl DeflateArgs {
    pub(super) fn lower(&self) -> Result<Option<Deflate>, clap::Error> {
        let given = [
            ("--deflate-level", self.deflate_level.is_some()),
            ("--deflate-threshold", self.deflate_threshold.is_some()),
            ("--deflate-context-takeover", self.deflate_context_takeover.is_some()),
            ("--deflate-window-bits", self.deflate_window_bits.is_some()),
            ("--deflate-memory", self.deflate_memory.is_some()),
        ];
        let demand = match self.permessage_deflate {
            Some(Wanted::On) => Demand::On,
            Some(Wanted::Prefer) => Demand::Prefer,
            Some(Wanted::Off) | None => {
                return match given_without_extension(false, &given) {
                    Some(flag) => Err(refusal(&format!("{flag} needs --permessage-deflate"))),
                    None => Ok(None),
                };
            }
        };
        Ok(Some(Deflate {
            demand,
            effort: Effort {
                level: self.deflate_level.unwrap_or_default(),
                memory: self.deflate_memory.unwrap_or_default(),
            },
            threshold: self.deflate_threshold.unwrap_or(0),
            context_takeover: self.deflate_context_takeover.unwrap_or(ContextTakeover::Off),
            window: self.deflate_window_bits.unwrap_or_default(),
        }))
    }
}
