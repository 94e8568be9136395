//! What `compare` and `sweep` share: how trials follow each other, the load of each, and where the report goes.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;
use server::numbers::count_in;

use super::plan::{PlanArgs, Span};
use super::warmup::WarmupArgs;
use super::{FileArgs, OutputArgs, refusal, values};
use crate::host::target::Spec;
use crate::measure::growth::FEWEST_CONNECTIONS;
use crate::measure::metric::Metric;
use crate::plan::{Load, Plan, Stop};
use crate::program::output::Output;
use crate::report::repetition::enough;
use crate::trials::course::{Restarts, Tempo};
use crate::trials::repetition::MOST_ROUNDS;
use crate::trials::warming::Warmup;
use crate::units;

#[derive(Debug, Args)]
pub(super) struct TrialsArgs {
    #[command(flatten)]
    tempo: TempoArgs,
    #[command(flatten)]
    plan: PlanArgs,
    #[command(flatten)]
    report: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Trials")]
struct TempoArgs {
    /// The longest it may take; a comparison stops earlier once every gated metric is decided
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = values::max_time)]
    max_time: Duration,
    /// How long a trial is measured [default: 10ms; with --rate 100ms, or as long as 200 messages take]
    #[arg(long, value_name = "TIME", value_parser = values::positive_duration)]
    trial: Option<Duration>,
    /// How long the load runs before each trial, uncounted
    #[arg(long, value_name = "TIME", default_value = "2ms", value_parser = values::duration)]
    settle: Duration,
    #[command(flatten)]
    warmup: WarmupArgs,
    /// When the servers are started anew: after so many rounds of trials (pairs, in a comparison; at most 1000), never, or
    /// auto: after as many as tell most in the time there is, to begin with about 600ms. A server given by its URL is
    /// connected to anew
    #[arg(long, value_name = "auto|N|never", default_value = "auto", value_parser = restart_every, allow_negative_numbers = true)]
    restart_every: RestartEvery,
    /// Seed of the trials' order and of all random choices of the load
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::count::<u64>)]
    seed: u64,
}

/// What `--restart-every` says.
#[derive(Debug, Clone, Copy)]
enum RestartEvery {
    Auto,
    Rounds(u32),
    Never,
}

fn restart_every(text: &str) -> Result<RestartEvery, String> {
    let rounds = || count_in::<u32, 1, { MOST_ROUNDS as u64 }>(text).map_err(|why| format!("{why}; or auto, or never"));
    match text {
        "auto" => Ok(RestartEvery::Auto),
        "never" => Ok(RestartEvery::Never),
        _ => rounds().map(RestartEvery::Rounds),
    }
}

impl TrialsArgs {
    pub(super) fn load(&self) -> Load {
        self.plan.load()
    }

    /// How the trials of so many servers follow each other, each long enough for the metrics that are `judged`.
    pub(super) fn tempo(&self, servers: u32, judged: &[Metric]) -> Result<Tempo, clap::Error> {
        let tempo = self.tempo.lower(&self.load(), servers)?;
        let Load::Open { rate, .. } = self.load() else { return Ok(tempo) };
        let messages = rate.get() * tempo.trial.as_secs_f64();
        match judged.iter().find(|metric| messages < metric.needed_values() as f64 * (1.0 - ROUNDING)) {
            None => Ok(tempo),
            Some(metric) => {
                let needed = metric.needed_values();
                Err(refusal(&format!(
                    "--trial {} at --rate {} is {messages:.0} messages, and {metric}, which is judged, needs {needed} in a \
                     trial; expected a --trial of {:.0}ms at least",
                    humantime::format_duration(tempo.trial),
                    rate.get(),
                    (needed as f64 / rate.get() * 1e3).ceil(),
                )))
            }
        }
    }

    /// One trial.
    pub(super) fn plan(&self, tempo: Tempo, threads: NonZeroUsize) -> Result<Plan, clap::Error> {
        let span = Span { warmup: tempo.settle, stop: Stop::After(tempo.trial), seed: tempo.seed };
        self.plan.clone().lower(span, threads)
    }

    pub(super) fn output(self) -> Result<Output, clap::Error> {
        self.report.lower(FileArgs::default())
    }
}

/// Whether trials under this load have every metric of `--gate`, each given once.
pub(super) fn check_gate(gate: &[Metric], load: &Load) -> Result<(), clap::Error> {
    for (i, metric) in gate.iter().enumerate() {
        let is_there = (metric.is_of_trials() || metric.is_of_starts()) && *metric != Metric::Capacity;
        if !is_there {
            return Err(refusal(&format!("--gate {metric}: comparisons and sweeps do not have it; expected {GATES}")));
        }
        if !metric.fits(load) {
            let wanted = if matches!(load, Load::Open { .. }) { "no --rate" } else { "--rate" };
            return Err(refusal(&format!("--gate {metric} needs a load with {wanted}")));
        }
        if gate[..i].contains(metric) {
            return Err(refusal(&format!("--gate {metric} is given twice")));
        }
    }
    Ok(())
}

/// Whether a load has connections enough for the metrics of `--gate`.
pub(super) fn check_connections(gate: &[Metric], plan: &Plan) -> Result<(), clap::Error> {
    let connections = plan.connections.get();
    if gate.contains(&Metric::ConnectionMemory) && connections < FEWEST_CONNECTIONS {
        return Err(refusal(&format!(
            "--gate {} with --connections {connections}: a server's memory is counted in pages that hold several connections, \
             and fewer than {FEWEST_CONNECTIONS} cannot be told from what else it does; expected --connections \
             {FEWEST_CONNECTIONS} or more",
            Metric::ConnectionMemory
        )));
    }
    Ok(())
}

