//! The arguments of `loadgen fanout`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clap::Args;

use super::{ConnectArgs, DEFAULT_SIZE, FileArgs, OutputArgs, ServerArgs, fit, refusal, values};
use crate::host::target::Spec;
use crate::judge::held_threshold::FanoutThreshold;
use crate::load::fanout::{FIRST_RUN, LAST_RUN, Message};
use crate::measure::fanout_metric::{FanoutMetric, Plain, Span};
use crate::measure::named::Named;
use crate::plan::fanout::{Fanout, Mark, Stall};
use crate::plan::url::Scheme;
use crate::plan::{
    Arrival, Connect, Expect, Kind, Load, Message as Wanted, Pacing, Payload, Plan, Rate, Sizes, Stop, Timestamps,
    Verify, default_udp_offload, default_udp_timeout,
};
use crate::program::output::Output;
use crate::trials::fanout::Experiment;
use crate::units;

/// What to measure, and what is to be kept.
#[derive(Debug)]
pub struct Fanning {
    /// What is done.
    pub experiment: Experiment,
    /// With which server.
    pub server: Spec,
    /// The limits.
    pub thresholds: Vec<FanoutThreshold>,
    /// Where the report goes.
    pub output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, mut_args(of_fanout))]
pub(super) struct FanoutArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    members: MembersArgs,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    disturbed: DisturbedArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    /// A limit, as reach.p99<50ms, deliveries.lost==0 or latency.p99<5ms; repeatable; 99 is the exit code where one is crossed
    #[arg(long = "threshold", value_name = "METRIC<LIMIT", help_heading = "Limits")]
    thresholds: Vec<FanoutThreshold>,
    /// Seed of the messages' content and of the draw of --stall
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::count::<u64>)]
    seed: u64,
    #[command(flatten)]
    report: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Members")]
struct MembersArgs {
    /// Connections that send
    #[arg(long, value_name = "N", default_value = "10", value_parser = values::count::<NonZeroU32>)]
    senders: NonZeroU32,
    /// Connections that receive
    #[arg(long, value_name = "N", default_value = "1000", value_parser = values::count::<NonZeroU32>)]
    receivers: NonZeroU32,
    /// Rooms among which both are spread; with more than one, {room} in the URL stands for the number of the room, from 0 on,
    /// and without it /room-N is added to the URL's path
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::count::<NonZeroU32>)]
    rooms: NonZeroU32,
    /// Worker threads [default: half of the allowed cores]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
struct LoadArgs {
    /// Messages per second over all senders, who take turns, due whatever becomes of those before
    #[arg(long, value_name = "R", default_value = "100")]
    rate: Rate,
    /// So many messages are due at once, and then none until --rate allows for as many
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::count::<NonZeroU32>)]
    burst: NonZeroU32,
    /// How long to measure
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = values::positive_duration)]
    duration: Duration,
    /// How long the load runs before it is measured
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = values::duration)]
    warmup: Duration,
    /// How long deliveries are waited for after the last message; what is missing then is lost
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration)]
    drain_timeout: Duration,
    /// Bytes of payload, 16 at least, as each message begins with its number [default: 64]
    #[arg(long, value_name = "BYTES")]
    size: Option<Sizes>,
    /// Text frames [default: binary ones]
    #[arg(long)]
    text: bool,
    /// Where a delivered message bears its number, for servers that rewrite messages: seq@json:/POINTER, a field of JSON
    /// documents, as which messages are sent then; seq@json-string:/POINTER, anywhere in a string of JSON documents, into which
    /// the server puts the text that is sent then; or seq@bytes:OFFSET, behind so many bytes. Nothing else of a message is looked
    /// at then [default: messages come as they were sent, and all of each is compared]
    #[arg(long, value_name = "MARK")]
    mark: Option<Mark>,
    /// How a worker waits for the next due message or delivery [default: auto]
    #[arg(long)]
    pacing: Option<Pacing>,
    /// Whether latency ends where the kernel received a delivery or where it was read [default: auto]
    #[arg(long)]
    timestamps: Option<Timestamps>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Disturbances (the load runs for as long without them before)")]
struct DisturbedArgs {
    /// So many further members per second join, stay for 1 s and leave while it is measured
    #[arg(long, value_name = "R")]
    churn: Option<Rate>,
    /// This share of the receivers, as 1%, or so many, as 5, do not read while it is measured; the figures are those of the
    /// others, theirs stand apart
    #[arg(long, value_name = "SHARE|N")]
    stall: Option<Stall>,
}

