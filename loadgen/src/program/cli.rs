//! The command line, by concern, lowered once into a [`Plan`], the server and an [`Output`], none of which can be
//! invalid. Whatever is wrong with an argument is said here, with its flag, its value and what was expected.

mod capacity;
mod compare;
mod connections;
mod deflate;
mod fanout;
mod manual;
mod output;
mod over;
mod plan;
mod replies;
mod report;
mod secrets;
mod server;
mod sweep;
mod tips;
mod tls;
mod trials;
mod values;
mod warmup;

use std::ffi::OsString;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use self::server::{ServerArgs, fit};
use crate::host::leftovers::GUARD_SUBCOMMAND;
use crate::host::target::{EMBEDDED_SUBCOMMAND, Spec};
use crate::judge::threshold::Threshold;
use crate::measure::metric::Metric;
use crate::plan::proxy::Proxy;
use crate::plan::{Arrival, Connect, Kind, Load, Message, Pacing, Payload, Plan, Rate, Sizes, Stop, Timestamps};
use crate::program::conversion::Conversion;
use crate::program::gate::Gate;
use crate::program::output::Output;
use crate::report::baseline;
use capacity::Lowered;
pub use capacity::Planning;
pub use compare::Comparing;
pub use connections::Holding;
use deflate::DeflateArgs;
pub use fanout::Fanning;
use output::{FileArgs, OutputArgs};
pub use over::Along;
use plan::{PlanArgs, Span};
use replies::ReplyArgs;
pub use sweep::Sweeping;
use tls::TlsArgs;

/// What the user asked for.
#[derive(Debug)]
pub enum Invocation {
    /// No subcommand: how fast, and how late at half of that.
    Quick {
        /// The plan that `loadgen run` has without any flag.
        plan: Plan,
        /// Where the reports go.
        output: Output,
    },
    /// One run.
    Run {
        /// What it does.
        plan: Plan,
        /// Against which server.
        server: Spec,
        /// What it has to keep.
        gate: Gate,
        /// Where its report goes.
        output: Output,
    },
    /// A comparison of two servers.
    Compare(Box<Comparing>),
    /// A sweep over combinations of flags.
    Sweep(Sweeping),
    /// Many connections, held.
    Connections(Box<Holding>),
    /// How much a server holds.
    Capacity(Box<Planning>),
    /// Messages of a few to many.
    Fanout(Box<Fanning>),
    /// Saved reports in another format.
    Report(Conversion),
    /// Nothing but to print this: completions, or a manual page.
    Print(String),
    /// The embedded server in this process, with these arguments of `echo-server`.
    EmbeddedServer(Vec<OsString>),
    /// The guard of another loadgen's servers.
    Guard,
}

/// Reads the arguments, the program's name first. `threads` is the default of `--threads`.
///
/// # Errors
/// What clap says, `--help` and `--version` included.
pub fn parse(arguments: impl IntoIterator<Item = OsString>, threads: NonZeroUsize) -> Result<Invocation, clap::Error> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    // The embedded server has a command line of its own, help included, which nothing here may interpret.
    if arguments.get(1).is_some_and(|first| first == EMBEDDED_SUBCOMMAND) {
        return Ok(Invocation::EmbeddedServer(arguments.split_off(2)));
    }
    if arguments.get(1).is_some_and(|first| first == GUARD_SUBCOMMAND) {
        return Ok(Invocation::Guard);
    }
    let cli: Cli = values::command(&arguments).map_err(secrets::kept_back).map_err(tips::made_right)?;
    lowered(cli, &arguments, threads).map_err(|error| tips::of_subcommand(error, &arguments))
}

fn lowered(cli: Cli, arguments: &[OsString], threads: NonZeroUsize) -> Result<Invocation, clap::Error> {
    match cli.command {
        None => Ok(Invocation::Quick { plan: default_plan(threads), output: cli.report.lower(FileArgs::default())? }),
        Some(Command::Run(run)) => {
            let plan = run.plan.lower(run.span.lower(), threads)?;
            let server = run.server.lower(&plan);
            fit([&server], &plan)?;
            Ok(Invocation::Run { server, gate: run.gate.lower(&plan)?, output: run.report.lower(run.files)?, plan })
        }
        Some(Command::Sweep(sweep)) => Ok(Invocation::Sweep(sweep.lower(arguments, threads)?)),
        Some(Command::Connections(held)) => Ok(Invocation::Connections(Box::new(held.lower(threads)?))),
        Some(Command::Capacity(capacity)) => Ok(match capacity.lower(threads)? {
            Lowered::Search(planning) => Invocation::Capacity(planning),
            Lowered::Compare(comparing) => Invocation::Compare(comparing),
        }),
        Some(Command::Compare(compare)) => Ok(Invocation::Compare(Box::new(compare.lower(threads)?))),
        Some(Command::Fanout(fanout)) => Ok(Invocation::Fanout(Box::new(fanout.lower(threads)?))),
        Some(Command::Report(report)) => Ok(Invocation::Report(report.lower()?)),
        Some(Command::Completions(completions)) => Ok(Invocation::Print(completions.text(Cli::command()))),
        Some(Command::Man(man)) => Ok(Invocation::Print(man.text(Cli::command())?)),
    }
}

