//! Whether B differs from A: the statistics of paired comparisons, pure. Log ratios go in, one for each start of the
//! servers; estimates, intervals and verdicts with known error rates come out.
//!
//! What makes them right on a noisy machine is the design, not a model of its noise: which side is measured first is
//! drawn anew for every pair, and both sides are started anew together, so that without a difference each log ratio is
//! as likely to have one sign as the other, however the machine drifts. That is all that Wilcoxon's signed-rank test
//! needs (Lehmann, Nonparametrics, 1975, section 3.2).

mod hodges_lehmann;
mod holm;
mod judge;
mod sequential;
mod signed_rank;

pub use hodges_lehmann::{Interval, Sample};
pub use holm::adjusted;
pub use judge::{Band, Change, Judge, Ruling, resolution, times_more};
pub use sequential::{LOOKS, Spending};
pub use signed_rank::fewest;

use statrs::distribution::{ContinuousCDF, Normal};

/// The quantile `p` (0..1) of the standard normal distribution.
pub fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

#[cfg(test)]
mod tests;
