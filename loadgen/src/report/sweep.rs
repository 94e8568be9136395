//! The report of a sweep: plain data that is written as JSON (`schema/sweep-v1.schema.json` describes it) and read back.

pub(crate) mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::environment::Environment;
use crate::judge::statistics::Change;
use crate::judge::trust::Trust;
use crate::measure::arrivals::EndsAt;
use crate::measure::counts::Messages;
use crate::measure::metric::Metric;
use crate::report::comparison::Ended;
use crate::report::datagrams::DatagramsReport;
use crate::report::estimate::{Estimate, Spread};
use crate::report::repetition::RestartKind;
use crate::report::scaling::{Scalability, Scaled};
use crate::report::tls::TlsReport;
use crate::report::warmup::Warmup;
use crate::serde_time::Rfc3339;

/// What some flags are worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sweep {
    /// The format of this document.
    pub schema: SweepSchema,
    /// When the first trial began, UTC (RFC 3339).
    #[serde(with = "Rfc3339")]
    pub began_at: SystemTime,
    /// What ended it.
    #[schemars(extend("enum" = ["max-time", "too-short", "interrupted"]))]
    pub ended: Ended,
    /// What the figures are worth.
    pub trust: Trust,
    /// Where the latencies of the trials end; null in what an earlier version saved, which ended them at the reading.
    #[serde(default)]
    pub ends_at: Option<EndsAt>,
    /// What was asked for.
    pub rules: SweepRules,
    /// What it takes until an effect can be told; null in documents of earlier versions.
    #[serde(default)]
    pub needs: Option<Needs>,
    /// How the servers were warmed up; null in documents of earlier versions.
    #[serde(default)]
    pub warmup: Option<Warmup>,
    /// How long it took, in seconds.
    #[schemars(range(min = 0))]
    pub elapsed_seconds: f64,
    /// Rounds of one trial for each combination.
    pub rounds: u64,
    /// Starts of all servers: the observations that effects are judged by.
    pub starts: u64,
    /// The flags that were varied.
    pub factors: Vec<Factor>,
    /// The combinations, the reference first.
    pub arms: Vec<ArmReport>,
    /// What the flags are worth, by metric, the largest effect first.
    pub effects: Vec<Effect>,
    /// How the rate grows along each flag of which there is more and more: threads of the server, or connections or messages in
    /// flight of a closed loop; empty where no such flag has three values.
    #[serde(default)]
    pub scaling: Vec<Scaling>,
    /// Where it ran, and the plan of the reference's trial.
    pub environment: Environment,
}

/// The format of the report of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SweepSchema {
    /// The first version of `sweep-v1.schema.json`.
    #[serde(rename = "fathom/sweep/v1")]
    V1,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepRules {
    /// The chance of any wrong effect among all of them.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub alpha: f64,
    /// How long a trial is measured, in seconds.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub trial_seconds: f64,
    /// How long the load runs before each trial, in seconds.
    #[schemars(range(min = 0))]
    pub settle_seconds: f64,
    /// Rounds between two starts of the servers.
    pub restart_every: u32,
    /// When the servers are started anew; null in documents of earlier versions.
    #[serde(default)]
    pub restarts: Option<RestartKind>,
    /// The longest it may take, in seconds.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub max_time_seconds: f64,
    /// Seed of the order and of all random choices of the load.
    pub seed: u64,
    /// Whether only combinations that differ from the reference in one flag were measured.
    pub one_at_a_time: bool,
}

/// What it takes until an effect can be told, as the last start has shown it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Needs {
    /// The fewest starts with which an effect can be told at this alpha, which all effects share.
    pub starts: u64,
    /// The time that those take from the beginning, in seconds.
    #[schemars(range(min = 0))]
    pub seconds: f64,
    /// The shortest `--max-time` that holds those, in seconds: of a longer one servers may take more to settle, where they have not,
    /// and trials of slow servers to have replies. Null in documents of earlier versions.
    #[serde(default)]
    pub enough_seconds: Option<f64>,
    /// What a start with one round takes, its warm-up included, in seconds.
    #[schemars(range(min = 0))]
    pub start_seconds: f64,
    /// What a round takes of that, in seconds; null in documents of earlier versions.
    #[serde(default)]
    pub round_seconds: Option<f64>,
    /// The standard deviation of a start's true log ratio; null where there are too few starts to tell, and in documents of earlier
    /// versions. Of all effects on all judged metrics that with the greatest.
    #[serde(default)]
    pub between_starts: Option<f64>,
    /// The standard deviation of a round's log ratio about that of its start, likewise.
    #[serde(default)]
    pub within_starts: Option<f64>,
    /// The smallest effect, as a share, that is found in the maximal time in 4 of 5 cases, of all effects on all judged metrics;
    /// null where it is not known.
    pub resolves: Option<f64>,
}