/// The plan of `loadgen run` without any flag.
pub fn default_plan(threads: NonZeroUsize) -> Plan {
    match parse(["loadgen", "run"].map(OsString::from), threads) {
        Ok(Invocation::Run { plan, .. }) => plan,
        other => unreachable!("the defaults are a valid run, not {other:?}"),
    }
}

/// Measures WebSocket echo servers: how many messages a second, how late, and what the figures are worth.
///
/// Without a subcommand it answers the two first questions in about 15 seconds, against an embedded server: how fast
/// (closed loop, 100 connections of 64 B), and how late at half of that (open loop).
#[derive(Debug, Parser)]
#[command(
    name = "loadgen",
    version,
    max_term_width = 100,
    after_help = EXIT_CODES,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(flatten)]
    report: OutputArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one load against a server
    Run(Box<RunArgs>),
    /// Tell whether one server is slower than another, with known error rates
    Compare(Box<compare::CompareArgs>),
    /// Tell which of some flags help, by how much, and whether that is real
    Sweep(Box<sweep::SweepArgs>),
    /// Tell how many messages a second a server holds before it breaks a limit, between two rates that are proven
    Capacity(Box<capacity::CapacityArgs>),
    /// Tell what many held connections cost: memory, handshakes, and what churn and storms do
    Connections(Box<connections::ConnectionsArgs>),
    /// Tell when, and whether, messages that a few send reach many: latency, reach, losses, order
    Fanout(Box<fanout::FanoutArgs>),
    /// Turn saved reports into another format
    Report(report::ReportArgs),
    /// Print completions of this command line for a shell
    Completions(manual::CompletionsArgs),
    /// Print the manual page, in roff, as man reads it
    Man(manual::ManArgs),
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
struct RunArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    plan: PlanArgs,
    #[command(flatten)]
    span: SpanArgs,
    #[command(flatten)]
    gate: GateArgs,
    #[command(flatten)]
    report: OutputArgs,
    #[command(flatten)]
    files: FileArgs,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Load")]
struct LoadArgs {
    /// Connections over all threads
    #[arg(short, long, value_name = "N", default_value = "100", value_parser = values::count::<NonZeroU32>)]
    connections: NonZeroU32,
    /// Closed loop: messages in flight per connection [default: 1]
    #[arg(long, value_name = "N", value_parser = values::count::<NonZeroU32>, conflicts_with = "rate")]
    in_flight: Option<NonZeroU32>,
    /// Open loop: messages per second over all connections, due whatever the replies do
    #[arg(long, value_name = "R")]
    rate: Option<Rate>,
    /// How due times are spaced [default: uniform]
    #[arg(long, requires = "rate")]
    arrival: Option<Arrival>,
    /// How a worker waits for the next due message or reply [default: auto]
    #[arg(long)]
    pacing: Option<Pacing>,
    /// Whether latency ends where the kernel received a reply or where it was read; asking the kernel costs 1.06 to 1.14
    /// times the generator's CPU per message [default: auto]
    #[arg(long)]
    timestamps: Option<Timestamps>,
    /// Run workers in the real-time class SCHED_FIFO, before every thread of the ordinary class: they wake sooner, and what
    /// shares their cores waits. Needs CAP_SYS_NICE or `ulimit -r 1`; refused with --pacing spin where a core is shared. The
    /// kernel takes 5% of the time back unless told otherwise (sched_rt_runtime_us) [default: off]
    #[arg(long)]
    realtime: bool,
    /// How long replies are waited for after the last message; what is missing then is lost
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    drain_timeout: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
struct SpanArgs {
    /// How long to measure
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = values::positive_duration)]
    duration: Duration,
    /// Measure this many messages instead, over all connections
    #[arg(long, value_name = "N", value_parser = values::count::<NonZeroU64>, conflicts_with = "duration")]
    messages: Option<NonZeroU64>,
    /// How long the load runs before it is measured
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = values::duration)]
    warmup: Duration,
    /// Seed of every random choice; the same plan and seed send the same messages at the same times
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::count::<u64>, help_heading = None)]
    seed: u64,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Messages")]
