//! The arguments of `loadgen capacity`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clap::Args;
use server::numbers::count_in;

use super::compare::Comparing;
use super::over::{Along, Over};
use super::trials::check_warmup;
use super::warmup::WarmupArgs;
use super::{ConnectArgs, FileArgs, MessageArgs, OutputArgs, ServerArgs, Switch, fit, refusal, values};
use crate::host::target::Spec;
use crate::judge::capacity::CapacityThreshold;
use crate::judge::sizing::Need;
use crate::judge::threshold::Threshold;
use crate::measure::metric::{Distribution, Metric};
use crate::plan::{Arrival, Load, Pacing, Plan, Rate, Stop, Timestamps};
use crate::program::output::Output;
use crate::trials::capacity::{CLOSED_LOOP, Experiment, Limits, lowest_rate};
use crate::trials::course::{Restarts, Tempo};
use crate::trials::question::Question;
use crate::trials::warming::Warmup;
use crate::units;

/// What to look for, and what is to be kept.
#[derive(Debug)]
pub struct Planning {
    /// What is done.
    pub experiment: Experiment,
    /// The load of the warm-up, and of a probe but for its rate.
    pub plan: Plan,
    /// With which server.
    pub server: Spec,
    /// Limits on the capacity.
    pub thresholds: Vec<CapacityThreshold>,
    /// What a service is to hold, that is to be turned into machines.
    pub need: Option<Need>,
    /// What is varied, and the plan and the server at each value.
    pub over: Option<Along>,
    /// Whether to say how long it takes and no more.
    pub plan_only: bool,
    /// Where the report goes.
    pub output: Output,
}

/// What the arguments ask for.
#[derive(Debug)]
pub(super) enum Lowered {
    /// The capacity of one server.
    Search(Box<Planning>),
    /// Whether that of B differs from that of A.
    Compare(Box<Comparing>),
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CapacityArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    two: TwoArgs,
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    load: OfferedArgs,
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    report: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Two servers")]
struct TwoArgs {
    /// Tell whether the capacity of B differs from that of A, as compare does: A, given as --server is
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true, requires = "b", conflicts_with_all = ALONE)]
    a: Option<Spec>,
    /// B, likewise
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true, requires = "a")]
    b: Option<Spec>,
    /// Of two servers: exit with 99 where the capacity of B is less by more than this (2% without PCT), and with 98 where that
    /// cannot be told
    #[arg(long, value_name = "PCT", requires = "a", value_parser = values::percent)]
    fail_on_regression: Option<Option<f64>>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Search")]
struct SearchArgs {
    /// A limit that the server is to keep, as latency.p99<5ms, errors.rate<0.1%, achieved>=99% or server.cpu<20us; repeatable
    #[arg(long = "slo", value_name = "METRIC<LIMIT", required = true)]
    slos: Vec<Threshold>,
    /// How far apart the highest rate that keeps every limit and the lowest that breaks one may lie, from 0.1% to 50%
    #[arg(long, value_name = "PERCENT", default_value = "3%", value_parser = precision)]
    precision: f64,
    /// The share of answers of which each of these two rates is right at least, from 51% to 99.9%
    #[arg(long, value_name = "PERCENT", default_value = "95%", value_parser = confidence)]
    confidence: f64,
    /// The longest that all of it may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = values::max_time)]
    max_time: Duration,
    /// The lowest rate to try, messages per second [default: that at which 10s have messages enough for the limits, 1/s at
    /// least]
    #[arg(long, value_name = "R")]
    min_rate: Option<Rate>,
    /// The highest rate to try [default: 100M/s]
    #[arg(long, value_name = "R")]
    max_rate: Option<Rate>,
    /// How long a probe offers a rate; longer, up to 10s, where the limits need more messages [default: 1s; of two servers
    /// 300ms]
    #[arg(long, value_name = "TIME", value_parser = values::positive_duration)]
    probe: Option<Duration>,
    /// Fresh starts of the server that are held to the rate found, each for three times as long as a probe; 0 for none
    #[arg(long, value_name = "N", default_value = "3", value_parser = count_in::<u32, 0, MOST_STARTS>)]
    holdout: u32,
    #[command(flatten)]
    warmup: WarmupArgs,
    /// Work out what this takes of machines like this one: cores, memory, bandwidth, machines, line by line; as
    /// 'messages_per_second=2e6 connections=500e3 headroom=40%'
    #[arg(long, value_name = "NAME=VALUE ...")]
    need: Option<Need>,
    /// Look for the capacity at each of these values, in turn, each for --max-time at most: connections=100,1k,
    /// size=64,1KiB, or threads=1,2,4 of the server (flags of echo-server, or a command holding {threads})
    #[arg(long, value_name = "AXIS=VALUE,...")]
    over: Option<Over>,
    /// Say how long it takes at the most, and do nothing
    #[arg(long)]
    plan_only: bool,
    /// A limit on the capacity itself, as capacity>40k; repeatable; 99 is the exit code where one is crossed
    #[arg(long = "threshold", value_name = "capacity>R", help_heading = "Limits")]
    thresholds: Vec<CapacityThreshold>,
    /// Seed of every random choice: due times, payloads, masks
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::count::<u64>, help_heading = None)]
    seed: u64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
