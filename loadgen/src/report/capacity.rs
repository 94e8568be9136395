//! The report of `loadgen capacity`: plain data that is written as JSON (`schema/capacity-v1.schema.json` describes it) and
//! read back.

pub mod parts;
pub(crate) mod words;

use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::environment::Environment;
use crate::judge::capacity::{CapacityThreshold, Verdict};
use crate::judge::outcome::{OutOfSight, Outcome};
use crate::judge::sizing::{self, Machine, Need, Sizing};
use crate::judge::threshold::{Judged, Standing};
use crate::measure::metric::{Better, Unit};
use crate::report::tls::TlsReport;
use crate::report::warmup::Warmup;
use crate::serde_time::Rfc3339;
use parts::{Answer, ConnectionCost, End, Generator, ProbeReport};

/// How much a server holds before it breaks a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityReport {
    /// The format of this document.
    pub schema: CapacitySchema,
    /// The server: its URL, or how it was started.
    pub target: String,
    /// When it began, UTC (RFC 3339).
    #[serde(with = "Rfc3339")]
    pub began_at: SystemTime,
    /// Whether it was ended early on request.
    pub interrupted: bool,
    /// What ended it before there was an answer, such as a server that has ended; null where nothing did.
    pub failure: Option<String>,
    /// How long all of it took, in seconds.
    #[schemars(range(min = 0))]
    pub elapsed_seconds: f64,
    /// The limits that a rate has to keep, as they were written.
    pub slos: Vec<String>,
    /// The widest that the two ends of the answer should lie apart, as a share of the lower.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub precision: f64,
    /// The share of answers of which each end is right at least.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub confidence: f64,
    /// The longest that it might take, in seconds.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub max_time_seconds: f64,
    /// What it came to.
    pub answer: Answer,
    /// Limits on the capacity itself, and what became of them.
    pub thresholds: Vec<Judged>,
    /// What a closed loop against the server and the first probe tell of the generator here; null where it did not come to that.
    pub generator: Option<Generator>,
    /// What connections took of memory; null where it did not come to that.
    pub memory: Option<ConnectionCost>,
    /// How TLS was spoken on the connections of all starts; absent where it was not, and in documents of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
    /// What was asked for takes (--need); null where nothing was, or no rate is sustained.
    pub sizing: Option<Sizing>,
    /// How the server was warmed up after each start.
    pub warmup: Warmup,
    /// Every probe of the search, in the order they were made.
    pub probes: Vec<ProbeReport>,
    /// Those of fresh starts of the server at the rate that was found, which took no part in finding it.
    pub holdout: Vec<ProbeReport>,
    /// What to know when reading the answer.
    pub notes: Vec<String>,
    /// Where it ran, and the plan of a probe; the rate in it is that of the first.
    pub environment: Environment,
}

/// The format of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CapacitySchema {
    /// The first version of `capacity-v1.schema.json`.
    #[serde(rename = "fathom/capacity/v1")]
    V1,
}

impl CapacityReport {
    /// How it ended. Limits on the capacity decide where there are any, whatever the verdict: a generator that was the limit
    /// may have shown enough.
    pub fn outcome(&self) -> Outcome {
        let any = |standing| self.thresholds.iter().any(|judged| judged.outcome == standing);
        if self.interrupted {
            Outcome::Interrupted
        } else if self.failure.is_some() {
            Outcome::Failed
        } else if any(Standing::Crossed) {
            Outcome::Crossed
        } else if any(Standing::Unknown) {
            Outcome::Untrusted
        } else if !self.thresholds.is_empty() {
            Outcome::Ok
        } else {
            match self.answer.verdict {
                Verdict::Found => Outcome::Ok,
                Verdict::GeneratorLimited => Outcome::OutOfSight(OutOfSight::GeneratorLimited),
                Verdict::BelowRange => Outcome::OutOfSight(OutOfSight::BelowRange),
                Verdict::AboveRange => Outcome::OutOfSight(OutOfSight::AboveRange),
                Verdict::Inconclusive => Outcome::Untrusted,
            }
        }
    }

    /// The same report, with what a need takes of machines like this one.
    #[must_use]
    pub fn sized_for(mut self, need: &Need) -> Self {
        let environment = &self.environment;
        let Some(end) = &self.answer.sustains else {
            self.notes.push("--need: nothing is worked out, since no rate is proven to be sustained".to_owned());
            return self;
        };
        let memory = self.memory.and_then(|memory| {
            let ConnectionCost { user_bytes, kernel_bytes, process_bytes } = memory;
            let (user_bytes, kernel_bytes, process_bytes) = (user_bytes?, kernel_bytes?, process_bytes?);
            Some(sizing::ConnectionMemory { user_bytes, kernel_bytes, process_bytes })
        });
        let probe = self.probes.iter().chain(&self.holdout).find(|probe| probe.received_bytes.is_some());
        let measured = sizing::Measured {
            capacity: end
                .server_cpu
                .filter(|cpu| *cpu > 0.0)
                .map(|cpu| sizing::Capacity { messages_per_second: end.rate, cores: end.rate * cpu / 1e9 }),
            memory,
            // What the generator sent, the server receives.
            message: probe.and_then(|probe| {
                Some(sizing::MessageBytes { received: probe.sent_bytes?, sent: probe.received_bytes? })
            }),
        };
        let machine = Machine {
            cores: environment.cores.allowed as f64,
            memory_bytes: environment.memory_bytes.unwrap_or(0) as f64,
            network_bits_per_second: None,
        };
        self.sizing = Some(Sizing::new(need, &measured, &machine));
        self
    }

    /// The same report, held against limits on the capacity.
    #[must_use]
    pub fn judged_by(mut self, thresholds: &[CapacityThreshold]) -> Self {
        let [sustains, breaks] =
            [&self.answer.sustains, &self.answer.breaks].map(|end| end.as_ref().map(|end| end.rate));
        self.thresholds = thresholds.iter().map(|threshold| threshold.judge(sustains, breaks)).collect();
        self
    }
}

/// One figure of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Its value.
    pub value: f64,
    /// The two rates that the capacity lies between, where both are proven.
    pub interval: Option<(f64, f64)>,
    /// Which way it is better.
    pub better: Better,
}

impl CapacityReport {
    /// The figures of the answer that there are: what is proven of the capacity, and latency and cost at the rate that is
    /// sustained.
    pub fn figures(&self) -> Vec<Figure> {
        let [sustains, breaks] = [&self.answer.sustains, &self.answer.breaks].map(Option::as_ref);
        let interval = sustains.zip(breaks).map(|(sustains, breaks)| (sustains.rate, breaks.rate));
        let rate = |name, end: Option<&End>, interval| {
            end.map(|end| Figure {
                name,
                unit: Unit::MessagesPerSecond,
                value: end.rate,
                interval,
                better: Better::Higher,
            })
        };
        let of = |name, unit, value: fn(&End) -> Option<f64>| {
            let value = sustains.and_then(value)?;
            Some(Figure { name, unit, value, interval: None, better: Better::Lower })
        };
        let figures = [
            rate("capacity", sustains, interval),
            rate("breaks", breaks, None),
            of("latency.p50", Unit::Nanoseconds, |end| end.latency.p50),
            of("latency.p99", Unit::Nanoseconds, |end| end.latency.p99),
            of("latency.p99.9", Unit::Nanoseconds, |end| end.latency.p99_9),
            of("server.cpu", Unit::NanosecondsPerMessage, |end| end.server_cpu),
        ];
        figures.into_iter().flatten().collect()
    }
}
