//! The arguments of `loadgen compare`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clap::Args;

use super::{ConnectArgs, FileArgs, LoadArgs, MessageArgs, OutputArgs, refusal, values};
use crate::compare::Question;
use crate::comparison::Metric;
use crate::output::Output;
use crate::plan::{Load, Pacing, Plan, Stop};
use crate::target::Spec;
use crate::trials::Tempo;

/// What to compare, and how.
#[derive(Debug)]
pub struct Comparing {
    /// What is to be found out.
    pub question: Question,
    /// The load.
    pub plan: Plan,
    /// The server that is compared with, and the one that is compared.
    pub servers: [Spec; 2],
    /// Where the report goes.
    pub output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CompareArgs {
    /// The server that is compared with: a URL, flags of echo-server for an embedded one, or a command holding {port}
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true, required_unless_present = "aa")]
    a: Option<Spec>,
    /// The server that is compared, likewise; '' is the embedded one without flags
    #[arg(
        long,
        value_name = "SPEC",
        allow_hyphen_values = true,
        required_unless_present = "aa",
        conflicts_with = "aa"
    )]
    b: Option<Spec>,
    /// Compare A (the embedded server, unless given) with itself: prints what this machine can resolve
    #[arg(long)]
    aa: bool,
    #[command(flatten)]
    judgement: JudgementArgs,
    #[command(flatten)]
    tempo: TempoArgs,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    report: OutputArgs,
    /// Worker threads, one connection each at least [default: half of the allowed cores]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Judgement")]
struct JudgementArgs {
    /// A metric to judge; repeatable [default: throughput and server-cpu; with --rate latency-p50, latency-p99 and
    /// server-cpu]
    #[arg(long = "gate", value_name = "METRIC", value_delimiter = ',')]
    gate: Vec<Metric>,
    /// A change of up to this much either way does not matter
    #[arg(long, value_name = "PCT", default_value = "2%", value_parser = values::percent)]
    tolerance: f64,
    /// Exit with 99 where a gated metric is worse by more than this; it is the tolerance then
    #[arg(long, value_name = "PCT", value_parser = values::percent, conflicts_with = "tolerance")]
    fail_on_regression: Option<f64>,
    /// Exit with 98 where a gated metric could not be decided
    #[arg(long)]
    require_conclusive: bool,
    /// The chance of any wrong verdict of regressed or improved, over all gated metrics
    #[arg(long, value_name = "PCT", default_value = "1%", value_parser = values::positive_percent)]
    alpha: f64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Trials")]
pub(super) struct TempoArgs {
    /// The longest it may take; it stops earlier once every gated metric is decided
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = values::max_time)]
    max_time: Duration,
    /// How long a trial is measured [default: 10ms; with --rate 100ms]
    #[arg(long, value_name = "TIME", value_parser = values::positive_duration)]
    trial: Option<Duration>,
    /// How long the load runs before each trial, uncounted
    #[arg(long, value_name = "TIME", default_value = "2ms", value_parser = values::duration)]
    settle: Duration,
    /// Rounds of trials (pairs, in a comparison) after which the servers are started anew; a server given by its URL is
    /// connected to anew [default: as many as take about 600ms]
    #[arg(long, value_name = "N")]
    restart_every: Option<NonZeroU32>,
    /// Seed of the trials' order and of all random choices of the load
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl TempoArgs {
    pub(super) fn lower(&self, load: &Load, servers: u32) -> Result<Tempo, clap::Error> {
        let trial = self.trial.unwrap_or(match load {
            Load::Closed { .. } => CLOSED_TRIAL,
            Load::Open { .. } => OPEN_TRIAL,
        });
        let round = (trial + self.settle) * servers;
        if round > self.max_time {
            return Err(refusal("--max-time has no room for a --trial of each server, with its --settle"));
        }
        Ok(Tempo {
            trial,
            settle: self.settle,
            restart_every: self
                .restart_every
                .map_or_else(|| (RESTART.div_duration_f64(round) as u32).max(1), NonZeroU32::get),
            max_time: self.max_time,
            seed: self.seed,
        })
    }
}

impl CompareArgs {
    pub(super) fn lower(self, threads: NonZeroUsize) -> Result<Comparing, clap::Error> {
        let load = self.load.lower();
        let tempo = self.tempo.lower(&load, 2)?;
        let JudgementArgs { gate, tolerance, fail_on_regression, require_conclusive, alpha } = self.judgement;
        for (i, metric) in gate.iter().enumerate() {
            if !metric.fits(&load) {
                let wanted = if matches!(load, Load::Open { .. }) { "no --rate" } else { "--rate" };
                return Err(refusal(&format!("--gate {metric} needs a load with {wanted}")));
            }
            if gate[..i].contains(metric) {
                return Err(refusal(&format!("--gate {metric} is given twice")));
            }
        }
        let question = Question {
            tempo,
            gate: (!gate.is_empty()).then_some(gate),
            alpha,
            tolerance: fail_on_regression.unwrap_or(tolerance),
            aa: self.aa,
            fail_on_regression: fail_on_regression.is_some(),
            require_conclusive,
        };
        let connect = self.connect.lower()?;
        let embedded = Spec::embedded_for(connect.permessage_deflate.as_ref(), &[]);
        let plan = Plan {
            connections: self.load.connections,
            load,
            stop: Stop::After(tempo.trial),
            warmup: tempo.settle,
            drain_timeout: self.load.drain_timeout,
            verify: self.message.verify,
            message: self.message.lower()?,
            connect,
            pacing: self.load.pacing.unwrap_or(Pacing::Sleep),
            threads: self.threads.unwrap_or(threads),
            seed: tempo.seed,
        };
        let a = self.a.unwrap_or(embedded);
        let b = self.b.unwrap_or_else(|| a.clone());
        Ok(Comparing { question, plan, servers: [a, b], output: self.report.lower(FileArgs::default())? })
    }
}

const EXIT_CODES: &str = "Verdicts: regressed or improved (the interval of the change lies beyond the tolerance), \
    equivalent (within it), inconclusive (neither; the report says how much longer it needs).\n\n\
    Exit codes: 0 compared; 1 a server failed, or lost or corrupted messages; 2 usage; 98 an open loop's generator was \
    late itself, or --require-conclusive and a metric is inconclusive; 99 --fail-on-regression and a metric regressed; \
    130 interrupted.";

/// A trial of a closed loop: some 1,000 messages. A shared machine changes its speed within tenths of a second; of trials
/// that are shorter than that, both of a pair see the same machine. In the same time, pairs of 10 ms gave a third of the
/// standard error that pairs of 100 ms gave.
const CLOSED_TRIAL: Duration = Duration::from_millis(10);

/// A trial of an open loop: at 20,000 messages/s its p99 has 20 messages above it.
const OPEN_TRIAL: Duration = Duration::from_millis(100);

/// Time between two starts: several times what a start costs (about 150 ms), and dozens of starts in a minute.
const RESTART: Duration = Duration::from_millis(600);
