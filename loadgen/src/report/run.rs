//! The report of a run: plain data that is written as JSON (`schema/run-v2.schema.json` describes it), read back, and
//! rendered by the modules beneath.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compression::{DeflateReport, Verification, Wire};
use super::costs::{PerConnection, ProcessCost};
use super::datagrams::DatagramsReport;
use super::interval::{self, IntervalReport};
use super::stats::Stats;
use super::tls::TlsReport;
use crate::host::environment::Environment;
use crate::host::resources::Usage;
use crate::judge::connection_memory;
use crate::judge::outcome::Outcome;
use crate::judge::threshold::{Judged, Standing, Threshold};
use crate::judge::trust::bounds::LowerEnd;
use crate::judge::trust::{self, Level, Trust};
use crate::measure::arrivals::{Arrivals, EndsAt};
use crate::measure::counts::{Connections, Messages, WarmupErrors};
use crate::measure::encoded::DecodeError;
use crate::measure::measured::Measured;
use crate::measure::mismatch::Mismatches;
use crate::measure::paced::Paced;
use crate::plan::{Arrival, Load, Plan};
use crate::report::changes::Baseline;
use crate::serde_time::Rfc3339;

/// What one run measured and what that is worth. Later versions may add fields, which are required of what they write; a field
/// that goes or changes its meaning makes a new version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The format of this document.
    pub schema: RunSchema,
    /// What the run asked, in few words.
    pub name: String,
    /// What was measured: a URL, its query masked, or how the server was started.
    pub target: String,
    /// When the measured phase began, UTC (RFC 3339).
    #[serde(with = "Rfc3339")]
    pub began_at: SystemTime,
    /// Whether it was ended early on request.
    pub interrupted: bool,
    /// Whether it was ended early because a threshold was crossed.
    #[serde(default)]
    pub aborted: bool,
    /// What the figures are worth.
    pub trust: Trust,
    /// The limits that it was to keep, and whether it did.
    #[serde(default)]
    pub thresholds: Vec<Judged>,
    /// An earlier run, and how this one differs from it; null where there was none.
    #[serde(default)]
    pub baseline: Option<Baseline>,
    /// What was asked for, and how much of it was achieved.
    pub load: LoadReport,
    /// What came back within the measured phase.
    pub throughput: Throughput,
    /// Where latency and service time end: where the kernel received the reply, or where it was read.
    pub ends_at: EndsAt,
    /// Verified replies by what says when they arrived.
    pub arrivals: Arrivals,
    /// From the intended send to the arrival of the reply, ns.
    pub latency: Stats,
    /// The lower ends of the latency's intervals; absent in a closed loop, whose generator has no schedule to be late for.
    #[serde(default)]
    pub least: Option<Least>,
    /// The interval of each statistic of the latency in which that of an on-time generator lies, where the run is bounded;
    /// empty in another, and in documents that were saved without.
    #[serde(default)]
    pub latency_intervals: BTreeMap<String, Ends>,
    /// From the actual send to the arrival of the reply, ns.
    pub service_time: Stats,
    /// From the intended to the actual send, ns.
    pub send_lag: Stats,
    /// From the arrival of the reply until it was read, ns; null in what was read from `fathom/run/v1`, which did not record it.
    pub read_lag: Option<Stats>,
    /// From the intended send until the reply was read, ns: what an application as busy as the generator would see.
    pub seen: Stats,
    /// From the start of connecting to the end of the WebSocket handshake, ns.
    pub connect: Stats,
    /// Of that until TCP was connected, ns; null in documents that were saved without.
    #[serde(default)]
    pub tcp: Option<Stats>,
    /// Of that the WebSocket handshake, ns, which follows `tcp` and `tls.handshake`; 0 where it is not spoken, null likewise.
    #[serde(default)]
    pub upgrade: Option<Stats>,
    /// Latencies above the histograms' range, recorded as its highest value.
    pub saturated: u64,
    /// Latency over time.
    #[serde(deserialize_with = "interval::intervals")]
    pub intervals: Vec<IntervalReport>,
    /// What became of the connections.
    pub connections: Connections,
    /// The server's addresses, and how many connections each took.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, NonZeroU64>")]
    pub addresses: BTreeMap<String, u64>,
    /// When the last connection was lost, where none was left at the end: seconds from the beginning of the measured
    /// phase, negative in the warm-up; null where a connection was left.
    #[serde(default)]
    pub all_lost_after_seconds: Option<f64>,
    /// What became of the messages.
    pub messages: Messages,
    /// What went wrong in the warm-up: part of no count, rate or limit of the measured phase.
    #[serde(default)]
    pub warmup_errors: WarmupErrors,
    /// What UDP did to messages and replies, which is no error; null where it was not UDP.
    #[serde(default)]
    pub datagrams: Option<DatagramsReport>,
    /// What was wrong with messages that were not the replies they should be: those corrupted or unexpected.
    #[serde(default)]
    pub mismatches: Mismatches,
    /// How the replies to the measured messages were verified.
    pub verification: Verification,
    /// What messages and replies took on the wire within the measured phase.
    pub wire: Wire,
    /// What became of permessage-deflate (RFC 7692); null where it was not offered.
    pub permessage_deflate: Option<DeflateReport>,
    /// How TLS was spoken; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
    /// Due messages that the backlog's bound refused.
    pub over_backlog: u64,
    /// What went wrong, and how often.
    #[schemars(with = "BTreeMap<String, NonZeroU64>")]
    pub failures: BTreeMap<String, u64>,
    /// What the run cost the machine.
    pub resources: Resources,
    /// Where it ran, and how to run it again.
    pub environment: Environment,
}

