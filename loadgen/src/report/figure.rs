//! One figure of a report of held connections or of a fan-out, as the formats for programs list it.

use crate::judge::held_threshold::Limited;
use crate::measure::metric::{Better, Unit};

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it is called.
    pub name: String,
    /// What it counts.
    pub unit: Unit,
    /// Which way it improves.
    pub better: Better,
    /// Its value, in the unit.
    pub value: f64,
    /// The ends of its interval: of an estimate, or the least and the most that it can be.
    pub interval: Option<(f64, f64)>,
}

impl Figure {
    /// Of a metric.
    pub(super) fn of(metric: impl Limited, value: f64, interval: Option<(f64, f64)>) -> Self {
        Self { name: metric.to_string(), unit: metric.unit(), better: metric.better(), value, interval }
    }
}
