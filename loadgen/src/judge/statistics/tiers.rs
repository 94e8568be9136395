//! Where a series jumps from one level to another: binary segmentation by Pettitt's test (Applied Statistics 28, 1979), a
//! rank test, so that no distribution is assumed and an outlier weighs no more than any value.
//!
//! Barrett et al. (OOPSLA 2017) found with change points that many servers never come to one level. A compiler's tier or a
//! growing heap shows as such a jump.

use std::ops::Range;

use super::series::{Noise, median};

/// A stretch of a series that has one level.
#[derive(Debug, Clone, PartialEq)]
pub struct Tier {
    /// The values that belong to it, by number.
    pub range: Range<usize>,
    /// Their median.
    pub level: f64,
}

/// The tiers of a series, one at least unless it is empty. Two that lie side by side differ by more than `least`. A series
/// with one level is cut with a probability of about 1% at the most, by Pettitt's approximation.
pub fn tiers(values: &[f64], least: f64) -> Vec<Tier> {
    let tier = |range: Range<usize>| median(values[range.clone()].to_vec()).map(|level| Tier { range, level });
    let mut cuts = Vec::new();
    let inflation = Noise::of(values).map_or(1.0, Noise::inflation);
    cut(values, 0, inflation, &mut cuts);
    cuts.sort_unstable();
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([values.len()]);
    let mut tiers: Vec<Tier> = starts.zip(ends).filter_map(|(start, end)| tier(start..end)).collect();
    // The smallest step goes first: what it leaves may be a step that counts.
    while let Some((at, step)) = tiers
        .windows(2)
        .map(|pair| (pair[1].level - pair[0].level).abs())
        .enumerate()
        .min_by(|one, other| one.1.total_cmp(&other.1))
    {
        if step > least {
            break;
        }
        let joined = tiers[at].range.start..tiers[at + 1].range.end;
        tiers.splice(at..=at + 1, tier(joined));
    }
    tiers
}

/// Cuts the values, which begin at `offset` of the series, where they jump, and both parts likewise.
fn cut(values: &[f64], offset: usize, inflation: f64, cuts: &mut Vec<usize>) {
    if values.len() < 2 * SHORTEST || cuts.len() >= MOST {
        return;
    }
    let (at, p_value) = pettitt(values, inflation);
    if p_value <= ERROR && (SHORTEST..=values.len() - SHORTEST).contains(&at) {
        cuts.push(offset + at);
        cut(&values[..at], offset, inflation, cuts);
        cut(&values[at..], offset + at, inflation, cuts);
    }
}

/// The likeliest place of a jump, and the p-value of "there is none" where `inflation` values tell as much as one.
fn pettitt(values: &[f64], inflation: f64) -> (usize, f64) {
    let n = values.len() as f64;
    let mut statistic = 0.0;
    let (mut at, mut greatest) = (0, 0.0);
    let ranks = ranks(values);
    for (i, rank) in ranks.iter().enumerate() {
        statistic += 2.0 * rank - (n + 1.0);
        if statistic.abs() > greatest {
            (at, greatest) = (i + 1, statistic.abs());
        }
    }
    let p_value = 2.0 * (-6.0 * greatest.powi(2) / inflation / (n.powi(3) + n.powi(2))).exp();
    (at, p_value)
}

/// Ranks from 1; those of equal values are their mean.
pub(super) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = |value: &f64| {
        let below = sorted.partition_point(|other| other < value);
        let upto = sorted.partition_point(|other| other <= value);
        (below + upto + 1) as f64 / 2.0
    };
    values.iter().map(rank).collect()
}

/// The fewest values of a tier: of fewer it cannot be told whether they are outliers.
const SHORTEST: usize = 5;

/// The most jumps that are looked for: a series with more has no tiers to speak of.
const MOST: usize = 30;

/// The error of one cut.
const ERROR: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    fn jagged(level: f64, i: usize) -> f64 {
        level + [0.0, 0.01, -0.01, 0.004, -0.006, 0.008, -0.003][i % 7]
    }

    #[test]
    fn jumps_are_found_where_they_are() {
        let level = |i: usize| match i {
            0..30 => 0.7,
            30..55 => 0.2,
            _ => 0.0,
        };
        let values: Vec<f64> = (0..100).map(|i| jagged(level(i), i)).collect();
        let found: Vec<Range<usize>> = tiers(&values, 0.02).into_iter().map(|tier| tier.range).collect();
        assert_eq!(found, [0..30, 30..55, 55..100]);
        assert_eq!(tiers(&values, 0.3).len(), 2, "a step of 0.2 does not count");
        assert_eq!(tiers(&values, 1.0).len(), 1);
    }

    #[test]
    fn one_level_is_one_tier() {
        let mut values: Vec<f64> = (0..100).map(|i| jagged(0.0, i)).collect();
        assert_eq!(tiers(&values, 0.0).len(), 1);
        values[40] = 9.0;
        values[41] = 9.0;
        assert_eq!(tiers(&values, 0.0).len(), 1, "two outliers are no tier");
        assert_eq!(tiers(&[1.0; 50], 0.0), [Tier { range: 0..50, level: 1.0 }]);
        assert!(tiers(&[], 0.0).is_empty());
    }
}