/// Several runs of one command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Runs {
    /// The format of this document.
    pub schema: RunsSchema,
    /// The runs, in the order they were made.
    pub runs: Vec<Report>,
}

/// The format of the report of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunSchema {
    /// That of `run-v2.schema.json`.
    #[serde(rename = "fathom/run/v2")]
    V2,
}

/// The format of the reports of several runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunsSchema {
    /// That of `runs-v2.schema.json`.
    #[serde(rename = "fathom/runs/v2")]
    V2,
}

/// The load asked for, and how much of it was achieved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadReport {
    /// Which loop.
    pub mode: Mode,
    /// Messages in flight per connection; null in an open loop.
    #[schemars(range(min = 1))]
    pub in_flight: Option<u32>,
    /// How due times were spaced; null in a closed loop.
    pub arrival: Option<Arrival>,
    /// Messages per second asked for; null in a closed loop.
    #[schemars(range(min = 0))]
    pub offered_rate: Option<f64>,
    /// Messages per second answered within the measured phase.
    #[schemars(range(min = 0))]
    pub achieved_rate: f64,
    /// Connections asked for.
    #[schemars(range(min = 1))]
    pub connections: u32,
    /// How long the measured phase lasted, in seconds.
    #[schemars(range(min = 0))]
    pub duration_seconds: f64,
}

/// Which loop made the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A reply makes room for the next message.
    Closed,
    /// A schedule says when messages are due.
    Open,
}

/// What is certain of the latency at least, had the generator been on time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Least {
    /// What it rests on.
    pub lower_end: LowerEnd,
    /// Of each message the latency less what the generator's lateness can have added to it, ns.
    pub latency: Stats,
    /// Replies that may have arrived before the time that was recorded, since they share the kernel's stamp with a later one
    /// or have none: nothing is certain of their latency where a limit is decided.
    pub unsure: u64,
}

/// An interval of times, ns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ends {
    /// Its lower end: proven, or an estimate, as `least.lower_end` says.
    #[schemars(range(min = 0))]
    pub low: f64,
    /// Its upper end.
    #[schemars(range(min = 0))]
    pub high: f64,
}

/// What came back within the measured phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Throughput {
    /// Replies per second.
    #[schemars(range(min = 0))]
    pub messages_per_second: f64,
    /// Their frames, headers included, bytes per second.
    #[schemars(range(min = 0))]
    pub bytes_per_second: f64,
}

/// What the run cost the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// The load generator.
    pub loadgen: ProcessCost,
    /// The server; null where it is not on this machine or may not be looked at.
    pub server: Option<ProcessCost>,
    /// The resident memory that each connection added to the server's, while they were opened, in bytes, with its 95%
    /// interval; null where that cannot be told.
    #[serde(default)]
    pub connection_memory: Option<PerConnection>,
    /// Why it cannot be told.
    #[serde(default)]
    pub connection_memory_unknown: Option<String>,
    /// Each of the generator's workers: the share of the measured phase that it was on a CPU.
    #[schemars(inner(range(min = 0)))]
    pub worker_busy: Vec<f64>,
    /// How each of them waited for what was due.
    #[serde(default)]
    pub worker_paced: Vec<Paced>,
}

impl LoadReport {
    fn of(plan: &Plan, duration_seconds: f64, achieved_rate: f64) -> Self {
        let (mode, in_flight, arrival) = match plan.load {
            Load::Closed { in_flight } => (Mode::Closed, Some(in_flight.get()), None),
            Load::Open { arrival, .. } => (Mode::Open, None, Some(arrival)),
        };
        let (offered_rate, connections) = (plan.offered_rate(), plan.connections.get());
        Self { mode, in_flight, arrival, offered_rate, achieved_rate, connections, duration_seconds }
    }
}

impl Least {
    fn of(measured: &Measured) -> Self {
        let latency = Stats::from(&measured.times.least);
        Self { lower_end: LowerEnd::of(measured), latency, unsure: measured.arrivals.unsure() }
    }
}

