//! The report of `loadgen connections`: plain data that is written as JSON (`schema/connections-v1.schema.json` describes
//! it) and read back.

pub mod parts;
pub(crate) mod words;

use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::environment::Environment;
use crate::judge::held_threshold::{self, HeldThreshold};
use crate::judge::outcome::Outcome;
use crate::judge::threshold::Judged;
use crate::judge::trust::Trust;
use crate::measure::counts::Connections;
use crate::measure::encoded::DecodeError;
use crate::measure::failures::Failures;
use crate::measure::held_metric::{HeldMetric, Plain, Span};
use crate::report::figure::Figure;
use crate::report::{Stats, TlsReport};
use crate::serde_time::Rfc3339;
use parts::{Churn, Closing, Hold, Memory, Opening, Pinged, Storm};

/// What holding many connections took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionsReport {
    /// The format of this document.
    pub schema: ConnectionsSchema,
    /// The server: its URL, or how it was started and where.
    pub target: String,
    /// When the first connection was begun, UTC (RFC 3339).
    #[serde(with = "Rfc3339")]
    pub began_at: SystemTime,
    /// Whether it was ended early on request.
    pub interrupted: bool,
    /// How the server's process ended; null where it was not started here or has not.
    pub server_ended: Option<String>,
    /// How long all of it took, in seconds.
    #[schemars(range(min = 0))]
    pub elapsed_seconds: f64,
    /// What the figures are worth.
    pub trust: Trust,
    /// The limits, and what became of them.
    pub thresholds: Vec<Judged>,
    /// What became of the connections until they were closed on purpose.
    pub connections: Connections,
    /// Why connections were not opened or were lost, and how often.
    pub failures: Failures,
    /// How they were opened.
    pub opening: Opening,
    /// How long each took to open, TCP, TLS and WebSocket handshake together, ns.
    pub handshake: Stats,
    /// Of that, TCP.
    pub tcp: Stats,
    /// Of that, the WebSocket handshake.
    pub upgrade: Stats,
    /// How TLS was spoken, between the two; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
    /// What they took of memory.
    pub memory: Memory,
    /// How they were held; null where it did not come to that.
    pub hold: Option<Hold>,
    /// What connections that come and go did to those that were held; null where none did.
    pub churn: Option<Churn>,
    /// How they came back after all were lost at once; null where they were not.
    pub storm: Option<Storm>,
    /// How they were closed; null where it did not come to that.
    pub closing: Option<Closing>,
    /// Where it ran, and the plan of the load.
    pub environment: Environment,
}

/// The format of the report of held connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConnectionsSchema {
    /// The first version of `connections-v1.schema.json`.
    #[serde(rename = "fathom/connections/v1")]
    V1,
}