/// Whether every server has as many lives as judging its memory takes: memory has one figure in each.
pub(super) fn check_lives<'a>(
    gate: &[Metric],
    restarts: Restarts,
    mut servers: impl Iterator<Item = &'a Spec>,
) -> Result<(), clap::Error> {
    let Some(metric) = gate.iter().find(|metric| metric.is_of_starts()) else { return Ok(()) };
    let Some(once) = servers.find(|server| !restarts.are_of(server)) else { return Ok(()) };
    let (how, expected) = match once {
        Spec::Url(_) => (
            format!("of {once}, which is not started anew since it is given by its URL"),
            "a command that starts the server, as 'node server.js {port}'",
        ),
        Spec::Embedded(_) | Spec::Command(_) => {
            ("with --restart-every never".to_owned(), "--restart-every auto or a number")
        }
    };
    Err(refusal(&format!(
        "--gate {metric} {how}: memory has one figure for each start of a server, and one figure cannot be judged; expected \
         {expected}"
    )))
}

/// Whether --max-time has room for a --warmup of each of these servers, and for as many as the `starts` take that a verdict needs, over
/// so many `attempts`; none where it goes on with fewer.
pub(super) fn check_warmup(
    tempo: &Tempo,
    servers: &[&Spec],
    starts: usize,
    attempts: Option<u32>,
) -> Result<(), clap::Error> {
    let Warmup::For(warmup) = tempo.warmup else { return Ok(()) };
    let of_each = warmup + tempo.trial + tempo.settle;
    let lives = |server: &&Spec| if tempo.restarts.are_of(server) { starts.max(1) as u32 } else { 1 };
    let (once, all) = (of_each * servers.len() as u32, of_each * servers.iter().map(lives).sum::<u32>());
    if once <= tempo.max_time && attempts.is_none_or(|attempts| all <= tempo.max_time * attempts) {
        return Ok(());
    }
    let [warmup, max_time] = [warmup, tempo.max_time].map(humantime::format_duration);
    let starts = servers.iter().map(lives).max().unwrap_or(1);
    let force = if once <= tempo.max_time { ", or --force" } else { "" };
    Err(refusal(&format!(
        "--max-time {max_time} has no room for --warmup {warmup} of {}, in turns, and a trial of each: that takes {}, \
         and a verdict {}; expected {} or a shorter --warmup{force}",
        units::counted(servers.len() as u64, "server"),
        units::seconds(once.as_secs_f64()),
        units::counted(starts.into(), "such start"),
        enough(all.as_secs_f64() / f64::from(attempts.unwrap_or(1)))
    )))
}

impl TempoArgs {
    fn lower(&self, load: &Load, servers: u32) -> Result<Tempo, clap::Error> {
        let trial = self.trial.unwrap_or(match load {
            Load::Closed { .. } => CLOSED_TRIAL,
            Load::Open { rate, .. } => OPEN_TRIAL.max(Duration::from_secs_f64(OPEN_MESSAGES / rate.get())),
        });
        let round = (trial + self.settle) * servers;
        if round > self.max_time {
            return Err(refusal(&format!(
                "--max-time has no room for a --trial of each server, {} long, with its --settle",
                humantime::format_duration(trial)
            )));
        }
        let usual = (RESTART.div_duration_f64(round) as u32).clamp(1, MOST_ROUNDS);
        Ok(Tempo {
            trial,
            settle: self.settle,
            replies: if self.trial.is_none() && matches!(load, Load::Closed { .. }) { REPLIES } else { 0 },
            warmup: self.warmup.lower(),
            restarts: match self.restart_every {
                RestartEvery::Auto => Restarts::Auto(usual),
                RestartEvery::Rounds(rounds) => Restarts::Every(rounds),
                RestartEvery::Never => Restarts::Never(usual),
            },
            max_time: self.max_time,
            seed: self.seed,
        })
    }
}

/// A metric of `--gate`. One that there is not is answered with those that may be judged, which are not all that there are; a
/// statistic that there is not, with the statistics.
pub(super) fn gate_metric(text: &str) -> Result<Metric, String> {
    let is_distribution = |name: &str| format!("{name}.mean").parse::<Metric>().is_ok();
    let lacks_statistic = text.split_once('.').is_some_and(|(name, _)| is_distribution(name));
    text.parse()
        .map_err(|why: String| if lacks_statistic { why } else { format!("'{text}' is no metric; expected {GATES}") })
}

/// What `--gate` takes.
const GATES: &str = "throughput, latency or service_time with a statistic (latency.p99), server.cpu, server.memory, \
    connection.memory, wire.bytes or wire.ratio";

/// A trial of a closed loop: some 1,000 messages. A shared machine changes its speed within tenths of a second; of trials
/// that are shorter than that, both of a pair see the same machine. In the same time, pairs of 10 ms gave a third of the
/// standard error that pairs of 100 ms gave.
const CLOSED_TRIAL: Duration = Duration::from_millis(10);

/// Messages of a trial of an open loop at the least: twice what a p99 needs, which independent arrivals do not fall short of.
const OPEN_MESSAGES: f64 = 200.0;

/// The rounding of a rate times a time.
const ROUNDING: f64 = 1e-9;

/// A trial of an open loop: at 20,000 messages/s its p99 has 20 messages above it.
const OPEN_TRIAL: Duration = Duration::from_millis(100);

/// Time between two starts unless told otherwise, until it is known how much they vary: several times what a start costs
/// (about 150 ms), and dozens of starts in a minute.
const RESTART: Duration = Duration::from_millis(600);

/// Replies of a trial at the least: a rate of fewer is a matter of chance.
const REPLIES: u64 = 50;