impl FanoutArgs {
    pub(super) fn lower(self, threads: NonZeroUsize) -> Result<Fanning, clap::Error> {
        let Self { server, members, load, disturbed, connect, thresholds, seed, report } = self;
        for threshold in &thresholds {
            if let Some(missing) = missing(threshold.metric(), &load, &disturbed) {
                return Err(refusal(&format!("--threshold '{threshold}' needs {missing}")));
            }
        }
        check(&members, disturbed.stall)?;
        check_burst(&load)?;
        check_due(&load, &disturbed)?;
        let connect = connect.lower()?;
        if connect.permessage_deflate.is_some() {
            return Err(refusal(
                "--permessage-deflate: loadgen fanout does not read compressed messages; expected none",
            ));
        }
        let wanted = message(&load)?;
        let run = rand::random_range(FIRST_RUN..LAST_RUN);
        let message = Message::new(&wanted, load.mark.as_ref(), run, seed).map_err(|why| refusal(&why))?;
        let threads = members.threads.unwrap_or(threads);
        let plan = plan(&members, &load, wanted, connect, threads, seed);
        let fanout = Fanout {
            senders: members.senders,
            receivers: members.receivers,
            rooms: members.rooms,
            burst: load.burst,
            churn: disturbed.churn,
            stall: disturbed.stall,
            mark: load.mark,
        };
        let server = relay(server)?;
        fit([&server], &plan)?;
        let experiment = Experiment { fanout, plan, message };
        Ok(Fanning { experiment, server, thresholds, output: report.lower(FileArgs::default())? })
    }
}

/// The server that is meant; an embedded one is told to relay.
fn relaying(text: &str) -> Result<Spec, String> {
    match Spec::unchecked(text)? {
        Spec::Embedded(flags) if !flags.iter().any(|flag| flag == "--relay" || flag.starts_with("--relay=")) => {
            let relay = ["--relay", "others"].map(str::to_owned).into_iter();
            Spec::Embedded(relay.chain(flags).collect()).checked()
        }
        spec => spec.checked(),
    }
}

/// The server.
fn relay(server: ServerArgs) -> Result<Spec, clap::Error> {
    match (server.url, server.server) {
        (Some(url), _) if !matches!(url.scheme(), Scheme::Ws | Scheme::Wss) => {
            let why = "has no rooms in which a server could hand messages on; expected ws://HOST:PORT/PATH or wss://HOST:PORT/PATH";
            Err(refusal(&format!("{}:// {why}", url.scheme().name())))
        }
        (Some(url), _) => Ok(Spec::Url(url)),
        (None, Some(spec)) => Ok(spec),
        (None, None) => relaying("").map_err(|why| refusal(&why)),
    }
}

/// What the numbers of members must be to each other.
fn check(members: &MembersArgs, stall: Option<Stall>) -> Result<(), clap::Error> {
    let (senders, receivers, rooms) = (members.senders.get(), members.receivers.get(), members.rooms.get());
    for (flag, count) in [("--senders", senders), ("--receivers", receivers)] {
        if count < rooms {
            return Err(refusal(&format!("{flag} {count}: expected {rooms} at least, one for each of --rooms")));
        }
    }
    if senders.checked_add(receivers).is_none() {
        return Err(refusal(&format!("--senders and --receivers: expected fewer than {} together", u32::MAX)));
    }
    if stall.is_some_and(|stall| stall.of(receivers) >= receivers) {
        return Err(refusal("--stall: expected fewer than all --receivers, since the figures are those of the others"));
    }
    let pairs = u64::from(receivers) * u64::from(senders.div_ceil(rooms));
    if pairs > MOST_PAIRS {
        return Err(refusal(&format!(
            "--senders {senders} and --receivers {receivers} in {rooms} room(s) are {pairs} pairs whose order is followed, of 16 B \
             each; expected {MOST_PAIRS} at most: fewer of either, or more --rooms"
        )));
    }
    Ok(())
}

/// As many as are due at once must be so within the time that is measured, whenever it begins.
fn check_burst(load: &LoadArgs) -> Result<(), clap::Error> {
    let (burst, every) = (load.burst, Duration::try_from_secs_f64(f64::from(load.burst.get()) / load.rate.get()));
    if burst.get() > 1 && every.as_ref().map_or(true, |every| *every > load.duration) {
        return Err(refusal(&format!(
            "--burst {burst}: at --rate {} one is due less often than once in --duration; expected {} at most",
            load.rate.get(),
            (load.rate.get() * load.duration.as_secs_f64()) as u64
        )));
    }
    Ok(())
}