struct MessageArgs {
    /// Bytes of payload: 64, 4KiB, or 64..4096 for sizes uniform between the two [default: 64]
    #[arg(long, value_name = "BYTES")]
    size: Option<Sizes>,
    /// random, json, or a FILE that is sent whole as every message (./json for a file of that name)
    #[arg(long, value_name = "WHAT", default_value = "random", value_parser = values::payload)]
    payload: Payload,
    /// Text frames
    #[arg(long, conflicts_with = "binary")]
    text: bool,
    /// Binary frames, the default
    #[arg(long)]
    binary: bool,
    #[command(flatten)]
    replies: ReplyArgs,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connections")]
struct ConnectArgs {
    /// Connections opened per second over all threads [default: as fast as they go]
    #[arg(long, value_name = "R")]
    connect_rate: Option<Rate>,
    /// The longest one connection may take to open, handshake included; also the longest to resolve the host's name
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::positive_duration)]
    connect_timeout: Duration,
    /// An additional header of the handshake; repeatable. Host replaces the URL's. Values are kept out of reports
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = values::header)]
    headers: Vec<(String, String)>,
    /// A subprotocol to offer, most wanted first; repeatable
    #[arg(long = "subprotocol", value_name = "NAME", value_parser = values::subprotocol)]
    subprotocols: Vec<String>,
    /// TCP_NODELAY on the connections
    #[arg(long, value_name = "ON|OFF", default_value = "on")]
    tcp_nodelay: Switch,
    /// A local address to connect from, to the server's addresses of its family; repeatable, taken in turn, since one has
    /// 64k ports at most
    #[arg(long = "source-ip", value_name = "IP")]
    source_ips: Vec<IpAddr>,
    /// An HTTP proxy to go through, http://[USER:PASSWORD@]HOST:PORT, which is asked to CONNECT; what it takes counts as part of
    /// TCP. User name and password are kept out of reports
    #[arg(long, value_name = "URL")]
    proxy: Option<Proxy>,
    #[command(flatten)]
    deflate: DeflateArgs,
    #[command(flatten)]
    tls: TlsArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
struct GateArgs {
    /// A limit, as latency.p99<5ms, throughput>100k or achieved>=99% (or k6's p(99)<5, in ms); repeatable; 99 is the
    /// exit code where one is crossed
    #[arg(long = "threshold", value_name = "METRIC<LIMIT")]
    thresholds: Vec<Threshold>,
    /// End the run as soon as what it has measured crosses a threshold; looked at every second
    #[arg(long, requires = "thresholds")]
    abort_on_fail: bool,
    /// Compare with the saved report of an earlier run of the same plan
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Compare even if the baseline was made on another machine, kernel, compiler or version
    #[arg(long, requires = "baseline")]
    allow_environment_change: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl SpanArgs {
    fn lower(&self) -> Span {
        let stop = self.messages.map_or(Stop::After(self.duration), Stop::Messages);
        Span { warmup: self.warmup, stop, seed: self.seed }
    }
}

impl LoadArgs {
    fn lower(&self) -> Load {
        match self.rate {
            Some(rate) => Load::Open { rate, arrival: self.arrival.unwrap_or(Arrival::Uniform) },
            None => Load::Closed { in_flight: self.in_flight.unwrap_or(NonZeroU32::MIN) },
        }
    }
}

impl MessageArgs {
    fn lower(self) -> Result<Message, clap::Error> {
        let kind = if self.text { Kind::Text } else { Kind::Binary };
        if matches!(self.payload, Payload::File(_)) && self.size.is_some() {
            return Err(refusal(
                "--size says nothing about a payload that is a file: its messages have the file's size",
            ));
        }
        Ok(Message { kind, payload: self.payload, size: self.size.unwrap_or(DEFAULT_SIZE) })
    }
}

impl ConnectArgs {
    fn lower(self) -> Result<Connect, clap::Error> {
        values::given_once(&self.subprotocols, &self.headers).map_err(|why| refusal(&why))?;
        Ok(Connect {
            rate: self.connect_rate,
            timeout: self.connect_timeout,
            headers: self.headers,
            permessage_deflate: self.deflate.lower()?,
            subprotocols: self.subprotocols,
            tcp_nodelay: self.tcp_nodelay == Switch::On,
            source_ips: self.source_ips,
            tls: self.tls.lower(),
            proxy: self.proxy,
        })
    }
}

impl GateArgs {
    fn lower(self, plan: &Plan) -> Result<Gate, clap::Error> {
        let offered = self.thresholds.iter().find(|threshold| threshold.metric() == Metric::Achieved);
        if let (Some(threshold), Load::Closed { .. }) = (offered, plan.load) {
            return Err(refusal(&format!(
                "--threshold '{threshold}': only an open loop offers a rate; expected --rate"
            )));
        }
        let environment_may_change = self.allow_environment_change;
        let baseline = self.baseline.map(|file| baseline::Request { file, environment_may_change });
        Ok(Gate { thresholds: self.thresholds, abort: self.abort_on_fail, baseline })
    }
}

/// What arguments that can be read ask for and cannot have; [`parse`] says of which subcommand.
fn refusal(message: &str) -> clap::Error {
    clap::Error::raw(ErrorKind::ArgumentConflict, message)
}

const EXIT_CODES: &str = "Exit codes: 0 measured; 1 the run failed (no connection, or none left at the end; messages lost, \
    corrupted, reordered or unexpected, unless a --threshold on errors allows them); 2 usage; 98 measured, but not to be trusted (the report says why); 99 a threshold was crossed; 130 \
    interrupted.";

/// 64 B, as small as a chat line or a tick: what shows is the cost per message, not that per byte.
const DEFAULT_SIZE: Sizes = Sizes::exactly(64);
