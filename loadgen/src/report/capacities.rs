//! The report of `loadgen capacity --over`: the capacity at each value of one axis, and the scalability law along threads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::capacity::{CapacityThreshold, Verdict};
use crate::judge::outcome::Outcome;
use crate::judge::statistics::{Coefficient, Point, Support, Usl};
use crate::report::capacity::CapacityReport;
use crate::report::capacity::words;
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
    /// The Universal Scalability Law along threads; null along another axis, and where it cannot be fitted.
    pub law: Option<Law>,
    /// Why it cannot be fitted.
    pub law_unknown: Option<String>,
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

/// The law that fits best: X(N) = gamma N / (1 + alpha (N - 1) + beta N (N - 1)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Law {
    /// Contention: the share of the work that is done by one thread at a time.
    pub alpha: Fitted,
    /// Coherency: what it costs to keep two threads in agreement.
    pub beta: Fitted,
    /// Messages per second of one thread.
    pub gamma: Fitted,
    /// Measured minus fitted capacity at each value, messages per second.
    pub residuals: Vec<f64>,
    /// Where the capacity is greatest; null where it grows for ever, if only ever more slowly.
    pub peak: Option<Peak>,
}

/// An estimate with its 95% interval, whose ends are null where the points are too few for one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fitted {
    /// The value that fits best.
    pub estimate: f64,
    /// The lower end.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// Where the capacity is greatest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Peak {
    /// Threads.
    pub threads: f64,
    /// Messages per second.
    pub rate: f64,
    /// Whether that lies beyond twice what was measured, where other laws that fit as well may say something else.
    pub extrapolated: bool,
}

impl Capacities {
    /// These points, with the law where it is along threads.
    pub fn new(axis: Axis, points: Vec<CapacityPoint>) -> Self {
        let fitted = (axis == Axis::Threads).then(|| {
            // What is sustained otherwise is the end of the range, of the generator or of the time, not the server's capacity.
            let found = points.iter().filter(|point| point.capacity.answer.verdict == Verdict::Found);
            let point = |point: &CapacityPoint| {
                let throughput = point.capacity.answer.sustains.as_ref()?.rate;
                Some(Point { load: point.value as f64, throughput })
            };
            Usl::fit(&found.filter_map(point).collect::<Vec<_>>(), CONFIDENCE)
        });
        let (law, law_unknown) = match fitted {
            None => (None, None),
            Some(Ok(law)) => (Some(Law::from(law)), None),
            Some(Err(why)) => (None, Some(why.to_string())),
        };
        Self { schema: CapacitiesSchema::V1, axis, points, law, law_unknown }
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
        let Some(law) = &self.law else {
            return self.law_unknown.iter().map(|why| format!("no scalability law: {why}")).collect();
        };
        let of = |fitted: Fitted, show: fn(f64) -> String| match (fitted.low, fitted.high) {
            (Some(low), Some(high)) => format!("{} (95%: {} to {})", show(fitted.estimate), show(low), show(high)),
            _ => show(fitted.estimate),
        };
        let coefficient = |value: f64| format!("{value:.3e}");
        let mut said = vec![format!(
            "scalability law (Gunther): alpha {} (contention), beta {} (coherency), gamma {}/s a thread",
            of(law.alpha, coefficient),
            of(law.beta, coefficient),
            of(law.gamma, units::number)
        )];
        said.push(match law.peak {
            None => "by it, the capacity grows with every thread, if only ever more slowly".to_owned(),
            Some(Peak { threads, rate, extrapolated }) => format!(
                "by it, the capacity is greatest at {} threads, {}/s{}",
                units::number(threads),
                units::number(rate),
                if extrapolated { ": far beyond what was measured, where other laws may hold" } else { "" }
            ),
        });
        let residuals: Vec<String> = law.residuals.iter().map(|of| format!("{of:+.0}")).collect();
        said.push(format!("measured less fitted: {} /s", residuals.join(", ")));
        said
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

impl From<Usl> for Law {
    fn from(law: Usl) -> Self {
        let of = |of: Coefficient| Fitted { estimate: of.estimate, low: of.low, high: of.high };
        let peak = law.peak().map(|peak| Peak {
            threads: peak.load,
            rate: peak.throughput,
            extrapolated: peak.support != Support::Measured,
        });
        Self { alpha: of(law.alpha), beta: of(law.beta), gamma: of(law.gamma), residuals: law.residuals, peak }
    }
}

/// Of the law's intervals.
const CONFIDENCE: f64 = 0.95;