struct OfferedArgs {
    /// Connections over all threads
    #[arg(short, long, value_name = "N", default_value = "100", value_parser = values::count::<NonZeroU32>)]
    connections: NonZeroU32,
    /// How due times are spaced
    #[arg(long, default_value = "poisson")]
    arrival: Arrival,
    /// How a worker waits for the next due message or reply [default: auto]
    #[arg(long)]
    pacing: Option<Pacing>,
    /// Whether latency ends where the kernel received a reply or where it was read [default: auto]
    #[arg(long)]
    timestamps: Option<Timestamps>,
    /// Run workers in the real-time class SCHED_FIFO; see loadgen run --help [default: off]
    #[arg(long)]
    realtime: bool,
    /// How long replies are waited for after the last message of a probe; what is missing then is lost
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::positive_duration)]
    drain_timeout: Duration,
    /// Worker threads, one connection each at least [default: half of the allowed cores]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    threads: Option<NonZeroUsize>,
}

impl OfferedArgs {
    /// The plan of the warm-up, and of a probe but for its load.
    fn plan(
        self,
        message: MessageArgs,
        connect: ConnectArgs,
        probe: Duration,
        seed: u64,
        threads: NonZeroUsize,
    ) -> Result<Plan, clap::Error> {
        Ok(Plan {
            connections: self.connections,
            // That of the warm-up; a probe has its own.
            load: Load::Closed { in_flight: NonZeroU32::MIN },
            stop: Stop::After(probe),
            warmup: Duration::ZERO,
            drain_timeout: self.drain_timeout,
            udp_timeout: message.replies.udp_timeout,
            udp_offload: message.replies.udp_offload == Switch::On,
            verify: message.replies.verify,
            expect: message.replies.expect.clone(),
            skip_messages: message.replies.skip_messages,
            message: message.lower()?,
            connect: connect.lower()?,
            pacing: self.pacing.unwrap_or(Pacing::Auto),
            timestamps: self.timestamps.unwrap_or(Timestamps::Auto),
            realtime: self.realtime,
            threads: self.threads.unwrap_or(threads),
            seed,
        })
    }
}

impl CapacityArgs {
    pub(super) fn lower(self, threads: NonZeroUsize) -> Result<Lowered, clap::Error> {
        let Self { server, two, search, load, message, connect, report } = self;
        let probe = search.probe.unwrap_or(if two.a.is_some() { SHORT_PROBE } else { PROBE });
        for slo in &search.slos {
            if !may_be_kept(slo.metric()) {
                return Err(refusal(&format!(
                    "--slo '{slo}': that is not the server's to keep; expected a limit on latency, service_time, errors, \
                     errors.rate, datagrams.lost, achieved, server.cpu or server.memory"
                )));
            }
        }
        let lowest = lowest_rate(&search.slos, probe);
        let min_rate = search.min_rate.map_or(lowest, Rate::get);
        if min_rate < lowest * 0.999 {
            return Err(refusal(&format!(
                "--min-rate {min_rate}: the longest probe has too few messages then for a percentile of --slo; expected {lowest}/s at \
                 least, or a longer --probe"
            )));
        }
        if probe > search.max_time {
            return Err(refusal("--probe: one probe takes longer than --max-time; expected a shorter one"));
        }
        let max_rate = search.max_rate.map_or(HIGHEST, Rate::get);
        if min_rate >= max_rate {
            return Err(refusal(&format!(
                "--max-rate {max_rate} is not above the lowest rate that is tried, {min_rate}; expected a higher one, or a lower \
                 --min-rate"
            )));
        }
        let arrival = load.arrival;
        let plan = load.plan(message, connect, probe, search.seed, threads)?;
        let spec = server.lower(&plan);
        match (&two.a, &two.b) {
            (Some(a), Some(b)) => fit([a, b], &plan)?,
            _ => fit([&spec], &plan)?,
        }
        let (slos, precision) = (search.slos, search.precision);
        let limits = Limits { slos, arrival, min_rate, max_rate, precision };
        let output = report.lower(FileArgs::default())?;
        let (confidence, max_time, warmup) = (search.confidence, search.max_time, search.warmup.lower());
        if let (Some(a), Some(b)) = (two.a, two.b) {
            let tempo = Tempo {
                trial: probe,
                settle: Duration::ZERO,
                replies: 0,
                warmup,
                restarts: Restarts::Every(ROUNDS),
                max_time,
                seed: search.seed,
            };
            let question = question(tempo, limits, confidence, two.fail_on_regression);
            check_warmup(&tempo, &[&a, &b], question.asked(1).fewest_starts(), Some(1))?;
            let servers = [a, b];
            return Ok(Lowered::Compare(Box::new(Comparing { question, plan, servers, resume: None, output })));
        }
        has_time_for(warmup, probe, max_time)?;
        let experiment = Experiment { limits, confidence, probe, holdout: search.holdout, warmup, max_time };
        let SearchArgs { thresholds, need, over, plan_only, .. } = search;
        let over = over.map(|over| over.along(&plan, &spec)).transpose().map_err(|why| refusal(&why))?;
        let planning = Planning { experiment, plan, server: spec, thresholds, need, over, plan_only, output };
        Ok(Lowered::Search(Box::new(planning)))
    }
}

