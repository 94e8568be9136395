//! Whether trials of one start change from its first to its last: what a warm-up that was too short, a leak or a growing
//! heap leave in the figures.

use super::blocks::blocks;
use super::hodges_lehmann::{Interval, Sample};
use super::normal::normal_quantile;
use super::series::median;
use super::signed_rank::fewest;
use super::slope;

/// The change from the first trial of a start to its last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// As a log ratio, over all starts.
    pub change: f64,
    /// The interval of it.
    pub interval: Interval,
}

impl Trend {
    /// The trend of the logs of a metric's figures (or of log ratios), given for each start in the order of its trials;
    /// its interval misses the true change with probability `error`. `None` where no start has trials enough.
    ///
    /// Of many starts each is one observation: the slope through the medians of all pairs of its trials (Theil and Sen). Of
    /// too few for an interval, the pairs of all of them are taken together, and the interval is that of the seasonal
    /// Kendall test (Hirsch, Slack & Smith, Water Resources Research 18, 1982), of blocks in place of trials.
    pub fn of(starts: &[Vec<f64>], error: f64) -> Option<Self> {
        let long: Vec<&Vec<f64>> = starts.iter().filter(|trials| trials.len() >= FEWEST_TRIALS).collect();
        if long.is_empty() {
            return None;
        }
        if long.len() < fewest(error) {
            return of_few(&long, error);
        }
        let change = |trials: &&Vec<f64>| median(slopes(trials)).map(|slope| slope * (trials.len() - 1) as f64);
        let changes = Sample::new(&long.iter().filter_map(change).collect::<Vec<_>>());
        Some(Self { change: changes.estimate()?, interval: changes.interval(error) })
    }

    /// Whether the interval rules out that there is none.
    pub fn is_there(self) -> bool {
        self.interval.low > 0.0 || self.interval.high < 0.0
    }
}

fn of_few(starts: &[&Vec<f64>], error: f64) -> Option<Trend> {
    let mut changes = Vec::new();
    let mut variance = 0.0;
    for trials in starts {
        let blocks = blocks(trials);
        let n = blocks.len() as f64;
        // The first block's middle and the last one's are not the first trial and the last.
        changes.extend(slopes(&blocks).into_iter().map(|slope| slope * n));
        variance += n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
    }
    changes.sort_unstable_by(f64::total_cmp);
    let change = median(changes.clone())?;
    // Kendall's statistic counts the rising pairs less the falling ones, so that it moves by two from one to the next.
    let reach = normal_quantile(1.0 - error / 2.0) * variance.sqrt() / 2.0;
    let middle = changes.len() as f64 / 2.0;
    let at = |place: f64| {
        // Beyond the ends nothing bounds it.
        (place >= 0.0 && place < changes.len() as f64).then(|| changes[place as usize])
    };
    let interval = Interval {
        low: at((middle - reach).floor() - 1.0).unwrap_or(f64::NEG_INFINITY),
        high: at((middle + reach).ceil()).unwrap_or(f64::INFINITY),
    };
    Some(Trend { change, interval })
}

/// The slopes of all pairs of values that stand in the order of time.
pub(super) fn slopes(values: &[f64]) -> Vec<f64> {
    let points: Vec<(f64, f64)> = values.iter().enumerate().map(|(i, value)| (i as f64, *value)).collect();
    slope::slopes(&points)
}

/// The fewest trials of a start whose slope says anything.
const FEWEST_TRIALS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn start(change: f64, offset: usize) -> Vec<f64> {
        let noise = [0.01, -0.02, 0.0, 0.015, -0.005, 0.02, -0.01];
        (0..25).map(|i| change * i as f64 / 24.0 + noise[(i * 3 + offset) % 7]).collect()
    }

    #[test]
    fn a_trend_is_found_with_its_size_and_none_where_there_is_none() {
        for starts in [1, 3, 20] {
            let falls: Vec<Vec<f64>> = (0..starts).map(|offset| start(-0.1, offset)).collect();
            let trend = Trend::of(&falls, 0.01).unwrap();
            assert!(trend.is_there() && (trend.change + 0.1).abs() < 0.02, "{starts}: {trend:?}");
            assert!(trend.interval.low <= trend.change && trend.change <= trend.interval.high, "{starts}: {trend:?}");
            let level: Vec<Vec<f64>> = (0..starts).map(|offset| start(0.0, offset)).collect();
            assert!(!Trend::of(&level, 0.01).unwrap().is_there(), "{starts}");
        }
    }

    #[test]
    fn too_few_trials_say_nothing() {
        assert_eq!(Trend::of(&vec![vec![1.0, 2.0, 3.0]; 20], 0.01), None);
        assert_eq!(Trend::of(&[], 0.01), None);
        assert!(!Trend::of(&[vec![1.0, 2.0, 3.0, 4.0]], 0.01).unwrap().is_there());
    }
}
