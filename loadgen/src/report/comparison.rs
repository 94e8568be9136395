//! The report of a comparison: plain data that is written as JSON (`schema/compare-v1.schema.json` describes it), read
//! back, and rendered. Whatever a rendering needs is in it, every pair included.

use std::collections::BTreeMap;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::environment::Environment;
use crate::judge::statistics::Change;
use crate::judge::trust::Trust;
use crate::measure::arrivals::EndsAt;
use crate::measure::counts::Messages;
use crate::measure::metric::{Better, Metric};
use crate::measure::trial::{Figures, Positive};
use crate::report::datagrams::DatagramsReport;
use crate::report::estimate::{Estimate, SHOWN_ERROR, Shown, Spread};
use crate::report::repetition::{LONGEST, Repetition};
use crate::report::tls::TlsReport;
use crate::report::warmup::Warmup;
use crate::serde_time::Rfc3339;

/// What server B is like compared with server A.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The format of this document.
    pub schema: CompareSchema,
    /// When the first trial began, UTC (RFC 3339).
    #[serde(with = "Rfc3339")]
    pub began_at: SystemTime,
    /// What ended it.
    pub ended: Ended,
    /// Whether B is A once more, so that every change is a false alarm.
    pub aa: bool,
    /// The verdict: the worst of the gated metrics'.
    pub change: Change,
    /// What the figures are worth.
    pub trust: Trust,
    /// Where the latencies of the trials end; null in what an earlier version saved, which ended them at the reading.
    #[serde(default)]
    pub ends_at: Option<EndsAt>,
    /// The server that is compared with.
    pub a: Side,
    /// The server that is compared.
    pub b: Side,
    /// What was asked for.
    pub rules: Rules,
    /// Where the capacity is compared: the limits that a rate has to keep, as they were written. Else empty.
    #[serde(default)]
    pub slos: Vec<String>,
    /// How the servers were warmed up; null in documents of earlier versions.
    #[serde(default)]
    pub warmup: Option<Warmup>,
    /// How trials were shared out among starts, and what a verdict takes; likewise.
    #[serde(default)]
    pub repetition: Option<Repetition>,
    /// How long it took, in seconds; of several attempts, all of them together.
    #[schemars(range(min = 0))]
    pub elapsed_seconds: f64,
    /// The attempts; null where one was announced, and in documents of earlier versions.
    #[serde(default)]
    pub attempts: Option<Attempts>,
    /// The metrics, gated ones first.
    pub metrics: Vec<MetricReport>,
    /// All that was measured.
    pub starts: Vec<StartReport>,
    /// Where it ran, and the plan of a trial. The servers' configurations are with the sides.
    pub environment: Environment,
}

impl Comparison {
    /// Whether something that is judged is not decided.
    pub fn is_inconclusive(&self) -> bool {
        let decided = |metric: &MetricReport| metric.ruling.is_some_and(|ruling| ruling.change != Change::Inconclusive);
        self.ended == Ended::TooShort || self.metrics.iter().any(|metric| metric.gated && !decided(metric))
    }

    /// Whether that fails the command. Where the time holds no verdict it does, unless it was allowed by name; and it fails where it
    /// was interrupted, whatever it would have come to.
    pub fn inconclusive_fails(&self) -> bool {
        let was_not_allowed = self.ended == Ended::TooShort && !self.rules.fail_on_regression;
        self.rules.inconclusive_fails() || was_not_allowed || self.ended == Ended::Interrupted
    }

    /// The metrics that were judged and are not decided, and which more time may decide: what longer trials decide is none of them.
    pub(crate) fn open(&self) -> impl Iterator<Item = &MetricReport> {
        let has_doubt = |metric: &&MetricReport| metric.ruling.is_some_and(|ruling| ruling.doubt.is_some());
        let undecided = self.metrics.iter().filter(|metric| metric.is_undecided() && !metric.log_ratios.is_empty());
        undecided.filter(move |metric| !has_doubt(metric))
    }

    /// Whether there were fewer starts than any verdict takes.
    pub(crate) fn has_too_few_starts(&self) -> bool {
        self.repetition.is_some_and(|repetition| (self.starts.len() as u64) < repetition.fewest_starts)
    }