/// Whether there is time for a start of the server, the closed loop after it, and a probe.
fn has_time_for(warmup: Warmup, probe: Duration, max_time: Duration) -> Result<(), clap::Error> {
    let Warmup::For(warmup) = warmup else { return Ok(()) };
    let start = warmup + CLOSED_LOOP + probe;
    if start <= max_time {
        return Ok(());
    }
    let [warmup, max_time] = [warmup, max_time].map(humantime::format_duration);
    Err(refusal(&format!(
        "--max-time {max_time} has no room for --warmup {warmup} of the server, {} in a closed loop and one probe; expected {} at least, or a \
         shorter --warmup",
        units::seconds(CLOSED_LOOP.as_secs_f64()),
        humantime::format_duration(start)
    )))
}

/// Whether the capacity of two servers differs; with `loss`, whether that of B is less by more than that.
fn question(tempo: Tempo, limits: Limits, confidence: f64, loss: Option<Option<f64>>) -> Question {
    Question {
        tempo,
        gate: Some(vec![Metric::Capacity]),
        alpha: 1.0 - confidence,
        attempts: 1,
        tolerance: loss.flatten().unwrap_or(TOLERANCE),
        aa: false,
        fail_on_regression: loss.is_some(),
        allow_inconclusive: false,
        require_conclusive: false,
        capacity: Some(limits),
        force: false,
    }
}

/// Whether a limit on it says something of the server, and each probe has a value of it.
fn may_be_kept(metric: Metric) -> bool {
    match metric {
        Metric::Time(distribution, _) => matches!(distribution, Distribution::Latency | Distribution::ServiceTime),
        Metric::Errors
        | Metric::ErrorRate
        | Metric::Datagrams(_)
        | Metric::Achieved
        | Metric::ServerCpu
        | Metric::ServerMemory => true,
        _ => false,
    }
}

fn precision(text: &str) -> Result<f64, String> {
    share(text, 0.001, 0.5)
}

fn confidence(text: &str) -> Result<f64, String> {
    // At 50% there is nothing to prove.
    share(text, 0.51, 0.999)
}

fn share(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let share = values::percent(text)?;
    if (least..=most).contains(&share) {
        return Ok(share);
    }
    let percent = |share: f64| (share * 1e4).round() / 1e2;
    Err(format!("'{text}' is out of range; expected from {}% to {}%", percent(least), percent(most)))
}

/// What is of no use with two servers.
const ALONE: [&str; 7] = ["url", "server", "thresholds", "need", "over", "plan_only", "holdout"];

/// How long a probe of the search is: the typical second is what a capacity is of.
const PROBE: Duration = Duration::from_secs(1);

/// How long a probe of two servers is: the shorter, the more alike are the moments in which both are probed.
const SHORT_PROBE: Duration = Duration::from_millis(300);

/// Probes of each server in a start, some of which bring its rate to where it stays.
const ROUNDS: u32 = 12;

/// A difference of less is seldom worth a change.
const TOLERANCE: f64 = 0.02;

/// Fresh starts at the most.
const MOST_STARTS: u64 = 100;

/// The highest rate unless told otherwise: the highest that there is.
const HIGHEST: f64 = 1e8;

const EXIT_CODES: &str = "Exit codes: 0 the capacity was found; 1 it failed (the server did not start, answered wrongly, or \
    went away); 2 usage; 95 the generator was the limit; 96 the lowest rate that was to be tried breaks a limit; 97 the highest keeps \
    all of them; 98 inconclusive; 99 a --threshold was crossed; 130 interrupted. With --threshold, 0 where all of them are met and 98 \
    where one is undecided, whatever else was found.";
