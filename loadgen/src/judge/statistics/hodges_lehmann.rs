//! The Hodges-Lehmann estimate of a location, its distribution-free interval, and the signed-rank test of any other
//! location: three readings of one list, the Walsh averages of the values (Hollander, Wolfe & Chicken, Nonparametric
//! Statistical Methods, 3rd ed., sections 3.1 to 3.3).

use super::signed_rank;

/// Values that are symmetric about one unknown location, by their Walsh averages.
#[derive(Debug, Clone)]
pub struct Sample {
    values: usize,
    /// (x_i + x_j) / 2 for all i <= j, ascending.
    walsh: Vec<f64>,
}

/// An interval; unbounded on a side where the values are too few to bound it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Sample {
    /// A sample of finite values.
    pub fn new(values: &[f64]) -> Self {
        debug_assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
        let mut walsh = Vec::with_capacity(values.len() * (values.len() + 1) / 2);
        for (i, a) in values.iter().enumerate() {
            walsh.extend(values[..=i].iter().map(|b| (a + b) / 2.0));
        }
        walsh.sort_unstable_by(f64::total_cmp);
        Self { values: values.len(), walsh }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.values
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// The median of the Walsh averages; `None` without values.
    pub fn estimate(&self) -> Option<f64> {
        let (below, above) = (self.walsh.len().checked_sub(1)? / 2, self.walsh.len() / 2);
        Some((self.walsh[below] + self.walsh[above]) / 2.0)
    }

    /// The interval that misses the location with probability `error` at the most, both sides together.
    pub fn interval(&self, error: f64) -> Interval {
        match signed_rank::rank(self.values, error / 2.0) {
            0 => Interval { low: f64::NEG_INFINITY, high: f64::INFINITY },
            rank => Interval { low: self.walsh[rank - 1], high: self.walsh[self.walsh.len() - rank] },
        }
    }

    /// The one-sided p-value of "the location is at most `at`": small where it is higher. Ties count against it.
    pub fn p_above(&self, at: f64) -> f64 {
        signed_rank::tail(self.values, self.walsh.partition_point(|average| *average <= at))
    }

    /// The one-sided p-value of "the location is at least `at`": small where it is lower. Ties count against it.
    pub fn p_below(&self, at: f64) -> f64 {
        signed_rank::tail(self.values, self.walsh.len() - self.walsh.partition_point(|average| *average < at))
    }
}

impl Interval {
    /// Half its width; infinite where a side is unbounded.
    pub fn half_width(self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_bound_nothing() {
        let sample = Sample::new(&[0.1, 0.2, 0.3]);
        assert_eq!(sample.interval(0.05), Interval { low: f64::NEG_INFINITY, high: f64::INFINITY });
        assert_eq!(sample.interval(0.25), Interval { low: 0.1, high: 0.3 });
        assert!((sample.estimate().unwrap() - 0.2).abs() < 1e-15);
        assert_eq!(sample.p_above(0.0), 0.125);
        assert!(Sample::new(&[]).estimate().is_none() && Sample::new(&[]).is_empty());
        assert_eq!(Sample::new(&[]).p_above(0.0), 1.0);
    }

    #[test]
    fn values_that_are_all_alike_are_no_evidence_of_a_change() {
        let sample = Sample::new(&[0.0; 12]);
        assert_eq!((sample.estimate(), sample.p_above(0.0), sample.p_below(0.0)), (Some(0.0), 1.0, 1.0));
        assert_eq!(sample.interval(0.01), Interval { low: 0.0, high: 0.0 });
        assert!(sample.p_below(0.02) < 0.001, "and they are evidence that there is none");
    }

    #[test]
    fn the_test_rejects_what_the_interval_leaves_out() {
        let sample = Sample::new(&[0.013, -0.004, 0.021, 0.008, 0.017, 0.002, 0.011, 0.019, 0.006, 0.030]);
        for error in [0.5, 0.1, 0.05, 0.01] {
            let Interval { low, high } = sample.interval(error);
            assert!(sample.p_above(low - 1e-9) <= error / 2.0 && sample.p_above(low) > error / 2.0, "{error}");
            assert!(sample.p_below(high + 1e-9) <= error / 2.0 && sample.p_below(high) > error / 2.0, "{error}");
        }
    }
}
