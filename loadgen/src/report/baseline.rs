//! A saved report to compare a run with. The two were made at different times, so that whatever changed on the machine
//! between them is part of every difference: the comparison says so, and judges nothing.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::host::environment::Environment;
use crate::measure::encoded::DecodeError;
use crate::measure::metric::Metric;
use crate::report::Report;
use crate::report::differences::{Difference, Differences};
use crate::report::saved::{self, Document, SavedError};
use crate::serde_time::rfc3339;

/// An earlier run, and how a later one differs from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The file it was read from.
    pub file: PathBuf,
    /// When it began, UTC.
    #[serde(with = "rfc3339")]
    pub began_at: SystemTime,
    /// What was measured then.
    pub target: String,
    /// The commit that measured it.
    pub git_revision: String,
    /// Whether its figures were to be trusted.
    pub valid: bool,
    /// In what its environment differs, where that was allowed.
    pub environment_changes: Vec<Difference>,
    /// The figures that both runs have.
    pub figures: Vec<Change>,
    /// What the comparison cannot tell.
    pub caveat: String,
}

/// One figure then and now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The metric's name.
    pub metric: String,
    /// The unit of both.
    pub unit: String,
    /// Its value in the baseline.
    pub baseline: f64,
    /// Its value in this run.
    pub value: f64,
    /// The difference as a share of the baseline, 0.1 being a tenth more; absent where that was 0.
    pub change: Option<f64>,
}

/// The baseline that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The saved report.
    pub file: PathBuf,
    /// Whether the environment may differ.
    pub environment_may_change: bool,
}

/// A baseline that a run may be compared with.
#[derive(Debug)]
pub struct Accepted {
    file: PathBuf,
    report: Report,
    environment_changes: Vec<Difference>,
}

/// Why there is no baseline.
#[derive(Debug, Error)]
pub enum BaselineError {
    /// It cannot be read.
    #[error("--baseline")]
    Read(#[from] SavedError),
    /// It holds something else than one run.
    #[error("--baseline {}: it holds {what}; expected the report of one run", file.display())]
    NotOne {
        /// The file.
        file: PathBuf,
        /// What it holds.
        what: String,
    },
    /// It is of another experiment.
    #[error("--baseline {}: its run cannot be compared with this one{}{}", file.display(), list(differences), hint(*allowing_helps))]
    Differs {
        /// The file.
        file: PathBuf,
        /// All that speaks against it.
        differences: Vec<Difference>,
        /// Whether all of it is the environment's.
        allowing_helps: bool,
    },
}

impl Request {
    /// Reads the report.
    ///
    /// # Errors
    /// When the file is no report of one run.
    pub fn read(&self) -> Result<Report, BaselineError> {
        let not_one = |what: String| BaselineError::NotOne { file: self.file.clone(), what };
        match saved::read(&self.file)? {
            Document::Runs(mut runs) if runs.len() == 1 => Ok(runs.remove(0)),
            Document::Runs(runs) => Err(not_one(format!("{} runs", runs.len()))),
            Document::Comparison(_) => Err(not_one("a comparison".to_owned())),
            Document::Sweep(_) => Err(not_one("a sweep".to_owned())),
        }
    }

    /// Accepts `report` as the baseline of a run in environment `now`.
    ///
    /// # Errors
    /// When it differs in plan or payload, or in the environment unless that is allowed.
    pub fn accept(&self, report: Report, now: &Environment) -> Result<Accepted, BaselineError> {
        let differences = Differences::between(&report.environment, now);
        let allowing_helps = differences.plan.is_empty();
        let environment_changes = differences.environment.clone();
        let differences = differences.in_the_way(self.environment_may_change);
        if !differences.is_empty() {
            return Err(BaselineError::Differs { file: self.file.clone(), differences, allowing_helps });
        }
        Ok(Accepted { file: self.file.clone(), report, environment_changes })
    }
}

impl Accepted {
    /// How `now` differs from it.
    ///
    /// # Errors
    /// When a histogram of one of them cannot be read.
    pub fn compare(self, now: &Report) -> Result<Baseline, DecodeError> {
        let Self { file, report: then, environment_changes } = self;
        let mut figures = Vec::new();
        for metric in Metric::catalogue() {
            if let (Some(baseline), Some(value)) = (then.figure(metric)?, now.figure(metric)?) {
                let change = (baseline != 0.0).then(|| value / baseline - 1.0);
                let (metric, unit) = (metric.to_string(), metric.unit().symbol().to_owned());
                figures.push(Change { metric, unit, baseline, value, change });
            }
        }
        Ok(Baseline {
            file,
            began_at: then.began_at,
            target: then.target,
            git_revision: then.environment.git_revision,
            valid: then.trust.valid,
            environment_changes,
            figures,
            caveat: CAVEAT.to_owned(),
        })
    }
}

impl Change {
    /// The metric with both values and the change, for people.
    pub fn show(&self) -> [String; 4] {
        let unit = self.metric.parse::<Metric>().map(Metric::unit);
        let show =
            |value: f64| unit.as_ref().map_or_else(|_| format!("{value} {}", self.unit), |unit| unit.show(value));
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

fn list(differences: &[Difference]) -> String {
    differences.iter().map(|difference| format!("\n  {difference}")).collect()
}

fn hint(allowing_helps: bool) -> &'static str {
    if allowing_helps { "\n--allow-environment-change compares all the same" } else { "" }
}

/// What every unpaired comparison leaves open.
const CAVEAT: &str = "two runs at different times: what changed on the machine between them is in every difference, and \
    nothing here says how much chance makes; loadgen compare alternates both servers within one run";
