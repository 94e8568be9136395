//! How a command ended: what its exit code says.

/// How a run ended, ordered so that of several the greatest wins: whoever interrupted a run knows that it is
/// incomplete, and a run that failed is not worth the question whether its figures can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It measured what it was asked to.
    Ok,
    /// It did, and a threshold was crossed or a gated metric regressed.
    Crossed,
    /// It measured something, which is not to be trusted: whether it keeps its thresholds is not known either.
    Untrusted,
    /// No connection, or none left at the end; or messages lost, corrupted, reordered or unexpected that no limit on errors
    /// allows.
    Failed,
    /// The arguments, or files that they name, cannot be used.
    Usage,
    /// It was ended early on request.
    Interrupted,
}

impl Outcome {
    /// The exit code that says so.
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Ok => 0,
            Outcome::Failed => 1,
            Outcome::Usage => 2,
            Outcome::Untrusted => 98,
            Outcome::Crossed => 99,
            Outcome::Interrupted => 130,
        }
    }
}
