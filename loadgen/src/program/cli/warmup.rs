//! How servers are warmed up: what `compare`, `sweep` and `capacity` share.

use std::time::Duration;

use clap::Args;

use super::values;
use crate::trials::warming::Warmup;

#[derive(Debug, Args)]
pub(super) struct WarmupArgs {
    /// How long each server runs under the load after a start, uncounted: until its cost per message and its rate have
    /// stopped trending, which is looked at in the first starts, or this long. Flags of echo-server need none
    #[arg(long, value_name = "auto|TIME", default_value = "auto", value_parser = warmup)]
    warmup: WarmupTime,
    /// The longest that --warmup auto waits for a server to settle, and no longer than a fifteenth of --max-time, or the
    /// server's share of a seventh of it where that is less; one that has not is said to be not steady
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::positive_duration)]
    max_warmup: Duration,
}

/// What `--warmup` says.
#[derive(Debug, Clone, Copy)]
enum WarmupTime {
    Auto,
    For(Duration),
}

impl WarmupArgs {
    pub(super) fn lower(&self) -> Warmup {
        match self.warmup {
            WarmupTime::Auto => Warmup::Auto { at_most: self.max_warmup },
            WarmupTime::For(time) => Warmup::For(time),
        }
    }
}

fn warmup(text: &str) -> Result<WarmupTime, String> {
    let time = || values::duration(text).map_err(|why| format!("{why}; expected a time or auto"));
    if text == "auto" { Ok(WarmupTime::Auto) } else { time().map(WarmupTime::For) }
}
