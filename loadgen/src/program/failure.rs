//! Why a subcommand ended without a result, and the exit code that says so. An error becomes a failure by a conversion that
//! states its outcome, so that a new subcommand cannot forget to.

use crate::host::limits::LimitError;
use crate::host::running::StartError;
use crate::judge::outcome::Outcome;
use crate::load::error::RunError;
use crate::measure::encoded::DecodeError;
use crate::program::conversion::ConversionError;
use crate::program::output::OutputError;
use crate::report::baseline::BaselineError;
use crate::report::saved::SavedError;
use crate::trials::compare::CompareError;
use crate::trials::course::TrialError;
use crate::trials::resumed::ResumeError;
use crate::trials::sweep::SweepError;

/// A subcommand that ended without a result.
#[derive(Debug)]
pub(super) struct Failure {
    pub outcome: Outcome,
    pub error: anyhow::Error,
}

/// What an error says of how the program ended.
trait Ends {
    fn outcome(&self) -> Outcome;
}

impl<E: Ends + std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { outcome: error.outcome(), error: error.into() }
    }
}

/// One with a context of its own, which is no interruption.
pub(super) fn failed(error: anyhow::Error) -> Failure {
    Failure { outcome: Outcome::Failed, error }
}

fn interrupted(is_interruption: bool) -> Outcome {
    if is_interruption { Outcome::Interrupted } else { Outcome::Failed }
}

impl Ends for RunError {
    fn outcome(&self) -> Outcome {
        interrupted(matches!(self, Self::Interrupted))
    }
}

impl Ends for StartError {
    fn outcome(&self) -> Outcome {
        if self.is_usage() { Outcome::Usage } else { interrupted(self.is_interruption()) }
    }
}

impl Ends for TrialError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::OutOfSight { end, .. } => Outcome::OutOfSight(*end),
            Self::Start(error) => error.outcome(),
            _ => interrupted(self.is_interruption()),
        }
    }
}

impl Ends for CompareError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Trial(error) => error.outcome(),
            Self::Resume(error) => error.outcome(),
            _ => interrupted(self.is_interruption()),
        }
    }
}

/// A file that a comparison cannot go on from is usage, as one that is no baseline.
impl Ends for ResumeError {
    fn outcome(&self) -> Outcome {
        Outcome::Usage
    }
}

impl Ends for SavedError {
    fn outcome(&self) -> Outcome {
        Outcome::Usage
    }
}

impl Ends for SweepError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Trial(error) => error.outcome(),
            _ => interrupted(self.is_interruption()),
        }
    }
}

/// Files that cannot be used are usage: nothing was measured, and trying again changes nothing.
impl Ends for BaselineError {
    fn outcome(&self) -> Outcome {
        Outcome::Usage
    }
}

impl Ends for ConversionError {
    fn outcome(&self) -> Outcome {
        if self.is_usage() { Outcome::Usage } else { Outcome::Failed }
    }
}

impl Ends for LimitError {
    fn outcome(&self) -> Outcome {
        Outcome::Failed
    }
}

impl Ends for OutputError {
    fn outcome(&self) -> Outcome {
        Outcome::Failed
    }
}

impl Ends for DecodeError {
    fn outcome(&self) -> Outcome {
        Outcome::Failed
    }
}
