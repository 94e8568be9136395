//! Whether a series rises or falls: Mann and Kendall's test, by ranks, so that the curve of the rise does not matter.
//!
//! Neighbours that are alike make trends by chance. How alike they are is taken from what the ranks are less their trend, as Hamed and
//! Rao do (Journal of Hydrology 204, 1998), so that a smooth rise is not itself taken for likeness.

use super::series::{Noise, median};
use super::tiers::ranks;
use super::trend::slopes;

/// How far a series is from one without a trend, in standard deviations of chance: above 0 where it rises, below where it falls.
pub fn kendall(values: &[f64]) -> f64 {
    let ranks = ranks(values);
    let later = |(i, early): (usize, &f64)| ranks[i + 1..].iter().map(|late| sign(late - early)).sum::<f64>();
    let rising_pairs: f64 = ranks.iter().enumerate().map(later).sum();
    if rising_pairs == 0.0 {
        return 0.0;
    }
    let n = ranks.len() as f64;
    let variance = n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
    let inflation = Noise::of(&levelled(&ranks)).map_or(1.0, Noise::inflation);
    // Less one, since a sum of pairs moves by two.
    (rising_pairs - rising_pairs.signum()) / (variance * inflation).sqrt()
}

/// The values less the straight line that they follow (Theil and Sen's). Of a jump, a line follows little.
pub fn levelled(values: &[f64]) -> Vec<f64> {
    let slope = median(slopes(values)).unwrap_or(0.0);
    values.iter().enumerate().map(|(i, value)| value - slope * i as f64).collect()
}

/// -1, 0 or 1.
fn sign(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value.signum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jagged(i: usize) -> f64 {
        [0.0, 0.03, 0.01, 0.04, -0.02, 0.015, -0.03][i * 3 % 7]
    }

    #[test]
    fn the_curve_of_a_rise_does_not_matter() {
        let line: Vec<f64> = (0..12).map(f64::from).collect();
        let curve: Vec<f64> = line.iter().map(|value| value.sqrt()).collect();
        // 66 pairs less one, by a deviation of sqrt(12 * 11 * 29 / 18).
        assert!((kendall(&line) - 65.0 / 14.583).abs() < 1e-3, "{}", kendall(&line));
        assert_eq!(kendall(&curve), kendall(&line));
        let falls: Vec<f64> = line.iter().rev().copied().collect();
        assert_eq!(kendall(&falls), -kendall(&line));
    }

    #[test]
    fn one_level_is_no_rise() {
        assert_eq!(kendall(&[1.0; 20]), 0.0);
        assert_eq!(kendall(&[]).abs(), 0.0);
        let level: Vec<f64> = (0..28).map(jagged).collect();
        assert!(kendall(&level).abs() < 1.0, "{}", kendall(&level));
    }

    #[test]
    fn what_is_levelled_keeps_a_jump_and_loses_a_rise() {
        let spread = |values: Vec<f64>| levelled(&values).into_iter().map(f64::abs).fold(0.0, f64::max);
        assert!(spread((0..20).map(|i| 0.1 * i as f64 + jagged(i)).collect()) < 0.2);
        assert!(spread((0..20).map(|i| if i < 14 { 0.0 } else { 1.0 }).collect()) > 0.9);
    }
}
