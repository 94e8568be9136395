//! The distribution of Wilcoxon's signed-rank statistic W+ of `n` values without ties, under the hypothesis that they
//! are symmetric about zero: exact up to [`EXACT`] values, normal beyond.

use statrs::distribution::{ContinuousCDF, Normal};

/// P(W+ <= w).
pub fn tail(n: usize, w: usize) -> f64 {
    if n > EXACT {
        return normal_tail(n, w);
    }
    let exact = exact(n);
    exact[..exact.len().min(w + 1)].iter().sum::<f64>().min(1.0)
}

/// The largest k with P(W+ <= k - 1) <= p, which is the rank, from 1, of the Walsh average that bounds an interval on
/// one side with error p; 0 where `n` is too small for any.
pub fn rank(n: usize, p: f64) -> usize {
    let most = n * (n + 1) / 2;
    if n > EXACT {
        let (mean, deviation) = moments(n);
        // The continuity correction of `normal_tail`, turned round.
        let k = mean + deviation * Normal::standard().inverse_cdf(p) + 0.5;
        return (k.max(0.0) as usize).min(most);
    }
    let mut sum = 0.0;
    exact(n)
        .iter()
        .take_while(|probability| {
            sum += **probability;
            sum <= p
        })
        .count()
}

/// The fewest values with which a two-sided test at this level can reject anything: 2 / 2^n <= level.
pub fn fewest(level: f64) -> usize {
    (1.0 - level.log2()).ceil().max(1.0) as usize
}

/// P(W+ = w) for every w. Each rank belongs to a positive value with probability 1/2, independently.
fn exact(n: usize) -> Vec<f64> {
    let mut probabilities = vec![0.0; n * (n + 1) / 2 + 1];
    probabilities[0] = 1.0;
    let mut top = 0;
    for rank in 1..=n {
        top += rank;
        for w in (0..=top).rev() {
            let with = if w >= rank { probabilities[w - rank] } else { 0.0 };
            probabilities[w] = (probabilities[w] + with) / 2.0;
        }
    }
    probabilities
}

fn normal_tail(n: usize, w: usize) -> f64 {
    let (mean, deviation) = moments(n);
    Normal::standard().cdf((w as f64 + 0.5 - mean) / deviation)
}

fn moments(n: usize) -> (f64, f64) {
    let n = n as f64;
    (n * (n + 1.0) / 4.0, (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt())
}

/// The most values whose distribution is computed: 4 million additions, a few milliseconds. At this many the normal
/// distribution errs on the safe side, by under a tenth of a level of 0.05% (a test says so).
const EXACT: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_distributions_are_those_of_the_tables() {
        // n = 3: the sums 0, 1, 2, 3, 3, 4, 5, 6 are equally likely.
        assert_eq!(exact(3), [1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0].map(|ways| ways / 8.0));
        // Wilcoxon & Wilcox (1964): two-sided 5% at n = 10 and n = 20 are W <= 8 and W <= 52.
        assert!(tail(10, 8) <= 0.025 && tail(10, 9) > 0.025);
        assert!(tail(20, 52) <= 0.025 && tail(20, 53) > 0.025);
        assert_eq!((rank(10, 0.025), rank(20, 0.025)), (9, 53));
        assert_eq!((rank(5, 0.01), rank(5, 1.0 / 32.0)), (0, 1));
    }

    #[test]
    fn both_tails_make_the_whole() {
        for n in [1, 2, 7, 50, EXACT] {
            let most = n * (n + 1) / 2;
            for w in [0, most / 3, most / 2] {
                let upper = if w + 1 > most { 0.0 } else { tail(n, most - w - 1) };
                assert!((tail(n, w) + upper - 1.0).abs() < 1e-12, "n = {n}, w = {w}");
            }
        }
    }

    #[test]
    fn the_normal_distribution_takes_over_smoothly() {
        for level in [0.0005, 0.005, 0.025] {
            let w = rank(EXACT, level) - 1;
            let ratio = normal_tail(EXACT, w) / tail(EXACT, w);
            assert!((1.0..1.1).contains(&ratio), "{level}: {ratio}");
        }
        let (mean, deviation) = moments(EXACT + 1);
        let expected = mean - 2.575_829 * deviation;
        assert!((rank(EXACT + 1, 0.005) as f64 - expected).abs() < 1.5);
        assert!(tail(EXACT + 1, rank(EXACT + 1, 0.005) - 1) <= 0.005);
        assert!(tail(EXACT + 1, rank(EXACT + 1, 0.005)) > 0.005);
    }

    #[test]
    fn a_level_needs_its_number_of_values() {
        assert_eq!([0.05, 0.01, 0.0025].map(fewest), [6, 8, 10]);
        for level in [0.05, 0.01, 0.0025] {
            assert!(rank(fewest(level), level / 2.0) > 0 && rank(fewest(level) - 1, level / 2.0) == 0);
        }
    }
}
