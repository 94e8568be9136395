//! How much the trials of one start vary, and how much starts vary beyond that: the two variances by which it is decided
//! how often to restart. Both from sizes of differences, whose median an outlier does not move.

use std::f64::consts::SQRT_2;

use super::hodges_lehmann::Sample;
use super::series::{EFFICIENCY, NORMAL_MEDIAN, median};

/// The variances of log ratios, by level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variances {
    /// Of the true value of a start about that of all starts.
    pub between: f64,
    /// Of a trial about the true value of its start.
    pub within: f64,
}

impl Variances {
    /// The variances of these starts, each given by the log ratios of its trials. `None` of fewer than 3
    /// starts, or where no start has two trials.
    pub fn of(starts: &[Vec<f64>]) -> Option<Self> {
        let starts: Vec<&Vec<f64>> = starts.iter().filter(|trials| !trials.is_empty()).collect();
        if starts.len() < FEWEST_STARTS {
            return None;
        }
        // Neighbours are enough, of which there are many, and they hardly see a trend.
        let neighbours = starts.iter().flat_map(|trials| trials.windows(2).map(|pair| (pair[1] - pair[0]).abs()));
        let within = variance(neighbours.collect())?;
        let estimates: Vec<f64> = starts.iter().filter_map(|trials| Sample::new(trials).estimate()).collect();
        let whole = variance(sizes(&estimates).collect())?;
        // A start's estimate has a part of the trials' variance (Kalibera & Jones, section 6.2).
        let from_trials = starts.iter().map(|trials| 1.0 / trials.len() as f64).sum::<f64>() / starts.len() as f64;
        Some(Self { between: (whole - within / EFFICIENCY * from_trials).max(0.0), within })
    }

    /// The variance of a start's estimate from this many trials.
    pub fn of_start(self, trials: u32) -> f64 {
        self.between + self.within / EFFICIENCY / f64::from(trials)
    }
}

/// The sizes of the differences of all pairs.
fn sizes(values: &[f64]) -> impl Iterator<Item = f64> + '_ {
    values.iter().enumerate().flat_map(|(i, a)| values[..i].iter().map(move |b| (a - b).abs()))
}

fn variance(sizes: Vec<f64>) -> Option<f64> {
    median(sizes).map(|size| (size / NORMAL_MEDIAN / SQRT_2).powi(2))
}

/// The fewest starts whose variance is an estimate at all: three pairs of them.
const FEWEST_STARTS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variances_are_those_of_the_values() {
        // Starts at -0.2..0.2, trials 0.1 to either side of them.
        let starts: Vec<Vec<f64>> = [-0.2, -0.1, 0.0, 0.1, 0.2]
            .map(|level| (0..20).map(|i| level + if i % 2 == 0 { 0.1 } else { -0.1 }).collect())
            .to_vec();
        let Variances { between, within } = Variances::of(&starts).unwrap();
        // Neighbours differ by 0.2, the median pair of starts too.
        let of_difference = |difference: f64| (difference / NORMAL_MEDIAN / SQRT_2).powi(2);
        assert!((within / of_difference(0.2) - 1.0).abs() < 1e-9, "{within}");
        assert!((between / of_difference(0.2) - 1.0).abs() < 0.1, "{between}");
        assert!(Variances::of(&starts[..2]).is_none());
        assert!(Variances::of(&[vec![1.0], vec![2.0], vec![3.0]]).is_none(), "no start has two trials");
        let Variances { between, within } = Variances::of(&[vec![0.0; 9], vec![0.0; 9], vec![0.0; 9]]).unwrap();
        assert_eq!((between, within), (0.0, 0.0));
    }
}
