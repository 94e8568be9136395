//! Robust figures of a series of values in the order of time: its median, its noise, and how alike neighbours are.
//!
//! Noise and likeness are taken from differences between values that stand one or two places apart. A trend or a jump
//! hardly changes those, and the median of their sizes does not see an outlier.

use std::f64::consts::SQRT_2;

/// The median; `None` without values.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let half = values.len() / 2;
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let above = *middle;
    let lower = if last % 2 == 1 { below.iter().copied().max_by(f64::total_cmp)? } else { above };
    Some((lower + above) / 2.0)
}

/// How much a mean of values of this series varies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// The standard deviation of one value about its level.
    pub deviation: f64,
    /// The correlation of neighbours, from 0 to [`MOST_ALIKE`].
    pub alike: f64,
}

impl Noise {
    /// The noise of these values; `None` of fewer than four.
    pub fn of(values: &[f64]) -> Option<Self> {
        let apart = |places: usize| -> Option<f64> {
            let sizes = values.iter().zip(values.iter().skip(places)).map(|(a, b)| (b - a).abs()).collect();
            median(sizes).map(|size| size / NORMAL_MEDIAN / SQRT_2)
        };
        if values.len() < 4 {
            return None;
        }
        let (one, two) = (apart(1)?, apart(2)?);
        // With neighbours that correlate by r, differences at one place have the variance 2 v (1 - r), at two 2 v (1 - r^2).
        let ratio = if one > 0.0 { (two / one).powi(2) } else { 1.0 };
        let alike = (ratio - 1.0).clamp(0.0, MOST_ALIKE);
        Some(Self { deviation: one / (1.0 - alike).sqrt(), alike })
    }

    /// How many values tell as little as one that stands alone.
    pub fn inflation(self) -> f64 {
        (1.0 + self.alike) / (1.0 - self.alike)
    }

    /// The standard deviation of the difference of the locations of two sets of this many values.
    pub fn of_difference(self, one: usize, other: usize) -> f64 {
        self.deviation * (self.inflation() * (1.0 / one as f64 + 1.0 / other as f64) / EFFICIENCY).sqrt()
    }
}

/// The median of |x| of a standard normal distribution.
pub const NORMAL_MEDIAN: f64 = 0.674_489_75;

/// What a Hodges-Lehmann estimate makes of normal values, against their mean: 3 / pi (Lehmann, 1975, section 2.4).
pub const EFFICIENCY: f64 = 3.0 / std::f64::consts::PI;

/// Beyond this a short series cannot be told from one that wanders without a level.
const MOST_ALIKE: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_even_and_odd_numbers() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
    }

    #[test]
    fn a_trend_is_not_noise_and_an_outlier_does_not_count() {
        let jagged: Vec<f64> = (0..40).map(|i| [0.0, 0.3, 0.1, 0.4, -0.2][i % 5]).collect();
        let noise = Noise::of(&jagged).unwrap();
        let tilted: Vec<f64> = jagged.iter().enumerate().map(|(i, value)| value + 0.001 * i as f64).collect();
        assert!((Noise::of(&tilted).unwrap().deviation / noise.deviation - 1.0).abs() < 0.05);
        let mut hit = jagged.clone();
        hit[17] = 50.0;
        assert!((Noise::of(&hit).unwrap().deviation / noise.deviation - 1.0).abs() < 0.4);
        assert_eq!(Noise::of(&[1.0; 9]), Some(Noise { deviation: 0.0, alike: 0.0 }));
        assert_eq!(Noise::of(&[1.0; 3]), None);
    }
}
