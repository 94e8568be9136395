//! What reports of held connections and of fan-outs say alike.

use crate::judge::outcome::Outcome;
use crate::judge::trust::Trust;
use crate::report::Stats;
use crate::units;

/// How one ended, in a word or two.
pub(crate) fn verdict(outcome: Outcome, trust: &Trust) -> &'static str {
    match outcome {
        Outcome::Ok if trust.is_bounded() => "bounded",
        Outcome::Ok => "valid",
        Outcome::Crossed => "threshold crossed",
        Outcome::Untrusted | Outcome::OutOfSight(_) => "not to be trusted",
        Outcome::Failed | Outcome::Usage => "failed",
        Outcome::Interrupted => "interrupted",
    }
}

/// What stands above [`cells`].
pub(crate) const HEADS: [&str; 4] = ["p50", "p99", "p99.9", "max"];

/// The figures of a distribution of times.
pub(crate) fn cells(stats: &Stats) -> [String; 4] {
    [stats.p50, stats.p99, stats.p99_9, stats.max].map(time)
}

/// A time, where there is one.
pub(crate) fn time(ns: Option<u64>) -> String {
    ns.map_or_else(|| "-".to_owned(), |ns| units::time(ns as f64))
}
