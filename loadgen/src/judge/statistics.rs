//! Whether B differs from A: the statistics of paired comparisons, pure. Log ratios go in, one for each start of the
//! servers; estimates, intervals and verdicts with known error rates come out.
//!
//! What makes them right on a noisy machine is the design, not a model of its noise: which side is measured first is
//! drawn anew for every pair, and both sides are started anew together, so that without a difference each log ratio is
//! as likely to have one sign as the other, however the machine drifts. That is all that Wilcoxon's signed-rank test
//! needs (Lehmann, Nonparametrics, 1975, section 3.2).
//!
//! For servers that need warming: whether one has settled (`settling`, by `series`, `tiers` and `kendall`), whether trials of
//! one start still trend (`trend`), and how often to restart (`repetition`, by `variances`); where one start is all there is,
//! `blocks` of its trials are observations.
//!
//! What only some trials show is in the ratio of their sums (`pooled`), which is held against what typical ones show.
//!
//! How throughput grows with the load is the Universal Scalability Law's matter (`usl`).

mod blocks;
mod hodges_lehmann;
mod holm;
mod judge;
mod kendall;
mod normal;
mod pooled;
mod repetition;
mod sequential;
mod series;
mod settling;
mod signed_rank;
mod slope;
mod tiers;
mod trend;
mod usl;
mod variances;

pub use blocks::blocks;
pub use hodges_lehmann::{Interval, Sample};
pub use holm::adjusted;
pub use judge::{Aim, Band, Change, Doubt, Evidence, Judge, Ruling, resolution, times_more};
pub use normal::normal_quantile;
pub use pooled::{Pooled, Sums};
pub use repetition::{Asked, Forecast, Prices};
pub use sequential::{LOOKS, Spending};
pub use settling::{FIRST_LOOK, Settling, Slices, TIMES_AT_NOISE, TIMES_SETTLED, UNSEEN, Why};
pub use signed_rank::fewest;
pub use slope::Slope;
pub use tiers::{Tier, tiers};
pub use trend::Trend;
pub use usl::{Coefficient, Point, Prediction, Support, Unfit, Usl};
pub use variances::Variances;

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
