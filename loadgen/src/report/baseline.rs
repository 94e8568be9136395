//! A saved report to compare a run with. The two were made at different times, so that whatever changed on the machine
//! between them is part of every difference: the comparison says so, and judges nothing.

use std::path::PathBuf;

use thiserror::Error;

use crate::host::environment::Environment;
use crate::measure::encoded::DecodeError;
use crate::measure::metric::Metric;
use crate::report::changes::{Baseline, Change};
use crate::report::differences::{Difference, Differences};
use crate::report::run::Report;
use crate::report::saved::{self, Document, SavedError};

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
    changes: Vec<Difference>,
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
            Document::Connections(_) => Err(not_one("held connections".to_owned())),
            Document::Capacity(_) | Document::Capacities(_) => Err(not_one("a capacity".to_owned())),
            Document::Fanout(_) => Err(not_one("a fan-out".to_owned())),
        }
    }

    /// Accepts `report` as the baseline of a run in environment `now`.
    ///
    /// # Errors
    /// When it differs in plan or payload, or in the environment unless that is allowed.
    pub fn accept(&self, report: Report, now: &Environment) -> Result<Accepted, BaselineError> {
        let mut differences = Differences::between(&report.environment, now);
        // What TLS costs is one of the things that one compares, as where the server is.
        let (of_tls, plan) = differences.plan.into_iter().partition(Difference::is_of_tls);
        differences.plan = plan;
        let allowing_helps = differences.plan.is_empty();
        let changes = [of_tls, differences.environment.clone()].concat();
        let differences = differences.in_the_way(self.environment_may_change);
        if !differences.is_empty() {
            return Err(BaselineError::Differs { file: self.file.clone(), differences, allowing_helps });
        }
        Ok(Accepted { file: self.file.clone(), report, changes })
    }
}

impl Accepted {
    /// How `now` differs from it.
    ///
    /// # Errors
    /// When a histogram of one of them cannot be read.
    pub fn compare(self, now: &Report) -> Result<Baseline, DecodeError> {
        let Self { file, report: then, changes } = self;
        let mut figures = Vec::new();
        let alike = then.ends_at == now.ends_at;
        for metric in Metric::catalogue().filter(|metric| alike || !metric.ends_at_arrival()) {
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
            valid: then.trust.is_valid(),
            environment_changes: changes,
            figures,
            caveat: [(!alike, OTHER_END), (now.trust.is_bounded(), UPPER_ENDS), (true, CAVEAT)]
                .into_iter()
                .filter_map(|(holds, caveat)| holds.then_some(caveat))
                .collect::<Vec<_>>()
                .join("; "),
        })
    }
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(|difference| format!("\n  {difference}")).collect()
}

fn hint(allowing_helps: bool) -> &'static str {
    if allowing_helps { "\n--allow-environment-change compares all the same" } else { "" }
}

/// What is left out where one latency ends at the kernel's stamp and the other at the reading.
const OTHER_END: &str = "latency ends at the kernel's stamp in one of them and at the reading in the other, so that it is not \
    compared; seen, from due to read, is";

/// What stands in the place of a bounded run's latencies.
const UPPER_ENDS: &str = "this run is bounded: the upper ends of its latencies are compared";

/// What every unpaired comparison leaves open.
const CAVEAT: &str = "two runs at different times: what changed on the machine between them is in every difference, and \
    nothing here says how much chance makes; loadgen compare alternates both servers within one run";
