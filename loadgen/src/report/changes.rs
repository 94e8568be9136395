//! An earlier run beside this one, as a report holds it: how each figure differs from it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::metric::{self, Unit};
use crate::report::differences::Difference;
use crate::serde_time::Rfc3339;

/// An earlier run, and how a later one differs from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Baseline {
    /// The file it was read from.
    pub file: PathBuf,
    /// When it began, UTC.
    #[serde(with = "Rfc3339")]
    pub began_at: SystemTime,
    /// What was measured then.
    pub target: String,
    /// The commit that measured it.
    pub git_revision: String,
    /// Whether its figures could be taken as they stood: neither bounds nor not to be trusted.
    pub valid: bool,
    /// In what its environment differs, where that was allowed, and how it spoke TLS.
    pub environment_changes: Vec<Difference>,
    /// The figures that both runs have.
    pub figures: Vec<Change>,
    /// What the comparison cannot tell.
    pub caveat: String,
}

/// One figure then and now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The metric's name.
    pub metric: String,
    /// The unit of both; a share of 1 is all.
    #[schemars(with = "Unit")]
    pub unit: String,
    /// Its value in the baseline.
    pub baseline: f64,
    /// Its value in this run.
    pub value: f64,
    /// The difference as a share of the baseline, 0.1 being a tenth more; null where that was 0.
    pub change: Option<f64>,
}

impl Change {
    /// The metric with both values and the change, for people.
    pub fn show(&self) -> [String; 4] {
        let show = |value: f64| metric::show_named(&self.metric, &self.unit, value);
        let change = self.change.map_or_else(|| "-".to_owned(), |change| format!("{:+.1}%", change * 100.0));
        [self.metric.clone(), show(self.baseline), show(self.value), change]
    }
}

impl Baseline {
    /// The file, for people.
    pub fn file(&self) -> &Path {
        &self.file
    }
}
