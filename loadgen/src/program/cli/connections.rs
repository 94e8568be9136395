//! The arguments of `loadgen connections`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clap::Args;
use server::numbers::count_in;

use super::{ConnectArgs, DEFAULT_SIZE, FileArgs, OutputArgs, ServerArgs, fit, refusal, values};
use crate::host::target::Spec;
use crate::judge::held_threshold::HeldThreshold;
use crate::measure::held_metric::{HeldMetric, Plain, Span};
use crate::measure::named::Named;
use crate::plan::url::Scheme;
use crate::plan::{
    Arrival, Expect, Kind, Load, Message, Pacing, Payload, Plan, Rate, Stop, Timestamps, Verify, default_udp_offload,
    default_udp_timeout,
};
use crate::program::output::Output;
use crate::trials::connections::{Comeback, Experiment};

/// What to hold, and what is to be kept.
#[derive(Debug)]
pub struct Holding {
    /// What is done.
    pub experiment: Experiment,
    /// To which server.
    pub server: Spec,
    /// The limits.
    pub thresholds: Vec<HeldThreshold>,
    /// Where the report goes.
    pub output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ConnectionsArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    held: HeldArgs,
    #[command(flatten)]
    disturbed: DisturbedArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    /// A limit, as memory.user_per_connection<400B or handshake.p99<50ms; repeatable; 99 is the exit code where one is crossed
    #[arg(long = "threshold", value_name = "METRIC<LIMIT", help_heading = "Limits")]
    thresholds: Vec<HeldThreshold>,
    /// Seed of the messages and of --jitter
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::count::<u64>)]
    seed: u64,
    #[command(flatten)]
    report: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
struct HeldArgs {
    /// Connections to open and to hold, over all threads
    #[arg(short = 'n', long, value_name = "N", default_value = "1000", value_parser = values::count::<NonZeroU32>)]
    connections: NonZeroU32,
    /// Steps of opening; memory is looked at after each, and 5 at least give it an interval
    #[arg(long, value_name = "N", default_value = "8", value_parser = count_in::<u32, 1, MOST_STEPS>)]
    steps: u32,
    /// How long they are held once all are open
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::positive_duration)]
    hold: Duration,
    /// Each held connection sends a message (64 B of random payload) this often, and every reply is verified [default: none
    /// is sent]
    #[arg(long, value_name = "TIME", value_parser = values::positive_duration)]
    trickle: Option<Duration>,
    /// Each held connection is sent a Ping this often, which its Pong is to answer with the same bytes within 10s of the end
    /// of the hold [default: none is sent]
    #[arg(long, value_name = "TIME", value_parser = values::positive_duration)]
    ping: Option<Duration>,
    /// Connections closed per second in the end [default: all at once]
    #[arg(long, value_name = "R")]
    close_rate: Option<Rate>,
    /// How a worker waits for the next message of the trickle or reply [default: auto]
    #[arg(long)]
    pacing: Option<Pacing>,
    /// Worker threads, one connection each at least [default: half of the allowed cores]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Disturbances")]
struct DisturbedArgs {
    /// After the hold, open and close this many more connections per second for as long again, in turns with as long
    /// without; tells the latency of the held ones in both
    #[arg(long, value_name = "R", requires = "trickle")]
    churn: Option<Rate>,
    /// After the hold, drop all connections at once without a Close frame and open them again at once; what fails is tried
    /// again until all are back or --retry-time is over
    #[arg(long)]
    storm: bool,
    /// In the storm, each is first tried at a random moment within this time, and each wait before another try is random too,
    /// between nothing and what it would be [default: all at once, and equal waits]
    #[arg(long, value_name = "TIME", requires = "storm", value_parser = values::positive_duration)]
    jitter: Option<Duration>,
    /// In the storm, wait this long after the first try of a connection that failed, and twice as long after each other, 5s at
    /// the most or as long as this [default: 100ms]
    #[arg(long, value_name = "TIME", requires = "storm", value_parser = values::positive_duration)]
    retry_delay: Option<Duration>,
    /// In the storm, begin no try later than this after all were gone [default: 60s]
    #[arg(long, value_name = "TIME", requires = "storm", value_parser = values::positive_duration)]
    retry_time: Option<Duration>,
}

