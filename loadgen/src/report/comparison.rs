//! The report of a comparison: plain data that is written as JSON (`schema/compare-v1.schema.json` describes it), read
//! back, and rendered. Whatever a rendering needs is in it, every pair included.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::host::environment::Environment;
use crate::judge::statistics::Change;
use crate::judge::trust::Trust;
use crate::measure::counts::Messages;
use crate::measure::metric::{Better, Metric};
use crate::measure::trial::Figures;
use crate::report::estimate::{Estimate, Spread};
use crate::serde_time::rfc3339;

/// What B is like compared with A.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The format of this document.
    pub schema: CompareSchema,
    /// When the first trial began, UTC (RFC 3339).
    #[serde(with = "rfc3339")]
    pub began_at: SystemTime,
    /// What ended it.
    pub ended: Ended,
    /// Whether B is A once more, so that every change is a false alarm.
    pub aa: bool,
    /// The verdict: the worst of the gated metrics'.
    pub change: Change,
    /// What the figures are worth.
    pub trust: Trust,
    /// The server that is compared with.
    pub a: Side,
    /// The server that is compared.
    pub b: Side,
    /// What was asked for.
    pub rules: Rules,
    /// How long it took, in seconds.
    pub elapsed_seconds: f64,
    /// The metrics, gated ones first.
    pub metrics: Vec<MetricReport>,
    /// All that was measured.
    pub starts: Vec<StartReport>,
    /// Where it ran, and the plan of a trial. The servers' configurations are with the sides.
    pub environment: Environment,
}

/// The format of a [`Comparison`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompareSchema {
    /// `schema/compare-v1.schema.json`.
    #[serde(rename = "fathom/compare/v1")]
    V1,
}

/// What ended a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Every gated metric was decided.
    Decided,
    /// Its time was up.
    MaxTime,
    /// The user.
    Interrupted,
}

/// One of the two servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// A URL, or how the server was started.
    pub target: String,
    /// What it says of its own configuration, where it does.
    pub server_config: Option<serde_json::Value>,
    /// What became of the messages of all its trials, settling included.
    pub messages: Messages,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// The chance of any wrong verdict of regressed or improved, over all gated metrics; and of equivalent likewise.
    pub alpha: f64,
    /// Changes up to this share either way do not matter: 0.02 is 2%.
    pub tolerance: f64,
    /// How long a trial is measured, in seconds.
    pub trial_seconds: f64,
    /// How long the load runs before each trial, in seconds.
    pub settle_seconds: f64,
    /// Pairs between two starts of the servers.
    pub restart_every: u32,
    /// The longest it may take, in seconds.
    pub max_time_seconds: f64,
    /// Seed of the order and of all random choices of the load.
    pub seed: u64,
    /// Whether a regression fails the command, with exit code 99.
    pub fail_on_regression: bool,
    /// Whether an inconclusive metric fails the command, with exit code 98.
    pub require_conclusive: bool,
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricReport {
    /// Which.
    pub metric: Metric,
    /// The unit of `a` and `b`.
    pub unit: String,
    /// Which way it is better.
    pub better: Better,
    /// Whether the verdict counts it.
    pub gated: bool,
    /// The trials of A; of a memory metric, the starts.
    pub a: Spread,
    /// Those of B.
    pub b: Spread,
    /// The change from A to B as a share: 0.02 is 2% more.
    pub estimate: Estimate,
    /// Gated metrics only: the verdict.
    pub ruling: Option<RulingReport>,
    /// How much longer the comparison should be to decide the metric, in seconds, if the estimate stays where it is;
    /// absent where it is decided, or no time would do.
    pub more_seconds: Option<f64>,
    /// The smallest change, as a share, that a comparison of the same maximal time would find in 4 of 5 cases; absent
    /// where there are too few starts to tell.
    pub resolution: Option<f64>,
    /// The log ratios B/A that are judged, one for each start.
    pub log_ratios: Vec<f64>,
}

/// The verdict on a gated metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RulingReport {
    /// The verdict.
    pub change: Change,
    /// The p-value of "the change is within the tolerance" (Wilcoxon's signed-rank test, two-sided), corrected by Holm
    /// for the number of gated metrics.
    pub p_value: f64,
    /// The error that the look could afford for this metric: the verdict's interval misses the change with this
    /// probability at the most.
    pub level: f64,
    /// The lower end of that interval, as a share; absent where the starts are too few to bound it.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// When it was said, in seconds since the beginning.
    pub at_seconds: f64,
}

/// Both servers from one start to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartReport {
    /// When they were started, in seconds since the beginning.
    pub at_seconds: f64,
    /// The pairs, in order.
    pub pairs: Vec<PairReport>,
    /// Figures of A over the whole start: its memory.
    pub a: Figures,
    /// Those of B.
    pub b: Figures,
}

/// Two trials, one of each server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairReport {
    /// When the first began, in seconds since the beginning.
    pub at_seconds: f64,
    /// Which came first.
    pub first: Which,
    /// The trial of A.
    pub a: Figures,
    /// The trial of B.
    pub b: Figures,
}

/// One of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// A.
    A,
    /// B.
    B,
}
