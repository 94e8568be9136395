//! Whether a series of slices ended where it began: the medians of its first and last thirds must differ by several
//! standard errors, and by a least share, before it counts as drift.
//!
//! Medians, and the median absolute deviation for the spread, since slices have heavy tails: a stall must not decide.
//! Neighbouring slices resemble each other, which makes a third worth fewer than it has: for a first-order
//! autoregression (1 - r) / (1 + r) of them. Spread and `r` are taken around a straight line through each third, so that
//! the drift that is looked for does not excuse itself.

/// Whether a series was steady.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Steadiness {
    /// It was.
    Steady,
    /// It was not: the medians of its first and last thirds.
    Drifted { first: f64, last: f64 },
    /// It has fewer than [`MIN_SLICES`].
    TooShort,
}

/// Judges a series; changes under `least` of the lower of the two thirds are not counted, however significant.
pub(super) fn judge(series: &[f64], least: f64) -> Steadiness {
    if series.len() < MIN_SLICES {
        return Steadiness::TooShort;
    }
    let third = series.len() / 3;
    let (first, last) = (&series[..third], &series[series.len() - third..]);
    let (before, after) = (median(first), median(last));
    let change = (after - before).abs();
    if change > CRITICAL * standard_error([first, last]) && change > least * before.min(after) {
        Steadiness::Drifted { first: before, last: after }
    } else {
        Steadiness::Steady
    }
}

/// The standard error of the difference between the medians of two parts of the same length.
fn standard_error(parts: [&[f64]; 2]) -> f64 {
    let n = parts[0].len() as f64;
    let residuals = parts.map(around_a_line);
    let correlation = lag_one(&residuals, n).clamp(0.0, MAX_CORRELATION);
    let effective = n * (1.0 - correlation) / (1.0 + correlation);
    let deviations: Vec<f64> = residuals.iter().flatten().map(|residual| residual.abs()).collect();
    MEDIAN_ERROR * NORMAL_MAD * median(&deviations) * (2.0 / effective).sqrt()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// The pooled correlation of neighbours among the residuals of parts of length `n`, corrected for what the line and the
/// short length took from it: (2 + 4r)/n (Marriott and Pope, *Biometrika* 41, 1954).
fn lag_one(residuals: &[Vec<f64>; 2], n: f64) -> f64 {
    let products: f64 = residuals.iter().flat_map(|part| part.windows(2)).map(|pair| pair[0] * pair[1]).sum();
    let squares: f64 = residuals.iter().flatten().map(|residual| residual * residual).sum();
    if squares > 0.0 { (products / squares + 2.0 / n) / (1.0 - 4.0 / n) } else { 0.0 }
}

fn around_a_line(values: &[f64]) -> Vec<f64> {
    let centre = (values.len() - 1) as f64 / 2.0;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let offset = |i: usize| i as f64 - centre;
    let (covariance, variance) = values.iter().enumerate().fold((0.0, 0.0), |(covariance, variance), (i, value)| {
        (covariance + offset(i) * (value - mean), variance + offset(i) * offset(i))
    });
    let slope = covariance / variance;
    values.iter().enumerate().map(|(i, value)| value - mean - slope * offset(i)).collect()
}

/// The least number of slices: of fewer than ten in a third, neither spread nor correlation can be told.
pub(super) const MIN_SLICES: usize = 30;

/// How many standard errors make a drift. Over runs of 5 s and more this leaves fewer than three false alarms in a
/// thousand where neighbours correlate by 0.6 at most (simulated; a test holds 10 s to it), and a tripling is always
/// found; the normal distribution's 3.29 for one in a thousand would do if spread and correlation were known and not
/// estimated from a few dozen slices.
const CRITICAL: f64 = 5.0;

/// The standard error of a normal sample's median, in those of its mean: the square root of pi/2.
const MEDIAN_ERROR: f64 = 1.2533;

/// A normal distribution's standard deviation in median absolute deviations.
const NORMAL_MAD: f64 = 1.4826;

/// The most correlation that is allowed for: more than this, and a third holds little but its own drift.
const MAX_CORRELATION: f64 = 0.8;

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

    use super::*;

    /// 10 s of slices: noise of `spread` (relative, uniform) with correlation `r` around a line from 1 to `end`.
    fn series(seed: u64, spread: f64, r: f64, end: f64) -> Vec<f64> {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut noise = 0.0;
        (0..100)
            .map(|i| {
                noise = r * noise + (1.0 - r * r).sqrt() * rng.random_range(-1.0..1.0f64);
                1.0 + (end - 1.0) * f64::from(i) / 99.0 + spread * noise
            })
            .collect()
    }

    fn drifted(series: &[f64]) -> bool {
        matches!(judge(series, 0.1), Steadiness::Drifted { .. })
    }

    #[test]
    fn steady_series_raise_no_alarm_even_when_neighbours_resemble_each_other() {
        for r in [0.0, 0.3, 0.6] {
            let alarms = (0..1_000).filter(|&seed| drifted(&series(seed, 0.3, r, 1.0))).count();
            assert!(alarms < 3, "{alarms} alarms in 1,000 at r = {r}");
        }
    }

    #[test]
    fn a_drift_beyond_the_spread_is_found() {
        for seed in 0..100 {
            assert!(drifted(&series(seed, 0.1, 0.3, 2.0)), "rising, {seed}");
            assert!(drifted(&series(seed, 0.1, 0.3, 0.4)), "falling, {seed}");
        }
    }

    #[test]
    fn a_step_in_the_middle_is_found_and_a_short_stall_is_not() {
        let mut step = series(1, 0.05, 0.5, 1.0);
        step[50..].iter_mut().for_each(|value| *value *= 0.8);
        assert!(drifted(&step));
        let mut stall = series(1, 0.05, 0.5, 1.0);
        stall[90..95].iter_mut().for_each(|value| *value = 0.0);
        assert!(!drifted(&stall));
    }

    #[test]
    fn a_significant_but_small_change_is_no_drift() {
        let series = series(3, 0.01, 0.0, 1.08);
        assert!(!drifted(&series));
    }

    #[test]
    fn too_few_slices_and_silence() {
        assert_eq!(judge(&[1.0; MIN_SLICES - 1], 0.1), Steadiness::TooShort);
        assert_eq!(judge(&[0.0; MIN_SLICES], 0.1), Steadiness::Steady);
        let stopped: Vec<f64> = (0..30).map(|i| if i < 15 { 100.0 } else { 0.0 }).collect();
        assert_eq!(judge(&stopped, 0.1), Steadiness::Drifted { first: 100.0, last: 0.0 });
    }
}