impl ConnectionsArgs {
    pub(super) fn lower(self, threads: NonZeroUsize) -> Result<Holding, clap::Error> {
        let Self { server, held, disturbed, connect, thresholds, seed, report } = self;
        for threshold in &thresholds {
            if let Some(missing) = missing(threshold.metric(), &held, &disturbed) {
                return Err(refusal(&format!("--threshold '{threshold}' needs {missing}")));
            }
        }
        let connect = connect.lower()?;
        let load = match held.trickle {
            None => Load::Closed { in_flight: NonZeroU32::MIN },
            Some(every) => {
                let rate = f64::from(held.connections.get()) / every.as_secs_f64();
                let rate = Rate::try_from(rate).map_err(|why| refusal(&format!("--trickle: {why}")))?;
                Load::Open { rate, arrival: Arrival::Uniform }
            }
        };
        let plan = Plan {
            connections: held.connections,
            load,
            stop: Stop::After(held.hold),
            warmup: Duration::ZERO,
            drain_timeout: DRAIN,
            udp_timeout: default_udp_timeout(),
            udp_offload: default_udp_offload(),
            verify: Verify::Full,
            skip_messages: 0,
            expect: Expect::Echo,
            message: Message { kind: Kind::Binary, payload: Payload::Random, size: DEFAULT_SIZE },
            connect,
            pacing: held.pacing.unwrap_or(Pacing::Auto),
            timestamps: Timestamps::Auto,
            realtime: false,
            threads: held.threads.unwrap_or(threads),
            seed,
        };
        let server = server.lower(&plan);
        if server.scheme() == Some(Scheme::Udp) {
            return Err(refusal("udp:// has no connections that could be held; expected a ws:// or tcp:// server"));
        }
        fit([&server], &plan)?;
        let comeback = Comeback {
            jitter: disturbed.jitter,
            retry_delay: disturbed.retry_delay.unwrap_or(RETRY_DELAY),
            retry_time: disturbed.retry_time.unwrap_or(RETRY_TIME),
        };
        if comeback.jitter.is_some_and(|jitter| jitter > comeback.retry_time) {
            return Err(refusal(
                "--jitter is longer than --retry-time, after which none is tried; expected a shorter one",
            ));
        }
        let experiment = Experiment {
            plan,
            steps: held.steps,
            hold: held.hold,
            trickle: held.trickle,
            ping: held.ping,
            churn: disturbed.churn,
            storm: disturbed.storm.then_some(comeback),
            close_rate: held.close_rate,
        };
        Ok(Holding { experiment, server, thresholds, output: report.lower(FileArgs::default())? })
    }
}

/// The flag without which there is no such figure.
fn missing(metric: HeldMetric, held: &HeldArgs, disturbed: &DisturbedArgs) -> Option<&'static str> {
    use Named::{Plain as One, Time};
    match metric {
        Time(Span::Latency, _) | One(Plain::Errors) if held.trickle.is_none() => Some("--trickle"),
        Time(Span::Ping, _) | One(Plain::PingsUnanswered) if held.ping.is_none() => Some("--ping"),
        Time(Span::ChurnWithout | Span::ChurnWith | Span::ChurnHandshake, _) | One(Plain::ChurnFailed)
            if disturbed.churn.is_none() =>
        {
            Some("--churn")
        }
        Time(Span::StormWait, _) | One(Plain::StormFailed | Plain::StormTime) if !disturbed.storm => Some("--storm"),
        _ => None,
    }
}

/// The wait after a first try: a person's reflex to load a page again, and no less than a server needs to be told from a
/// busy one.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// How long connections are tried: a server that is not back by then is down.
const RETRY_TIME: Duration = Duration::from_secs(60);

/// Steps at the most: the slopes between every two of them are taken.
const MOST_STEPS: u64 = 100;

/// How long the replies to the last messages of the trickle are waited for: as long as a run's.
const DRAIN: Duration = Duration::from_secs(10);

const EXIT_CODES: &str = "Exit codes: 0 held; 1 it failed (a connection was not opened, was lost or did not come back, a \
    message was lost or answered wrongly, or a Ping was not answered, unless a --threshold on one of these counts allows it); 2 usage; 98 a limit's metric has \
    no value or an interval on both sides of the limit, or the latencies are not to be trusted; 99 a threshold was crossed; 130 \
    interrupted.";