    /// The time in which all of those would be decided if the estimates stay where they are, in seconds; `None` where there are
    /// none, or the longest `--max-time` would not do.
    pub(crate) fn tells_after(&self) -> Option<f64> {
        let each = self.open().map(|metric| Some(self.elapsed_seconds + metric.more_seconds?));
        let longest = each.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max)?;
        let fewest = self.repetition.map_or(0.0, |repetition| repetition.fewest_seconds);
        Some(longest.max(fewest)).filter(|seconds| *seconds <= LONGEST)
    }

    /// What an observation is called: a start of the servers, or a stretch of the only one where they are never started anew.
    pub(crate) fn observation(&self) -> &'static str {
        self.repetition.map_or("start", |repetition| repetition.restarts.observation())
    }
}

/// The format of the report of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CompareSchema {
    /// The first version of `compare-v1.schema.json`.
    #[serde(rename = "fathom/compare/v1")]
    V1,
}

/// What ended a comparison or a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Every gated metric was decided.
    Decided,
    /// Its time was up.
    MaxTime,
    /// The user.
    Interrupted,
    /// Its first starts: its time is too short for any verdict.
    TooShort,
}

/// How often a comparison was tried, each attempt with all the starts of those before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempts {
    /// Attempts that share the error (`--attempts`).
    #[schemars(range(min = 1))]
    pub announced: u32,
    /// Those that were begun.
    #[schemars(range(min = 1))]
    pub made: u32,
    /// How much of the attempts' time has passed, in attempts: 1.4 where the second was interrupted after two fifths of it.
    #[schemars(range(min = 0))]
    pub passed: f64,
}

/// One of the two servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// A URL, its query masked, or how the server was started.
    pub target: String,
    /// What a Fathom server says of its own configuration; null for another server.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub server_config: Option<serde_json::Value>,
    /// What became of the messages of all its trials, settling included.
    pub messages: Messages,
    /// What UDP did to them; absent where it was not, and in documents of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datagrams: Option<DatagramsReport>,
    /// How TLS was spoken with it on the connections of all its starts; absent where it was not, and in documents of
    /// earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rules {
    /// The chance of any wrong verdict of regressed or improved, over all gated metrics; and of equivalent likewise.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub alpha: f64,
    /// Changes up to this share either way do not matter: 0.02 is 2%.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub tolerance: f64,
    /// How long a trial is measured, in seconds.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub trial_seconds: f64,
    /// How long the load runs before each trial, in seconds.
    #[schemars(range(min = 0))]
    pub settle_seconds: f64,
    /// Pairs between two starts of the servers; where they were not fixed, those of the last.
    pub restart_every: u32,
    /// The longest it may take, in seconds.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub max_time_seconds: f64,
    /// Seed of the order and of all random choices of the load.
    pub seed: u64,
    /// Whether a regression fails the command, with exit code 99; the verdicts say then whether B is worse by more than the
    /// tolerance.
    pub fail_on_regression: bool,
    /// Whether `--require-conclusive` was given.
    pub require_conclusive: bool,
    /// Whether the command passes where a metric is inconclusive; otherwise its exit code is 98. A document without this
    /// says so by `require_conclusive` alone.
    #[serde(default = "allowed")]
    pub allow_inconclusive: bool,
}

impl Rules {
    /// Whether a metric that is still inconclusive when the time is up fails the command.
    fn inconclusive_fails(&self) -> bool {
        self.require_conclusive || !self.allow_inconclusive
    }
}