impl ConnectionsReport {
    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        if self.interrupted {
            Outcome::Interrupted
        } else if self.all_lost() || self.server_ended.is_some() {
            Outcome::Failed
        } else {
            held_threshold::outcome::<HeldMetric>(&self.thresholds, &self.trust, &self.errors())
        }
    }

    /// Whether no connection was left before they were closed on purpose.
    pub fn all_lost(&self) -> bool {
        self.connections.established <= self.connections.dropped
    }

    /// Connections and messages that went wrong, by the metric whose limit allows it.
    pub fn errors(&self) -> [(HeldMetric, u64); 6] {
        let (churn, wrong) = self.churn.as_ref().map_or((0, 0), |churn| (churn.failed, churn.wrong_messages));
        let storm = self.storm.as_ref().map_or(0, |storm| storm.failed);
        let pings = self.pings().map_or(0, |pings| pings.unanswered);
        let counts = [
            (Plain::Failed, self.connections.failed),
            (Plain::Dropped, self.connections.dropped),
            (Plain::Errors, self.wrong_messages() + wrong),
            (Plain::PingsUnanswered, pings),
            (Plain::ChurnFailed, churn),
            (Plain::StormFailed, storm),
        ];
        counts.map(|(of, count)| (HeldMetric::Plain(of), count))
    }

    /// What became of the Pings, where some were sent.
    pub fn pings(&self) -> Option<&Pinged> {
        self.hold.as_ref()?.pings.as_ref()
    }

    fn wrong_messages(&self) -> u64 {
        self.hold.as_ref().and_then(|hold| hold.trickle.as_ref()).map_or(0, |trickle| trickle.messages.wrong())
    }

    /// One figure, if there is a value for it.
    ///
    /// # Errors
    /// When a histogram cannot be read.
    pub fn figure(&self, metric: HeldMetric) -> Result<Option<Figure>, DecodeError> {
        let (value, interval) = match metric {
            HeldMetric::Plain(plain) => match self.plain(plain) {
                Some(found) => found,
                None => return Ok(None),
            },
            HeldMetric::Time(span, statistic) => {
                let Some(stats) = self.times(span) else { return Ok(None) };
                match statistic.of_histogram(&stats.histogram.decode()?) {
                    Some(value) => (value, None),
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(Figure::of(metric, value, interval)))
    }

    /// All figures that there are, in the order of the catalogue.
    ///
    /// # Errors
    /// When a histogram cannot be read.
    pub fn figures(&self) -> Result<Vec<Figure>, DecodeError> {
        HeldMetric::catalogue().filter_map(|metric| self.figure(metric).transpose()).collect()
    }

    fn plain(&self, plain: Plain) -> Option<(f64, Option<(f64, f64)>)> {
        let count = |count: u64| Some((count as f64, None));
        let estimate = |of: Option<parts::PerConnection>| of.map(|of| (of.estimate, Some((of.low, of.high))));
        match plain {
            Plain::Established => count(self.connections.established),
            Plain::Failed => count(self.connections.failed),
            Plain::Dropped => count(self.connections.dropped),
            Plain::Errors => self.hold.as_ref()?.trickle.as_ref().and_then(|_| count(self.wrong_messages())),
            Plain::PingsUnanswered => count(self.pings()?.unanswered),
            Plain::UserMemory => estimate(self.memory.user_bytes_per_connection),
            Plain::KernelMemory => estimate(self.memory.kernel_bytes_per_connection),
            Plain::UserReturned => self.memory.user_returned.map(|share| (share, None)),
            Plain::KernelReturned => self.memory.kernel_returned.map(|share| (share, None)),
            Plain::ChurnFailed => count(self.churn.as_ref()?.failed),
            Plain::StormFailed => count(self.storm.as_ref()?.failed),
            Plain::StormTime => self.storm.as_ref()?.all_back_seconds.map(|seconds| (seconds * 1e9, None)),
        }
    }

    /// A distribution of times, if there is one.
    pub fn times(&self, span: Span) -> Option<&Stats> {
        match span {
            Span::Handshake => Some(&self.handshake),
            Span::Tcp => Some(&self.tcp),
            Span::Tls => self.tls.as_ref().map(|tls| &tls.handshake),
            Span::Upgrade => Some(&self.upgrade),
            Span::Latency => self.hold.as_ref()?.trickle.as_ref().map(|trickle| &trickle.latency),
            Span::Ping => self.pings().map(|pings| &pings.round_trip),
            Span::ChurnWithout => self.churn.as_ref().map(|churn| &churn.without),
            Span::ChurnWith => self.churn.as_ref().map(|churn| &churn.with),
            Span::ChurnHandshake => self.churn.as_ref().map(|churn| &churn.handshake),
            Span::StormWait => self.storm.as_ref().map(|storm| &storm.wait),
        }
    }

    /// The same report, held against thresholds.
    ///
    /// # Errors
    /// When a histogram cannot be read.
    pub fn judged_by(mut self, thresholds: &[HeldThreshold]) -> Result<Self, DecodeError> {
        let judge = |threshold: &HeldThreshold| {
            let figure = self.figure(threshold.metric())?;
            let (value, interval) = figure.map(|figure| (figure.value, figure.interval)).unzip();
            Ok(threshold.judge(value, interval.flatten()))
        };
        self.thresholds = thresholds.iter().map(judge).collect::<Result<_, DecodeError>>()?;
        Ok(self)
    }
}