impl Report {
    /// The report of a run of `environment.plan` called `name` against `target`, judged.
    pub fn new(name: &str, target: &str, measured: &Measured, environment: Environment) -> Self {
        let plan = &environment.plan;
        let seconds = measured.window.as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let connection_memory = connection_memory::of(&measured.growth).map(PerConnection::from);
        let cost = |usage: &Usage| ProcessCost::new(usage, measured.counts.replies_in_window);
        Self {
            schema: RunSchema::V2,
            name: name.to_owned(),
            target: target.to_owned(),
            began_at: measured.began_at,
            interrupted: measured.interrupted,
            aborted: measured.aborted,
            trust: trust::judge(plan, measured),
            thresholds: Vec::new(),
            baseline: None,
            load: LoadReport::of(plan, seconds, per_second(measured.counts.replies_in_window)),
            throughput: Throughput {
                messages_per_second: per_second(measured.counts.replies_in_window),
                bytes_per_second: per_second(measured.counts.reply_bytes_in_window),
            },
            ends_at: measured.ends_at(),
            arrivals: measured.arrivals,
            latency: Stats::from(&measured.times.latency),
            least: matches!(plan.load, Load::Open { .. }).then(|| Least::of(measured)),
            latency_intervals: BTreeMap::new(),
            service_time: Stats::from(&measured.times.service_time),
            send_lag: Stats::from(&measured.times.send_lag),
            read_lag: Some(Stats::from(&measured.times.read_lag)),
            seen: Stats::from(&measured.times.seen),
            connect: Stats::from(&measured.connect),
            tcp: Some(Stats::from(&measured.tcp)),
            upgrade: Some(Stats::from(&measured.upgrade)),
            saturated: measured.times.saturated,
            intervals: measured.intervals.iter().map(IntervalReport::from).collect(),
            connections: measured.counts.connections,
            addresses: measured.addresses.iter().map(|(address, count)| (address.to_string(), *count)).collect(),
            all_lost_after_seconds: measured
                .all_lost
                .as_ref()
                .map(|lost| lost.after.as_secs_f64() - plan.warmup.as_secs_f64()),
            messages: measured.counts.messages,
            warmup_errors: measured.counts.warmup_errors,
            datagrams: DatagramsReport::of(plan, measured),
            mismatches: measured.counts.mismatches.clone(),
            verification: Verification::of(plan, measured),
            wire: Wire::of(measured),
            permessage_deflate: DeflateReport::of(plan, measured),
            tls: TlsReport::of(&plan.connect.tls, &measured.tls),
            over_backlog: measured.counts.over_backlog,
            failures: measured.failures.clone(),
            resources: Resources {
                loadgen: cost(&measured.loadgen),
                server: measured.server.as_ref().map(cost),
                connection_memory: connection_memory.clone().ok(),
                connection_memory_unknown: connection_memory.err(),
                worker_busy: measured.worker_busy.clone(),
                worker_paced: measured.paced.clone(),
            },
            environment,
        }
    }

    /// How the run ended.
    pub fn outcome(&self) -> Outcome {
        let outcome = |outcome| self.thresholds.iter().any(|judged| judged.outcome == outcome);
        if self.interrupted {
            Outcome::Interrupted
        } else if self.connections.established == 0 || self.all_lost_after_seconds.is_some() || self.nothing_came() {
            Outcome::Failed
        } else if self.errors_limited() == Some(Standing::Crossed) {
            // Whatever the times are worth, the errors were counted.
            Outcome::Crossed
        } else if self.errors_limited().is_none() && self.failing().wrong() + self.warmup_failing() > 0 {
            Outcome::Failed
        } else if self.trust.level == Level::NotValid || outcome(Standing::Unknown) {
            Outcome::Untrusted
        } else if self.aborted || outcome(Standing::Crossed) {
            Outcome::Crossed
        } else {
            Outcome::Ok
        }
    }

    /// The share of the offered rate that was answered within the measured phase; open loop only. Where more messages
    /// were due than the rate makes of the time, as the first one of a rate below one in it, they are what was offered.
    pub fn achieved_share(&self) -> Option<f64> {
        let seconds = self.load.duration_seconds;
        let due = (self.messages.received + self.messages.lost + self.over_backlog) as f64;
        let offered = (self.load.offered_rate? * seconds).max(due);
        Some(if offered > 0.0 { self.load.achieved_rate * seconds / offered } else { 0.0 })
    }

    /// The same report, held against thresholds, with the intervals of its latency where it is bounded.
    ///
    /// # Errors
    /// When its histograms cannot be read.
    pub fn judged_by(self, thresholds: &[Threshold]) -> Result<Self, DecodeError> {
        let mut judged = self.with_intervals()?;
        judged.thresholds = thresholds
            .iter()
            .map(|threshold| Ok(threshold.judge(judged.found(threshold.metric())?)))
            .collect::<Result<_, DecodeError>>()?;
        Ok(judged)
    }
}

impl From<Vec<Report>> for Runs {
    fn from(runs: Vec<Report>) -> Self {
        Self { schema: RunsSchema::V2, runs }
    }
}

/// The runs' names, those that repeat told apart by a number.
pub(super) fn unique_names(runs: &[Report]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for run in runs {
        let numbered = (2..).map(|number| format!("{} {number}", run.name));
        let mut candidates = std::iter::once(run.name.clone()).chain(numbered);
        names.push(candidates.find(|name| !names.contains(name)).expect("there is always a next number"));
    }
    names
}
