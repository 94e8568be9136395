//! How a command ended: what its exit code says.

/// How a run ended, ordered so that of several the greatest wins: whoever interrupted a run knows that it is
/// incomplete, and a run that failed is not worth the question whether its figures can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It measured what it was asked to.
    Ok,
    /// It did, and a threshold was crossed or a gated metric regressed.
    Crossed,
    /// It looked for a capacity, which lies where it could not look.
    OutOfSight(OutOfSight),
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

/// Where a capacity lies that was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutOfSight {
    /// The highest rate that was to be tried keeps every limit.
    AboveRange,
    /// The lowest rate that was to be tried breaks one.
    BelowRange,
    /// The generator was late itself before the server broke one.
    GeneratorLimited,
}

impl Outcome {
    /// The exit code that says so.
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Ok => 0,
            Outcome::Failed => 1,
            Outcome::Usage => 2,
            Outcome::OutOfSight(OutOfSight::GeneratorLimited) => 95,
            Outcome::OutOfSight(OutOfSight::BelowRange) => 96,
            Outcome::OutOfSight(OutOfSight::AboveRange) => 97,
            Outcome::Untrusted => 98,
            Outcome::Crossed => 99,
            Outcome::Interrupted => 130,
        }
    }
}
