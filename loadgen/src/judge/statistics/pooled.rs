//! The change of what all trials come to together: the ratio of two ratios of sums, with its jackknife interval over starts
//! (Cochran, Sampling Techniques, 3rd ed., sections 6.2 and 6.17). Unlike the Hodges-Lehmann estimate it leaves nothing out,
//! and so it is as noisy as the trials that were disturbed.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::hodges_lehmann::Interval;

/// What the trials of one start add to the sums of A and of B.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sums {
    /// What there was of it: replies, say.
    pub amount: [f64; 2],
    /// What it is counted by: seconds.
    pub by: [f64; 2],
}

/// A log ratio of B to A, of all starts together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pooled {
    /// The estimate.
    pub log_ratio: f64,
    /// Its standard error.
    pub error: f64,
    /// Starts.
    pub starts: usize,
}

impl Pooled {
    /// That of these starts; `None` of fewer than five, or where a sum without one of them is 0.
    pub fn of(starts: &[Sums]) -> Option<Self> {
        if starts.len() < FEWEST {
            return None;
        }
        let all = starts.iter().fold(Sums::default(), |all, start| all.with(start, 1.0));
        let log_ratio = all.log_ratio()?;
        let without = starts.iter().map(|start| all.with(start, -1.0).log_ratio()).collect::<Option<Vec<f64>>>()?;
        let count = starts.len() as f64;
        let mean = without.iter().sum::<f64>() / count;
        let squares: f64 = without.iter().map(|log_ratio| (log_ratio - mean).powi(2)).sum();
        Some(Self { log_ratio, error: (squares * (count - 1.0) / count).sqrt(), starts: starts.len() })
    }

    /// The interval that misses the log ratio with about this probability.
    pub fn interval(&self, error: f64) -> Interval {
        let distribution = StudentsT::new(0.0, 1.0, self.starts as f64 - 1.0).expect("there are several starts");
        let half = distribution.inverse_cdf(1.0 - error / 2.0) * self.error;
        Interval { low: self.log_ratio - half, high: self.log_ratio + half }
    }
}

impl Sums {
    fn with(self, other: &Self, times: f64) -> Self {
        let add = |own: [f64; 2], more: [f64; 2]| [own[0] + times * more[0], own[1] + times * more[1]];
        Self { amount: add(self.amount, other.amount), by: add(self.by, other.by) }
    }

    fn log_ratio(self) -> Option<f64> {
        let [a, b] = [0, 1].map(|side| self.amount[side] / self.by[side]);
        Some((b / a).ln()).filter(|log_ratio| log_ratio.is_finite())
    }
}

/// Starts whose spread is worth an interval.
const FEWEST: usize = 5;

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    /// A start of as many trials, of which B has the full rate but for a share in which it stands still.
    fn start(rng: &mut SmallRng, trials: u32, still: f64) -> Sums {
        let mut replies = |still: f64| -> f64 {
            (0..trials).map(|_| if rng.random::<f64>() < still { 0.0 } else { 1.0 + 0.1 * rng.random::<f64>() }).sum()
        };
        Sums { amount: [replies(0.0), replies(still)], by: [f64::from(trials); 2] }
    }

    #[test]
    fn what_few_trials_show_is_in_the_ratio_of_sums() {
        let mut rng = SmallRng::seed_from_u64(1);
        for still in [0.1_f64, 0.5] {
            let starts: Vec<Sums> = (0..30).map(|_| start(&mut rng, 4, still)).collect();
            let pooled = Pooled::of(&starts).unwrap();
            let interval = pooled.interval(0.05);
            let truth = (1.0 - still).ln();
            assert!(interval.low < truth && truth < interval.high && interval.high < 0.0, "{still}: {pooled:?}");
        }
    }

    #[test]
    fn the_interval_holds_the_truth_about_as_often_as_it_says() {
        let mut rng = SmallRng::seed_from_u64(2);
        let (still, repetitions) = (0.2, 2_000);
        let misses = (0..repetitions).filter(|_| {
            let starts: Vec<Sums> = (0..12).map(|_| start(&mut rng, 10, still)).collect();
            let interval = Pooled::of(&starts).unwrap().interval(0.05);
            !(interval.low..=interval.high).contains(&(1.0 - still).ln())
        });
        let share = misses.count() as f64 / f64::from(repetitions);
        assert!((0.03..0.08).contains(&share), "{share}");
    }

    #[test]
    fn what_cannot_be_told_is_nothing() {
        let one = Sums { amount: [1.0, 1.0], by: [1.0, 1.0] };
        assert!(Pooled::of(&[one; 4]).is_none() && Pooled::of(&[one; 5]).is_some());
        let still = Sums { amount: [1.0, 0.0], by: [1.0, 1.0] };
        assert!(Pooled::of(&[still; 9]).is_none(), "B never answered");
        let once = [still, still, still, still, still, one];
        assert!(Pooled::of(&once).is_none(), "but in one start");
    }
}