/// A flag and the values that it takes in turn; the first is the reference's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Factor {
    /// The flag, without dashes.
    pub name: String,
    /// Its values, two at least, each different, the reference's first.
    #[schemars(length(min = 2))]
    pub values: Vec<String>,
    /// Whose flag it is.
    pub of: Of,
}

/// Whose flag it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// The server's.
    Server,
    /// The generator's.
    Load,
}

/// A combination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArmReport {
    /// Its flags.
    pub settings: Vec<Setting>,
    /// How the server was started.
    pub target: String,
    /// What became of the messages of all its trials, settling included.
    pub messages: Messages,
    /// What UDP did to them; absent where it was not, and in documents of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datagrams: Option<DatagramsReport>,
    /// How TLS was spoken on the connections of all its starts; absent where it was not, and in documents of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
    /// Messages for one second of the server's CPU time, by the median; null where that cannot be seen.
    pub messages_per_cpu_second: Option<f64>,
    /// Figures by metric, in its unit.
    pub figures: BTreeMap<Metric, Spread>,
    /// The change against the reference by metric; empty for the reference itself.
    pub change: BTreeMap<Metric, Estimate>,
    /// What a table shows, by metric: of the reference the estimate over its starts, of another combination that changed by `change`,
    /// so that both are by one estimator. Empty in documents of earlier versions, whose tables show the medians.
    #[serde(default)]
    pub shown: BTreeMap<Metric, f64>,
}

impl ArmReport {
    /// A figure as all formats tell it, by the estimator of the changes. In documents of earlier versions the median of the trials.
    pub(crate) fn told(&self, metric: Metric) -> Option<f64> {
        self.shown.get(&metric).copied().or_else(|| self.figures.get(&metric).map(|spread| spread.median))
    }
}

/// A flag and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// The flag, without dashes; `load-` is before the load's where the server's flag of that name is varied too.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// `name=value`.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// What a step, or two steps together, do to a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// The metric.
    pub metric: Metric,
    /// One step for a main effect, averaged over all other flags; two for an interaction: how much more both do together
    /// than each by itself.
    #[schemars(length(min = 1, max = 2))]
    pub steps: Vec<Step>,
    /// The change as a share.
    pub estimate: Estimate,
    /// The p-value of "no effect" (Wilcoxon's signed-rank test, two-sided), corrected by Holm for all effects.
    #[schemars(range(min = 0, max = 1))]
    pub p_value: f64,
    /// Regressed or improved where the corrected p-value is at most alpha, inconclusive otherwise.
    #[schemars(extend("enum" = ["regressed", "improved", "inconclusive"]))]
    pub change: Change,
    /// The log ratios that are judged, one for each start.
    pub log_ratios: Vec<f64>,
}

/// The Universal Scalability Law along one flag, the others being as in the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scaling {
    /// The flag, without dashes, as in the settings.
    pub name: String,
    /// What the law counts.
    pub of: Scaled,
    /// What it is fitted to, in the order of the flag's values.
    pub points: Vec<ScalingPoint>,
    /// The law, or why there is none.
    #[serde(flatten)]
    pub scalability: Scalability,
}

/// The rate at one value of the flag.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScalingPoint {
    /// Threads, or messages in flight on all connections together.
    pub load: u64,
    /// Messages per second, as the table of combinations shows them.
    pub rate: f64,
}

/// From one value of a flag to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The flag, without dashes, as in the settings.
    pub name: String,
    /// The reference's value.
    pub from: String,
    /// The other one.
    pub to: String,
}
