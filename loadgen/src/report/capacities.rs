//! The report of `loadgen capacity --over`: the capacity at each value of one axis, and the scalability law along threads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::capacity::{CapacityThreshold, Verdict};
use crate::judge::outcome::Outcome;
use crate::judge::statistics::Point;
use crate::report::capacity::CapacityReport;
use crate::report::capacity::words;
use crate::report::scaling::{Scalability, Scaled};
use crate::units;

/// Capacities along an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capacities {
    /// The format of this document.
    pub schema: CapacitiesSchema,
    /// What was varied.
    pub axis: Axis,
    /// The capacity at each value, in the order they were looked for.
    pub points: Vec<CapacityPoint>,
    /// The law along threads.
    #[serde(flatten)]
    pub scalability: Scalability,
}

/// The format of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CapacitiesSchema {
    /// The first version of `capacities-v1.schema.json`.
    #[serde(rename = "fathom/capacities/v1")]
    V1,
}

/// What is varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Connections.
    Connections,
    /// Bytes of payload.
    Size,
    /// Threads of the server.
    Threads,
}

/// One value of the axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityPoint {
    /// The value.
    pub value: u64,
    /// What was found there.
    pub capacity: CapacityReport,
}

impl Capacities {
    /// These points, with the law where it is along threads.
    pub fn new(axis: Axis, points: Vec<CapacityPoint>) -> Self {
        let along_threads = || {
            // What is sustained otherwise is the end of the range, of the generator or of the time, not the server's capacity.
            let found = points.iter().filter(|point| point.capacity.answer.verdict == Verdict::Found);
            let point = |point: &CapacityPoint| {
                let throughput = point.capacity.answer.sustains.as_ref()?.rate;
                Some(Point { load: point.value as f64, throughput })
            };
            Scalability::of(&found.filter_map(point).collect::<Vec<_>>())
        };
        let scalability = if axis == Axis::Threads { along_threads() } else { Scalability::default() };
        Self { schema: CapacitiesSchema::V1, axis, points, scalability }
    }

    /// How it ended: of several ways the greatest tells.
    pub fn outcome(&self) -> Outcome {
        self.points.iter().map(|point| point.capacity.outcome()).max().unwrap_or(Outcome::Failed)
    }

    /// The same, each held against limits on the capacity.
    #[must_use]
    pub fn judged_by(mut self, thresholds: &[CapacityThreshold]) -> Self {
        for point in &mut self.points {
            point.capacity = point.capacity.clone().judged_by(thresholds);
        }
        self
    }

    /// What a point is called: `connections=1,000`.
    pub fn name(&self, point: &CapacityPoint) -> String {
        format!("{}={}", self.axis.name(), point.value)
    }

    /// What stands above the rows of a table.
    pub(crate) fn heads(&self) -> [&'static str; 5] {
        [self.axis.name(), "sustains/s", "breaks/s", "p99", "answer"]
    }

    /// A row for each point.
    pub(crate) fn rows(&self) -> Vec<[String; 5]> {
        let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), units::number);
        let row = |point: &CapacityPoint| {
            let answer = &point.capacity.answer;
            let p99 = answer.sustains.as_ref().and_then(|end| end.latency.p99);
            [
                units::count(point.value),
                rate(answer.sustains.as_ref().map(|end| end.rate)),
                rate(answer.breaks.as_ref().map(|end| end.rate)),
                p99.map_or_else(|| "-".to_owned(), units::time),
                words::verdict(&point.capacity).to_owned(),
            ]
        };
        self.points.iter().map(row).collect()
    }

    /// The law in words.
    pub(crate) fn law_in_words(&self) -> Vec<String> {
        self.scalability.in_words(Scaled::Threads)
    }
}

impl Axis {
    /// As flags and reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Size => "size",
            Self::Threads => "threads",
        }
    }
}
