//! The standard normal distribution, as `statrs` has it.

use statrs::distribution::{ContinuousCDF, Normal};

/// The quantile `p` (0..1) of the standard normal distribution.
pub fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}
