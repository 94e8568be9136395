//! The flags that decide what a run or a trial does, and the one place where they become a [`Plan`].

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;

use super::{ConnectArgs, LoadArgs, MessageArgs, Switch, values};
use crate::plan::{Load, Pacing, Plan, Stop, Timestamps};

#[derive(Debug, Clone, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    /// Worker threads, one connection each at least [default: half of the allowed cores]
    #[arg(long, value_name = "N", help_heading = "Load", value_parser = values::threads)]
    threads: Option<NonZeroUsize>,
}

/// What a run and a trial say of time each in its own way.
pub(super) struct Span {
    pub warmup: Duration,
    pub stop: Stop,
    pub seed: u64,
}

impl PlanArgs {
    pub(super) fn load(&self) -> Load {
        self.load.lower()
    }

    /// The plan; `threads` is the default of `--threads`.
    pub(super) fn lower(self, span: Span, threads: NonZeroUsize) -> Result<Plan, clap::Error> {
        let Span { warmup, stop, seed } = span;
        let (load, connect) = (self.load(), self.connect.lower()?);
        Ok(Plan {
            connections: self.load.connections,
            load,
            stop,
            warmup,
            drain_timeout: self.load.drain_timeout,
            udp_timeout: self.message.replies.udp_timeout,
            udp_offload: self.message.replies.udp_offload == Switch::On,
            verify: self.message.replies.verify,
            expect: self.message.replies.expect.clone(),
            skip_messages: self.message.replies.skip_messages,
            message: self.message.lower()?,
            connect,
            pacing: self.load.pacing.unwrap_or(Pacing::Auto),
            timestamps: self.load.timestamps.unwrap_or(Timestamps::Auto),
            realtime: self.load.realtime,
            threads: self.threads.unwrap_or(threads),
            seed,
        })
    }
}