/// Documents of before knew no other way.
fn allowed() -> bool {
    true
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricReport {
    /// Which metric.
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
    /// The change from A to B as a share, by Hodges and Lehmann: 0.02 is 2% more.
    pub estimate: Estimate,
    /// What a table shows: A, B, the change and its interval by one estimator from the same starts. Null without figures;
    /// documents of earlier versions have none.
    #[serde(default)]
    pub shown: Option<Shown>,
    /// The verdict on a gated metric; null for the others.
    pub ruling: Option<RulingReport>,
    /// How much longer the comparison should be to decide the metric, in seconds, if the estimate stays where it is;
    /// null where it is decided, or no time would do.
    pub more_seconds: Option<f64>,
    /// The smallest change, as a share, that a comparison of the same maximal time would find in 4 of 5 cases; null
    /// where there are too few starts to tell.
    pub resolution: Option<f64>,
    /// The log ratios B/A that are judged, one for each start.
    pub log_ratios: Vec<f64>,
}

impl MetricReport {
    /// Whether it was judged and is not decided.
    pub(crate) fn is_undecided(&self) -> bool {
        self.ruling.is_some_and(|ruling| ruling.change == Change::Inconclusive)
    }

    /// The change and its interval as all formats tell them: those of the table. In documents of earlier versions the change with
    /// its 95% interval.
    pub(crate) fn told(&self) -> Estimate {
        self.shown.map_or(self.estimate, |Shown { change, low, high, .. }| Estimate { change: Some(change), low, high })
    }

    /// A and B as all formats tell them, by the estimator of the change. In documents of earlier versions the medians of the trials.
    pub(crate) fn sides(&self) -> [f64; 2] {
        self.shown.map_or([self.a.median, self.b.median], |shown| [shown.a, shown.b])
    }

    /// The interval that is told misses the change with this probability at the most.
    pub(crate) fn error(&self) -> f64 {
        self.shown.map_or(SHOWN_ERROR, |shown| shown.error)
    }
}

/// The verdict on a gated metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RulingReport {
    /// The verdict.
    pub change: Change,
    /// The p-value of "the change is within the tolerance" (Wilcoxon's signed-rank test, two-sided), corrected by Holm
    /// for the number of gated metrics.
    #[schemars(range(min = 0, max = 1))]
    pub p_value: f64,
    /// The error that the look could afford for this metric: the verdict's interval misses the change with this
    /// probability at the most.
    #[schemars(range(min = 0, max = 1))]
    pub level: f64,
    /// The lower end of that interval, as a share; null where the starts are too few to bound it.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// When it was said, in seconds since the beginning.
    #[schemars(range(min = 0))]
    pub at_seconds: f64,
    /// The starts up to then, counted from the first: all figures of the metric are of these. Null in documents of earlier
    /// versions.
    #[serde(default)]
    pub starts: Option<u64>,
    /// The change of all trials together, what was waited for between them included, with its 90% interval: where not all of it
    /// passes, what typical trials would have pass does not. Absent elsewhere, and in documents of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Estimate>,
}

/// Both servers from one start to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartReport {
    /// When they were started, in seconds since the beginning.
    #[schemars(range(min = 0))]
    pub at_seconds: f64,
    /// The pairs, in order.
    pub pairs: Vec<PairReport>,
    /// Figures of A over the whole start: its memory.
    #[schemars(with = "BTreeMap<Metric, Positive>")]
    pub a: Figures,
    /// Those of B.
    #[schemars(with = "BTreeMap<Metric, Positive>")]
    pub b: Figures,
}

/// Two trials, one of each server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairReport {
    /// When the first began, in seconds since the beginning.
    #[schemars(range(min = 0))]
    pub at_seconds: f64,
    /// Which came first.
    pub first: Which,
    /// The trial of A; a percentile p of the latency only where it had 100 / (100 - p) replies.
    #[schemars(with = "BTreeMap<Metric, Positive>")]
    pub a: Figures,
    /// The trial of B, likewise.
    #[schemars(with = "BTreeMap<Metric, Positive>")]
    pub b: Figures,
    /// How long it took. Absent where that is not known, and in documents of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<PairTime>,
}

/// How long a pair took, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairTime {
    /// All of it but what follows.
    #[schemars(range(min = 0))]
    pub seconds: f64,
    /// How long A was waited for before its trial and after it, beyond what a few round trips take.
    #[schemars(range(min = 0))]
    pub a_waited: f64,
    /// Likewise B.
    #[schemars(range(min = 0))]
    pub b_waited: f64,
}

/// One of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// A.
    A,
    /// B.
    B,
}
