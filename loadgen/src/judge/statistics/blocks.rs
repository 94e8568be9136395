//! Trials as the unit where one start is all there can be: trials that follow each other are alike, so that a block of
//! them is one observation (the method of batch means; Flegal & Jones, Annals of Statistics 38, 2010).

use super::hodges_lehmann::Sample;

/// The log ratios of one start's trials, in the order of time, as observations that hardly depend on each other: one
/// Hodges-Lehmann estimate for each block. What is left over after the last whole block lengthens it.
///
/// At most 60 blocks, and more values than those in each where neighbours are alike: a block is lengthened
/// until neighbouring blocks are not more alike than chance makes them. What an estimate from one start does not cover is
/// how much starts differ.
pub fn blocks(log_ratios: &[f64]) -> Vec<f64> {
    let mut length = log_ratios.len().div_ceil(MOST_BLOCKS).max(1);
    let mut blocks = of_length(log_ratios, length);
    while blocks.len() >= 2 * FEWEST_BLOCKS && are_alike(&blocks) {
        length *= 2;
        blocks = of_length(log_ratios, length);
    }
    blocks
}

fn of_length(values: &[f64], length: usize) -> Vec<f64> {
    let count = (values.len() / length).max(1);
    let block = |i: usize| {
        let end = if i + 1 == count { values.len() } else { (i + 1) * length };
        Sample::new(&values[i * length..end]).estimate()
    };
    (0..count).filter_map(block).collect()
}

/// Whether neighbours correlate more than independent values do in [`CHANCE`] of cases: by the ranks, so that an
/// outlier does not hide it (Bartels, Journal of the American Statistical Association 77, 1982).
fn are_alike(blocks: &[f64]) -> bool {
    let ranks: Vec<f64> = blocks.iter().map(|a| blocks.iter().filter(|b| *b < a).count() as f64).collect();
    let mean = ranks.iter().sum::<f64>() / ranks.len() as f64;
    let square: f64 = ranks.iter().map(|rank| (rank - mean).powi(2)).sum();
    let product: f64 = ranks.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    // Independent values have a correlation of about -1/n, with a standard deviation of about 1/sqrt(n).
    let n = blocks.len() as f64;
    square > 0.0 && product / square + 1.0 / n > CHANCE / n.sqrt()
}

/// Blocks are not made fewer than this: a verdict at a level of 0.1% needs 11 at the least.
const FEWEST_BLOCKS: usize = 15;

/// So many blocks give intervals that hardly narrow with more.
const MOST_BLOCKS: usize = 60;

/// Standard deviations of chance: a fifth of independent series is taken for alike, which costs them some precision.
const CHANCE: f64 = 0.84;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_not_alike_stay_as_they_are() {
        let values: Vec<f64> = (0..50).map(|i| f64::from((i * 37) % 50)).collect();
        assert_eq!(blocks(&values), values);
        assert_eq!(blocks(&[]), Vec::<f64>::new());
        let many: Vec<f64> = (0..600).map(|i| f64::from((i * 233) % 600)).collect();
        assert_eq!(blocks(&many).len(), 60);
    }

    #[test]
    fn values_that_are_alike_become_fewer() {
        let values: Vec<f64> = (0..60).map(|i| f64::from(i / 10)).collect();
        let blocks = blocks(&values);
        assert!((FEWEST_BLOCKS..30).contains(&blocks.len()), "{blocks:?}");
        assert_eq!((blocks[0], *blocks.last().unwrap()), (0.0, 5.0));
    }
}
