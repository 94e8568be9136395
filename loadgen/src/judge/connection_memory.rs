//! The memory that each connection costs a server: how steeply its anonymous memory grew while connections were opened.

use crate::judge::statistics::Slope;
use crate::measure::growth::{FEWEST_CONNECTIONS, Growth};

/// Bytes for each connection, with their 95% interval.
///
/// # Errors
/// Why that cannot be told.
pub fn of(growth: &Growth) -> Result<Slope, String> {
    let seen = match growth {
        Growth::Seen(seen) => seen,
        Growth::FewConnections => {
            return Err(format!("it takes {FEWEST_CONNECTIONS} connections to tell"));
        }
        Growth::Unseen => return Err("the server's memory cannot be seen from here".to_owned()),
        Growth::NotAllOpened => return Err("not all connections were opened".to_owned()),
        Growth::SeveralGenerators => return Err("several processes opened connections".to_owned()),
    };
    let points: Vec<(f64, f64)> = seen.iter().map(|(count, bytes)| (f64::from(*count), *bytes as f64)).collect();
    let slope = Slope::of(&points, CONFIDENCE).ok_or("it was seen at too few numbers of connections")?;
    if slope.low <= 0.0 {
        return Err("it did not clearly grow with connections; try more".to_owned());
    }
    Ok(slope)
}

/// Of the interval.
const CONFIDENCE: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_grows_with_connections_has_a_slope() {
        let line: Vec<(u32, u64)> = (1..=8).map(|step| (step * 100, 1_000_000 + u64::from(step) * 600_000)).collect();
        assert_eq!(of(&Growth::Seen(line)), Ok(Slope { estimate: 6000.0, low: 6000.0, high: 6000.0 }));
    }

    #[test]
    fn what_cannot_be_told_says_why() {
        let still = Growth::Seen((1..=8).map(|step| (step * 100, 1_000_000)).collect());
        let noisy = Growth::Seen((1..=8).map(|step| (step * 10, if step % 2 == 0 { 9_000 } else { 5_000 })).collect());
        let few = Growth::Seen((1..=3).map(|step| (step * 100, u64::from(step) * 1_000)).collect());
        for (growth, why) in [
            (still, "did not clearly grow"),
            (noisy, "did not clearly grow"),
            (few, "too few numbers of connections"),
            (Growth::FewConnections, "50 connections"),
            (Growth::Unseen, "cannot be seen"),
            (Growth::NotAllOpened, "not all connections"),
            (Growth::SeveralGenerators, "several processes"),
        ] {
            let error = of(&growth).unwrap_err();
            assert!(error.contains(why), "{growth:?}: {error}");
        }
    }
}