/// Something must be due while it is measured. The first message is due as the warm-up begins.
fn check_due(load: &LoadArgs, disturbed: &DisturbedArgs) -> Result<(), clap::Error> {
    let (burst, gap_ns) = (u64::from(load.burst.get()), 1e9 / load.rate.get());
    let is_disturbed = disturbed.churn.is_some() || disturbed.stall.is_some();
    let before = if is_disturbed { load.warmup + load.duration } else { load.warmup };
    let (from, end) = (before.as_nanos(), (before + load.duration).as_nanos());
    // As the timetable has it, rounding included: one of these is the first that is due from then on.
    let next = (before.as_nanos() as f64 / (gap_ns * burst as f64)) as u64;
    let due = |at: u64| u128::from((at.saturating_mul(burst) as f64 * gap_ns) as u64);
    if (next.saturating_sub(1)..=next.saturating_add(2)).any(|at| (from..end).contains(&due(at))) {
        return Ok(());
    }
    Err(refusal(&format!(
        "--rate {}: a message is due every {}, the first as the load begins, and none within the {} that are measured from {} \
         on; expected a higher --rate or a longer --duration",
        load.rate.get(),
        units::time(gap_ns),
        units::seconds(load.duration.as_secs_f64()),
        units::seconds(before.as_secs_f64())
    )))
}

fn message(load: &LoadArgs) -> Result<Wanted, clap::Error> {
    let size = load.size.unwrap_or(DEFAULT_SIZE);
    if size.min() != size.max() {
        return Err(refusal("--size: expected one size, as all messages have the same"));
    }
    if size.max() > LARGEST {
        return Err(refusal(&format!("--size: expected {} at the most", units::memory(LARGEST as u64))));
    }
    let (kind, payload) = match (&load.mark, load.text) {
        (Some(Mark::Json(_)), _) => (Kind::Text, Payload::Json),
        (Some(Mark::JsonString(_)), _) | (_, true) => (Kind::Text, Payload::Random),
        (Some(Mark::Bytes(_)) | None, false) => (Kind::Binary, Payload::Random),
    };
    Ok(Wanted { kind, payload, size })
}

fn plan(
    members: &MembersArgs,
    load: &LoadArgs,
    message: Wanted,
    connect: Connect,
    threads: NonZeroUsize,
    seed: u64,
) -> Plan {
    Plan {
        connections: members.senders.saturating_add(members.receivers.get()),
        load: Load::Open { rate: load.rate, arrival: Arrival::Uniform },
        stop: Stop::After(load.duration),
        warmup: load.warmup,
        drain_timeout: load.drain_timeout,
        udp_timeout: default_udp_timeout(),
        udp_offload: default_udp_offload(),
        verify: Verify::Full,
        skip_messages: 0,
        expect: Expect::Echo,
        message,
        connect,
        pacing: load.pacing.unwrap_or(Pacing::Auto),
        timestamps: load.timestamps.unwrap_or(Timestamps::Auto),
        realtime: false,
        threads,
        seed,
    }
}

/// The flag without which there is no such figure.
fn missing(metric: FanoutMetric, load: &LoadArgs, disturbed: &DisturbedArgs) -> Option<&'static str> {
    use Named::{Plain as One, Time};
    let (churn, stall) = (disturbed.churn.is_some(), disturbed.stall.is_some());
    match metric {
        One(Plain::StalledLost | Plain::StalledDropped) | Time(Span::Stalled, _) if !stall => Some("--stall"),
        One(Plain::ChurnFailed | Plain::ChurnDropped | Plain::ChurnLost) | Time(Span::ChurnHandshake, _) if !churn => {
            Some("--churn")
        }
        Time(Span::Undisturbed, _) if !churn && !stall => Some("--churn or --stall"),
        One(Plain::Altered) if load.mark.is_some() => Some("messages that come as they were sent, without --mark"),
        _ => None,
    }
}

/// What the help says of arguments that other subcommands have too: only WebSocket has rooms, and compressed messages are not
/// read here, so that nothing is said of them.
fn of_fanout(arg: clap::Arg) -> clap::Arg {
    let name = arg.get_id().as_str();
    if name == "url" {
        return arg.help(URL_HELP);
    }
    if name == "server" {
        return arg.value_parser(relaying);
    }
    let hides = name == "permessage_deflate" || name.starts_with("deflate_");
    if hides { arg.hide(true) } else { arg }
}

/// Pairs of a sender and a receiver whose order is followed: 1 GiB of 16 bytes each.
const MOST_PAIRS: u64 = 1 << 26;

/// The largest payload in bytes: what one message takes of a JSON document's buffer at the most.
const LARGEST: usize = 1 << 20;

const URL_HELP: &str = "The server's URL, ws://HOST:PORT/PATH, or wss://HOST:PORT/PATH for TLS; its query is shown as ?*** everywhere \
    [default: an embedded server]";

const EXIT_CODES: &str = "Exit codes: 0 measured; 1 it failed (nothing reached any receiver, a member did not connect or was lost, \
    a message was not sent, or a delivery was lost, duplicated, out of order, altered or unexpected, unless a --threshold on one \
    of these counts allows it); 2 usage; 98 measured, but not to be trusted, or a limit's metric has no value; 99 a threshold was \
    crossed; 130 interrupted.";
